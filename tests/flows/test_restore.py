"""M18, second half: a restored service starts held, and pays nothing twice when it goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.documents import document
from tests.flows import payments
from tests.flows.books import assert_books_agree, command, ledger, verify, wait_booked
from tests.flows.conftest import a_database
from tests.flows.stack import Stack, running_stack
from tests.postgres_server import bundled

# Each is a dozen commands typed at a shell.
pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Story:
    """Payments by where they stood in the backup; all but ``open_transfer`` were paid in the end.

    ``lost_*`` were created after it.
    """

    reversed_after: str
    paid_before: str
    approved: str
    approved_driver: str
    pending: str
    opened_driver: str
    untouched: str
    lost_transfer: str
    lost_driver: str

    @property
    def adopted(self) -> tuple[str, ...]:
        return (self.approved, self.approved_driver, self.pending, self.opened_driver)


def pay(stack: Stack, payment_id: str, *, driver: bool) -> None:
    reply = payments.process(stack, payment_id, as_="service")
    assert reply.status == 200, reply
    if driver:
        assert payments.confirm(stack, payment_id).status == 200
    stack.wait_status(payment_id, "completed")


def live_through(stack: Stack, backup: Path) -> Story:
    """Payments before the backup, the backup beside the running service, and what came after."""
    vendor = payments.vendor(stack)
    reversed_after = payments.approved(stack, vendor, driver=False)
    pay(stack, reversed_after, driver=False)
    paid_before = payments.approved(stack, vendor, driver=True)
    pay(stack, paid_before, driver=True)
    approved = payments.approved(stack, vendor, driver=False, cents=20_000)
    approved_driver = payments.approved(stack, vendor, driver=True, cents=21_000)
    pending = payments.created(stack, vendor, driver=False, cents=22_000)
    opened_driver, _ = payments.opened(stack, vendor, cents=23_000)
    untouched = payments.approved(stack, vendor, driver=False, cents=24_000)
    wait_booked(stack)

    taken = command(stack, "backup", str(backup))
    assert taken.returncode == 0, taken.stderr

    pay(stack, approved, driver=False)
    pay(stack, approved_driver, driver=True)
    reply = stack.api("POST", f"/payments/{pending}/approve", {}, as_="approver")
    assert reply.status == 200, reply
    pay(stack, pending, driver=False)
    assert payments.confirm(stack, opened_driver).status == 200
    lost_transfer = payments.approved(stack, vendor, driver=False, cents=30_000)
    pay(stack, lost_transfer, driver=False)
    lost_driver = payments.approved(stack, vendor, driver=True, cents=31_000)
    pay(stack, lost_driver, driver=True)
    (transfer,) = payments.transfers_of(stack, reversed_after)
    assert stack.form("POST", f"/v1/transfers/{transfer['id']}/reversals").status == 200
    wait_booked(stack)
    return Story(
        reversed_after,
        paid_before,
        approved,
        approved_driver,
        pending,
        opened_driver,
        untouched,
        lost_transfer,
        lost_driver,
    )


def moved(stack: Stack) -> tuple[int, int]:
    """How many transfers and paid PaymentIntents the sandbox's own books have."""
    paid = [one for one in stack.objects("payment_intents") if one["status"] == "succeeded"]
    return len(stack.objects("transfers")), len(paid)


def assert_held(stack: Stack, story: Story) -> None:
    before = moved(stack)
    for action in ("process", "cancel"):
        reply = stack.api("POST", f"/payments/{story.approved}/{action}", {}, as_="admin")
        assert (reply.status, reply.body["code"]) == (503, "held_after_restore"), reply
        assert "repair-drift" in reply.text("detail")
    rejected = stack.api("POST", f"/payments/{story.pending}/reject", {}, as_="admin")
    assert rejected.body["code"] == "held_after_restore", rejected
    # Reading goes on, and resuming a pause lifts no hold.
    assert stack.status(story.approved) == "approved"
    stack.api("POST", "/movements/resume", {}, as_="admin")
    assert payments.process(stack, story.approved).status == 503
    refused = command(stack, "release")
    assert refused.returncode == 1
    assert "repair-drift" in refused.stderr
    assert moved(stack) == before


def repaired(stack: Stack) -> dict[str, list[str | None]]:
    """Repair, and which payments were told of under each heading."""
    done = command(stack, "repair-drift", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["passed"] is True
    assert report["problems"] == []
    return {
        heading: sorted(one["paymentId"] for one in report[heading])
        for heading in ("adopted", "strays")
    }


def assert_nothing_moves_twice(stack: Stack, story: Story) -> None:
    """Even asked again, with everything running: what is paid stays paid once."""
    before = moved(stack)
    for payment_id in story.adopted:
        stack.wait_status(payment_id, "completed")
        assert payments.process(stack, payment_id, as_="service").status == 409
    assert moved(stack) == before
    assert len(payments.transfers_of(stack, story.approved)) == 1
    assert len(payments.intents_of(stack, story.approved_driver)) == 1
    # What was never paid still can be, once.
    pay(stack, story.untouched, driver=False)
    assert moved(stack) == (before[0] + 1, before[1])


def assert_whole_again(stack: Stack, story: Story) -> None:
    held = repaired(stack)
    assert held == {
        "adopted": sorted((*story.adopted, story.reversed_after)),
        "strays": sorted([story.lost_driver, story.lost_transfer]),
    }
    assert repaired(stack) == {"adopted": [], "strays": []}, "a second repair finds nothing new"
    done = command(stack, "release")
    assert done.returncode == 0, done.stderr
    assert_nothing_moves_twice(stack, story)
    assert stack.payment(story.reversed_after)["amountReversedCents"] == 12_500
    assert "AnomalyRecorded" in stack.facts(story.pending)
    assert_books_agree(stack)
    suspense = {cents for key, cents in ledger(stack).items() if key[1] == "suspense:stray"}
    assert suspense == {30_000 - 31_000}
    assert command(stack, "checkpoint").returncode == 0
    verify(stack)


def test_m18_a_restored_service_starts_held_and_pays_nothing_twice(
    own_stack: Stack, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.sqlite"
    story = live_through(own_stack, backup)
    in_use = command(own_stack, "restore", str(backup))
    assert in_use.returncode == 1
    assert "stop the service first" in in_use.stderr
    assert own_stack.service.stop() == 0
    done = command(own_stack, "restore", str(backup))
    assert done.returncode == 0, done.stderr
    own_stack.restart_service()
    assert_held(own_stack, story)
    assert_whole_again(own_stack, story)


def paid_after(stack: Stack, back_up: Callable[[], None]) -> str:
    """A payment that is approved in the backup and was paid after it."""
    payment_id = payments.approved(stack, payments.vendor(stack), driver=False)
    back_up()
    pay(stack, payment_id, driver=False)
    return payment_id


def assert_paid_once(stack: Stack, payment_id: str) -> None:
    assert stack.status(payment_id) == "completed"
    assert payments.process(stack, payment_id).status == 409
    assert len(payments.transfers_of(stack, payment_id)) == 1
    assert_books_agree(stack)


def test_m18_a_file_put_back_by_hand_is_known_by_its_checkpoints(own_stack: Stack) -> None:
    database = own_stack.data_dir / "roadcall.sqlite"
    backup = own_stack.directory / "backup.sqlite"

    def back_up() -> None:
        assert command(own_stack, "backup", str(backup)).returncode == 0

    payment_id = paid_after(own_stack, back_up)
    # A clean stop signs where the streams stand.
    assert own_stack.service.stop() == 0
    for side in ("-wal", "-shm"):
        database.with_name(database.name + side).unlink(missing_ok=True)
    database.write_bytes(backup.read_bytes())
    own_stack.restart_service()
    refused = payments.process(own_stack, payment_id)
    assert (refused.status, refused.body["code"]) == (503, "held_after_restore")
    assert "checkpoint" in refused.text("detail")
    doctor = command(own_stack, "doctor")
    assert "repair-drift" in doctor.stdout
    repaired(own_stack)
    assert command(own_stack, "release").returncode == 0
    assert_paid_once(own_stack, payment_id)
    verify(own_stack)


def pasted(stack: Stack, line: str) -> None:
    """A command of the documents, as a shell beside the service runs it."""
    ran = subprocess.run(
        ["/bin/sh", "-c", line],
        env={
            **os.environ,
            **stack.environment,
            "PATH": os.pathsep.join(
                [str(Path(sys.executable).parent), str(bundled().programs), os.environ["PATH"]]
            ),
        },
        cwd=stack.directory,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    # What the doctor and verify find is theirs to say; they must run.
    allowed = (0, 1) if line.split()[1] in ("doctor", "verify") else (0,)
    assert ran.returncode in allowed, f"{line}\n{ran.stdout}{ran.stderr}"


def lines_of(name: str) -> list[str]:
    return [
        line
        for block in document(name).blocks("sh")
        for line in block.splitlines()
        if "PAYMENT" not in line and not line.startswith("export")
    ]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_the_documents_say_of_a_restore_works_when_pasted(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    on_postgres = kind == "postgresql"
    told = lines_of("docs/operating.md")
    (dump,) = [line for line in told if line.startswith("pg_dump")]
    (load,) = [line for line in told if line.startswith("pg_restore")]
    (copy,) = [line for line in told if line.startswith("roadcall-payments backup")]
    with (
        a_database(kind, tmp_path, request) as database,
        running_stack(tmp_path, database) as stack,
    ):
        payment_id = paid_after(stack, lambda: pasted(stack, dump if on_postgres else copy))
        assert stack.service.stop() == 0
        if on_postgres:
            pasted(stack, load)
            pasted(stack, 'roadcall-payments hold "restored from payments.dump"')
        else:
            pasted(stack, "roadcall-payments restore backup.sqlite")
        stack.restart_service()
        assert payments.process(stack, payment_id).status == 503
        for line in lines_of("docs/runbook.md"):
            pasted(stack, line)
        assert_paid_once(stack, payment_id)
        verify(stack)
