"""Every flow in currencies without decimals, with three, and at the limits of Stripe's amounts.

Whatever happens to the money, what is sent to Stripe is a multiple of what Stripe takes (M38), the
books add up, and what people read has the currency's own decimals.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from roadcall_payments.domain.errors import InvalidInput
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Status
from roadcall_payments.domain.payout import Payout
from roadcall_payments.domain.stripe_objects import DisputeStatus, RefundStatus
from roadcall_payments.domain.stripe_objects import PayoutStatus as Theirs
from roadcall_payments.ports import Channel
from roadcall_payments.workflows.vendors import Contacts, VendorRecord
from tests.workflows.office import ACCOUNT, ADMIN, APPROVER, DISPATCHER, Office, open_office
from tests.workflows.payout_reading import bank_told, payout_of
from tests.workflows.settlement_reading import (
    books,
    debts,
    is_sound,
    settlement_of,
)

# Ours in minor units by ISO 4217; what Stripe is sent is another number for some.
SMALLEST = [Money(50, "usd"), Money(10, "kwd"), Money(1, "isk")]
ORDINARY = [Money(12_345, "jpy"), Money(12_340, "kwd"), Money(1_234_500, "mga")]
LARGEST = [
    Money(99_999_999, "usd"),
    Money(99_999_999, "jpy"),
    Money(99_999_990, "kwd"),
    Money(99_999_999_999, "idr"),
]
ALL = [*SMALLEST, *ORDINARY, *LARGEST]
# The smallest step of each that Stripe carries, ours and Stripe's own.
STEP = {"kwd": 10, "mga": 100}
STRIPES_STEP = {"kwd": 10, "isk": 100}
BANKS_STEP = {**STEP, "huf": 100}
BPS, FIXED = 1_290, 33


def floor(cents: int, currency: str) -> int:
    step = STEP.get(currency, 1)
    return cents // step * step


def fee_of(amount: Money) -> int:
    """12.9 % and 0.33 (of usd), rounded down, never more than there is."""
    fee = amount.amount_cents * BPS // 10_000 + FIXED
    return floor(min(fee, amount.amount_cents), amount.currency)


@asynccontextmanager
async def open_market(
    directory: Path, currency: str, *, returns_fee: bool = False, fee: bool = True
) -> AsyncIterator[Office]:
    terms: dict[str, object] = {"returns_platform_fee": returns_fee, "settlement": True}
    if fee:
        terms |= {"platform_fee_bps": BPS, "platform_fee_fixed_cents": FIXED}
    async with open_office(directory, None, **terms) as office:
        office.stripe.platform_funds[currency] = 10**13
        yield office
        for request in office.stripe.sent:
            sent = json.loads(request.params).get("amount")
            assert sent is None or sent > 0, request.params
            assert (sent or 0) % STRIPES_STEP.get(currency, 1) == 0, request.params
        assert await is_sound(office)


def named(amount: Money) -> str:
    return f"{amount.amount_cents} {amount.currency}"


in_every_currency = pytest.mark.parametrize("amount", ALL, ids=named)


async def settle(office: Office) -> None:
    """Until nothing is to be done any more: one call at a time."""
    for _ in range(4):
        await office.attend()


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


async def transferred(office: Office, vendor_id: str, amount: Money) -> str:
    """A back office's payment to the vendor."""
    payment_id = await office.created(PayerType.BACK_OFFICE, vendor_id, amount)
    if (await office.payment(payment_id)).flagged:
        await office.service.approvals.review(ADMIN, payment_id, True, None)
    answer = await office.service.approvals.approve(APPROVER, payment_id)
    if answer.payment.status is Status.PENDING_APPROVAL:
        await office.service.approvals.approve(ADMIN, payment_id)
    await office.service.payments.process(DISPATCHER, payment_id, None)
    return payment_id


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


LEAST = [Money(1_000, "jpy"), Money(1_000, "kwd")]


@pytest.mark.parametrize("amount", [*LEAST, *LARGEST], ids=named)
async def test_a_payout_is_made_paid_and_comes_back(tmp_path: Path, amount: Money) -> None:
    async with open_market(tmp_path, amount.currency) as office:
        vendor_id = await office.vendor()
        job = await transferred(office, vendor_id, amount) if amount in LARGEST else None
        office.clock.advance(60)
        office.stripe.fund(ACCOUNT, amount)
        asked = await office.service.payouts.request(ADMIN, vendor_id, amount)
        payout = asked.payout
        assert (asked.status, payout.amount) == (201, amount)
        await bank_told(office, payout, Theirs.IN_TRANSIT)
        await bank_told(office, payout, Theirs.PAID)
        advice = await office.service.payout_statement.advice(await payout_of(office, payout.id))
        carried = [(one.payment_id, one.carried) for one in advice.remittance.jobs]
        assert carried == ([(job, amount)] if job else [])
        assert_decimals(advice.words, amount.currency)
        await bank_told(office, payout, Theirs.FAILED, "account_closed")
        assert (await payout_of(office, payout.id)).amount == amount
        lines = await office.service.store.balances(ACCOUNT)
        bank = [one.amount_cents for one in lines if one.account == "bank"]
        assert bank in ([], [0]), "it came back"


@pytest.mark.parametrize(
    ("available", "paid"),
    [
        (Money(999, "jpy"), None),
        (Money(1_000, "jpy"), 1_000),
        (Money(1_009, "kwd"), 1_000),
        (Money(999, "kwd"), None),
        (Money(99_999_999, "kwd"), 99_999_990),
        (Money(123_456, "huf"), 123_400),
        (Money(1_099, "huf"), 1_000),
        (Money(12_345, "isk"), 12_345),
        (Money(123_456, "mga"), 123_400),
    ],
    ids=str,
)
async def test_a_daily_payout_takes_what_a_bank_takes(
    tmp_path: Path, available: Money, paid: int | None
) -> None:
    """The minimum of 1000 minor units is 10.00 usd, 1000 jpy, 1.000 kwd, unless it is set."""
    async with open_market(tmp_path, available.currency) as office:
        office.stripe.fund(ACCOUNT, available)
        made = await daily(office)
        assert [one.amount.amount_cents for one in made] == ([] if paid is None else [paid])
        left = office.stripe.funds(ACCOUNT).available
        assert left == (Money(available.amount_cents - (paid or 0), available.currency),)


async def test_the_least_payout_can_be_named_for_each_currency(tmp_path: Path) -> None:
    least = {"*": 1_000, "jpy": 1_500, "kwd": 3_000}
    async with open_office(tmp_path, payout_minimum_cents=least) as office:
        for one in (Money(1_499, "jpy"), Money(3_000, "kwd"), Money(1_000, "usd")):
            office.stripe.fund(ACCOUNT, one)
        assert {one.amount for one in await daily(office)} == {
            Money(3_000, "kwd"),
            Money(1_000, "usd"),
        }


async def daily(office: Office) -> list[Payout]:
    """The payouts that the daily hour made for a vendor who wants them."""
    contacts = Contacts("Tow & Go", None, None, None)
    record = VendorRecord(ACCOUNT, "en-US", contacts, pays_daily=True)
    await office.service.vendors.put(ADMIN, "ve_daily", record)
    await office.attend(timedelta(hours=18, seconds=1))
    page = await office.service.payout_statement.payouts("ve_daily", None, 100)
    return list(page.items)


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


@pytest.mark.parametrize(
    ("amount", "left"),
    [
        (Money(99_999_999, "jpy"), Money(1, "jpy")),
        (Money(99_999_990, "kwd"), Money(10, "kwd")),
        (Money(999_999, "isk"), Money(1, "isk")),
    ],
    ids=str,
)
async def test_a_transfer_waits_for_the_last_unit_of_its_funds(
    tmp_path: Path, amount: Money, left: Money
) -> None:
    async with open_office(tmp_path, funds_reserve_cents={"*": 700}) as office:
        office.stripe.platform_funds[amount.currency] = (
            amount.amount_cents + 700 - left.amount_cents
        )
        payment_id = await transferred(office, await office.vendor(), amount)
        assert (await office.payment(payment_id)).queued
        office.stripe.platform_funds[amount.currency] += left.amount_cents
        await office.service.transfers.attend()
        assert (await office.payment(payment_id)).status is Status.COMPLETED
        assert office.stripe.platform_funds[amount.currency] == 700


SYMBOLS = {"usd": r"\$", "jpy": "¥", "kwd": "KWD", "isk": "ISK", "idr": "IDR", "mga": "MGA"}
DECIMALS = {"usd": 2, "jpy": 0, "kwd": 3, "isk": 0, "idr": 2, "mga": 2}


def assert_decimals(text: str, currency: str) -> None:
    """Every amount in the text has the decimals of its currency, and there is one."""
    found = re.findall(rf"{SYMBOLS[currency]}\s?(\d[\d,]*(?:\.\d+)?)", text)
    assert found, text
    assert {len(one.partition(".")[2]) for one in found} == {DECIMALS[currency]}, text


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        (Money(12_345, "usd"), "$123.45"),
        (Money(12_345, "jpy"), "¥12,345"),
        (Money(12_340, "kwd"), "KWD12.340"),
        (Money(12_345, "isk"), "ISK12,345"),
    ],
)
async def test_every_mail_writes_an_amount_with_its_own_decimals(
    tmp_path: Path, amount: Money, written: str
) -> None:
    people: dict[str, object] = {
        "back_office_emails": "office@roadcall.example",
        "operations_emails": "ops@roadcall.example",
        "approver_emails": "boss@roadcall.example",
    }
    async with open_office(tmp_path, None, settlement=True, **people) as office:
        office.stripe.platform_funds[amount.currency] = 10**12
        payment_id = await office.completed(amount)
        await settle(office)
        vendor_id = (await office.payment(payment_id)).vendor_id
        intent = (await office.payment(payment_id)).payment_intent or ""
        opened = office.stripe.open_dispute(intent, office.clock.now() + timedelta(days=7))
        await office.told("evt_1", "charge.dispute.created", opened)
        await office.told("evt_2", "charge.dispute.closed", office.stripe.reinstate(opened.id))
        office.stripe.spent.add(ACCOUNT)
        await office.refunded(payment_id)
        await settle(office)
        await office.service.worker.work_off()
        await transferred(office, vendor_id, amount)
        office.stripe.fund(ACCOUNT, amount)
        payout = (await office.service.payouts.request(ADMIN, vendor_id, amount)).payout
        for status in (Theirs.IN_TRANSIT, Theirs.PAID):
            await bank_told(office, payout, status)
        await bank_told(office, payout, Theirs.FAILED, "account_closed")
        await office.service.worker.work_off()
        mails = [f"{one.content.subject}\n{one.content.text}" for one in office.sent(Channel.EMAIL)]
        whole = [one for one in mails if written in one.replace("\N{NO-BREAK SPACE}", "")]
        assert len(whole) >= 8, [one.splitlines()[0] for one in mails]
        for one in mails:
            assert str(amount.amount_cents) not in one, one
            assert_decimals(one, amount.currency)


@pytest.mark.parametrize(
    "amount",
    [
        Money(49, "usd"),
        Money(100_000_000, "usd"),
        Money(49, "jpy"),
        Money(100_000_000, "jpy"),
        Money(12_345, "kwd"),
        Money(100_000_000, "kwd"),
        Money(1_000_000, "isk"),
        Money(150, "mga"),
        Money(100, "xxx"),
    ],
    ids=named,
)
async def test_what_stripe_does_not_carry_is_refused_when_the_payment_is_made(
    office: Office, amount: Money
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await office.created(PayerType.DRIVER_IC, amount=amount)
    assert refused.value.code == "amount_not_carried"
