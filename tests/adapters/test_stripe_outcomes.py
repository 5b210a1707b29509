"""The outcome table of ``stripe_gateway/errors.py``, each row over real HTTP (M3, M5, M8)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roadcall_payments.domain.stripe_objects import IntentStatus, PaymentIntent
from roadcall_payments.ports import Answered, Refused, Unknown, UnknownReason
from roadcall_payments.stripe_gateway.client import GatewaySettings, StripeGateway
from tests.adapters.scripted_stripe import (
    CONFIRM,
    SERVER_ERROR,
    SUCCEEDED,
    Drop,
    EvenIds,
    Hold,
    Reply,
    Safe,
    ScriptedStripe,
    StandingClock,
    Step,
    declined,
    intent_json,
    refusal,
    rigged,
    serving,
)

IMPATIENT = GatewaySettings(timeout_s=0.1)
REFUSALS = [
    refusal(400, "invalid_request_error", code="payment_intent_unexpected_state"),
    refusal(402, "card_error", code="card_declined"),
    refusal(404, "invalid_request_error", code="resource_missing"),
]


async def test_a_success_is_answered_with_the_object() -> None:
    async with rigged(SUCCEEDED) as rig:
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    assert isinstance(outcome, Answered)
    assert isinstance(outcome.object, PaymentIntent)
    assert outcome.object.status is IntentStatus.SUCCEEDED
    assert outcome.request_id == "req_scripted"
    assert not outcome.replayed


async def test_a_replayed_success_says_so() -> None:
    async with rigged(SUCCEEDED.replayed()) as rig:
        outcome = await rig.gateway.send(CONFIRM, first_try=False, budget_s=20)
    assert isinstance(outcome, Answered)
    assert outcome.replayed


async def test_a_decline_is_refused_with_the_payment_intent_left_behind() -> None:
    async with rigged(declined()) as rig:
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    assert isinstance(outcome, Refused)
    assert outcome.http_status == 402
    assert outcome.failure.code == "card_declined"
    assert outcome.failure.decline_code == "insufficient_funds"
    assert outcome.failure.charge_id == "ch_1"
    assert outcome.object is not None
    assert outcome.object.status is IntentStatus.REQUIRES_PAYMENT_METHOD


@pytest.mark.parametrize("reply", REFUSALS, ids=lambda reply: str(reply.status))
async def test_a_judged_request_is_refused_and_not_repeated(reply: Reply) -> None:
    async with rigged(reply) as rig:
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    assert isinstance(outcome, Refused)
    assert outcome.http_status == reply.status
    assert len(rig.stripe.received) == 1


async def test_a_refusal_without_a_code_is_known_by_its_type() -> None:
    async with rigged(refusal(400, "invalid_request_error")) as rig:
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    assert isinstance(outcome, Refused)
    assert outcome.failure.code == "invalid_request_error"


UNKNOWN_FOR_GOOD: list[tuple[Step, UnknownReason]] = [
    (refusal(403, "invalid_request_error"), UnknownReason.PERMISSION),
    (refusal(400, "idempotency_error"), UnknownReason.IDEMPOTENCY_MISMATCH),
    (refusal(424, "api_error"), UnknownReason.SERVER_ERROR),
    (SERVER_ERROR.replayed(), UnknownReason.REPLAYED_SERVER_ERROR),
    (
        SERVER_ERROR.replayed().with_headers(Stripe_Should_Retry="true"),
        UnknownReason.REPLAYED_SERVER_ERROR,
    ),
    (Reply(400, raw=b"<html>bad gateway</html>"), UnknownReason.MALFORMED_ANSWER),
    (Reply(400, {"error": "invalid_grant"}), UnknownReason.MALFORMED_ANSWER),
    (Reply(302, raw=b"", headers={"Location": "/elsewhere"}), UnknownReason.MALFORMED_ANSWER),
    (Reply(body=intent_json(status="pondering")), UnknownReason.MALFORMED_ANSWER),
    (Reply(body=intent_json(currency="isk", amount=1)), UnknownReason.MALFORMED_ANSWER),
    (Reply(body={"object": "list", "data": []}), UnknownReason.MALFORMED_ANSWER),
]


@pytest.mark.parametrize(("step", "reason"), UNKNOWN_FOR_GOOD)
async def test_what_no_retry_can_mend_is_unknown_at_once(step: Step, reason: UnknownReason) -> None:
    async with rigged(step) as rig:
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    assert isinstance(outcome, Unknown)
    assert outcome.reason is reason
    assert len(rig.stripe.received) == 1
    assert rig.clock.slept == []


UNKNOWN_FOR_NOW: list[tuple[Step, UnknownReason]] = [
    (SERVER_ERROR, UnknownReason.SERVER_ERROR),
    (Reply(502, raw=b"<html>bad gateway</html>"), UnknownReason.SERVER_ERROR),
    (refusal(409, "invalid_request_error", code="lock_timeout"), UnknownReason.IN_FLIGHT),
    (refusal(409, "idempotency_error"), UnknownReason.IN_FLIGHT),
    (refusal(429, "invalid_request_error", code="rate_limit"), UnknownReason.RATE_LIMITED),
    (refusal(400, "invalid_request_error", code="rate_limit"), UnknownReason.RATE_LIMITED),
    (Drop(), UnknownReason.CONNECTION),
    (replace(SUCCEEDED, cut_at=40), UnknownReason.CONNECTION),
    (Hold(), UnknownReason.TIMEOUT),
    (Reply(raw=b'{"id": "pi_1", "obj'), UnknownReason.MALFORMED_ANSWER),
    (Reply(raw=b'{"id": "\xff"}'), UnknownReason.MALFORMED_ANSWER),
]


def patience_for(step: Step) -> GatewaySettings | None:
    """Shorter only where no answer comes; the next one must come in that time, too."""
    return GatewaySettings(timeout_s=0.8) if isinstance(step, Hold) else None


@pytest.mark.parametrize(("step", "reason"), UNKNOWN_FOR_NOW)
async def test_what_a_retry_can_mend_is_tried_four_times(step: Step, reason: UnknownReason) -> None:
    held = IMPATIENT if isinstance(step, Hold) else None
    async with rigged(step, step, step, step, settings=held) as rig:
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    assert isinstance(outcome, Unknown)
    assert outcome.reason is reason
    assert {call.headers["Idempotency-Key"] for call in rig.stripe.received} == {"confirm_p_1_1"}
    assert rig.clock.slept == [1, 2, 4]


@pytest.mark.parametrize("step", [step for step, _ in UNKNOWN_FOR_NOW])
async def test_an_unknown_try_may_still_end_well(step: Step) -> None:
    async with rigged(step, SUCCEEDED.replayed(), settings=patience_for(step)) as rig:
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    assert isinstance(outcome, Answered)


@pytest.mark.parametrize("step", [step for step, _ in UNKNOWN_FOR_NOW])
async def test_after_an_unknown_try_an_unmarked_refusal_proves_nothing(step: Step) -> None:
    async with rigged(step, declined(), settings=patience_for(step)) as rig:
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    assert isinstance(outcome, Unknown)
    assert outcome.reason is UnknownReason.UNPROVEN_REFUSAL


@pytest.mark.parametrize("step", [step for step, _ in UNKNOWN_FOR_NOW])
async def test_after_an_unknown_try_a_replayed_refusal_is_proof(step: Step) -> None:
    async with rigged(step, declined().replayed(), settings=patience_for(step)) as rig:
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    assert isinstance(outcome, Refused)
    assert outcome.replayed


@pytest.mark.parametrize("reply", REFUSALS, ids=lambda reply: str(reply.status))
async def test_in_a_later_send_only_a_replayed_refusal_is_proof(reply: Reply) -> None:
    async with rigged(reply, reply.replayed()) as rig:
        unmarked = await rig.gateway.send(CONFIRM, first_try=False, budget_s=20)
        marked = await rig.gateway.send(CONFIRM, first_try=False, budget_s=20)
    assert isinstance(unmarked, Unknown)
    assert unmarked.reason is UnknownReason.UNPROVEN_REFUSAL
    assert isinstance(marked, Refused)


async def test_a_refusal_with_an_unreadable_payment_intent_proves_nothing_we_can_use() -> None:
    reply = refusal(402, "card_error", code="card_declined", payment_intent={"id": "pi_1"})
    async with rigged(reply) as rig:
        outcome = await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    assert isinstance(outcome, Unknown)
    assert outcome.reason is UnknownReason.MALFORMED_ANSWER


async def test_a_closed_port_is_unknown_too() -> None:
    async with serving(ScriptedStripe()) as stripe:
        settings = GatewaySettings(base_address=stripe.address)
        gateway = StripeGateway(Safe(), StandingClock(), EvenIds(), settings)
        await gateway.identity()
    outcome = await gateway.send(CONFIRM, first_try=True, budget_s=20)
    await gateway.close()
    assert isinstance(outcome, Unknown)
    assert outcome.reason is UnknownReason.CONNECTION


async def test_exactly_the_stored_request_is_sent() -> None:
    request = replace(
        CONFIRM,
        params='{"a":{"b":"c & d","on":true},"expand":["x.y","z"],"n":7}',
        api_version="2020-08-27",
        connected_account="acct_vendor",
    )
    async with rigged(SUCCEEDED) as rig:
        await rig.gateway.send(request, first_try=True, budget_s=20)
    [call] = rig.stripe.received
    assert (call.method, call.path) == ("POST", request.path)
    assert call.form == {
        "a[b]": "c & d", "a[on]": "true", "expand[0]": "x.y", "expand[1]": "z", "n": "7"
    }  # fmt: skip
    assert call.headers["Idempotency-Key"] == "confirm_p_1_1"
    assert call.headers["Stripe-Version"] == "2020-08-27"
    assert call.headers["Stripe-Account"] == "acct_vendor"
    assert call.headers["Authorization"] == "Bearer sk_test_first"


async def test_without_a_connected_account_no_such_header_is_sent() -> None:
    async with rigged(SUCCEEDED) as rig:
        await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    [call] = rig.stripe.received
    assert "Stripe-Account" not in call.headers
