"""What money back does to a vendor is told as it is: by the plan, by mail, by the review list."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import DisputeStatus, RefundStatus
from roadcall_payments.ports import Channel, Queue
from tests.workflows.office import ACCOUNT, ADMIN, Office, open_office
from tests.workflows.settlement_reading import (
    SHARE,
    books,
    debts,
    is_sound,
    open_settling_office,
    settlement_of,
)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_settling_office(tmp_path) as opened:
        yield opened


async def settle(office: Office) -> None:
    """Until nothing is to be done any more: one call at a time."""
    for _ in range(4):
        await office.attend(timedelta(minutes=5))


async def settled(office: Office, vendor_id: str) -> str:
    payment_id = await office.completed(vendor_id=vendor_id)
    await settle(office)
    return payment_id


async def reversed_by_hand(office: Office, payment_id: str, cents: int) -> None:
    [share] = (await settlement_of(office, payment_id)).transfers
    assert share.transfer is not None
    after = office.stripe.reverse(share.transfer, cents)
    await office.told(f"evt_{share.transfer}", "transfer.reversed", after)
    await settle(office)


async def test_m21_the_plan_tells_this_refunds_debt_whatever_else_the_vendor_is_owed(
    office: Office,
) -> None:
    vendor_id = await office.vendor()
    first = await settled(office, vendor_id)
    office.stripe.spent.add(ACCOUNT)
    await office.refunded(first, 5_000)
    await settle(office)
    office.stripe.spent.clear()
    # Of this share 50.00 pays that debt: no reversal can take it back.
    second = await settled(office, vendor_id)
    office.stripe.connect = False
    await settled(office, vendor_id)
    office.stripe.connect = True
    refund_id = await office.refund_requested(second)
    payment = await office.payment(second)
    plan = await office.service.refunds.plan(payment, payment.refunds[-1])
    assert plan is not None
    assert plan.reversed_from_vendor == Money(SHARE - 5_000, "usd")
    assert plan.vendor_debt == Money(12_500 - (SHARE - 5_000), "usd")
    # The third share is on its way, so the vendor owes nothing in all.
    assert plan.vendor_balance_after == Money(12_500, "usd") - plan.vendor_debt
    office.stripe.connect = False
    await office.service.refunds.approve(ADMIN, refund_id)
    await settle(office)
    assert sum((await debts(office, second)).values()) == plan.vendor_debt.amount_cents
    assert await is_sound(office)


async def test_a_person_is_told_of_what_was_reversed_by_hand_for_a_refund_that_failed(
    office: Office,
) -> None:
    payment_id = await settled(office, await office.vendor())
    intent = (await office.payment(payment_id)).payment_intent
    assert intent is not None
    given = office.stripe.refund(intent, 5_000)
    await office.told("evt_given", "refund.created", given)
    await reversed_by_hand(office, payment_id, 5_000)
    assert (await office.payment(payment_id)).anomalies == ()
    failed = office.stripe.refund_becomes(given.id, RefundStatus.FAILED)
    await office.told("evt_failed", "refund.failed", failed)
    await settle(office)
    # Nobody knows what the reversal was for, so it is not sent again unasked.
    assert (await settlement_of(office, payment_id)).settled_cents == SHARE - 5_000
    payment = await office.payment(payment_id)
    assert (payment.anomalies, payment.on_review) == (("vendor_underpaid",), True)
    assert (await books(office, payment_id))["payable"] == 5_000
    assert await is_sound(office)


async def test_a_person_is_told_of_what_was_reversed_by_hand_for_a_dispute_that_was_won(
    office: Office,
) -> None:
    payment_id = await settled(office, await office.vendor())
    intent = (await office.payment(payment_id)).payment_intent
    assert intent is not None
    due = office.clock.now() + timedelta(days=7)
    opened = office.stripe.open_dispute(intent, due)
    await office.told("evt_opened", "charge.dispute.created", opened)
    await reversed_by_hand(office, payment_id, SHARE)
    assert (await office.payment(payment_id)).anomalies == ()
    won = office.stripe.reinstate(opened.id)
    assert won.status is DisputeStatus.WON
    await office.told("evt_won", "charge.dispute.closed", won)
    await settle(office)
    assert (await office.payment(payment_id)).anomalies == ("vendor_underpaid",)


async def test_nobody_is_told_of_what_was_reversed_by_hand_instead_of_a_debt(
    office: Office,
) -> None:
    payment_id = await settled(office, await office.vendor())
    office.stripe.spent.add(ACCOUNT)
    await office.refunded(payment_id, 5_000)
    await settle(office)
    await reversed_by_hand(office, payment_id, 5_000)
    assert sum((await debts(office, payment_id)).values()) == 0
    assert (await office.payment(payment_id)).anomalies == ()


async def test_a_person_is_told_of_what_was_reversed_by_hand_for_a_debt_that_was_paid(
    office: Office,
) -> None:
    vendor_id = await office.vendor()
    payment_id = await settled(office, vendor_id)
    office.stripe.spent.add(ACCOUNT)
    await office.refunded(payment_id, 5_000)
    await settle(office)
    await settled(office, vendor_id)
    assert sum((await debts(office, payment_id)).values()) == 0
    await reversed_by_hand(office, payment_id, 5_000)
    assert (await office.payment(payment_id)).anomalies == ("vendor_underpaid",)
    assert (await books(office, payment_id))["payable"] == 5_000
    assert await is_sound(office)


async def test_a_reversal_by_hand_is_told_for_what_it_is(tmp_path: Path) -> None:
    """No mail may say that a refund or a dispute was its reason, and staff has to know."""
    told: dict[str, object] = {"settlement": True, "back_office_emails": "office@example.com"}
    async with open_office(tmp_path, None, **told) as office:
        payment_id = await settled(office, await office.vendor())
        await reversed_by_hand(office, payment_id, 5_000)
        for queue in (Queue.OUTBOX, Queue.NOTICES):
            await office.service.worker.work(queue)
        sent = {one.to: one.content.text for one in office.sent(Channel.EMAIL)}
        assert set(sent) == {"tow@example.com", "office@example.com"}
        for text in sent.values():
            assert "$50.00" in text
            assert "refund" not in text
            assert "dispute" not in text
