"""What Stripe did with refunds, whoever asked for them: booked by id, once, in any order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from roadcall_payments.commit import InboxStatus
from roadcall_payments.domain.errors import (
    StatusForbids,
)
from roadcall_payments.domain.refund import RefundStatus
from roadcall_payments.domain.stripe_objects import Refund as StripeRefund
from roadcall_payments.domain.stripe_objects import RefundStatus as Theirs
from roadcall_payments.ports import Answered, Unknown, UnknownReason
from tests.workflows.office import ADMIN, DISPATCHER, Office
from tests.workflows.refund_reading import REFUND, owed, refund_of, sent


async def test_a_pending_refund_succeeds_when_stripe_says_so(office: Office) -> None:
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id)
    office.stripe.script(REFUND, pending(office))
    answer = await office.service.refunds.approve(ADMIN, refund_id)
    assert answer.status == 200
    refund = await refund_of(office, payment_id, refund_id)
    assert (refund.status, refund.at_stripe) == (RefundStatus.SUBMITTED, "pending")
    assert await owed(office, payment_id) == 12_500
    assert refund.stripe_refund is not None
    now = office.stripe.refund_becomes(refund.stripe_refund, Theirs.SUCCEEDED)
    await office.told("evt_1", "refund.updated", now)
    assert (await refund_of(office, payment_id, refund_id)).status is RefundStatus.SUCCEEDED
    assert await owed(office, payment_id) == 0


async def test_a_pending_refund_that_no_event_tells_of_is_looked_at(office: Office) -> None:
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id)
    office.stripe.script(REFUND, pending(office))
    await office.service.refunds.approve(ADMIN, refund_id)
    (made,) = office.stripe.made_refunds
    office.stripe.refund_becomes(made, Theirs.FAILED)
    await office.attend(timedelta(hours=6, seconds=1))
    assert (await refund_of(office, payment_id, refund_id)).status is RefundStatus.FAILED


def pending(office: Office) -> Callable[[object], Answered]:
    def act(_request: object) -> Answered:
        made = office.stripe._refunded(office.stripe.sent[-1])
        return Answered(office.stripe.refund_becomes(made.id, Theirs.PENDING), "req_p", False)

    return act


async def test_m21_a_refund_that_fails_after_it_succeeded_is_booked_back(office: Office) -> None:
    payment_id = await office.completed()
    refund_id = await office.refunded(payment_id)
    assert await owed(office, payment_id) == 0
    (made,) = office.stripe.made_refunds
    seen = office.stripe.refund_becomes(made, Theirs.FAILED)
    for event in ("evt_1", "evt_2"):
        await office.told(event, "refund.failed", seen)
    payment = await office.payment(payment_id)
    assert payment.amount_refunded_cents == 0
    assert payment.refundable == payment.amount
    refund = await refund_of(office, payment_id, refund_id)
    assert refund.failure is not None
    assert refund.failure.code == "lost_or_stolen_card"
    assert await owed(office, payment_id) == 12_500
    assert (await office.facts(payment_id)).count("RefundFailed") == 1
    assert await office.service.verification.verify(lambda _: None) == []


@pytest.mark.parametrize("drawn", [True, False])
async def test_m16_a_refund_that_was_given_up_and_then_failed_at_stripe_is_known_by_its_id(
    office: Office, drawn: bool
) -> None:
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id, 3_000)
    office.stripe.script(REFUND, *[Unknown(UnknownReason.TIMEOUT, "no answer in time")] * 3)
    await office.service.refunds.approve(ADMIN, refund_id)
    for _ in range(2):
        await office.attend(timedelta(hours=25, seconds=1))
    given_up = await refund_of(office, payment_id, refund_id)
    assert (given_up.status, given_up.stripe_refund) == (RefundStatus.FAILED, None)
    made = made_with_the_id(office, refund_id, 3_000)
    office.stripe.made_refunds[made.id] = replace(made, drawn=drawn)
    failed = office.stripe.refund_becomes(made.id, Theirs.FAILED)
    for event in ("evt_1", "evt_2"):
        await office.told(event, "refund.failed", failed)
        kept = await office.service.store.inbox_event(event)
        assert kept is not None
        assert kept.status is InboxStatus.APPLIED
    refund = await refund_of(office, payment_id, refund_id)
    assert (refund.status, refund.stripe_refund) == (RefundStatus.FAILED, made.id)
    assert (await office.payment(payment_id)).amount_refunded_cents == 0
    assert await office.service.verification.verify(lambda _: None) == []


async def test_m15_a_late_success_does_not_undo_a_failure(office: Office) -> None:
    payment_id = await office.completed()
    refund_id = await office.refunded(payment_id)
    (made,) = office.stripe.made_refunds.values()
    failed = office.stripe.refund_becomes(made.id, Theirs.FAILED)
    await office.told("evt_failed", "refund.failed", failed)
    await office.told("evt_created", "refund.created", made)
    assert (await refund_of(office, payment_id, refund_id)).status is RefundStatus.FAILED
    assert await owed(office, payment_id) == 12_500


async def test_m16_m17_a_dashboard_refund_is_booked_once_by_its_id(office: Office) -> None:
    payment_id = await office.completed()
    intent = (await office.payment(payment_id)).payment_intent
    assert intent is not None
    made = office.stripe.refund(intent, 5_000)
    for event, kind in (("evt_1", "refund.created"), ("evt_2", "refund.updated")):
        await office.told(event, kind, made)
    payment = await office.payment(payment_id)
    assert payment.amount_refunded_cents == 5_000
    (refund,) = payment.refunds
    assert (refund.id, refund.requested_by) == (made.id, None)
    assert (await office.facts(payment_id)).count("RefundSucceeded") == 1
    assert await owed(office, payment_id) == 7_500
    assert (await office.service.refunds.find(made.id)).id == payment_id
    assert await office.service.queries.find(made.id) == [f"payment/{payment_id}"]
    assert await office.service.verification.verify(lambda _: None) == []


async def test_m16_a_dashboard_refund_wins_over_one_that_was_only_asked_for(
    office: Office,
) -> None:
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id)
    intent = (await office.payment(payment_id)).payment_intent
    assert intent is not None
    await office.told("evt_1", "refund.created", office.stripe.refund(intent, 5_000))
    with pytest.raises(StatusForbids) as refused:
        await office.service.refunds.approve(ADMIN, refund_id)
    assert refused.value.code == "refund_exceeds_payment"
    assert sent(office) == []


async def test_m28_many_dashboard_refunds_at_once_are_all_booked(office: Office) -> None:
    payment_id = await office.completed()
    intent = (await office.payment(payment_id)).payment_intent
    assert intent is not None
    made = [office.stripe.refund(intent, 100) for _ in range(11)]
    waiting = office.stripe.refund_becomes(made[-1].id, Theirs.PENDING)
    await office.told("evt_1", "refund.updated", waiting)
    payment = await office.payment(payment_id)
    assert payment.amount_refunded_cents == 1_000
    assert len(payment.refunds) == 11


async def test_refunds_that_moved_nothing_do_not_keep_others_from_being_seen(
    office: Office,
) -> None:
    payment_id = await office.completed()
    intent = (await office.payment(payment_id)).payment_intent
    assert intent is not None
    for _ in range(5):
        undrawn = office.stripe.refund(intent, 1_000, status=Theirs.FAILED)
        office.stripe.made_refunds[undrawn.id] = replace(undrawn, drawn=False)
    made = office.stripe.refund(intent, 1_000)
    await office.told("evt_1", "refund.created", made)
    failed = office.stripe.refund_becomes(made.id, Theirs.FAILED)
    await office.told("evt_2", "refund.failed", failed)
    kept = await office.service.store.inbox_event("evt_2")
    assert kept is not None
    assert kept.status is InboxStatus.APPLIED
    assert (await office.payment(payment_id)).amount_refunded_cents == 0


async def test_a_refunds_event_before_its_payments_success_waits(office: Office) -> None:
    payment_id = await office.opened()
    intent = (await office.payment(payment_id)).payment_intent
    assert intent is not None
    await office.told("evt_1", "refund.created", office.stripe.refund(intent, 100))
    assert (await office.payment(payment_id)).refunds == ()
    await office.service.payments.confirm(DISPATCHER, payment_id, "pm_card_visa")
    assert await office.service.webhook_inbox.retry_now("evt_1")
    assert (await office.payment(payment_id)).amount_refunded_cents == 100


async def test_m13_a_strangers_refund_is_kept_and_changes_nothing(office: Office) -> None:
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id)
    (intent,) = office.stripe.intents.values()
    office.stripe.intents["pi_else"] = intent
    metadata = {"purpose": "refund", "paymentId": payment_id, "refundId": refund_id}
    stranger = office.stripe.refund(intent.id, 12_500, metadata=metadata)
    stranger = replace(stranger, payment_intent="pi_else", charge="ch_else")
    await office.told("evt_1", "refund.created", stranger)
    assert (await office.payment(payment_id)).amount_refunded_cents == 0


async def test_m18_a_refund_with_our_id_that_the_books_never_sent_is_adopted(
    office: Office,
) -> None:
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id, 5_000)
    await office.told("evt_1", "refund.created", made_with_the_id(office, refund_id, 5_000))
    payment = await office.payment(payment_id)
    assert payment.amount_refunded_cents == 5_000
    assert [(one.id, one.status) for one in payment.refunds] == [
        (refund_id, RefundStatus.SUCCEEDED)
    ]
    assert payment.anomalies == ("approval_lost",)


async def test_m13_one_with_our_id_and_another_amount_is_stripes_and_ours_cannot_be_approved(
    office: Office,
) -> None:
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id, 5_000)
    made = made_with_the_id(office, refund_id, 4_000)
    await office.told("evt_1", "refund.created", made)
    payment = await office.payment(payment_id)
    assert [(one.id, one.status) for one in payment.refunds] == [
        (refund_id, RefundStatus.REQUESTED),
        (made.id, RefundStatus.SUCCEEDED),
    ]
    with pytest.raises(StatusForbids, match=made.id):
        await office.service.refunds.approve(ADMIN, refund_id)
    assert sent(office) == []
    await office.service.refunds.reject(ADMIN, refund_id, None)
    await office.refunded(payment_id, 1_000)
    assert (await office.payment(payment_id)).amount_refunded_cents == 5_000


def made_with_the_id(office: Office, refund_id: str, cents: int) -> StripeRefund:
    """A refund at Stripe of the one charge there, with the id of one of our refunds."""
    (intent,) = office.stripe.intents
    return office.stripe.refund(intent, cents, metadata={"refundId": refund_id})
