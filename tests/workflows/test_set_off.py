"""What a vendor owes is taken off its next transfers, once, and in their own commits (M22)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from roadcall_payments.commit import stream_of
from roadcall_payments.domain import debt_events as d
from roadcall_payments.domain import events as e
from roadcall_payments.domain.errors import InvalidInput
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Status
from roadcall_payments.domain.people import WORKER
from roadcall_payments.domain.stripe_objects import Operation, StripeFailure
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.ports import Channel, Queue, Refused
from roadcall_payments.workflows.vendors import Contacts, VendorRecord
from roadcall_payments.workflows.write_path import WritePath, Written
from tests.fakes.gateway import IDENTITY
from tests.workflows.office import ADMIN, APPROVER, DISPATCHER, Office, open_office

CONTACTS = Contacts("Tow & Go", None, None, None)
BACK_OFFICE = e.PayerType.BACK_OFFICE
TRANSFER = Operation.CREATE_TRANSFER
SOON = timedelta(seconds=31)
NOT_ALLOWED = Refused(StripeFailure("transfers_not_allowed", "Not allowed."), 400, "req_x", False)


async def owes(office: Office, vendor_id: str, *owed: Money) -> None:
    """The vendor was paid for jobs whose payers got their money back."""

    def decide(vendor: Vendor | None) -> tuple[d.VendorDebtIncurred, ...]:
        assert vendor is not None
        known = len(vendor.debts.owed)
        return tuple(
            d.VendorDebtIncurred(
                vendor_id,
                f"re_{known + n}",
                d.DebtCause.REFUND,
                f"pay_{known + n}",
                f"in_{known + n}",
                amount,
                IDENTITY.account,
                IDENTITY.livemode,
            )
            for n, amount in enumerate(owed, 1)
        )

    service = office.service
    path = WritePath(service.store, service.clock, service.ids)
    _: Written[Vendor] = await path.write(stream_of("vendor", vendor_id), decide, actor=WORKER)


async def ready(office: Office, vendor_id: str, amount: Money) -> str:
    payment_id = await office.created(BACK_OFFICE, vendor_id, amount)
    await office.service.approvals.approve(APPROVER, payment_id)
    return payment_id


async def vendor_of(office: Office, vendor_id: str) -> Vendor:
    return await office.service.vendors.get(vendor_id)


async def payable(office: Office, vendor_id: str) -> int:
    """What the books say we owe the vendor; negative: what it owes us. Without the debts' own
    origin, which these tests leave out."""
    lines = await office.service.store.balances(IDENTITY.account)
    return -sum(one.amount_cents for one in lines if one.account == f"vendor_payable:{vendor_id}")


@pytest.mark.parametrize(
    ("amount", "owed", "taken"),
    [
        (Money(12_500, "usd"), Money(4_000, "usd"), 4_000),
        (Money(12_501, "usd"), Money(50_000, "usd"), 6_250),
        (Money(9_999, "jpy"), Money(50_000, "jpy"), 4_999),
        (Money(12_510, "kwd"), Money(50_000, "kwd"), 6_250),
        (Money(240_000, "usd"), Money(99_999_999, "usd"), 120_000),
    ],
)
async def test_m22_a_transfer_is_less_by_what_the_vendor_owes_up_to_the_cap(
    office: Office, amount: Money, owed: Money, taken: int
) -> None:
    vendor_id = await office.vendor()
    await owes(office, vendor_id, owed)
    payment_id = await ready(office, vendor_id, amount)
    answer = await office.service.payments.process(DISPATCHER, payment_id, None)
    assert answer.payment.status is Status.COMPLETED
    (transfer,) = office.stripe.made_transfers.values()
    assert transfer.amount == Money(amount.amount_cents - taken, amount.currency)
    assert transfer.metadata["setOffCents"] == str(taken)
    vendor = await vendor_of(office, vendor_id)
    left = owed.amount_cents - taken
    assert vendor.debts.outstanding(owed.currency).amount_cents == left
    assert vendor.debts.reservations == ()
    assert await payable(office, vendor_id) == taken
    # Nothing but the debt's own origin is missing, and that is found.
    assert await office.service.verification.verify(lambda _: None) == [
        f"vendor/{vendor_id}: its debts are {left} {owed.currency}, but the books say that it owes "
        f"{-taken}"
    ]


async def test_m22_an_unknown_transfer_holds_what_it_reserved(office: Office) -> None:
    vendor_id = await office.vendor()
    await owes(office, vendor_id, Money(4_000, "usd"))
    first = await ready(office, vendor_id, Money(10_000, "usd"))
    second = await ready(office, vendor_id, Money(10_000, "usd"))
    office.stripe.lose_answer(TRANSFER)
    assert (await office.service.payments.process(DISPATCHER, first, None)).status == 202
    await office.service.payments.process(DISPATCHER, second, None)
    amounts = [one.amount.amount_cents for one in office.stripe.made_transfers.values()]
    assert amounts == [6_000, 10_000]
    assert (await vendor_of(office, vendor_id)).debts.owed[0].reserved_cents == 4_000
    await office.attend(SOON)
    assert (await office.payment(first)).status is Status.COMPLETED
    vendor = await vendor_of(office, vendor_id)
    assert (vendor.debts.owed[0].reserved_cents, vendor.debts.owed[0].set_off_cents) == (0, 4_000)
    assert len(office.stripe.made_transfers) == 2


async def test_m22_a_definite_failure_releases_what_was_reserved(office: Office) -> None:
    vendor_id = await office.vendor()
    await owes(office, vendor_id, Money(4_000, "usd"))
    payment_id = await ready(office, vendor_id, Money(10_000, "usd"))
    office.stripe.script(TRANSFER, NOT_ALLOWED)
    assert (await office.service.payments.process(DISPATCHER, payment_id, None)).status == 400
    assert (await vendor_of(office, vendor_id)).debts.owed[0].free_cents == 4_000

    await owes(office, vendor_id, Money(500, "usd"))
    await office.service.payments.retry(DISPATCHER, payment_id)
    await office.service.payments.process(DISPATCHER, payment_id, None)
    (transfer,) = office.stripe.made_transfers.values()
    assert transfer.amount == Money(5_500, "usd")
    assert (await vendor_of(office, vendor_id)).debts.outstanding("usd").amount_cents == 0
    names = await vendor_facts(office, vendor_id)
    assert names[-5:] == [
        "DebtReserved",
        "DebtReleased",
        "VendorDebtIncurred",
        "DebtReserved",
        "DebtSetOff",
    ]


async def vendor_facts(office: Office, vendor_id: str) -> list[str]:
    entries = await office.service.store.journal(stream_of("vendor", vendor_id))
    return [entry.type for entry in entries]


async def test_m22_two_payments_at_once_never_set_off_one_debt(office: Office) -> None:
    vendor_id = await office.vendor()
    await owes(office, vendor_id, Money(4_000, "usd"), Money(1_000, "usd"))
    payments = [await ready(office, vendor_id, Money(6_000, "usd")) for _ in range(4)]
    await asyncio.gather(
        *(office.service.payments.process(DISPATCHER, one, None) for one in payments)
    )
    amounts = sorted(one.amount.amount_cents for one in office.stripe.made_transfers.values())
    assert amounts == [3_000, 4_000, 6_000, 6_000]
    assert await payable(office, vendor_id) == 5_000


async def test_the_vendor_is_told_what_went_out_and_what_was_kept(office: Office) -> None:
    vendor_id = await office.vendor()
    await owes(office, vendor_id, Money(4_000, "usd"))
    payment_id = await ready(office, vendor_id, Money(10_000, "usd"))
    await office.service.payments.process(DISPATCHER, payment_id, None)
    await office.service.worker.work(Queue.OUTBOX)
    await office.service.worker.work(Queue.NOTICES)
    mail = office.sent(Channel.EMAIL)[-1].content
    assert mail.subject == "We have sent $60.00 to your Stripe account"
    assert "we kept $40.00 for what you owe us" in mail.text


@pytest.mark.parametrize(("cap_bps", "taken"), [(0, 0), (2_500, 2_500), (10_000, 9_999)])
async def test_a_vendors_own_cap_counts_for_transfers_and_is_on_its_statement(
    office: Office, cap_bps: int, taken: int
) -> None:
    vendor_id = await office.vendor()
    record = VendorRecord("acct_capped", "en-US", CONTACTS, debt_cap_bps=cap_bps)
    await office.service.vendors.put(ADMIN, vendor_id, record)
    await owes(office, vendor_id, Money(50_000, "usd"))
    payment_id = await ready(office, vendor_id, Money(10_000, "usd"))
    await office.service.payments.process(DISPATCHER, payment_id, None)
    (transfer,) = office.stripe.made_transfers.values()
    assert transfer.amount.amount_cents == 10_000 - taken
    told = await office.service.vendor_statements.statement(vendor_id, None)
    assert told.statement.set_off_cap_bps == cap_bps


async def test_a_vendors_own_cap_counts_for_shares(tmp_path: Path) -> None:
    async with open_office(tmp_path, settlement=True) as office:
        vendor_id = await office.vendor()
        record = VendorRecord("acct_capped", "en-US", CONTACTS, debt_cap_bps=1_000)
        await office.service.vendors.put(ADMIN, vendor_id, record)
        await owes(office, vendor_id, Money(50_000, "usd"))
        await office.completed(vendor_id=vendor_id)
        await office.attend()
        (share,) = office.stripe.made_transfers.values()
        assert share.amount.amount_cents == 12_500 - 1_250
        for odd in (-1, 10_001):
            odd_record = VendorRecord(None, "en-US", CONTACTS, debt_cap_bps=odd)
            with pytest.raises(InvalidInput) as refused:
                await office.service.vendors.put(ADMIN, vendor_id, odd_record)
            assert refused.value.field == "debtCapBps"
