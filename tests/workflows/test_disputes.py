"""A card holder's bank takes the money back: followed, booked, told of, carried by policy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from roadcall_payments.domain import events as e
from roadcall_payments.domain.dispute import Dispute
from roadcall_payments.domain.errors import StatusForbids, StripeUnavailable
from roadcall_payments.domain.stripe_objects import DisputeStatus
from roadcall_payments.workflows.refunds import NewRefund
from tests.workflows.office import ADMIN, DISPATCHER, Office, open_office

WHOLE = NewRefund(None, e.RefundReason.REQUESTED_BY_CUSTOMER)
IN_TIME = timedelta(days=9)


async def disputed(office: Office, *, inquiry: bool = False) -> tuple[str, str]:
    """A completed payment and the dispute of its charge, as an event told of it."""
    payment_id = await office.completed()
    intent = (await office.payment(payment_id)).payment_intent
    assert intent is not None
    opened = office.stripe.open_dispute(intent, due(office), inquiry=inquiry)
    await office.told("evt_opened", "charge.dispute.created", opened)
    return payment_id, opened.id


def due(office: Office) -> datetime:
    return office.clock.now() + IN_TIME


async def dispute_of(office: Office, payment_id: str) -> Dispute:
    (dispute,) = (await office.payment(payment_id)).disputes
    return dispute


async def balances(office: Office, payment_id: str) -> dict[str, int]:
    """Every account but Stripe's own, credit positive."""
    lines = await office.service.store.balances("acct_platform")
    vendor = (await office.payment(payment_id)).vendor_id
    return {
        line.account.removesuffix(f":{vendor}"): -line.amount_cents
        for line in lines
        if not line.account.startswith("stripe_")
    }


async def test_an_opened_dispute_takes_the_money_out_of_the_books_once(office: Office) -> None:
    payment_id, dispute_id = await disputed(office)
    seen = office.stripe.disputes[dispute_id]
    await office.told("evt_2", "charge.dispute.funds_withdrawn", seen)
    dispute = await dispute_of(office, payment_id)
    assert dispute.withheld_cents == 12_500
    assert await balances(office, payment_id) == {
        "vendor_payable": 12_500,
        "disputes_withheld": -12_500,
    }
    assert (await office.facts(payment_id)).count("DisputeFundsWithdrawn") == 1
    assert (await office.payment(payment_id)).on_review
    assert await office.service.queries.find(dispute_id) == [f"payment/{payment_id}"]
    assert await office.service.verification.verify(lambda _: None) == []


async def test_a_won_dispute_gives_the_money_back(office: Office) -> None:
    payment_id, dispute_id = await disputed(office)
    office.stripe.dispute_becomes(dispute_id, DisputeStatus.UNDER_REVIEW)
    won = office.stripe.reinstate(dispute_id)
    await office.told("evt_2", "charge.dispute.closed", won)
    await office.told("evt_3", "charge.dispute.funds_reinstated", won)
    dispute = await dispute_of(office, payment_id)
    assert (dispute.status, dispute.withheld_cents) == (DisputeStatus.WON, 0)
    assert await balances(office, payment_id) == {"vendor_payable": 12_500}
    assert not (await office.payment(payment_id)).on_review
    assert (await office.refunded(payment_id)) is not None


async def test_a_lost_dispute_is_taken_off_what_the_vendor_is_owed(office: Office) -> None:
    payment_id, dispute_id = await disputed(office)
    lost = office.stripe.dispute_becomes(dispute_id, DisputeStatus.LOST)
    for event in ("evt_2", "evt_3"):
        await office.told(event, "charge.dispute.closed", lost)
    dispute = await dispute_of(office, payment_id)
    assert (dispute.lost_cents, dispute.borne_by) == (12_500, e.Bearer.VENDOR)
    assert await balances(office, payment_id) == {}
    assert (await office.facts(payment_id)).count("DisputeClosed") == 1
    assert await office.service.verification.verify(lambda _: None) == []


@pytest.fixture
async def generous_office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path, dispute_loss_borne_by="platform") as opened:
        yield opened


async def test_by_policy_the_platform_bears_the_loss(generous_office: Office) -> None:
    office = generous_office
    payment_id, dispute_id = await disputed(office)
    lost = office.stripe.dispute_becomes(dispute_id, DisputeStatus.LOST)
    await office.told("evt_2", "charge.dispute.closed", lost)
    assert await balances(office, payment_id) == {
        "vendor_payable": 12_500,
        "dispute_losses": -12_500,
    }


async def test_a_loss_that_stripe_takes_back_is_given_back_to_whoever_bore_it(
    office: Office,
) -> None:
    payment_id, dispute_id = await disputed(office)
    lost = office.stripe.dispute_becomes(dispute_id, DisputeStatus.LOST)
    await office.told("evt_2", "charge.dispute.closed", lost)
    won = office.stripe.reinstate(dispute_id)
    await office.told("evt_3", "charge.dispute.funds_reinstated", won)
    assert await balances(office, payment_id) == {"vendor_payable": 12_500}


async def test_a_refund_on_a_disputed_charge_is_refused(office: Office) -> None:
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id, 5_000)
    intent = (await office.payment(payment_id)).payment_intent
    assert intent is not None
    opened = office.stripe.open_dispute(intent, due(office))
    await office.told("evt_1", "charge.dispute.created", opened)
    with pytest.raises(StatusForbids) as asked:
        await office.service.refunds.request(DISPATCHER, payment_id, WHOLE)
    with pytest.raises(StatusForbids) as approved:
        await office.service.refunds.approve(ADMIN, refund_id)
    assert (asked.value.code, approved.value.code) == ("disputed", "disputed")
    lost = office.stripe.dispute_becomes(opened.id, DisputeStatus.LOST)
    await office.told("evt_2", "charge.dispute.closed", lost)
    with pytest.raises(StatusForbids):
        await office.service.refunds.approve(ADMIN, refund_id)
    assert office.stripe.made_refunds == {}


async def test_an_inquiry_takes_no_money_and_may_be_refunded(office: Office) -> None:
    payment_id, dispute_id = await disputed(office, inquiry=True)
    assert (await dispute_of(office, payment_id)).inquiry
    assert await balances(office, payment_id) == {"vendor_payable": 12_500}
    await office.refunded(payment_id)
    closed = office.stripe.dispute_becomes(dispute_id, DisputeStatus.WARNING_CLOSED)
    await office.told("evt_2", "charge.dispute.closed", closed)
    assert (await dispute_of(office, payment_id)).status is DisputeStatus.WARNING_CLOSED
    assert await balances(office, payment_id) == {}


async def test_an_inquiry_that_becomes_a_dispute_is_booked_when_it_does(office: Office) -> None:
    payment_id, dispute_id = await disputed(office, inquiry=True)
    escalated = office.stripe.withdraw(dispute_id, DisputeStatus.NEEDS_RESPONSE, due(office))
    await office.told("evt_2", "charge.dispute.funds_withdrawn", escalated)
    dispute = await dispute_of(office, payment_id)
    assert (dispute.inquiry, dispute.withheld_cents) == (False, 12_500)


async def test_m15_a_late_event_shows_the_dispute_as_it_is_now(office: Office) -> None:
    payment_id, dispute_id = await disputed(office)
    opened = office.stripe.disputes[dispute_id]
    office.stripe.dispute_becomes(dispute_id, DisputeStatus.LOST)
    await office.told("evt_late", "charge.dispute.updated", opened)
    assert (await dispute_of(office, payment_id)).status is DisputeStatus.LOST


async def test_m19_a_dispute_that_cannot_be_read_waits_in_the_inbox(office: Office) -> None:
    payment_id = await office.completed()
    intent = (await office.payment(payment_id)).payment_intent
    assert intent is not None
    opened = office.stripe.open_dispute(intent, due(office))
    office.stripe.disputes_down = StripeUnavailable("down")
    await office.told("evt_1", "charge.dispute.created", opened)
    assert (await office.payment(payment_id)).disputes == ()
    office.stripe.disputes_down = None
    assert await office.service.webhook_inbox.retry_now("evt_1")
    assert len((await office.payment(payment_id)).disputes) == 1


async def test_somebody_is_told_before_evidence_is_due_once(office: Office) -> None:
    payment_id, _ = await disputed(office)
    await office.attend(timedelta(days=5))
    assert (await office.facts(payment_id)).count("EvidenceDeadlineNeared") == 0
    await office.attend(timedelta(days=1, seconds=1))
    await office.attend(timedelta(hours=1))
    assert (await office.facts(payment_id)).count("EvidenceDeadlineNeared") == 1


async def test_nobody_is_reminded_of_a_dispute_that_ended_unheard(office: Office) -> None:
    payment_id, dispute_id = await disputed(office)
    office.stripe.reinstate(dispute_id)
    await office.attend(timedelta(days=6, seconds=1))
    assert (await office.facts(payment_id)).count("EvidenceDeadlineNeared") == 0
    assert (await dispute_of(office, payment_id)).status is DisputeStatus.WON


async def test_m13_a_dispute_of_a_charge_that_is_none_of_ours_is_kept(office: Office) -> None:
    payment_id = await office.completed()
    (intent,) = office.stripe.intents
    strange = office.stripe.open_dispute(intent, due(office))
    strange = replace(strange, payment_intent="pi_else", charge="ch_else")
    await office.told("evt_1", "charge.dispute.created", strange)
    assert (await office.payment(payment_id)).disputes == ()
