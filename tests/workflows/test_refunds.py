"""Money back to the payer: asked for, approved by another, sent once, followed to its end."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from roadcall_payments.commit import Commit
from roadcall_payments.domain import events as e
from roadcall_payments.domain.errors import (
    InvalidInput,
    MovementsPaused,
    NotAllowed,
    StatusForbids,
    StripeUnavailable,
)
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.people import Actor, Role
from roadcall_payments.domain.refund import RefundStatus
from roadcall_payments.domain.stripe_objects import StripeFailure
from roadcall_payments.ports import Refused, Unknown, UnknownReason
from roadcall_payments.workflows.idempotency import IdempotencyKey
from roadcall_payments.workflows.refunds import NewRefund
from tests.workflows.office import ADMIN, DISPATCHER, Office
from tests.workflows.refund_reading import REFUND, owed, refund_of, sent

TIMEOUT = Unknown(UnknownReason.TIMEOUT, "no answer in time")
SOON = timedelta(seconds=31)
WHOLE = NewRefund(None, e.RefundReason.REQUESTED_BY_CUSTOMER)
OTHER_ADMIN = Actor("us_9", Role.ADMIN)


def some(cents: int) -> NewRefund:
    return NewRefund(cents, e.RefundReason.DUPLICATE)


def key(name: str) -> IdempotencyKey:
    return IdempotencyKey("caller POST /refunds", name, f"digest of {name}")


async def test_a_full_refund_from_request_to_books(office: Office) -> None:
    payment_id = await office.completed()
    asked = await office.service.refunds.request(DISPATCHER, payment_id, WHOLE)
    assert asked.status == 201
    refund = asked.payment.refunds[-1]
    assert (refund.status, refund.amount) == (RefundStatus.REQUESTED, Money(12_500, "usd"))
    assert sent(office) == [], "nothing moves before somebody else approved it"
    answer = await office.service.refunds.approve(ADMIN, refund.id)
    assert answer.status == 200
    assert answer.payment.amount_refunded_cents == 12_500
    assert (await refund_of(office, payment_id, refund.id)).status is RefundStatus.SUCCEEDED
    assert sent(office) == [f"refund_{refund.id}"]
    assert await owed(office, payment_id) == 0
    assert await office.service.verification.verify(lambda _: None) == []


async def test_partial_refunds_add_up_and_never_beyond_the_amount(office: Office) -> None:
    payment_id = await office.completed()
    await office.refunded(payment_id, 5_000)
    await office.refunded(payment_id, 5_000)
    with pytest.raises(StatusForbids) as beyond:
        await office.service.refunds.request(DISPATCHER, payment_id, some(2_501))
    assert beyond.value.code == "refund_exceeds_payment"
    await office.refunded(payment_id, None)
    payment = await office.payment(payment_id)
    assert [one.amount.amount_cents for one in payment.refunds] == [5_000, 5_000, 2_500]
    assert payment.amount_refunded_cents == 12_500
    with pytest.raises(StatusForbids):
        await office.service.refunds.request(DISPATCHER, payment_id, WHOLE)
    assert len(office.stripe.made_refunds) == 3


async def test_a_double_clicked_refund_is_one_and_two_equal_ones_are_two(office: Office) -> None:
    payment_id = await office.completed()
    ask = office.service.refunds.request
    clicks = [ask(DISPATCHER, payment_id, some(1_000), key("a")) for _ in range(2)]
    first, second = await asyncio.gather(*clicks)
    assert first.payment.refunds == second.payment.refunds
    assert {first.repeated, second.repeated} == {True, False}
    await ask(DISPATCHER, payment_id, some(1_000), key("b"))
    refunds = (await office.payment(payment_id)).refunds
    assert [one.amount.amount_cents for one in refunds] == [1_000, 1_000]
    approvals = [
        office.service.refunds.approve(ADMIN, refunds[0].id, key("approve")) for _ in range(2)
    ]
    statuses = {answer.status for answer in await asyncio.gather(*approvals)}
    assert statuses <= {200, 202}, "a repeat meanwhile hears that the outcome is open"
    await office.service.refunds.approve(ADMIN, refunds[1].id, key("approve other"))
    assert sorted(sent(office)) == sorted(f"refund_{one.id}" for one in refunds)


async def test_requests_at_once_never_reserve_more_than_there_is(office: Office) -> None:
    payment_id = await office.completed()
    asked = [office.service.refunds.request(DISPATCHER, payment_id, some(4_000)) for _ in range(6)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    refused = [one for one in results if isinstance(one, StatusForbids)]
    assert len(refused) == 3
    assert (await office.payment(payment_id)).refundable == Money(500, "usd")


async def test_nobody_approves_what_they_asked_for(office: Office) -> None:
    payment_id = await office.completed()
    asked = await office.service.refunds.request(ADMIN, payment_id, WHOLE)
    refund_id = asked.payment.refunds[-1].id
    for who in (ADMIN, DISPATCHER):
        with pytest.raises(NotAllowed):
            await office.service.refunds.approve(who, refund_id)
    assert sent(office) == []
    assert (await office.service.refunds.approve(OTHER_ADMIN, refund_id)).status == 200


async def test_a_rejected_refund_frees_its_amount_and_is_never_sent(office: Office) -> None:
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id)
    assert (await office.payment(payment_id)).on_review
    await office.service.refunds.reject(ADMIN, refund_id, "The invoice is right.")
    payment = await office.payment(payment_id)
    assert payment.refundable == payment.amount
    assert not payment.on_review
    with pytest.raises(StatusForbids):
        await office.service.refunds.approve(ADMIN, refund_id)
    assert sent(office) == []


@pytest.mark.parametrize("cents", [0, -1])
async def test_a_refund_is_more_than_nothing(office: Office, cents: int) -> None:
    payment_id = await office.completed()
    with pytest.raises(InvalidInput):
        await office.service.refunds.request(DISPATCHER, payment_id, some(cents))


async def test_only_a_completed_drivers_payment_is_refunded(office: Office) -> None:
    opened = await office.opened()
    with pytest.raises(StatusForbids):
        await office.service.refunds.request(DISPATCHER, opened, WHOLE)
    transferred = await office.approved(e.PayerType.BACK_OFFICE)
    await office.service.payments.process(DISPATCHER, transferred, None)
    with pytest.raises(StatusForbids) as refused:
        await office.service.refunds.request(DISPATCHER, transferred, WHOLE)
    assert refused.value.code == "not_refundable"


@pytest.mark.parametrize("reason", UnknownReason)
async def test_m5_m9_an_unknown_refund_settles_under_its_one_key(
    office: Office, reason: UnknownReason
) -> None:
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id)
    office.stripe.script(REFUND, Unknown(reason, "said nothing certain"))
    answer = await office.service.refunds.approve(ADMIN, refund_id)
    assert answer.status == (503 if reason is UnknownReason.AUTHENTICATION else 202)
    await office.attend(SOON)
    assert (await refund_of(office, payment_id, refund_id)).status is RefundStatus.SUCCEEDED
    assert set(sent(office)) == {f"refund_{refund_id}"}
    assert len(office.stripe.made_refunds) == 1


async def test_m9_a_refund_whose_answer_was_lost_is_found_by_listing(office: Office) -> None:
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id)
    office.stripe.lose_answer(REFUND)
    assert (await office.service.refunds.approve(ADMIN, refund_id)).status == 202
    await office.attend(SOON)
    refund = await refund_of(office, payment_id, refund_id)
    assert refund.status is RefundStatus.SUCCEEDED
    assert list(office.stripe.made_refunds) == [refund.stripe_refund]
    assert len(sent(office)) == 1


async def test_m8_m9_past_its_keys_deadline_a_refund_is_only_looked_for(office: Office) -> None:
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id)
    office.stripe.script(REFUND, TIMEOUT)
    await office.service.refunds.approve(ADMIN, refund_id)
    await office.attend(timedelta(hours=23, seconds=1))
    assert (await refund_of(office, payment_id, refund_id)).status is RefundStatus.SUBMITTED
    await office.attend(timedelta(hours=2, minutes=1))
    refund = await refund_of(office, payment_id, refund_id)
    assert refund.status is RefundStatus.FAILED
    assert refund.failure is not None
    assert refund.failure.code == "refund_voided"
    assert len(sent(office)) == 1
    assert (await office.payment(payment_id)).refundable == Money(12_500, "usd")
    another = await office.refunded(payment_id)
    assert sent(office)[-1] == f"refund_{another}", "a new try is a new refund"


async def test_m8_a_request_that_woke_too_late_looks_before_it_counts_an_absence(
    office: Office,
) -> None:
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id)
    office.stripe.lists_down = StripeUnavailable("down")

    def asleep(commit: Commit) -> None:
        if any(one.type == "RefundSubmitted" for write in commit.streams for one in write.entries):
            office.clock.advance(24 * 3_600)

    office.troubled.trouble = asleep
    answer = await office.service.refunds.approve(ADMIN, refund_id)
    assert answer.status == 202
    assert (await refund_of(office, payment_id, refund_id)).absences == ()
    office.stripe.lists_down = None
    await office.attend(SOON)
    assert len((await refund_of(office, payment_id, refund_id)).absences) == 1
    assert sent(office) == []


async def test_what_stripe_refuses_is_failed_and_frees_its_amount(office: Office) -> None:
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id, 4_000)
    failure = StripeFailure("charge_disputed", "The charge has been charged back.")
    office.stripe.script(REFUND, Refused(failure, 400, "req_x", False))
    answer = await office.service.refunds.approve(ADMIN, refund_id)
    assert answer.status == 400
    assert (await office.payment(payment_id)).refundable == Money(12_500, "usd")
    assert await owed(office, payment_id) == 12_500


async def test_an_unproven_refusal_looks_before_it_is_believed(office: Office) -> None:
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id)

    def acted(request: object) -> Unknown:
        office.stripe._refunded(office.stripe.sent[-1])
        return Unknown(UnknownReason.UNPROVEN_REFUSAL, "charge_already_refunded")

    office.stripe.script(REFUND, acted)
    assert (await office.service.refunds.approve(ADMIN, refund_id, key("k"))).status == 200
    assert len(office.stripe.made_refunds) == 1
    again = await office.service.refunds.approve(ADMIN, refund_id, key("k"))
    assert (again.status, again.repeated) == (200, True)


async def test_m32_nothing_is_written_while_stripe_or_the_switch_says_no(office: Office) -> None:
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id)
    await office.service.movements_switch.pause(ADMIN, "a drill")
    with pytest.raises(MovementsPaused):
        await office.service.refunds.approve(ADMIN, refund_id)
    await office.service.movements_switch.resume(ADMIN)
    office.stripe.down = StripeUnavailable("down")
    with pytest.raises(StripeUnavailable):
        await office.service.refunds.approve(ADMIN, refund_id)
    office.stripe.down = None
    assert (await refund_of(office, payment_id, refund_id)).status is RefundStatus.REQUESTED
    assert sent(office) == []


async def test_a_paused_switch_holds_a_refund_that_was_under_way(office: Office) -> None:
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id)
    office.stripe.script(REFUND, TIMEOUT)
    await office.service.refunds.approve(ADMIN, refund_id)
    await office.service.movements_switch.pause(ADMIN, "a drill")
    await office.attend(SOON)
    assert len(sent(office)) == 1
    await office.service.movements_switch.resume(ADMIN)
    await office.attend(timedelta(minutes=2))
    assert (await refund_of(office, payment_id, refund_id)).status is RefundStatus.SUCCEEDED


async def test_the_plan_tells_what_everybody_gets_and_bears(office: Office) -> None:
    payment_id = await office.completed()
    await office.refunded(payment_id, 2_500)
    refund_id = await office.refund_requested(payment_id, 5_000)
    payment = await office.payment(payment_id)
    refund = await refund_of(office, payment_id, refund_id)
    plan = await office.service.refunds.plan(payment, refund)
    assert plan is not None
    assert plan.payer_gets == Money(5_000, "usd")
    assert plan.stripe_fee_returned == Money(0, "usd")
    assert plan.vendor_balance_after == Money(5_000, "usd")
    assert plan.vendor_debt == Money(0, "usd")
    await office.service.refunds.approve(ADMIN, refund_id)
    decided = await office.payment(payment_id)
    assert await office.service.refunds.plan(decided, decided.refunds[-1]) is None
    assert await owed(office, payment_id) == plan.vendor_balance_after.amount_cents


async def test_the_plan_counts_what_its_own_vendor_is_owed(office: Office) -> None:
    await office.completed(Money(30_000, "usd"))
    payment_id = await office.completed(Money(10_000, "usd"))
    refund_id = await office.refund_requested(payment_id, 4_000)
    refund = await refund_of(office, payment_id, refund_id)
    plan = await office.service.refunds.plan(await office.payment(payment_id), refund)
    assert plan is not None
    assert plan.vendor_balance_after == Money(6_000, "usd")


@pytest.mark.parametrize(
    ("amount", "part"),
    [
        (Money(50, "jpy"), 1),
        (Money(99_999_999, "jpy"), 99_999_998),
        (Money(12_340, "kwd"), 10),
        (Money(99_999_990, "kwd"), 99_999_980),
        (Money(50, "usd"), 49),
        (Money(99_999_999, "usd"), 1),
    ],
)
async def test_every_currency_and_the_limits_through_the_whole_flow(
    office: Office, amount: Money, part: int
) -> None:
    payment_id = await office.completed(amount)
    await office.refunded(payment_id, part)
    await office.refunded(payment_id)
    payment = await office.payment(payment_id)
    assert payment.amount_refunded_cents == amount.amount_cents
    assert await owed(office, payment_id) == 0
    assert [json_amount(one.params) for one in office.stripe.sent if one.operation is REFUND] == [
        part,
        amount.amount_cents - part,
    ]


def json_amount(params: str) -> object:
    return json.loads(params)["amount"]


async def test_an_amount_that_stripe_cannot_carry_is_refused_when_asked(office: Office) -> None:
    payment_id = await office.completed(Money(12_340, "kwd"))
    with pytest.raises(InvalidInput) as odd:
        await office.service.refunds.request(DISPATCHER, payment_id, some(1_005))
    assert odd.value.code == "amount_not_carried"
