"""Daily payouts: one a day for each vendor and currency, at the hour, however many workers look."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from roadcall_payments.domain.errors import StripeUnavailable
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payout import Payout, PayoutStatus
from roadcall_payments.domain.stripe_objects import StripeFailure, StripeRequest
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.ports import Outcome, Refused
from roadcall_payments.workflows.vendors import Contacts, VendorRecord
from tests.workflows.office import ACCOUNT, ADMIN, Office
from tests.workflows.payout_reading import PAYOUT

DAY = timedelta(days=1)
# The office opens at noon; the hour is six.
TO_THE_HOUR = timedelta(hours=18, seconds=1)


class Crash(BaseException):
    """The process dies here."""


async def daily_vendor(office: Office, *, daily: bool = True) -> Vendor:
    contacts = Contacts("Tow & Go", None, None, None)
    record = VendorRecord(ACCOUNT, "en-US", contacts, pays_daily=daily)
    return await office.service.vendors.put(ADMIN, "ve_daily", record)


async def made(office: Office) -> list[Payout]:
    page = await office.service.payout_statement.payouts("ve_daily", None, 100)
    return list(reversed(page.items))


async def test_a_balance_is_paid_out_once_a_day_at_the_hour(office: Office) -> None:
    office.stripe.fund(ACCOUNT, Money(5_000, "usd"))
    await daily_vendor(office)
    await office.attend(timedelta(hours=17))
    assert await made(office) == []
    await office.attend(timedelta(hours=1, seconds=1))
    (first,) = await made(office)
    assert (first.amount, first.day) == (Money(5_000, "usd"), "2026-03-03")
    office.stripe.fund(ACCOUNT, Money(3_000, "usd"))
    await office.attend(timedelta(hours=12))
    assert len(await made(office)) == 1
    await office.attend(timedelta(hours=12))
    assert [one.amount.amount_cents for one in await made(office)] == [5_000, 3_000]
    assert await office.service.verification.verify(lambda _: None) == []


async def test_each_currency_has_its_own_and_small_change_waits(office: Office) -> None:
    for money in (Money(999, "usd"), Money(12_345, "kwd"), Money(1_000, "jpy")):
        office.stripe.fund(ACCOUNT, money)
    await daily_vendor(office)
    await office.attend(TO_THE_HOUR)
    assert {one.amount for one in await made(office)} == {
        Money(12_340, "kwd"),
        Money(1_000, "jpy"),
    }
    entries = await office.service.store.journal("vendor/ve_daily")
    assert entries[-1].type == "PayoutDayClosed"
    assert b'"not_made":["usd:below_minimum"]' in entries[-1].data


async def test_two_workers_make_one_payout(office: Office) -> None:
    office.stripe.fund(ACCOUNT, Money(5_000, "usd"))
    vendor = await daily_vendor(office)
    office.clock.advance(TO_THE_HOUR.total_seconds())
    schedule = office.service.payout_schedule
    await asyncio.gather(*(schedule.attended(vendor) for _ in range(3)))
    await schedule.attended(vendor)
    assert len(await made(office)) == len(office.stripe.made_payouts) == 1
    entries = await office.service.store.journal("vendor/ve_daily")
    assert [entry.type for entry in entries].count("PayoutDayClosed") == 1


async def test_a_refused_one_is_over_and_the_next_day_is_another(office: Office) -> None:
    office.stripe.fund(ACCOUNT, Money(5_000, "usd"))
    await daily_vendor(office)
    failure = StripeFailure("bank_account_unusable", "The bank account is errored.")
    office.stripe.script(PAYOUT, Refused(failure, 400, "req_1", replayed=False))
    await office.attend(TO_THE_HOUR)
    await office.attend(timedelta(hours=2))
    assert [one.failure_code for one in await made(office)] == ["bank_account_unusable"]
    await office.attend(DAY)
    assert [one.day for one in await made(office)] == ["2026-03-03", "2026-03-04"]


@pytest.mark.parametrize("why", ["paused", "outage", "connect switched off"])
async def test_what_was_held_goes_out_when_it_ends(office: Office, why: str) -> None:
    office.stripe.fund(ACCOUNT, Money(5_000, "usd"))
    await daily_vendor(office)
    if why == "paused":
        await office.service.movements_switch.pause(ADMIN, "an incident")
    elif why == "connect switched off":
        office.stripe.connect = False
    else:
        office.stripe.down = StripeUnavailable("down")
    await office.attend(TO_THE_HOUR)
    assert await made(office) == []
    await office.service.movements_switch.resume(ADMIN)
    office.stripe.down, office.stripe.connect = None, True
    await office.attend(timedelta(minutes=2))
    assert len(await made(office)) == 1


async def test_a_vendor_on_manual_payouts_is_left_alone(office: Office) -> None:
    office.stripe.fund(ACCOUNT, Money(5_000, "usd"))
    await daily_vendor(office)
    await daily_vendor(office, daily=False)
    await office.attend(TO_THE_HOUR + DAY)
    assert await made(office) == []


async def test_an_account_that_stripe_shows_no_more_ends_the_day_and_not_the_schedule(
    office: Office,
) -> None:
    office.stripe.fund(ACCOUNT, Money(5_000, "usd"))
    await daily_vendor(office)
    office.stripe.strangers.add(ACCOUNT)
    await office.attend(TO_THE_HOUR)
    assert await made(office) == []
    for _ in range(40):
        await office.attend(timedelta(hours=1))
    office.stripe.strangers.clear()
    await office.attend(DAY)
    assert [one.amount.amount_cents for one in await made(office)] == [5_000]


async def test_the_balance_of_another_vendors_account_is_not_paid_out(office: Office) -> None:
    """One that was named while Stripe could not be asked whose it is."""
    office.stripe.fund(ACCOUNT, Money(5_000, "usd"))
    await office.vendor()
    office.stripe.down = StripeUnavailable("down")
    await daily_vendor(office)
    office.stripe.down = None
    await office.attend(TO_THE_HOUR)
    assert office.stripe.made_payouts == {}
    entries = await office.service.store.journal("vendor/ve_daily")
    assert b'"not_made":["account_taken"]' in entries[-1].data


async def test_clocks_that_differ_about_the_day_make_no_second_payout(office: Office) -> None:
    """Two workers around midnight, each with a day of its own; the money is there once."""
    office.stripe.fund(ACCOUNT, Money(5_000, "usd"))
    await daily_vendor(office)
    schedule = office.service.payout_schedule
    vendor = await office.service.vendors.get("ve_daily")
    office.clock.advance((TO_THE_HOUR + DAY).total_seconds())
    await schedule.attended(vendor)
    office.clock.advance(-DAY.total_seconds())
    await schedule.attended(vendor)
    office.clock.advance(DAY.total_seconds())
    await schedule.attended(await office.service.vendors.get("ve_daily"))
    assert [one.amount.amount_cents for one in await made(office)] == [5_000]


async def test_a_balance_that_shrank_since_it_was_read_is_refused_by_stripe_and_tried_next_day(
    office: Office,
) -> None:
    office.stripe.fund(ACCOUNT, Money(5_000, "usd"))
    await daily_vendor(office)
    short = StripeFailure("balance_insufficient", "You have insufficient funds.")
    office.stripe.script(PAYOUT, Refused(short, 400, "req_1", replayed=False))
    await office.attend(TO_THE_HOUR)
    office.stripe.fund(ACCOUNT, Money(3_000, "usd"))
    await office.attend(DAY)
    assert [(one.amount.amount_cents, one.failure_code) for one in await made(office)] == [
        (5_000, "balance_insufficient"),
        (3_000, None),
    ]


async def test_a_crash_between_the_days_payout_and_its_close_makes_no_second_one(
    office: Office,
) -> None:
    """Committed, and never sent: the day's ref is held, and the payout itself goes out."""
    office.stripe.fund(ACCOUNT, Money(5_000, "usd"))
    vendor = await daily_vendor(office)
    office.clock.advance(TO_THE_HOUR.total_seconds())

    def dies(request: StripeRequest) -> Outcome:
        raise Crash

    office.stripe.script(PAYOUT, dies)
    with pytest.raises(Crash):
        await office.service.payout_schedule.attended(vendor)
    assert [one.answer_open for one in await made(office)] == [True]
    for _ in range(3):
        await office.attend(timedelta(minutes=1))
    (one,) = await made(office)
    assert (one.status, one.day) == (PayoutStatus.PENDING, "2026-03-03")
    assert len(office.stripe.made_payouts) == 1
    assert await office.service.verification.verify(lambda _: None) == []
