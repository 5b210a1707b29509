"""Who hears of shares, payouts and debts, and what they read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import (
    DisputeStatus,
    PayoutStatus,
    RefundStatus,
    StripeFailure,
)
from roadcall_payments.ports import Channel, Refused
from tests.fakes.connected_accounts import TO_ONBOARD
from tests.workflows.office import (
    ACCOUNT,
    ADMIN,
    APPROVER,
    DISPATCHER,
    Office,
    open_office,
)
from tests.workflows.payout_reading import PAYOUT, bank_told, vendor_with
from tests.workflows.settlement_reading import TRANSFER, settled

VENDOR, STAFF = "tow@example.com", "office@roadcall.example"
NOT_ALLOWED = Refused(
    StripeFailure("transfers_not_allowed", "It may not receive transfers."), 400, "req_x", False
)
EMPTY = Refused(
    StripeFailure("balance_insufficient", "You have insufficient funds."), 400, "req_y", False
)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """Of each payment of 125.00 we keep 12.80."""
    fee = {"platform_fee_bps": 1_000, "platform_fee_fixed_cents": 30}
    told: dict[str, object] = {"back_office_emails": STAFF, **fee}
    async with open_office(tmp_path, None, settlement=True, **told) as opened:
        yield opened


async def read(office: Office, address: str) -> list[str]:
    """The subjects and texts that went there since the last look."""
    await office.service.worker.work_off()
    box = office.sent(Channel.EMAIL)
    own = [one for one in box if one.to == address]
    box[:] = [one for one in box if one.to != address]
    return [f"{one.content.subject}\n{one.content.text}" for one in own]


def subjects(mails: list[str]) -> list[str]:
    return [one.splitlines()[0] for one in mails]


async def test_a_vendor_reads_its_share_our_fee_and_what_was_kept(office: Office) -> None:
    payment_id = await settled(office)
    vendor_id = (await office.payment(payment_id)).vendor_id
    office.stripe.spent.add(ACCOUNT)
    await office.refunded(payment_id, 2_000)
    await office.attend()
    shares = [one for one in await read(office, VENDOR) if one.startswith("Your $112.20 for job")]
    assert len(shares) == 1
    assert "Our fee, already taken off: $12.80." in shares[0]
    assert "Kept" not in shares[0]
    await office.completed(vendor_id=vendor_id)
    await office.attend()
    (share,) = [one for one in await read(office, VENDOR) if one.startswith("Your $92.20 for job")]
    assert "Our fee, already taken off: $12.80." in share
    assert "Kept for what you owed us: $20.00." in share


async def test_a_vendor_reads_what_was_taken_back_and_of_which_job(office: Office) -> None:
    payment_id = await settled(office)
    await read(office, VENDOR)
    await office.refunded(payment_id, 5_000)
    await office.attend()
    job = (await office.payment(payment_id)).incident_id
    taken = [one for one in await read(office, VENDOR) if "was taken back" in one]
    assert subjects(taken) == [f"$50.00 for job {job} was taken back"]


async def test_a_vendor_hears_of_a_reversal_at_the_dashboard(office: Office) -> None:
    payment_id = await office.created(PayerType.BACK_OFFICE)
    await office.service.approvals.approve(APPROVER, payment_id)
    await office.service.payments.process(DISPATCHER, payment_id, None)
    await read(office, VENDOR)
    transfer = (await office.payment(payment_id)).transfer or ""
    await office.told("evt_1", "transfer.reversed", office.stripe.reverse(transfer, 1_000))
    (mail,) = await read(office, VENDOR)
    assert mail.startswith("$10.00 was taken back from your Stripe account")


async def test_a_vendor_hears_of_a_dispute_and_of_its_loss(office: Office) -> None:
    payment_id = await settled(office)
    await read(office, VENDOR)
    payment = await office.payment(payment_id)
    due = office.clock.now() + timedelta(days=7)
    opened = office.stripe.open_dispute(payment.payment_intent or "", due, cents=6_000)
    await office.told("evt_1", "charge.dispute.created", opened)
    (mail,) = await read(office, VENDOR)
    assert mail.startswith(f"The driver of job {payment.incident_id} disputes $60.00")
    assert "well before March 9, 2026" in mail
    lost = office.stripe.dispute_becomes(opened.id, DisputeStatus.LOST)
    await office.told("evt_2", "charge.dispute.closed", lost)
    mails = await read(office, VENDOR)
    assert subjects(mails) == [
        f"The dispute for job {payment.incident_id} was lost: $60.00",
        f"$60.00 for job {payment.incident_id} was taken back",
    ]


async def test_a_vendor_hears_of_a_refund_that_came_back(office: Office) -> None:
    payment_id = await settled(office)
    await office.refunded(payment_id, 5_000)
    await read(office, VENDOR)
    [made] = office.stripe.made_refunds.values()
    back = office.stripe.refund_becomes(made.id, RefundStatus.FAILED)
    await office.told("evt_1", "refund.failed", back)
    mails = await read(office, VENDOR)
    job = (await office.payment(payment_id)).incident_id
    assert f"A refund for job {job} came back: $50.00 is yours again" in subjects(mails)


@pytest.mark.parametrize("refused", [False, True])
async def test_staff_hear_once_why_a_share_does_not_go_out(office: Office, refused: bool) -> None:
    if refused:
        office.stripe.script(TRANSFER, NOT_ALLOWED)
    else:
        office.stripe.show(ACCOUNT, TO_ONBOARD)
    payment_id = await office.completed()
    await office.attend()
    payment = await office.payment(payment_id)
    mails = [one for one in await read(office, STAFF) if "is not paid yet" in one]
    assert subjects(mails) == [
        f"Vendor {payment.vendor_id} is not paid yet for incident {payment.incident_id}"
    ]
    why = "It may not receive transfers." if refused else "has not finished Stripe's onboarding"
    assert why in mails[0]
    if not refused:
        await office.attend(timedelta(hours=1, minutes=1))
        assert await read(office, STAFF) == []


async def test_staff_hear_why_a_payout_was_not_made(office: Office) -> None:
    vendor_id = await vendor_with(office)
    office.stripe.script(PAYOUT, EMPTY)
    await office.service.payouts.request(ADMIN, vendor_id, Money(4_000, "usd"))
    (mail,) = await read(office, STAFF)
    assert mail.splitlines()[0].endswith("of $40.00 was not made")
    assert "The Stripe balance did not cover it. (balance_insufficient)" in mail
    assert await read(office, VENDOR) == []


async def test_the_vendor_reads_when_its_money_arrives(office: Office) -> None:
    vendor_id = await vendor_with(office)
    asked = await office.service.payouts.request(ADMIN, vendor_id, Money(4_000, "usd"))
    await bank_told(office, asked.payout, PayoutStatus.IN_TRANSIT)
    (mail,) = await read(office, VENDOR)
    assert "March 4, 2026" in mail
