"""kill -9 at the bad moments: after a restart the payment settles by itself, money moved once.

The three moments, for a transfer, for a PaymentIntent's opening and for its confirmation:
the intent is committed and Stripe has not acted; Stripe has acted and its answer is on its way;
the answer has come and its commit has not.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.flows import payments
from tests.flows.books import assert_books_agree, verify
from tests.flows.stack import API_KEY, Stack, running_stack, wait_for

ROTATED_KEY = "sk_test_rotated"
HOUR_S = 3_600


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("crashes")) as running:
        yield running


@contextmanager
def in_the_background(act: Callable[[], object]) -> Iterator[None]:
    """The caller whose connection will break; what it gets is of no interest."""

    def run() -> None:
        try:
            act()
        except OSError:
            return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(timeout=30)


@contextmanager
def nothing_can_be_written(stack: Stack) -> Iterator[None]:
    """Hold the database's write lock, as a stuck disk would."""
    path = stack.data_dir / "roadcall.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("ROLLBACK")


class Movement:
    """One of the three calls that move money, and how its payment ends."""

    def __init__(self, name: str, route: str, driver: bool) -> None:
        self.name = name
        self.route = route
        self.driver = driver

    def ready(self, stack: Stack) -> str:
        vendor = payments.vendor(stack)
        if self.name == "confirmation":
            return payments.opened(stack, vendor)[0]
        return payments.approved(stack, vendor, driver=self.driver)

    def start(self, stack: Stack, payment_id: str) -> object:
        if self.name == "confirmation":
            return payments.confirm(stack, payment_id)
        return payments.process(stack, payment_id)

    def committed(self, stack: Stack, payment_id: str) -> bool:
        started = "ConfirmationStarted" if self.name == "confirmation" else "ProcessingStarted"
        return started in stack.facts(payment_id)

    def acted(self, stack: Stack, payment_id: str) -> bool:
        found = {
            "transfer": payments.transfers_of,
            "opening": payments.intents_of,
            "confirmation": payments.charges_of,
        }[self.name]
        return bool(found(stack, payment_id))

    def must_have_moved_once(self, stack: Stack, payment_id: str) -> None:
        if self.name == "opening":
            wait_for(
                "the PaymentIntent",
                lambda: stack.payment(payment_id)["stripePaymentIntentId"],
            )
            assert len(payments.intents_of(stack, payment_id)) == 1
            assert payments.confirm(stack, payment_id).status == 200
        stack.wait_status(payment_id, "completed")
        moved = payments.charges_of if self.driver else payments.transfers_of
        assert len(moved(stack, payment_id)) == 1
        assert stack.facts(payment_id).count("PaymentCompleted") == 1


MOVEMENTS = [
    Movement("transfer", "POST /v1/transfers", driver=False),
    Movement("opening", "POST /v1/payment_intents", driver=True),
    Movement("confirmation", "POST /v1/payment_intents/*/confirm", driver=True),
]
each_movement = pytest.mark.parametrize("movement", MOVEMENTS, ids=lambda m: m.name)


def kill_before_stripe_acts(stack: Stack, movement: Movement, payment_id: str) -> None:
    # The connection ends before the effect, as if the packet never left; retries wait long
    # enough for the kill.
    stack.fault(kind="drop_before", route=movement.route)
    with in_the_background(lambda: movement.start(stack, payment_id)):
        wait_for("the intent", lambda: movement.committed(stack, payment_id) or None)
        stack.service.kill()
    assert not movement.acted(stack, payment_id)
    stack.no_faults()


def kill_before_the_answer_arrives(stack: Stack, movement: Movement, payment_id: str) -> None:
    stack.fault(kind="delay_after", route=movement.route, seconds=1.5, count=1)
    stack.fault(kind="webhook_drop", count=3)
    with in_the_background(lambda: movement.start(stack, payment_id)):
        wait_for("Stripe's effect", lambda: movement.acted(stack, payment_id) or None)
        stack.service.kill()
    stack.no_faults()


def kill_before_the_outcome_is_committed(stack: Stack, movement: Movement, payment_id: str) -> None:
    stack.fault(kind="delay_after", route=movement.route, seconds=0.7, count=1)
    stack.fault(kind="webhook_drop", count=3)
    with in_the_background(lambda: movement.start(stack, payment_id)):
        wait_for("Stripe's effect", lambda: movement.acted(stack, payment_id) or None)
        with nothing_can_be_written(stack):
            wait_for("Stripe's answer", lambda: answered(stack, movement, payment_id) or None)
            stack.service.kill()
    stack.no_faults()


def answered(stack: Stack, movement: Movement, payment_id: str) -> bool:
    """The service has logged the answer of this payment's call."""
    operation = {"transfer": "transfer.create", "opening": "payment_intent.create"}.get(
        movement.name, "payment_intent.confirm"
    )
    lines = stack.service.log.read_text().splitlines()
    calls = (line for line in lines if operation in line and payment_id in line)
    return any('"http_status":200' in line for line in calls)


MOMENTS = {
    "committed": kill_before_stripe_acts,
    "acted": kill_before_the_answer_arrives,
    "answered": kill_before_the_outcome_is_committed,
}


@each_movement
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_service_finishes_what_it_began(
    stack: Stack, movement: Movement, moment: str
) -> None:
    payment_id = movement.ready(stack)
    MOMENTS[moment](stack, movement, payment_id)
    stack.restart_service()
    movement.must_have_moved_once(stack, payment_id)


def test_all_books_agree_after_all_those_kills(stack: Stack) -> None:
    assert_books_agree(stack)
    verify(stack)


@pytest.mark.parametrize("moment", MOMENTS)
def test_m5_the_key_was_rotated_in_between(own_stack: Stack, moment: str) -> None:
    """The new key speaks for the same account: the attempt goes on, and moves money once."""
    transfer = MOVEMENTS[0]
    payment_id = transfer.ready(own_stack)
    MOMENTS[moment](own_stack, transfer, payment_id)
    rotated = {"accept": [ROTATED_KEY], "revoke": [API_KEY]}
    assert own_stack.stripe("POST", "/_sandbox/keys", rotated).status == 200
    own_stack.write_secrets(ROTATED_KEY)
    own_stack.restart_service()
    own_stack.wait_status(payment_id, "completed")
    assert len(payments.transfers_of(own_stack, payment_id)) == 1


def test_m5_a_revoked_key_is_unknown_never_failed(own_stack: Stack) -> None:
    transfer = MOVEMENTS[0]
    payment_id = transfer.ready(own_stack)
    kill_before_the_answer_arrives(own_stack, transfer, payment_id)
    rotated = {"accept": [ROTATED_KEY], "revoke": [API_KEY]}
    assert own_stack.stripe("POST", "/_sandbox/keys", rotated).status == 200
    log = own_stack.service.log
    seen = log.stat().st_size
    own_stack.service = own_stack.start_service(ready="/health/live")
    wait_for("a 401", lambda: "401" in log.read_text()[seen:] or None)
    assert own_stack.status(payment_id) == "processing"
    own_stack.write_secrets(ROTATED_KEY)
    own_stack.wait_status(payment_id, "completed", timeout_s=60)
    assert len(payments.transfers_of(own_stack, payment_id)) == 1


@pytest.mark.parametrize("moment", ["acted", "answered"])
def test_m8_the_machine_wakes_25_hours_later_and_looks(own_stack: Stack, moment: str) -> None:
    transfer = MOVEMENTS[0]
    payment_id = transfer.ready(own_stack)
    MOMENTS[moment](own_stack, transfer, payment_id)
    sleep_for(own_stack, 25 * HOUR_S)
    own_stack.wait_status(payment_id, "completed")
    (made,) = payments.transfers_of(own_stack, payment_id)
    assert made["_idempotency_key"] == f"transfer_{payment_id}"


def test_m8_what_never_reached_stripe_is_voided_by_two_looks_an_hour_apart(
    own_stack: Stack,
) -> None:
    transfer = MOVEMENTS[0]
    payment_id = transfer.ready(own_stack)
    kill_before_stripe_acts(own_stack, transfer, payment_id)
    sleep_for(own_stack, 25 * HOUR_S)
    wait_for("the first empty list", lambda: absences(own_stack, payment_id) or None)
    assert own_stack.status(payment_id) == "processing"
    own_stack.service.kill()
    sleep_for(own_stack, HOUR_S + 60, slept=25 * HOUR_S)
    own_stack.wait_status(payment_id, "failed")
    assert own_stack.facts(payment_id).count("AttemptVoided") == 1
    assert payments.transfers_of(own_stack, payment_id) == []
    assert own_stack.api("POST", f"/payments/{payment_id}/retry", {}).status == 200
    assert payments.process(own_stack, payment_id).status == 200
    (made,) = payments.transfers_of(own_stack, payment_id)
    assert made["_idempotency_key"] == f"transfer_{payment_id}_2"


def absences(stack: Stack, payment_id: str) -> bool:
    entries = stack.api("GET", f"/payments/{payment_id}/timeline").body["entries"]
    assert isinstance(entries, list)
    return any(entry["data"].get("absent") for entry in entries)


def sleep_for(stack: Stack, seconds: int, *, slept: int = 0) -> None:
    """Wake the service that much later: its clock and Stripe's have gone on."""
    assert stack.stripe("POST", "/_sandbox/clock", {"advance": seconds}).status == 200
    stack.restart_service(ROADCALL_CLOCK_OFFSET_S=str(slept + seconds))


def test_the_database_survives_what_the_kills_left(own_stack: Stack, tmp_path: Path) -> None:
    """A kill in the midst of many creations: every answered one is there, and verify is clean."""
    vendor = payments.vendor(own_stack)
    answered_ids: list[str] = []

    def create_many() -> None:
        while len(answered_ids) < 500:
            answered_ids.append(payments.created(own_stack, vendor, driver=False))

    with in_the_background(create_many):
        wait_for("some payments", lambda: len(answered_ids) > 20 or None)
        own_stack.service.kill()
    own_stack.restart_service()
    for payment_id in answered_ids:
        assert own_stack.status(payment_id) == "pending_approval"
    verify(own_stack)
