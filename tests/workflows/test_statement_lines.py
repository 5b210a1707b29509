"""Each way in which a vendor's balance and its debts move, as its statement tells it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from roadcall_payments.domain.debt_events import DebtCause
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.statement import DebtStep, LineKind
from roadcall_payments.domain.stripe_objects import DisputeStatus, RefundStatus
from tests.workflows.office import ACCOUNT, Office
from tests.workflows.settlement_reading import (
    SHARE,
    SOON,
    TRANSFER,
    open_settling_office,
    settled,
)
from tests.workflows.test_vendor_statement import moved_to, paid_for, statement, words

FEE = 1_280


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_settling_office(tmp_path) as opened:
        yield opened


async def owing(office: Office, cents: int) -> tuple[str, str]:
    """A payment whose share could not be taken back; with its vendor."""
    payment_id = await settled(office)
    office.stripe.spent.add(ACCOUNT)
    await office.refunded(payment_id, cents)
    await office.attend()
    return payment_id, (await office.payment(payment_id)).vendor_id


async def test_a_share_tells_its_fee_and_what_was_kept_of_it(office: Office) -> None:
    _, vendor_id = await owing(office, 2_000)
    await office.completed(vendor_id=vendor_id)
    await office.attend()
    (account,) = (await statement(office, vendor_id)).accounts
    share = account.lines[-1]
    assert (share.kind, share.earned.amount_cents, share.fee.amount_cents) == (
        LineKind.SHARE,
        12_500,
        FEE,
    )
    assert (share.set_off.amount_cents, share.net.amount_cents) == (2_000, SHARE - 2_000)
    assert (
        "$92.20, your share of the driver's payment for job "
        f"{share.incident_id}: earned $125.00, our fee $12.80, kept for what you owed us $20.00."
    ) in await words(office, vendor_id)


async def test_what_a_lost_dispute_took_back_is_told_as_a_dispute(office: Office) -> None:
    payment_id = await settled(office)
    payment = await office.payment(payment_id)
    due = office.clock.now() + timedelta(days=7)
    opened = office.stripe.open_dispute(payment.payment_intent or "", due, cents=6_000)
    await office.told("evt_1", "charge.dispute.created", opened)
    lost = office.stripe.dispute_becomes(opened.id, DisputeStatus.LOST)
    await office.told("evt_2", "charge.dispute.closed", lost)
    await office.attend()
    (account,) = (await statement(office, payment.vendor_id)).accounts
    taken = account.lines[-1]
    assert (taken.kind, taken.net, taken.cause, taken.cause_id) == (
        LineKind.TAKEN_BACK,
        Money(-6_000, "usd"),
        DebtCause.DISPUTE,
        opened.id,
    )
    told = await words(office, payment.vendor_id)
    assert f"-$60.00, taken back for a lost dispute of job {payment.incident_id}" in told


async def test_what_open_transfers_will_keep_is_told(office: Office) -> None:
    _, vendor_id = await owing(office, 5_000)
    office.stripe.lose_answer(TRANSFER)
    await paid_for(office, vendor_id, Money(6_000, "usd"))
    (account,) = (await statement(office, vendor_id)).accounts
    assert (account.owed, account.reserved) == (Money(5_000, "usd"), Money(3_000, "usd"))
    on_their_way = "$30.00 of it is kept of payments that are on their way."
    assert on_their_way in await words(office, vendor_id)
    await office.attend(SOON)
    (account,) = (await statement(office, vendor_id)).accounts
    assert (account.owed, account.reserved) == (Money(2_000, "usd"), Money(0, "usd"))
    assert "on their way" not in await words(office, vendor_id)


async def test_a_transfer_that_somebody_took_back_is_told_with_its_job(office: Office) -> None:
    vendor_id = await office.vendor()
    payment_id = await paid_for(office, vendor_id, Money(6_000, "usd"))
    payment = await office.payment(payment_id)
    reversed_ = office.stripe.reverse(payment.transfer or "", 1_000)
    await office.told("evt_1", "transfer.reversed", reversed_)
    (account,) = (await statement(office, vendor_id)).accounts
    taken = account.lines[-1]
    assert (taken.kind, taken.net, taken.payment_id) == (
        LineKind.TAKEN_BACK,
        Money(-1_000, "usd"),
        payment_id,
    )
    assert taken.incident_id == payment.incident_id
    assert account.closing == Money(5_000, "usd")


async def test_a_debt_whose_refund_came_to_nothing_is_told_as_less(office: Office) -> None:
    payment_id, vendor_id = await owing(office, 5_000)
    [made] = office.stripe.made_refunds.values()
    back = office.stripe.refund_becomes(made.id, RefundStatus.FAILED)
    await office.told("evt_1", "refund.failed", back)
    await office.attend()
    (account,) = (await statement(office, vendor_id)).accounts
    assert [one.step for one in account.debt_lines] == [DebtStep.INCURRED, DebtStep.REDUCED]
    assert account.owed == Money(0, "usd")
    job = (await office.payment(payment_id)).incident_id
    told = await words(office, vendor_id)
    assert f"you owe us $50.00 less for a refund of job {job}" in told
    assert "Still owed" not in told


async def test_a_month_begins_with_what_was_owed_before_it(office: Office) -> None:
    _, vendor_id = await owing(office, 5_000)
    (before,) = (await statement(office, vendor_id)).accounts
    first = office.clock.now().strftime("%Y-%m")
    office.clock.advance(timedelta(days=31).total_seconds())
    await paid_for(office, vendor_id, Money(6_000, "usd"))
    (account,) = (await statement(office, vendor_id)).accounts
    assert (account.owed_before, account.owed) == (Money(5_000, "usd"), Money(2_000, "usd"))
    assert [one.step for one in account.debt_lines] == [DebtStep.SET_OFF]
    told = await words(office, vendor_id)
    assert "What you owe us was $50.00 at the start, and is $20.00 now." in told
    assert (await statement(office, vendor_id, first)).accounts == (before,)


async def test_what_an_account_earned_for_its_former_vendor_is_no_job_of_the_next(
    office: Office,
) -> None:
    payment_id = await settled(office)
    first = (await office.payment(payment_id)).vendor_id
    await moved_to(office, first, "acct_new")
    second = await office.vendor("acct_second")
    await moved_to(office, second, ACCOUNT)
    (account,) = (await statement(office, second)).accounts
    (line,) = account.lines
    assert (line.kind, line.net, line.payment_id) == (LineKind.OTHER, Money(SHARE, "usd"), None)
    assert "another movement of your Stripe balance" in await words(office, second)
