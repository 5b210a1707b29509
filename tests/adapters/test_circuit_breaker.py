"""The circuit breaker by itself, and in front of a failing Stripe."""

from __future__ import annotations

import pytest

from roadcall_payments.domain.errors import StripeUnavailable
from roadcall_payments.ports import Answered, Unknown, UnknownReason
from roadcall_payments.stripe_gateway.breaker import BreakerSettings, CircuitBreaker
from roadcall_payments.stripe_gateway.client import GatewaySettings
from roadcall_payments.stripe_gateway.retry import RetrySettings
from tests.adapters.scripted_stripe import (
    CONFIRM,
    SERVER_ERROR,
    SUCCEEDED,
    Reply,
    StandingClock,
    declined,
    refusal,
    rigged,
)

ONE_TRY = GatewaySettings(retry=RetrySettings(retries_max=0))


class Circuit:
    def __init__(self) -> None:
        self.clock = StandingClock()
        self.breaker = CircuitBreaker(BreakerSettings(), self.clock.monotonic)

    def call(self, *, failed: bool) -> None:
        permit = self.breaker.admit()
        assert permit is not None
        self.breaker.record(permit, failed=failed)

    def open(self) -> None:
        for _ in range(10):
            self.call(failed=True)
        assert self.is_open()

    def is_open(self) -> bool:
        return not self.breaker.closed


def test_nine_failures_leave_it_closed_and_the_tenth_opens_it() -> None:
    circuit = Circuit()
    for _ in range(9):
        circuit.call(failed=True)
    assert not circuit.is_open()
    circuit.call(failed=True)
    assert circuit.is_open()
    assert circuit.breaker.admit() is None


def test_half_of_the_calls_failing_opens_it_and_less_does_not() -> None:
    circuit = Circuit()
    for _ in range(6):
        circuit.call(failed=False)
    for _ in range(5):
        circuit.call(failed=True)
    assert not circuit.is_open()
    circuit.call(failed=True)
    assert circuit.is_open()


def test_failures_that_left_the_window_do_not_count() -> None:
    circuit = Circuit()
    for _ in range(9):
        circuit.call(failed=True)
    circuit.clock.elapsed_s += 60
    circuit.call(failed=True)
    assert not circuit.is_open()


def test_one_probe_goes_through_after_thirty_seconds() -> None:
    circuit = Circuit()
    circuit.open()
    circuit.clock.elapsed_s += 29.9
    assert circuit.breaker.admit() is None
    circuit.clock.elapsed_s += 0.1
    assert circuit.breaker.wait_s == 0
    assert circuit.breaker.admit() is not None
    assert circuit.breaker.admit() is None


def test_a_probe_that_succeeds_closes_it_with_a_clean_record() -> None:
    circuit = Circuit()
    circuit.open()
    circuit.clock.elapsed_s += 30
    circuit.call(failed=False)
    for _ in range(9):
        circuit.call(failed=True)
    assert not circuit.is_open()


def test_a_probe_that_fails_keeps_it_open_for_another_wait() -> None:
    circuit = Circuit()
    circuit.open()
    circuit.clock.elapsed_s += 30
    circuit.call(failed=True)
    assert circuit.breaker.admit() is None
    circuit.clock.elapsed_s += 30
    assert circuit.breaker.admit() is not None


def test_a_probe_that_never_reports_is_followed_by_another() -> None:
    circuit = Circuit()
    circuit.open()
    circuit.clock.elapsed_s += 30
    circuit.breaker.admit()
    circuit.clock.elapsed_s += 30
    circuit.call(failed=False)
    assert not circuit.is_open()


def test_late_results_of_calls_from_before_it_opened_change_nothing() -> None:
    circuit = Circuit()
    early = circuit.breaker.admit()
    assert early is not None
    circuit.open()
    circuit.breaker.record(early, failed=False)
    assert circuit.is_open()


async def test_a_failing_stripe_opens_it_and_intents_are_refused_before_they_are_written() -> None:
    async with rigged(*[SERVER_ERROR] * 12, settings=ONE_TRY) as rig:
        while True:
            outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
            assert isinstance(outcome, Unknown)
            if outcome.reason is UnknownReason.BREAKER_OPEN:
                break
        with pytest.raises(StripeUnavailable) as refused:
            rig.gateway.ensure_available()
        with pytest.raises(StripeUnavailable):
            await rig.gateway.payment_intent("pi_1")
    assert refused.value.retry_after_s == 30
    # The question who we are, which succeeded, is one of the calls that it counted.
    assert len(rig.stripe.received) == 9


async def test_it_closes_again_when_stripe_is_back() -> None:
    async with rigged(*[SERVER_ERROR] * 9, SUCCEEDED, SUCCEEDED, settings=ONE_TRY) as rig:
        for _ in range(9):
            await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
        rig.clock.elapsed_s += 30
        rig.gateway.ensure_available()
        probe = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
        after = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    assert isinstance(probe, Answered)
    assert isinstance(after, Answered)


@pytest.mark.parametrize(
    "reply",
    [
        declined(),
        refusal(400, "invalid_request_error"),
        refusal(403, "invalid_request_error"),
        refusal(409, "invalid_request_error"),
        refusal(429, "invalid_request_error"),
        SERVER_ERROR.replayed(),
    ],
    ids=lambda reply: str(reply.status),
)
async def test_what_is_not_stripes_failure_does_not_open_it(reply: Reply) -> None:
    async with rigged(*[reply] * 15, settings=ONE_TRY) as rig:
        for _ in range(15):
            await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
        rig.gateway.ensure_available()


async def test_a_try_of_this_send_outweighs_a_breaker_that_opened_meanwhile() -> None:
    async with rigged(*[SERVER_ERROR] * 12) as rig:
        for _ in range(2):
            await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    assert isinstance(outcome, Unknown)
    assert outcome.reason is UnknownReason.SERVER_ERROR
    assert len(rig.stripe.received) < 12
