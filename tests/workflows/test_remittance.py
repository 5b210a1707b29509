"""Which jobs a payout carried: as Stripe says of its own payouts, first in, first out for ours."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.payout import Payout
from roadcall_payments.domain.stripe_objects import BalanceTransaction, CarriedLine
from roadcall_payments.domain.stripe_objects import PayoutStatus as Theirs
from roadcall_payments.ports import Channel
from roadcall_payments.workflows.vendors import Contacts, VendorRecord
from tests.fakes.gateway import GOOD_SIGNATURE
from tests.fakes.money_back import CREATED
from tests.workflows.office import ACCOUNT, ADMIN, APPROVER, DISPATCHER, Office, open_office
from tests.workflows.payout_reading import PAYOUT, TIMEOUT, bank_told, payout_of


async def earned(office: Office, vendor_id: str, cents: int, currency: str = "usd") -> str:
    """A back office's payment to the vendor, a minute after the one before."""
    office.clock.advance(60)
    amount = Money(cents, currency)
    payment_id = await office.created(PayerType.BACK_OFFICE, vendor_id, amount)
    await office.service.approvals.approve(APPROVER, payment_id)
    await office.service.payments.process(DISPATCHER, payment_id, None)
    return payment_id


async def paid_out(office: Office, vendor_id: str, cents: int, currency: str = "usd") -> Payout:
    office.clock.advance(60)
    office.stripe.fund(ACCOUNT, Money(99_999_990, currency))
    answer = await office.service.payouts.request(ADMIN, vendor_id, Money(cents, currency))
    return answer.payout


async def carried(office: Office, payout: Payout) -> list[tuple[str, int]]:
    advice = await office.service.payout_statement.advice(await payout_of(office, payout.id))
    return [(job.payment_id, job.carried.amount_cents) for job in advice.remittance.jobs]


async def other(office: Office, payout: Payout) -> int:
    advice = await office.service.payout_statement.advice(await payout_of(office, payout.id))
    return advice.remittance.other.amount_cents


async def test_what_came_first_is_paid_out_first_and_a_job_may_be_split(office: Office) -> None:
    vendor_id = await office.vendor()
    jobs = [await earned(office, vendor_id, cents) for cents in (5_000, 3_000, 2_000)]
    first = await paid_out(office, vendor_id, 6_000)
    late = await earned(office, vendor_id, 4_000)
    second = await paid_out(office, vendor_id, 5_000)
    assert await carried(office, first) == [(jobs[0], 5_000), (jobs[1], 1_000)]
    assert await carried(office, second) == [(jobs[1], 2_000), (jobs[2], 2_000), (late, 1_000)]
    advice = await office.service.payout_statement.advice(first)
    assert [job.partly for job in advice.remittance.jobs] == [False, True]


async def test_a_job_that_a_payout_carried_whole_stays_whole_where_some_came_back_since(
    office: Office,
) -> None:
    vendor_id = await office.vendor()
    job = await office.payment(await earned(office, vendor_id, 5_000))
    first = await paid_out(office, vendor_id, 5_000)
    office.clock.advance(60)
    assert job.transfer is not None
    await office.told("evt_b", "transfer.reversed", office.stripe.reverse(job.transfer, 2_000))
    late = await earned(office, vendor_id, 4_000)
    second = await paid_out(office, vendor_id, 2_000)
    assert await carried(office, second) == [(job.id, -2_000), (late, 4_000)]
    for payout in (first, second):
        advice = await office.service.payout_statement.advice(payout)
        assert not any(one.partly for one in advice.remittance.jobs)
        assert "a part of it" not in advice.words


def lines_of(office: Office, payment: Payment, available_on: datetime) -> BalanceTransaction:
    """Stripe's line for the payment's charge, whose money it holds back till then."""
    fee, now = Money(0, payment.amount.currency), office.clock.now()
    return BalanceTransaction(
        f"txn_{payment.charge}",
        "charge",
        payment.charge,
        payment.amount,
        fee,
        payment.amount,
        now,
        available_on,
    )


async def test_a_job_whose_money_stripe_still_holds_back_is_in_no_payout_yet(
    tmp_path: Path,
) -> None:
    async with open_office(tmp_path, settlement=True) as office:
        vendor_id = await office.vendor()
        held = await office.completed(vendor_id=vendor_id)
        free = office.clock.now() + timedelta(days=2)
        office.stripe.balance_lines.append(lines_of(office, await office.payment(held), free))
        for _ in range(3):
            await office.attend(timedelta(minutes=1))
        assert (await office.payment(held)).charge_available_on == free
        at_once = await earned(office, vendor_id, 5_000)
        first = await paid_out(office, vendor_id, 5_000)
        assert await carried(office, first) == [(at_once, 5_000)]
        office.stripe.fund(ACCOUNT, Money(0, "usd"), pending_cents=12_500)
        balance = await office.service.payout_statement.balance(vendor_id)
        assert balance.funds[0].pending_until == free
        assert "$125.00 becomes available by March 4, 2026" in balance.words
        office.clock.advance(3 * 86_400)
        second = await paid_out(office, vendor_id, 12_500)
        assert await carried(office, second) == [(held, 12_500)]
        await office.service.worker.work_off()
        (mail,) = [one for one in office.sent(Channel.EMAIL) if "share" in one.content.text]
        assert "It is available from March 4, 2026. Your next payout after that" in (
            mail.content.text
        )


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (None, "$40.00 is on its way to your bank; it should arrive on March 4, 2026."),
        (Theirs.PAID, "$40.00 was paid to your bank on March 4, 2026."),
        (Theirs.FAILED, "is in your Stripe balance. Reason: The bank account has been closed."),
        (Theirs.CANCELED, "was cancelled: the money stayed in your Stripe balance."),
    ],
)
async def test_the_advice_says_where_the_money_is(
    office: Office, status: Theirs | None, said: str
) -> None:
    payout = await paid_out(office, await office.vendor(), 4_000)
    if status is not None:
        code = "account_closed" if status is Theirs.FAILED else None
        await bank_told(office, payout, status, code)
    advice = await office.service.payout_statement.advice(await payout_of(office, payout.id))
    assert said in advice.words


async def test_a_payout_that_stripe_may_not_have_is_not_told_as_on_its_way(office: Office) -> None:
    office.stripe.script(PAYOUT, TIMEOUT)
    payout = await paid_out(office, await office.vendor(), 4_000)
    advice = await office.service.payout_statement.advice(payout)
    assert "whether it is on its way is not known yet" in advice.words


async def test_a_balance_below_zero_and_a_daily_vendors_are_told_as_such(office: Office) -> None:
    office.stripe.fund(ACCOUNT, Money(-2_500, "usd"))
    record = VendorRecord(ACCOUNT, "en-US", Contacts("Tow & Go", None, None, None), pays_daily=True)
    await office.service.vendors.put(ADMIN, "ve_daily", record)
    balance = await office.service.payout_statement.balance("ve_daily")
    assert "Your Stripe balance is $25.00 below zero" in balance.words
    assert "goes to your bank by itself, every day" in balance.words


async def test_what_was_taken_back_is_told_with_its_job(office: Office) -> None:
    vendor_id = await office.vendor()
    payment_id = await earned(office, vendor_id, 5_000)
    transfer = (await office.payment(payment_id)).transfer or ""
    office.clock.advance(60)
    await office.told("evt_1", "transfer.reversed", office.stripe.reverse(transfer, 1_500))
    payout = await paid_out(office, vendor_id, 3_500)
    advice = await office.service.payout_statement.advice(payout)
    (job,) = advice.remittance.jobs
    assert (job.earned, job.reversed, job.carried) == (
        Money(5_000, "usd"),
        Money(1_500, "usd"),
        Money(3_500, "usd"),
    )
    assert not job.partly
    assert advice.remittance.other == Money(0, "usd")
    assert "Earned $50.00, taken back $15.00" in advice.words


async def test_a_payout_that_came_back_gives_its_jobs_to_the_next(office: Office) -> None:
    vendor_id = await office.vendor()
    jobs = [await earned(office, vendor_id, 2_000) for _ in range(2)]
    first = await paid_out(office, vendor_id, 2_000)
    between = await paid_out(office, vendor_id, 1_000)
    await bank_told(office, first, Theirs.PAID)
    office.clock.advance(60)
    await bank_told(office, first, Theirs.FAILED, "account_closed")
    again = await paid_out(office, vendor_id, 2_000)
    assert await carried(office, first) == [(jobs[0], 2_000)]
    assert await carried(office, between) == [(jobs[1], 1_000)], "the past does not change"
    assert await carried(office, again) == [(jobs[0], 2_000)]


async def test_money_that_no_job_explains_is_told_as_such(office: Office) -> None:
    vendor_id = await office.vendor()
    payment_id = await earned(office, vendor_id, 2_000)
    payout = await paid_out(office, vendor_id, 5_000)
    assert await carried(office, payout) == [(payment_id, 2_000)]
    assert await other(office, payout) == 3_000


async def test_each_currency_has_a_queue_of_its_own(office: Office) -> None:
    vendor_id = await office.vendor()
    dollars = await earned(office, vendor_id, 2_000)
    dinars = await earned(office, vendor_id, 12_340, "kwd")
    yen = await earned(office, vendor_id, 5_000, "jpy")
    for payment_id, cents, currency in (
        (yen, 5_000, "jpy"),
        (dinars, 12_340, "kwd"),
        (dollars, 2_000, "usd"),
    ):
        payout = await paid_out(office, vendor_id, cents, currency)
        assert await carried(office, payout) == [(payment_id, cents)]


async def test_of_an_automatic_payout_stripe_says_what_it_took(office: Office) -> None:
    vendor_id = await office.vendor()
    payments = [await earned(office, vendor_id, cents) for cents in (2_000, 3_000)]
    transfers = [(await office.payment(one)).transfer for one in payments]
    made = office.stripe.pay_out(ACCOUNT, Money(2_700, "usd"))
    office.stripe.carried[made.id] = (
        _line("payment", 3_000, transfers[1]),
        _line("payment_refund", -500, transfers[1]),
        _line("adjustment", 200, None),
        _line("payout", -2_700, None),
    )
    body = office.stripe.event("evt_1", "payout.created", made, ACCOUNT)
    await office.service.webhook_inbox.take(body, GOOD_SIGNATURE)
    payout = await payout_of(office, made.id)
    assert await carried(office, payout) == [(payments[1], 2_500)]
    assert await other(office, payout) == 200


def _line(kind: str, cents: int, transfer: str | None) -> CarriedLine:
    moved, nothing = Money(cents, "usd"), Money(0, "usd")
    line = BalanceTransaction(
        f"txn_{kind}_{cents}", kind, None, moved, nothing, moved, CREATED, CREATED
    )
    return CarriedLine(line, transfer)


async def test_the_vendor_is_told_on_the_way_at_the_bank_and_when_it_came_back(
    office: Office,
) -> None:
    vendor_id = await office.vendor()
    await earned(office, vendor_id, 4_000)
    payout = await paid_out(office, vendor_id, 4_000)
    for status in (Theirs.IN_TRANSIT, Theirs.PAID):
        await bank_told(office, payout, status)
    await bank_told(office, payout, Theirs.FAILED, "account_closed")
    await office.service.worker.work_off()
    mails = [one for one in office.sent(Channel.EMAIL) if "bank" in one.content.subject]
    assert [one.content.subject for one in mails] == [
        "$40.00 is on its way to your bank",
        "$40.00 has been paid to your bank",
        "Your bank did not take $40.00",
    ]
    assert all("Job in_" in one.content.text for one in mails)
    assert "should arrive on March 4, 2026" in mails[0].content.text
    assert "The bank account has been closed." in mails[2].content.text
    assert "back in your Stripe balance" in mails[2].content.text


async def test_the_back_office_hears_why_with_the_jobs(tmp_path: Path) -> None:
    address = "office@roadcall.example"
    async with open_office(tmp_path, back_office_emails=address) as office:
        vendor_id = await office.vendor()
        await earned(office, vendor_id, 4_000)
        payout = await paid_out(office, vendor_id, 4_000)
        await bank_told(office, payout, Theirs.FAILED, "no_account")
        await office.service.worker.work_off()
        (mail,) = [one for one in office.sent(Channel.EMAIL) if one.to == address]
        assert "The bank has no account with these details" in mail.content.text
        assert "Job in_" in mail.content.text


async def test_a_balance_is_told_with_what_is_on_its_way(office: Office) -> None:
    vendor_id = await office.vendor()
    payout = await paid_out(office, vendor_id, 4_000)
    office.stripe.fund(ACCOUNT, Money(1_050, "usd"), pending_cents=250)
    balance = await office.service.payout_statement.balance(vendor_id)
    (funds,) = balance.funds
    assert (funds.available, funds.pending, funds.on_the_way) == (
        Money(1_050, "usd"),
        Money(250, "usd"),
        Money(4_000, "usd"),
    )
    assert [one.id for one in balance.on_the_way] == [payout.id]
    assert balance.words.startswith(
        "$10.50 is available, $2.50 becomes available later, $40.00 is on its way to your bank."
    )
    assert "March 4, 2026" in balance.words
    nobody = await office.vendor(account=None)
    assert "no money" in (await office.service.payout_statement.balance(nobody)).words


async def test_payouts_are_listed_newest_first_page_by_page(office: Office) -> None:
    vendor_id = await office.vendor()
    made = [await paid_out(office, vendor_id, 1_000 + number) for number in range(5)]
    statement = office.service.payout_statement
    page = await statement.payouts(vendor_id, None, 3)
    assert [one.id for one in page.items] == [one.id for one in made[:1:-1]]
    rest = await statement.payouts(vendor_id, page.next_cursor, 3)
    assert [one.id for one in rest.items] == [one.id for one in made[1::-1]]
    assert rest.next_cursor is None
