"""An operator's days: pauses, dead letters, outages, revoked keys, several processes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest
from aiosmtpd.controller import Controller

from roadcall_payments.domain.people import Role
from tests.flows import payments
from tests.flows.books import assert_books_agree, command, verify
from tests.flows.stack import API_KEY, Reply, Stack, call, running_stack, wait_for
from tests.ports import free_port

ROTATED_KEY = "sk_test_flows_rotated"


@pytest.fixture(scope="module")
def database_kind() -> str:
    return "postgresql"


@pytest.fixture(scope="module")
def stack_settings() -> dict[str, str]:
    return {
        "ROADCALL_STRIPE_BUDGET_S": "4",
        "ROADCALL_STRIPE_TIMEOUT_S": "4",
        "ROADCALL_RECOVERY_AFTER_S": "5",
        "ROADCALL_NOTICES_ATTEMPTS_MAX": "2",
        "ROADCALL_RETRY_BASE_S": "1",
        "ROADCALL_RETRY_CAP_S": "1",
    }


def journal(stack: Stack) -> int:
    """How many facts there are."""
    return int(stack.database.query("SELECT COUNT(*) FROM journal")[0][0])


@contextmanager
def at_once(*acts: Callable[[], Reply]) -> Iterator[list[Future[Reply]]]:
    with ThreadPoolExecutor(len(acts)) as pool:
        yield [pool.submit(act) for act in acts]


def pause(stack: Stack) -> None:
    reply = stack.api("POST", "/movements/pause", {"reason": "An incident."}, as_="admin")
    assert reply.status == 200, reply


def resume(stack: Stack) -> None:
    assert stack.api("POST", "/movements/resume", {}, as_="admin").status == 200


# --- an outage of Stripe's: begun here, its end looked at last, half a minute later ---


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, list[str]]]:
    """A stack whose Stripe was gone while payments were processed, all of these but the last."""
    with running_stack(tmp_path_factory.mktemp("outage")) as running:
        vendor = payments.vendor(running)
        cut_off = [payments.approved(running, vendor, driver=False) for _ in range(7)]
        running.sandbox.kill()
        acts = [partial(payments.process, running, one) for one in cut_off[:-1]]
        with at_once(*acts) as replies:
            statuses = {reply.result().status for reply in replies}
        assert statuses <= {202, 503}
        yield running, cut_off


def test_m32_an_open_breaker_refuses_before_the_intent(outage: tuple[Stack, list[str]]) -> None:
    stack, (*_, payment_id) = outage
    before = journal(stack)
    try:
        refused = payments.process(stack, payment_id)
    finally:
        stack.sandbox = stack.start_sandbox()
    assert (refused.status, refused.body["code"]) == (503, "stripe_unavailable"), refused
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert journal(stack) == before
    assert stack.status(payment_id) == "approved"


# --- the pause ---


def test_a_pause_refuses_new_movements_and_says_so(stack: Stack) -> None:
    vendor = payments.vendor(stack)
    transfer = payments.approved(stack, vendor, driver=False)
    card = payments.approved(stack, vendor, driver=True)
    opened, _ = payments.opened(stack, vendor)
    cancellable, _ = payments.opened(stack, vendor)
    pause(stack)
    try:
        before = journal(stack)
        for refused in (
            payments.process(stack, transfer),
            payments.process(stack, card, as_="service"),
            payments.confirm(stack, opened),
        ):
            assert (refused.status, refused.body["code"]) == (503, "movements_paused")
            assert "An incident." in refused.text("detail")
        assert journal(stack) == before
        ready = call("GET", f"{stack.service.url}/health/ready")
        assert (ready.status, ready.body["movementsPaused"]) == (200, True)
        told = command(stack, "doctor", "--json")
        (check,) = (one for one in json.loads(told.stdout) if one["name"] == "movements")
        assert (told.returncode, check["finding"]) == (1, "wrong")
        assert "resume" in check["remedy"]
        # Keeping money from moving is not held.
        assert stack.api("POST", f"/payments/{cancellable}/cancel", {}).status == 200
    finally:
        resume(stack)
    assert call("GET", f"{stack.service.url}/health/ready").body["movementsPaused"] is False
    assert payments.process(stack, transfer).status == 200
    assert payments.confirm(stack, opened).status == 200


def test_while_paused_recovery_looks_and_does_not_send(stack: Stack) -> None:
    vendor = payments.vendor(stack)
    arrived = payments.approved(stack, vendor, driver=False)
    never_arrived = payments.approved(stack, vendor, driver=False)
    stack.fault(kind="webhook_drop")
    stack.fault(kind="drop_after", key=f"transfer_{arrived}")
    stack.fault(kind="rate_limit", key=f"transfer_{never_arrived}")
    with at_once(
        lambda: payments.process(stack, arrived), lambda: payments.process(stack, never_arrived)
    ) as replies:
        assert [reply.result().status for reply in replies] == [202, 202]
    pause(stack)
    try:
        stack.no_faults()
        stack.wait_status(arrived, "completed")
        wait_for("a look at the other", lambda: looks(stack, never_arrived) >= 1 or None)
        assert stack.status(never_arrived) == "processing"
        assert payments.transfers_of(stack, never_arrived) == []
    finally:
        resume(stack)
    stack.wait_status(never_arrived, "completed")
    for payment_id in (arrived, never_arrived):
        assert len(payments.transfers_of(stack, payment_id)) == 1


def looks(stack: Stack, payment_id: str) -> int:
    """How often the worker attended to this payment and put it back."""
    sql = "SELECT attempts FROM work WHERE queue = 'attention' AND key = ?"
    found = stack.database.query(sql, f"payment/{payment_id}")
    return int(found[0][0]) if found else 0


# --- dead letters ---


def test_a_mail_servers_outage_makes_a_dead_letter_that_goes_out_when_redriven(
    stack: Stack,
) -> None:
    email = "dead-letter@tow.example"
    vendor = payments.vendor(stack, email=email)
    with mail_server_away(stack):
        payment_id = payments.approved(stack, vendor, driver=False)
        assert payments.process(stack, payment_id).status == 200
        wait_for("the dead letter", lambda: parked(stack, payment_id) or None)
        listed = json.loads(command(stack, "dead-letters", "list", "--json").stdout)
        letters = [one for one in listed if vendor in one["key"]]
        assert [(one["queue"], one["attempts"]) for one in letters] == [("notices", 2)]
        assert email not in json.dumps(listed)
        assert stack.status(payment_id) == "completed"
    assert stack.mailbox.to(email) == []
    redriven = command(stack, "dead-letters", "redrive", "notices", "--all")
    assert redriven.returncode == 0, redriven.stderr
    (mail,) = wait_for("the e-mail", lambda: stack.mailbox.to(email) or None)
    assert mail["To"] == email
    wait_for("an empty list", lambda: not parked(stack, payment_id) or None)


@contextmanager
def mail_server_away(stack: Stack) -> Iterator[None]:
    """Nobody listens at its port meanwhile."""
    port = stack.mailbox.controller.port
    stack.mailbox.controller.stop()
    try:
        yield
    finally:
        stack.mailbox.controller = Controller(stack.mailbox, hostname="127.0.0.1", port=port)
        stack.mailbox.controller.start()


def parked(stack: Stack, payment_id: str) -> list[tuple[str]]:
    """The dead letters among the payment's notices."""
    return stack.database.query(
        "SELECT key FROM work JOIN notices ON key = id WHERE parked_at IS NOT NULL AND stream = ?",
        f"payment/{payment_id}",
    )


# --- Stripe's keys ---


def test_a_revoked_key_is_tried_once_more_then_503_and_the_payment_goes_on(stack: Stack) -> None:
    payment_id = payments.approved(stack, payments.vendor(stack), driver=False)
    rotated = {"accept": [ROTATED_KEY], "revoke": [API_KEY]}
    assert stack.stripe("POST", "/_sandbox/keys", rotated).status == 200
    try:
        refused = payments.process(stack, payment_id)
        assert (refused.status, refused.body["code"]) == (503, "stripe_credentials_rejected")
        assert stack.status(payment_id) == "processing"
        assert "PaymentFailed" not in stack.facts(payment_id)
        # Once more, and not a third time; recovery's own send may have begun by now.
        assert set(tries(stack, "transfer.create", payment_id)) == {(1, 401), (2, 401)}
        stack.write_secrets(ROTATED_KEY)
        stack.wait_status(payment_id, "completed")
    finally:
        stack.write_secrets(API_KEY)
        stack.stripe("POST", "/_sandbox/keys", {"accept": [API_KEY]})
    assert len(payments.transfers_of(stack, payment_id)) == 1


def tries(stack: Stack, operation: str, payment_id: str) -> list[tuple[int, int]]:
    """Each try's number in its send, and what Stripe answered to it, from the service's log."""
    lines = [line for line in stack.service.log.read_text().splitlines() if line.startswith("{")]
    calls = [one for one in map(json.loads, lines) if one["event"] == "stripe_call"]
    return [
        (int(one["attempt"]), int(one["http_status"]))
        for one in calls
        if (one["operation"], one["payment_id"]) == (operation, payment_id)
    ]


def test_the_doctor_says_why_a_service_is_not_ready(stack: Stack) -> None:
    """It has a key that Stripe does not know: it lives, and takes no requests."""
    secrets = stack.directory / "unknown.json"
    secrets.write_text('{"apiKey": "sk_test_unknown", "webhookSecret": "whsec_x"}')
    changed = {
        "ROADCALL_PORT": str(free_port()),
        "ROADCALL_STRIPE_SECRETS_FILE": str(secrets),
    }
    unready = stack.start_beside("unready", "serve", "--no-worker", **changed)
    unready.wait_ready("/health/live")
    ready = call("GET", f"{unready.url}/health/ready")
    assert (ready.status, ready.body["status"]) == (503, "not_ready")
    told = command(stack, "doctor", "--json", **changed)
    assert told.returncode == 1, told.stderr
    findings = {check["name"]: check for check in json.loads(told.stdout)}
    assert findings["Stripe key"]["finding"] == "wrong"
    assert findings["service"]["finding"] == "wrong"
    assert "stripe_credentials_rejected" in findings["service"]["detail"]
    unready.kill()


# --- processes ---


def test_sigterm_answers_what_is_in_flight_and_loses_nothing(stack: Stack) -> None:
    email = "drained@tow.example"
    payment_id = payments.approved(stack, payments.vendor(stack, email=email), driver=False)
    stack.fault(kind="delay_after", route="POST /v1/transfers", seconds=2.5, count=1)
    with at_once(lambda: payments.process(stack, payment_id)) as (replied,):
        wait_for("Stripe's effect", lambda: payments.transfers_of(stack, payment_id) or None)
        assert not replied.done()
        assert stack.service.stop() == 0
        assert replied.result().status == 200, replied.result()
    stack.write_secrets(API_KEY, connect_enabled=False)
    stack.restart_service()
    assert stack.status(payment_id) == "completed"
    (mail,) = wait_for("the vendor's e-mail", lambda: stack.mailbox.to(email) or None)
    assert mail["To"] == email


def test_with_connect_switched_off_no_transfer_begins_and_cards_go_on(stack: Stack) -> None:
    """The service was started with ``connectEnabled: false``, see the test before."""
    vendor = payments.vendor(stack)
    payment_id = payments.approved(stack, vendor, driver=False)
    before = journal(stack)
    refused = payments.process(stack, payment_id)
    assert (refused.status, refused.body["code"]) == (403, "connect_disabled")
    assert journal(stack) == before
    assert stack.status(payment_id) == "approved"
    by_card, _ = payments.opened(stack, vendor)
    assert payments.confirm(stack, by_card).status == 200
    stack.write_secrets(API_KEY)


def test_two_apis_and_a_worker_of_their_own_carry_a_payment_and_share_the_limits(
    stack: Stack,
) -> None:
    assert stack.service.stop() == 0
    limits = {"ROADCALL_RATE_LIMIT_SENSITIVE_PER_MINUTE": "20"}
    ports = [str(stack.port), str(free_port())]
    apis = [
        stack.start_beside(f"api{port}", "serve", "--no-worker", ROADCALL_PORT=port, **limits)
        for port in ports
    ]
    stack.start_beside("worker", "worker")
    for api in apis:
        api.wait_ready("/health/ready")
    stack.service = apis[0]
    email = "apart@tow.example"
    payment_id, _ = payments.opened(stack, payments.vendor(stack, email=email))
    stack.service = apis[1]
    assert payments.confirm(stack, payment_id).status == 200
    wait_for("the vendor's e-mail, from the worker", lambda: stack.mailbox.to(email) or None)

    # One caller at both in turn, within one minute: neither alone would refuse any.
    paths = [f"{apis[number % 2].url}/payments/{payment_id}/reject" for number in range(24)]
    replies = within_a_minute(stack, paths)
    assert [reply.status for reply in replies] == [409] * 20 + [429] * 4
    for refused in replies[20:]:
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.body["code"] == "too_many_requests"


def within_a_minute(stack: Stack, paths: list[str]) -> list[Reply]:
    """What one caller is answered at these paths in turn, while no new minute of limits begins."""
    for caller in range(10):
        token = stack.token(Role.DISPATCHER, f"us_limited_{caller}", company_id="co_1")
        bearer = {"Authorization": f"Bearer {token}"}
        minute = time.time() // 60
        replies = [call("POST", path, {}, headers=bearer) for path in paths]
        if time.time() // 60 == minute:
            return replies
    raise AssertionError("each time a minute ended meanwhile")


# --- and in the end ---


def test_the_books_agree_after_all_of_it(stack: Stack) -> None:
    assert_books_agree(stack)
    verify(stack)


def test_after_stripes_outage_each_payment_was_paid_once(
    outage: tuple[Stack, list[str]],
) -> None:
    stack, (*cut_off, refused) = outage
    wait_for("a closed breaker", partial(processed, stack, refused))
    for payment_id in cut_off:
        stack.wait_status(payment_id, "completed", timeout_s=90)
    for payment_id in (*cut_off, refused):
        assert len(payments.transfers_of(stack, payment_id)) == 1
    assert_books_agree(stack)


def processed(stack: Stack, payment_id: str) -> bool | None:
    return payments.process(stack, payment_id).status == 200 or None
