"""A vendor's statement: where its money went, and what it owes us, in figures and in words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roadcall_payments.domain.debt_events import DebtCause
from roadcall_payments.domain.errors import InvalidInput, NotFound, StatusForbids
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.statement import Account, DebtStep, LineKind, Statement
from roadcall_payments.domain.stripe_objects import PayoutStatus, StripeFailure
from roadcall_payments.notifications.rendering import FileTemplates
from roadcall_payments.ports import Refused
from roadcall_payments.workflows.vendor_statement import VendorStatements
from roadcall_payments.workflows.vendors import Contacts, VendorRecord
from tests.workflows.office import ACCOUNT, ADMIN, APPROVER, DISPATCHER, Office, open_office
from tests.workflows.payout_reading import bank_told
from tests.workflows.settlement_reading import REVERSAL, SHARE, open_settling_office

NO_MONEY_LEFT = Refused(
    StripeFailure("balance_insufficient", "Not enough."), 400, "req_x", replayed=False
)
MONTH = 31 * 86_400


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_settling_office(tmp_path) as opened:
        yield opened


async def statement(office: Office, vendor_id: str, month: str | None = None) -> Statement:
    told = await office.service.vendor_statements.statement(vendor_id, month)
    for one in told.statement.accounts:
        _adds_up(one)
    return told.statement


def _adds_up(account: Account) -> None:
    moved = sum(line.net.amount_cents for line in account.lines)
    assert account.opening.amount_cents + moved == account.closing.amount_cents
    for line in account.lines:
        if line.kind in (LineKind.SHARE, LineKind.TRANSFER):
            assert line.net == line.earned - line.fee - line.set_off
    signs = {DebtStep.INCURRED: 1, DebtStep.EXCEEDED: 0}
    owed = sum(signs.get(one.step, -1) * one.amount.amount_cents for one in account.debt_lines)
    assert account.owed_before.amount_cents + owed == account.owed.amount_cents
    assert sum(one.outstanding_cents for one in account.debts) == account.owed.amount_cents


async def words(office: Office, vendor_id: str, month: str | None = None) -> str:
    told = await office.service.vendor_statements.statement(vendor_id, month)
    return told.words


async def owing(office: Office, amount: Money, vendor_id: str | None = None) -> str:
    """A vendor whose job was refunded after its share had gone on to its bank; its id."""
    payment_id = await office.completed(amount, vendor_id)
    await office.attend()
    office.stripe.script(REVERSAL, NO_MONEY_LEFT)
    await office.refunded(payment_id)
    await office.attend()
    return (await office.payment(payment_id)).vendor_id


async def paid_for(office: Office, vendor_id: str, amount: Money) -> str:
    payment_id = await office.created(PayerType.BACK_OFFICE, vendor_id, amount)
    await office.service.approvals.approve(APPROVER, payment_id)
    await office.service.payments.process(DISPATCHER, payment_id, None)
    return payment_id


@pytest.mark.parametrize(
    ("job", "next_job", "kept", "told"),
    [
        (
            Money(20_000, "usd"),
            Money(10_000, "usd"),
            5_000,
            ("$200.00", "$50.00 kept of the payment", "$150.00 of $200.00", "$50.00, paid for"),
        ),
        (
            Money(20_000, "jpy"),
            Money(9_999, "jpy"),
            4_999,
            ("¥20,000", "¥4,999 kept of the payment", "¥15,001 of ¥20,000", "¥5,000, paid for"),
        ),
        (
            Money(20_000, "kwd"),
            Money(10_010, "kwd"),
            5_000,
            ("KWD20.000", "KWD5.000 kept", "KWD15.000 of KWD20.000", "KWD5.010, paid for"),
        ),
    ],
)
async def test_a_debt_larger_than_the_next_transfer_is_explained(
    tmp_path: Path, job: Money, next_job: Money, kept: int, told: tuple[str, ...]
) -> None:
    async with open_office(tmp_path, settlement=True) as office:
        vendor_id = await owing(office, job)
        await paid_for(office, vendor_id, next_job)
        (account,) = (await statement(office, vendor_id)).accounts
        share, transfer = account.lines
        assert (share.kind, share.net, share.earned) == (LineKind.SHARE, job, job)
        assert (transfer.kind, transfer.earned) == (LineKind.TRANSFER, next_job)
        assert transfer.set_off == Money(kept, next_job.currency)
        incurred, set_off = account.debt_lines
        assert (incurred.step, incurred.amount, incurred.cause) == (
            DebtStep.INCURRED,
            job,
            DebtCause.REFUND,
        )
        assert (set_off.step, set_off.amount.amount_cents) == (DebtStep.SET_OFF, kept)
        assert set_off.incident_id == share.incident_id
        assert set_off.from_incident_id == transfer.incident_id
        assert account.owed == Money(job.amount_cents - kept, job.currency)
        text = (await words(office, vendor_id)).replace("\N{NO-BREAK SPACE}", "")
        for part in told:
            assert part in text
        assert f"it pays what you owed us for a refund of job {share.incident_id}" in text
        assert "at most 50% of each, until it is paid" in text
        assert await office.service.verification.verify(lambda _: None) == []


async def test_a_month_tells_fees_take_backs_and_payouts_and_the_next_begins_where_it_ended(
    office: Office,
) -> None:
    payment_id = await office.completed()
    await office.attend()
    vendor_id = (await office.payment(payment_id)).vendor_id
    first = office.clock.now().strftime("%Y-%m")
    office.stripe.fund(ACCOUNT, Money(50_000, "usd"))
    payout = await office.service.payouts.request(ADMIN, vendor_id, Money(4_000, "usd"))
    await bank_told(office, payout.payout, PayoutStatus.PAID)
    office.clock.advance(1)
    refund_id = await office.refunded(payment_id, 2_000)
    await office.attend()
    (account,) = (await statement(office, vendor_id)).accounts
    assert [(one.kind, one.net.amount_cents) for one in account.lines] == [
        (LineKind.SHARE, SHARE),
        (LineKind.PAID_OUT, -4_000),
        (LineKind.TAKEN_BACK, -2_000),
    ]
    assert account.lines[0].fee == Money(1_280, "usd")
    assert (account.lines[1].payout_id, account.lines[2].cause_id) == (payout.payout.id, refund_id)
    assert account.closing == Money(SHARE - 6_000, "usd")
    office.clock.advance(MONTH)
    (later,) = (await statement(office, vendor_id)).accounts
    assert (later.opening, later.lines) == (account.closing, ())
    await bank_told(office, payout.payout, PayoutStatus.FAILED, "account_closed")
    (later,) = (await statement(office, vendor_id)).accounts
    assert [one.kind for one in later.lines] == [LineKind.CAME_BACK]
    assert later.closing == account.closing + Money(4_000, "usd")
    assert "came back from your bank: The bank account has been closed.\n" in await words(
        office, vendor_id
    )
    # What came after it changes no month that is over.
    (again,) = (await statement(office, vendor_id, first)).accounts
    assert again == account


async def test_a_statement_is_in_the_vendors_language(office: Office) -> None:
    vendor_id = await owing(office, Money(20_000, "usd"))
    record = VendorRecord(ACCOUNT, "es-US", Contacts("Tow & Go", None, None, None))
    await office.service.vendors.put(ADMIN, vendor_id, record)
    text = await words(office, vendor_id)
    assert "Aún debe por un reembolso por el servicio" in text
    assert "No tiene que enviarnos nada." in text


async def test_a_month_that_holds_too_much_or_has_not_begun_has_no_statement(
    office: Office,
) -> None:
    vendor_id = await office.vendor()
    with pytest.raises(InvalidInput):
        await statement(office, vendor_id, "2099-01")
    with pytest.raises(NotFound):
        await statement(office, "ve_none")
    assert (await statement(office, vendor_id, "2020-02")).accounts == ()
    assert (await statement(office, vendor_id, "2020-12")).until == datetime(2021, 1, 1, tzinfo=UTC)
    for _ in range(2):
        await paid_for(office, vendor_id, Money(5_000, "usd"))
    service = office.service
    short = VendorStatements(service.store, service.clock, FileTemplates(), 5_000, lines_max=1)
    with pytest.raises(StatusForbids) as refused:
        await short.statement(vendor_id, None)
    assert refused.value.code == "statement_too_long"


async def moved_to(office: Office, vendor_id: str, account: str) -> None:
    office.clock.advance(60)
    record = VendorRecord(account, "en-US", Contacts("Tow & Go", None, None, None))
    await office.service.vendors.put(ADMIN, vendor_id, record)


async def test_a_statement_is_of_all_accounts_that_the_vendor_had(office: Office) -> None:
    vendor_id = await office.vendor()
    await paid_for(office, vendor_id, Money(5_000, "usd"))
    await moved_to(office, vendor_id, "acct_new")
    await paid_for(office, vendor_id, Money(3_000, "usd"))
    office.clock.advance(60)
    left = office.stripe.pay_out(ACCOUNT, Money(4_000, "usd"), created=office.clock.now())
    shown = office.stripe.payout_becomes(left.id, PayoutStatus.PAID)
    body = office.stripe.event("evt_paid", "payout.paid", shown, ACCOUNT)
    await office.service.webhook_inbox.take(body, "t=1,v1=good")
    told = await statement(office, vendor_id)
    (account,) = told.accounts
    assert [(one.stripe_account, one.net.amount_cents) for one in account.lines] == [
        (ACCOUNT, 5_000),
        ("acct_new", 3_000),
        (ACCOUNT, -4_000),
    ]
    assert (account.opening.amount_cents, account.closing.amount_cents) == (0, 4_000)
    assert (told.stripe_account, told.stripe_accounts) == ("acct_new", ("acct_new", ACCOUNT))
    assert f"the balances are of acct_new, {ACCOUNT} together" in await words(office, vendor_id)
    payouts = office.service.payout_statement
    first = await payouts.payouts(vendor_id, None, 10)
    rest = await payouts.payouts(vendor_id, first.next_cursor, 10)
    assert [one.id for one in (*first.items, *rest.items)] == [left.id]
    assert rest.next_cursor is None


async def test_what_another_vendor_does_with_an_account_is_in_its_own_statement(
    office: Office,
) -> None:
    vendor_id, second = await office.vendor(), await office.vendor("acct_second")
    month = office.clock.now().strftime("%Y-%m")
    await paid_for(office, vendor_id, Money(5_000, "usd"))
    await moved_to(office, vendor_id, "acct_new")
    before = await statement(office, vendor_id)
    await moved_to(office, second, ACCOUNT)
    await paid_for(office, second, Money(2_000, "usd"))
    after = await statement(office, vendor_id)
    assert [one.lines for one in after.accounts] == [one.lines for one in before.accounts]
    assert after.accounts[0].closing == Money(5_000, "usd")
    (taken,) = (await statement(office, second)).accounts
    assert sum(one.net.amount_cents for one in taken.lines) == 7_000
    office.clock.advance(MONTH)
    assert (await statement(office, vendor_id)).accounts == ()
    assert (await statement(office, vendor_id, month)).accounts == after.accounts


async def test_an_account_that_comes_back_is_counted_once(office: Office) -> None:
    vendor_id = await office.vendor()
    await paid_for(office, vendor_id, Money(5_000, "usd"))
    for account in ("acct_new", ACCOUNT, "acct_third", ACCOUNT):
        await moved_to(office, vendor_id, account)
    told = await statement(office, vendor_id)
    assert told.stripe_accounts == (ACCOUNT,)
    assert told.accounts[0].closing == Money(5_000, "usd")


async def test_what_stripe_took_from_the_bank_for_a_balance_below_zero_is_told_as_that(
    office: Office,
) -> None:
    vendor_id = await office.vendor()
    taken = office.stripe.pay_out(ACCOUNT, Money(-2_500, "usd"), created=office.clock.now())
    for number, status in enumerate((PayoutStatus.PAID, PayoutStatus.FAILED)):
        shown = office.stripe.payout_becomes(taken.id, status, "declined" if number else None)
        body = office.stripe.event(f"evt_{number}", "payout.updated", shown, ACCOUNT)
        await office.service.webhook_inbox.take(body, "t=1,v1=good")
        office.clock.advance(60)
    text = await words(office, vendor_id)
    assert "$25.00, taken from your bank, for your Stripe balance was below zero" in text
    assert "-$25.00, given back to your bank: The bank declined it." in text
    advice = await office.service.payout_statement.advice(
        await office.service.payouts.get(taken.id)
    )
    assert "Stripe takes $25.00 from your bank account" in advice.words
