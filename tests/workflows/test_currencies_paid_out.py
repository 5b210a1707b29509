"""What goes out to banks, waits for funds, and is written to people: without decimals, with three,
and at the limits (M38)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from roadcall_payments.domain.errors import InvalidInput
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Status
from roadcall_payments.domain.payout import Payout
from roadcall_payments.domain.stripe_objects import PayoutStatus as Theirs
from roadcall_payments.ports import Channel
from roadcall_payments.workflows.vendors import Contacts, VendorRecord
from tests.workflows.market import (
    LARGEST,
    assert_decimals,
    named,
    open_market,
    settle,
    transferred,
)
from tests.workflows.office import ACCOUNT, ADMIN, Office, open_office
from tests.workflows.payout_reading import bank_told, payout_of

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
