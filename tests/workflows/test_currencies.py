"""What is settled, given back and owed: without decimals, with three, and at the limits (M38)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Status
from roadcall_payments.domain.stripe_objects import DisputeStatus, RefundStatus
from tests.workflows.market import (
    STEP,
    assert_decimals,
    fee_of,
    floor,
    in_every_currency,
    open_market,
    settle,
    transferred,
)
from tests.workflows.office import ACCOUNT, ADMIN
from tests.workflows.settlement_reading import books, debts, settlement_of


@in_every_currency
async def test_m38_a_payment_is_settled_and_goes_back_in_parts_with_its_fee(
    tmp_path: Path, amount: Money
) -> None:
    async with open_market(tmp_path, amount.currency, returns_fee=True) as office:
        payment_id = await office.completed(amount)
        await settle(office)
        fee, whole = fee_of(amount), amount.amount_cents
        expected = {"fees": fee, "earnings": whole - fee}
        assert await books(office, payment_id) == {name: c for name, c in expected.items() if c}
        part = floor(whole // 3, amount.currency)
        if part:
            refund_id = await office.refund_requested(payment_id, part)
            payment = await office.payment(payment_id)
            plan = await office.service.refunds.plan(payment, payment.refunds[-1])
            await office.service.refunds.approve(ADMIN, refund_id)
            await settle(office)
            returned = floor(fee * part // whole, amount.currency)
            assert plan is not None
            assert plan.platform_fee_returned.amount_cents == returned
            assert plan.payer_gets.amount_cents == part, "our fee is none of the payer's business"
            assert plan.reversed_from_vendor.amount_cents == part - returned
            assert (await books(office, payment_id)).get("fees", 0) == fee - returned
            settled = (await settlement_of(office, payment_id)).settled_cents
            assert settled == whole - part - (fee - returned)
        await office.refunded(payment_id)
        await settle(office)
        assert await books(office, payment_id) == {}, "the whole fee went back with the whole"
        assert await debts(office, payment_id) == {}
        for made in office.stripe.made_transfers.values():
            assert made.amount == made.amount_reversed


@in_every_currency
async def test_m22_a_debt_is_set_off_by_the_next_transfer_and_the_rest_is_paid_out(
    tmp_path: Path, amount: Money
) -> None:
    currency, whole = amount.currency, amount.amount_cents
    async with open_market(tmp_path, currency, fee=False) as office:
        payment_id = await office.completed(amount)
        await settle(office)
        vendor_id = (await office.payment(payment_id)).vendor_id
        office.stripe.spent.add(ACCOUNT)
        refund_id = await office.refunded(payment_id)
        await settle(office)
        assert await debts(office, payment_id) == {refund_id: whole}
        second = await transferred(office, vendor_id, amount)
        kept = floor(whole // 2, currency)
        (_, transfer) = office.stripe.made_transfers.values()
        assert transfer.amount == Money(whole - kept, currency)
        assert await debts(office, payment_id) == {refund_id: whole - kept}
        told = await office.service.vendor_statements.statement(vendor_id, None)
        (account,) = told.statement.accounts
        assert account.owed == Money(whole - kept, currency)
        assert account.closing == Money(2 * whole - kept, currency)
        assert (await office.payment(second)).status is Status.COMPLETED
        assert_decimals(told.words, currency)


@in_every_currency
async def test_a_lost_dispute_is_taken_back_and_a_won_one_restored(
    tmp_path: Path, amount: Money
) -> None:
    async with open_market(tmp_path, amount.currency) as office:
        payment_id = await office.completed(amount)
        await settle(office)
        before = await books(office, payment_id)
        intent = (await office.payment(payment_id)).payment_intent or ""
        part = max(floor(amount.amount_cents // 2, amount.currency), STEP.get(amount.currency, 1))
        due = office.clock.now() + timedelta(days=7)
        opened = office.stripe.open_dispute(intent, due, cents=part)
        await office.told("evt_1", "charge.dispute.created", opened)
        lost = office.stripe.dispute_becomes(opened.id, DisputeStatus.LOST)
        await office.told("evt_2", "charge.dispute.closed", lost)
        await settle(office)
        share = amount.amount_cents - fee_of(amount)
        assert (await settlement_of(office, payment_id)).settled_cents == share - part
        beyond = max(part - share, 0)
        assert sum((await debts(office, payment_id)).values()) == beyond
        won = office.stripe.reinstate(opened.id)
        await office.told("evt_3", "charge.dispute.closed", won)
        await settle(office)
        assert (await settlement_of(office, payment_id)).settled_cents == share
        assert sum((await debts(office, payment_id)).values()) == 0
        assert (await books(office, payment_id)).get("earnings") == before.get("earnings")


@in_every_currency
async def test_m21_a_refund_that_fails_after_its_reversal_goes_out_again(
    tmp_path: Path, amount: Money
) -> None:
    async with open_market(tmp_path, amount.currency, returns_fee=True) as office:
        payment_id = await office.completed(amount)
        await settle(office)
        before = await books(office, payment_id)
        part = max(floor(amount.amount_cents // 3, amount.currency), STEP.get(amount.currency, 1))
        await office.refunded(payment_id, part)
        await settle(office)
        [made] = office.stripe.made_refunds.values()
        back = office.stripe.refund_becomes(made.id, RefundStatus.FAILED)
        await office.told("evt_1", "refund.failed", back)
        await settle(office)
        assert await books(office, payment_id) == before
        assert sum((await debts(office, payment_id)).values()) == 0


@pytest.mark.parametrize("forgiven", [5, 12_335])
async def test_m38_a_debt_that_ends_on_no_ten_is_set_off_in_tens(
    tmp_path: Path, forgiven: int
) -> None:
    """An admin may forgive any part of it: the transfer is a multiple of ten all the same."""
    async with open_market(tmp_path, "kwd", fee=False) as office:
        payment_id = await office.completed(Money(12_340, "kwd"))
        await settle(office)
        vendor_id = (await office.payment(payment_id)).vendor_id
        office.stripe.spent.add(ACCOUNT)
        refund_id = await office.refunded(payment_id)
        await settle(office)
        await office.service.debt_forgiveness.forgive(ADMIN, vendor_id, refund_id, forgiven, "x")
        second = await transferred(office, vendor_id, Money(90_000, "kwd"))
        assert (await office.payment(second)).status is Status.COMPLETED
        left = (12_340 - forgiven) % 10
        assert await debts(office, payment_id) == {refund_id: left}
        third = await office.completed(Money(50_000, "kwd"), vendor_id)
        await settle(office)
        assert (await settlement_of(office, third)).settled_cents == 50_000
        await office.service.debt_forgiveness.forgive(ADMIN, vendor_id, refund_id, None, "x")
        assert await debts(office, payment_id) == {refund_id: 0}


async def test_m38_two_odd_debts_are_set_off_in_tens_together(tmp_path: Path) -> None:
    async with open_market(tmp_path, "kwd", fee=False) as office:
        vendor_id = await office.vendor()
        jobs = [await office.completed(Money(10_000, "kwd"), vendor_id) for _ in range(2)]
        await settle(office)
        office.stripe.spent.add(ACCOUNT)
        for payment_id in jobs:
            refund_id = await office.refunded(payment_id, 5_000)
            await settle(office)
            await office.service.debt_forgiveness.forgive(ADMIN, vendor_id, refund_id, 6, "x")
        assert list((await debts(office, jobs[0])).values()) == [4_994, 4_994]
        await transferred(office, vendor_id, Money(90_000, "kwd"))
        assert list((await debts(office, jobs[0])).values()) == [0, 8], "the oldest first"


async def test_m38_an_odd_dispute_beside_a_refund_is_taken_back_in_tens(tmp_path: Path) -> None:
    """Whoever disputes in another currency disputes an amount that ends on no ten."""
    async with open_market(tmp_path, "kwd", fee=False) as office:
        payment_id = await office.completed(Money(20_000, "kwd"))
        await settle(office)
        intent = (await office.payment(payment_id)).payment_intent or ""
        refund_id = await office.refund_requested(payment_id, 5_000)
        await office.service.refunds.approve(ADMIN, refund_id)
        due = office.clock.now() + timedelta(days=7)
        opened = office.stripe.open_dispute(intent, due, cents=3_335)
        await office.told("evt_1", "charge.dispute.created", opened)
        lost = office.stripe.dispute_becomes(opened.id, DisputeStatus.LOST)
        await office.told("evt_2", "charge.dispute.closed", lost)
        await settle(office)
        assert (await settlement_of(office, payment_id)).settled_cents == 20_000 - 5_000 - 3_330
        won = office.stripe.reinstate(opened.id)
        await office.told("evt_3", "charge.dispute.closed", won)
        await settle(office)
        assert (await settlement_of(office, payment_id)).settled_cents == 15_000
