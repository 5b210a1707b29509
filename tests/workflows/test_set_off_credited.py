"""A restore loses a debt that a transfer has paid already: it is not paid back, and when the debt
comes up again, it is paid by that transfer (M18, M22)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Status
from roadcall_payments.domain.stripe_objects import RefundStatus
from roadcall_payments.stores.sqlite.backup import restoring
from tests.workflows.office import ACCOUNT, ADMIN, APPROVER, DISPATCHER, DRIVER, Office, open_office
from tests.workflows.settlement_reading import (
    SHARE,
    TRANSFER,
    books,
    debts,
    is_sound,
    open_settling_office,
    sent,
    settled,
    settlement_of,
)
from tests.workflows.test_drift_repair import backed_up, repaired

HOUR = timedelta(hours=1)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_settling_office(tmp_path) as opened:
        yield opened


async def next_payment(office: Office, vendor_id: str, payer: PayerType) -> str:
    """A driver's is open at Stripe, not yet confirmed; a back-office one waits to be processed."""
    amount = Money(20_000, "usd") if payer is PayerType.BACK_OFFICE else Money(12_500, "usd")
    payment_id = await office.created(payer, vendor_id, amount)
    await office.service.approvals.approve(APPROVER, payment_id)
    if payer is PayerType.DRIVER_IC:
        await office.service.payments.process(DISPATCHER, payment_id, None)
    return payment_id


async def paid(office: Office, payment_id: str) -> None:
    """It goes through, and its vendor gets 50.00 less."""
    if (await office.payment(payment_id)).payer_type is PayerType.DRIVER_IC:
        await office.service.payments.confirm(DRIVER, payment_id, "pm_card_visa")
    else:
        await office.service.payments.process(DISPATCHER, payment_id, None)
    await office.attend()
    last = list(office.stripe.made_transfers.values())[-1]
    assert last.metadata["setOffCents"] == "5000"


async def comes_to_owe(office: Office, payment_id: str) -> None:
    """Refunded for 50.00, which nothing can take back."""
    office.stripe.spent.add(ACCOUNT)
    refund_id = await office.refunded(payment_id, 5_000)
    await office.attend()
    assert await debts(office, payment_id) == {refund_id: 5_000}


@asynccontextmanager
async def released(office: Office, directory: Path, backup: Path) -> AsyncIterator[Office]:
    """The backup, restored, repaired and released; Stripe's events tell of what was refunded."""
    for made in office.stripe.made_refunds.values():
        office.stripe.listed.append(office.stripe.event(f"evt_{made.id}", "refund.created", made))
    database = directory / "restored" / "roadcall.sqlite"
    with restoring(backup, database):
        pass
    kept: dict[str, object] = {"platform_fee_bps": 1_000, "platform_fee_fixed_cents": 30}
    async with open_office(database.parent, office, settlement=True, **kept) as later:
        await later.service.restore_guard.hold(ADMIN, "restored")
        assert (await repaired(later)).passed
        await later.service.restore_guard.release(ADMIN)
        yield later


async def attended(office: Office) -> None:
    for _ in range(3):
        await office.attend(HOUR)


@pytest.mark.parametrize("payer", list(PayerType))
async def test_m18_a_debt_that_was_collected_after_the_backup_is_not_paid_out_again(
    office: Office, tmp_path: Path, payer: PayerType
) -> None:
    first_id = await settled(office)
    next_id = await next_payment(office, (await office.payment(first_id)).vendor_id, payer)
    backup = backed_up(tmp_path)
    await comes_to_owe(office, first_id)
    await paid(office, next_id)
    before = await books(office, first_id)
    async with released(office, tmp_path, backup) as later:
        made = sent(later, TRANSFER)
        await attended(later)
        assert sent(later, TRANSFER) == made, "nothing goes out for what was collected"
        assert (await later.payment(next_id)).status is Status.COMPLETED
        assert set((await debts(later, first_id)).values()) == {0}
        assert await books(later, first_id) == before
        assert (await later.payment(next_id)).anomalies[-1:] == ("set_off_unexplained",)
        assert await is_sound(later)

        # What the vendor earns next is its own.
        third_id = await later.completed(vendor_id=(await later.payment(first_id)).vendor_id)
        await attended(later)
        assert (await settlement_of(later, third_id)).transfers[0].amount_cents == SHARE
        assert await is_sound(later)


async def test_m21_a_refund_that_fails_after_all_gives_back_what_the_credit_paid(
    office: Office, tmp_path: Path
) -> None:
    first_id = await settled(office)
    vendor_id = (await office.payment(first_id)).vendor_id
    next_id = await next_payment(office, vendor_id, PayerType.DRIVER_IC)
    backup = backed_up(tmp_path)
    await comes_to_owe(office, first_id)
    await paid(office, next_id)
    async with released(office, tmp_path, backup) as later:
        await attended(later)
        made = list(later.stripe.made_refunds.values())[-1]
        failed = later.stripe.refund_becomes(made.id, RefundStatus.FAILED)
        await later.told("evt_failed", "refund.failed", failed)
        await attended(later)
        last = list(later.stripe.made_transfers.values())[-1]
        assert (last.amount.amount_cents, last.transfer_group) == (5_000, first_id)
        assert (await books(later, first_id)).get("payable", 0) == 0
        assert (await books(later, first_id))["earnings"] == 2 * SHARE
        assert await is_sound(later)


@pytest.mark.parametrize(("refunded", "reversed_cents"), [(5_000, 0), (6_000, 1_000)])
async def test_m18_what_a_reversal_could_take_back_now_is_not_taken_on_top_of_the_set_off(
    office: Office, tmp_path: Path, refunded: int, reversed_cents: int
) -> None:
    """The vendor's account has money again when the restored service looks."""
    first_id = await settled(office)
    vendor_id = (await office.payment(first_id)).vendor_id
    next_id = await next_payment(office, vendor_id, PayerType.DRIVER_IC)
    backup = backed_up(tmp_path)
    await comes_to_owe(office, first_id)
    await paid(office, next_id)
    office.stripe.spent.clear()
    if refunded > 5_000:
        await office.refunded(first_id, refunded - 5_000)
    async with released(office, tmp_path, backup) as later:
        await attended(later)
        back = [one.amount.amount_cents for one in later.stripe.made_reversals]
        assert sum(back) == reversed_cents
        assert set((await debts(later, first_id)).values()) == {0}
        assert (await books(later, first_id)).get("payable", 0) == 0
        assert (await books(later, first_id))["earnings"] == 2 * SHARE - refunded
        assert await is_sound(later)


async def test_what_nothing_explains_is_the_vendors_and_a_persons_to_look_at(
    office: Office, tmp_path: Path
) -> None:
    """The refund is not told of: the debt does not come up again."""
    first_id = await settled(office)
    vendor_id = (await office.payment(first_id)).vendor_id
    next_id = await next_payment(office, vendor_id, PayerType.DRIVER_IC)
    backup = backed_up(tmp_path)
    await comes_to_owe(office, first_id)
    await paid(office, next_id)
    office.stripe.made_refunds.clear()
    async with released(office, tmp_path, backup) as later:
        made = sent(later, TRANSFER)
        await attended(later)
        assert sent(later, TRANSFER) == made
        payment = await later.payment(next_id)
        assert (payment.anomalies, payment.on_review) == (("set_off_unexplained",), True)
        assert (await books(later, first_id))["payable"] == 5_000, "the vendor's"
        assert await is_sound(later)
