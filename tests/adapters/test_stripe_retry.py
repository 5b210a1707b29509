"""The one retry layer: waits, headers, budget and suspended machines."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadcall_payments.ports import Answered, Refused, Unknown, UnknownReason
from roadcall_payments.stripe_gateway.client import GatewaySettings
from roadcall_payments.stripe_gateway.retry import RetrySettings
from tests.adapters.scripted_stripe import (
    CONFIRM,
    SERVER_ERROR,
    SUCCEEDED,
    Hold,
    declined,
    refusal,
    rigged,
)


@given(retry=st.integers(1, 12), fraction=st.floats(0, 1, exclude_max=True))
def test_waits_double_to_ten_seconds_with_a_quarter_of_jitter(retry: int, fraction: float) -> None:
    plain = min(10, 2 ** (retry - 1))
    wait_s = RetrySettings().wait_s(retry, fraction)
    assert 0.75 * plain <= wait_s < 1.25 * plain + 1e-9


async def test_stripes_word_for_a_retry_wins_over_the_status() -> None:
    ask_again = declined().with_headers(Stripe_Should_Retry="true")
    async with rigged(ask_again, SUCCEEDED) as rig:
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    assert isinstance(outcome, Answered)


async def test_a_refusal_that_stays_after_stripes_word_for_a_retry_is_a_refusal() -> None:
    ask_again = declined().with_headers(Stripe_Should_Retry="true")
    async with rigged(*[ask_again] * 4) as rig:
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    assert isinstance(outcome, Refused)
    assert len(rig.stripe.received) == 4


@pytest.mark.parametrize("status", [409, 429, 500, 503])
async def test_stripes_word_against_a_retry_wins_over_the_status(status: int) -> None:
    reply = refusal(status, "api_error").with_headers(Stripe_Should_Retry="false")
    async with rigged(reply) as rig:
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    assert isinstance(outcome, Unknown)
    assert len(rig.stripe.received) == 1


async def test_no_retry_begins_that_the_budget_has_no_room_for() -> None:
    async with rigged(SERVER_ERROR, SERVER_ERROR) as rig:
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=3)
    assert isinstance(outcome, Unknown)
    assert rig.clock.slept == [1]


async def test_a_slow_answer_is_given_up_at_the_end_of_the_budget() -> None:
    async with rigged(Hold()) as rig:
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=0.1)
    assert isinstance(outcome, Unknown)
    assert outcome.reason is UnknownReason.TIMEOUT


async def test_a_machine_that_wakes_hours_later_sends_nothing_more() -> None:
    async with rigged(SERVER_ERROR, SUCCEEDED) as rig:
        rig.clock.suspend_in_sleep_s = 25 * 3600
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    assert isinstance(outcome, Unknown)
    assert outcome.reason is UnknownReason.SERVER_ERROR
    assert len(rig.stripe.received) == 1


async def test_a_send_without_budget_sends_nothing() -> None:
    async with rigged(SUCCEEDED) as rig:
        await rig.gateway.identity()
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=0)
    assert isinstance(outcome, Unknown)
    assert rig.stripe.received == []


async def test_learning_who_we_are_counts_towards_the_budget() -> None:
    settings = GatewaySettings(retry=RetrySettings(retries_max=0))
    async with rigged(SUCCEEDED, settings=settings) as rig:
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=0)
    assert isinstance(outcome, Unknown)
    assert rig.stripe.asked_who == []
    assert rig.stripe.received == []


async def test_retries_use_the_same_parameters_and_key() -> None:
    async with rigged(SERVER_ERROR, SERVER_ERROR, SUCCEEDED) as rig:
        await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    first, second, third = rig.stripe.received
    assert first.form == second.form == third.form
    assert replace(first, headers={}) == replace(third, headers={})
    assert first.headers["Idempotency-Key"] == third.headers["Idempotency-Key"]
