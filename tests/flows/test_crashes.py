"""kill -9 at the bad moments: after a restart each payment settles by itself, money moved once.

The three moments, with a transfer, a PaymentIntent's opening and a confirmation in flight at once:
the intents are committed and Stripe has not acted; Stripe has acted and its answers are on their
way; the answers have come and their commits have not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import pytest

from tests.flows import payments
from tests.flows.books import assert_books_agree, verify
from tests.flows.stack import API_KEY, Stack, running_stack, wait_for

ROTATED_KEY = "sk_test_rotated"
HOUR_S = 3_600


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture(scope="module")
def second_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """For what need not be seen on each database."""
    with running_stack(tmp_path_factory.mktemp("second")) as running:
        yield running


@dataclass(slots=True)
class Sleeper:
    """A service that sleeps for days; Stripe's clock goes on meanwhile."""

    stack: Stack
    slept_s: int = 0

    def sleep_for(self, seconds: int) -> None:
        """Wake the service that much later: its clock and Stripe's have gone on."""
        self.slept_s += seconds
        assert self.stack.stripe("POST", "/_sandbox/clock", {"advance": seconds}).status == 200
        self.stack.restart_service(ROADCALL_CLOCK_OFFSET_S=str(self.slept_s))


@pytest.fixture(scope="module")
def sleeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sleeper]:
    with running_stack(tmp_path_factory.mktemp("sleeper")) as running:
        yield Sleeper(running)


@contextmanager
def in_the_background(*acts: Callable[[], object]) -> Iterator[None]:
    """Callers whose connections will break; what they get is of no interest."""

    def run(act: Callable[[], object]) -> None:
        with suppress(OSError):
            act()

    with ThreadPoolExecutor(len(acts)) as pool:
        for act in acts:
            pool.submit(run, act)
        yield


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
TRANSFER = MOVEMENTS[0]


@dataclass(frozen=True, slots=True)
class Started:
    """One payment's movement, about to be asked for."""

    movement: Movement
    payment_id: str

    def asked(self, stack: Stack) -> Callable[[], object]:
        return lambda: self.movement.start(stack, self.payment_id)


def ready(stack: Stack, *movements: Movement) -> list[Started]:
    return [Started(movement, movement.ready(stack)) for movement in movements]


def kill_before_stripe_acts(stack: Stack, flying: Sequence[Started]) -> None:
    # The connection ends before the effect, as if the packet never left; retries wait long
    # enough for the kill.
    for one in flying:
        stack.fault(kind="drop_before", route=one.movement.route)
    with in_the_background(*(one.asked(stack) for one in flying)):
        for one in flying:
            wait_for("the intent", partial(one.movement.committed, stack, one.payment_id))
        stack.service.kill()
    assert not any(one.movement.acted(stack, one.payment_id) for one in flying)
    stack.no_faults()


def kill_before_the_answer_arrives(stack: Stack, flying: Sequence[Started]) -> None:
    with late_answers_alone(stack, flying, seconds=1.5):
        stack.service.kill()


def kill_before_the_outcome_is_committed(stack: Stack, flying: Sequence[Started]) -> None:
    with late_answers_alone(stack, flying, seconds=0.7), stack.database.unwritable():
        for one in flying:
            wait_for("Stripe's answer", partial(answered, stack, one))
        stack.service.kill()


@contextmanager
def late_answers_alone(stack: Stack, flying: Sequence[Started], seconds: float) -> Iterator[None]:
    """Ask; Stripe has acted on all, no webhook tells of it, and its answers are that late."""
    for one in flying:
        stack.fault(kind="delay_after", route=one.movement.route, seconds=seconds, count=1)
    stack.fault(kind="webhook_drop")
    with in_the_background(*(one.asked(stack) for one in flying)):
        for one in flying:
            wait_for("its effect", partial(one.movement.acted, stack, one.payment_id))
        yield
    stack.no_faults()


def answered(stack: Stack, one: Started) -> bool:
    """The service has logged the answer of this payment's call."""
    operation = {"transfer": "transfer.create", "opening": "payment_intent.create"}.get(
        one.movement.name, "payment_intent.confirm"
    )
    lines = stack.service.log.read_text().splitlines()
    calls = (line for line in lines if operation in line and one.payment_id in line)
    return any('"http_status":200' in line for line in calls)


MOMENTS = {
    "committed": kill_before_stripe_acts,
    "acted": kill_before_the_answer_arrives,
    "answered": kill_before_the_outcome_is_committed,
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_service_finishes_what_it_began(stack: Stack, moment: str) -> None:
    flying = ready(stack, *MOVEMENTS)
    MOMENTS[moment](stack, flying)
    stack.restart_service()
    for one in flying:
        one.movement.must_have_moved_once(stack, one.payment_id)


def test_the_database_survives_a_kill_amid_many_creations(stack: Stack) -> None:
    """Every answered one is there."""
    vendor = payments.vendor(stack)
    answered_ids: list[str] = []

    def create_many() -> None:
        while len(answered_ids) < 500:
            answered_ids.append(payments.created(stack, vendor, driver=False))

    with in_the_background(create_many):
        wait_for("some payments", lambda: len(answered_ids) > 20)
        stack.service.kill()
    stack.restart_service()
    for payment_id in answered_ids:
        assert stack.status(payment_id) == "pending_approval"


def test_all_books_agree_after_all_those_kills(stack: Stack) -> None:
    assert_books_agree(stack)
    verify(stack)


@contextmanager
def rotated_key(stack: Stack) -> Iterator[None]:
    """Stripe refuses the key that the service has, and takes another; then as before."""
    rotated = {"accept": [ROTATED_KEY], "revoke": [API_KEY]}
    assert stack.stripe("POST", "/_sandbox/keys", rotated).status == 200
    try:
        yield
    finally:
        stack.stripe("POST", "/_sandbox/keys", {"accept": [API_KEY], "revoke": [ROTATED_KEY]})
        stack.write_secrets(API_KEY)


@pytest.mark.parametrize("moment", MOMENTS)
def test_m5_the_key_was_rotated_in_between(second_stack: Stack, moment: str) -> None:
    """The new key speaks for the same account: the attempt goes on, and moves money once."""
    flying = ready(second_stack, TRANSFER)
    MOMENTS[moment](second_stack, flying)
    with rotated_key(second_stack):
        second_stack.write_secrets(ROTATED_KEY)
        second_stack.restart_service()
        (one,) = flying
        one.movement.must_have_moved_once(second_stack, one.payment_id)


def test_m5_a_revoked_key_is_unknown_never_failed(second_stack: Stack) -> None:
    flying = ready(second_stack, TRANSFER)
    (one,) = flying
    kill_before_the_answer_arrives(second_stack, flying)
    with rotated_key(second_stack):
        log = second_stack.service.log
        seen = log.stat().st_size
        second_stack.restart_service(ready="/health/live")
        wait_for("a 401", lambda: "401" in log.read_text()[seen:])
        assert second_stack.status(one.payment_id) == "processing"
        second_stack.write_secrets(ROTATED_KEY)
        second_stack.wait_status(one.payment_id, "completed")
        assert len(payments.transfers_of(second_stack, one.payment_id)) == 1


@pytest.mark.parametrize("moment", ["acted", "answered"])
def test_m8_the_machine_wakes_25_hours_later_and_looks(sleeper: Sleeper, moment: str) -> None:
    stack = sleeper.stack
    flying = ready(stack, TRANSFER)
    (one,) = flying
    MOMENTS[moment](stack, flying)
    sleeper.sleep_for(25 * HOUR_S)
    stack.wait_status(one.payment_id, "completed")
    (made,) = payments.transfers_of(stack, one.payment_id)
    assert made["_idempotency_key"] == f"transfer_{one.payment_id}"


def test_m8_what_never_reached_stripe_is_voided_by_two_looks_an_hour_apart(
    sleeper: Sleeper,
) -> None:
    stack = sleeper.stack
    flying = ready(stack, TRANSFER)
    payment_id = flying[0].payment_id
    kill_before_stripe_acts(stack, flying)
    sleeper.sleep_for(25 * HOUR_S)
    wait_for("the first empty list", lambda: absences(stack, payment_id))
    assert stack.status(payment_id) == "processing"
    stack.service.kill()
    sleeper.sleep_for(HOUR_S + 60)
    stack.wait_status(payment_id, "failed")
    assert stack.facts(payment_id).count("AttemptVoided") == 1
    assert payments.transfers_of(stack, payment_id) == []
    assert stack.api("POST", f"/payments/{payment_id}/retry", {}).status == 200
    assert payments.process(stack, payment_id).status == 200
    (made,) = payments.transfers_of(stack, payment_id)
    assert made["_idempotency_key"] == f"transfer_{payment_id}_2"


def absences(stack: Stack, payment_id: str) -> bool:
    entries = stack.api("GET", f"/payments/{payment_id}/timeline").body["entries"]
    assert isinstance(entries, list)
    return any(entry["data"].get("absent") for entry in entries)
