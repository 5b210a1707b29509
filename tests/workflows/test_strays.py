"""Money that no decision of ours moved (M16): what becomes of it afterwards is booked as well."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from roadcall_payments.commit import InboxStatus
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.stripe_objects import (
    BalanceTransaction,
    DisputeStatus,
    PaymentIntent,
    RefundStatus,
)
from tests.fakes.money_back import CREATED
from tests.workflows.office import ADMIN, Office
from tests.workflows.test_drift_repair import backed_up, pay, repaired, restored

SUSPENSE = ("acct_platform", "suspense:stray")


async def books(office: Office) -> dict[tuple[str, str], int]:
    lines = await office.service.store.balances()
    return {(line.book, line.account): line.amount_cents for line in lines}


def balance_line(office: Office, source: str, cents: int) -> BalanceTransaction:
    """Stripe's own books have a line for it."""
    amount, nothing, now = Money(cents, "usd"), Money(0, "usd"), office.clock.now()
    name = f"txn_{source}_{len(office.stripe.balance_lines)}"
    line = BalanceTransaction(name, "adjustment", source, amount, nothing, amount, now, now)
    office.stripe.balance_lines.append(line)
    return line


async def second_transfer(office: Office, payment_id: str) -> Payment:
    """The job is paid, and a second transfer of its attempt exists."""
    await pay(office, payment_id)
    (first,) = office.stripe.made_transfers.values()
    office.stripe.made_transfers["tr_second"] = replace(first, id="tr_second")
    return await office.payment(payment_id)


async def test_a_stray_transfers_reversal_leaves_suspense_and_not_the_job_unpaid(
    office: Office, tmp_path: Path
) -> None:
    payment_id = await office.approved(PayerType.BACK_OFFICE)
    backup = backed_up(tmp_path)
    paid = await second_transfer(office, payment_id)
    office.stripe.reverse("tr_second", 5_000, 7_500)
    async with restored(office, tmp_path, backup) as later:
        assert (await repaired(later)).passed
        payment = await later.payment(payment_id)
        assert (payment.transfer, payment.amount_reversed_cents) == (paid.transfer, 0)
        now = await books(later)
        assert now.get(SUSPENSE, 0) == 0
        assert now["acct_platform", "fleet_receivable:co_1"] == 12_500
        facts = await later.facts(payment_id)
        assert (await repaired(later)).passed
        assert await later.facts(payment_id) == facts, "each is booked once"
        assert await later.service.verification.verify(lambda _: None) == []


async def second_charge(office: Office, payment_id: str) -> PaymentIntent:
    """The job is paid, and a second PaymentIntent of its attempt took money as well."""
    await pay(office, payment_id)
    (first,) = office.stripe.intents.values()
    second = replace(first, id="pi_second", latest_charge="ch_second")
    office.stripe.intents[second.id] = second
    return second


async def test_a_dispute_of_a_stray_charge_is_followed_to_its_end(
    office: Office, tmp_path: Path
) -> None:
    payment_id = await office.approved(PayerType.DRIVER_IC)
    backup = backed_up(tmp_path)
    stray = await second_charge(office, payment_id)
    async with restored(office, tmp_path, backup) as later:
        await repaired(later)
        opened = later.stripe.open_dispute(stray.id, CREATED + timedelta(days=7))
        await later.told("evt_1", "charge.dispute.created", opened)
        (dispute,) = (await later.payment(payment_id)).disputes
        assert (dispute.charge, dispute.withheld_cents) == ("ch_second", 12_500)
        lost = later.stripe.dispute_becomes(opened.id, DisputeStatus.LOST)
        await later.told("evt_2", "charge.dispute.closed", lost)
        assert (await books(later)).get(SUSPENSE, 0) == 0
        assert await later.service.queries.find("ch_second") == [f"payment/{payment_id}"]


async def test_a_refund_of_a_stray_charge_leaves_suspense(office: Office, tmp_path: Path) -> None:
    payment_id = await office.approved(PayerType.DRIVER_IC)
    backup = backed_up(tmp_path)
    stray = await second_charge(office, payment_id)
    async with restored(office, tmp_path, backup) as later:
        await repaired(later)
        assert (await books(later))[SUSPENSE] == -12_500
        await later.told("evt_1", "refund.created", later.stripe.refund(stray.id, 12_500))
        assert (await books(later)).get(SUSPENSE, 0) == 0
        assert (await later.payment(payment_id)).amount_refunded_cents == 0


@asynccontextmanager
async def lost_payment(office: Office, directory: Path, payer: PayerType) -> AsyncIterator[Office]:
    """Created and paid after the backup: all that the restored books have of it is suspense."""
    backup = backed_up(directory)
    payment_id = await office.approved(payer)
    await pay(office, payment_id)
    for intent in office.stripe.intents.values():
        balance_line(office, intent.latest_charge or "", 12_500)
    for transfer in office.stripe.made_transfers:
        balance_line(office, transfer, -12_500)
    async with restored(office, directory, backup) as later:
        report = await repaired(later)
        assert report.passed
        assert [line.payment_id for line in report.strays] == [payment_id]
        await later.service.restore_guard.release(ADMIN)
        yield later


async def fate(office: Office, event_id: str) -> InboxStatus:
    kept = await office.service.store.inbox_event(event_id)
    assert kept is not None
    return kept.status


async def test_a_refund_of_a_lost_charge_leaves_suspense_once_its_line_is_there(
    office: Office, tmp_path: Path
) -> None:
    async with lost_payment(office, tmp_path, PayerType.DRIVER_IC) as later:
        (intent,) = later.stripe.intents
        made = later.stripe.refund(intent, 12_500)
        await later.told("evt_1", "refund.created", made)
        assert await fate(later, "evt_1") is InboxStatus.WAITING
        balance_line(later, made.id, -12_500)
        assert await later.service.webhook_inbox.retry_now("evt_1")
        assert await fate(later, "evt_1") is InboxStatus.APPLIED
        await later.told("evt_2", "refund.updated", made)
        assert not any((await books(later)).values())
        assert await later.service.verification.verify(lambda _: None) == []


async def test_a_refund_of_a_lost_charge_that_failed_is_in_suspense_again(
    office: Office, tmp_path: Path
) -> None:
    async with lost_payment(office, tmp_path, PayerType.DRIVER_IC) as later:
        (intent,) = later.stripe.intents
        made = later.stripe.refund(intent, 12_500)
        balance_line(later, made.id, -12_500)
        await later.told("evt_1", "refund.created", made)
        failed = later.stripe.refund_becomes(made.id, RefundStatus.FAILED)
        await later.told("evt_2", "refund.failed", failed)
        assert await fate(later, "evt_2") is InboxStatus.WAITING
        balance_line(later, made.id, 12_500)
        assert await later.service.webhook_inbox.retry_now("evt_2")
        await later.told("evt_3", "refund.updated", failed)
        now = await books(later)
        assert now["acct_platform", "stripe_balance"] == -now[SUSPENSE] == 12_500


async def test_a_refund_of_a_lost_charge_that_moved_nothing_yet_changes_nothing(
    office: Office, tmp_path: Path
) -> None:
    async with lost_payment(office, tmp_path, PayerType.DRIVER_IC) as later:
        (intent,) = later.stripe.intents
        made = later.stripe.refund(intent, 12_500, status=RefundStatus.PENDING)
        await later.told("evt_1", "refund.created", made)
        assert await fate(later, "evt_1") is InboxStatus.APPLIED
        assert (await books(later))[SUSPENSE] == -12_500


async def test_a_reversal_of_a_lost_transfer_leaves_suspense(
    office: Office, tmp_path: Path
) -> None:
    async with lost_payment(office, tmp_path, PayerType.BACK_OFFICE) as later:
        (transfer,) = later.stripe.made_transfers
        reversed_ = later.stripe.reverse(transfer, 12_500)
        balance_line(later, later.stripe.made_reversals[-1].id, 12_500)
        for event in ("evt_1", "evt_2"):
            await later.told(event, "transfer.reversed", reversed_)
            assert await fate(later, event) is InboxStatus.APPLIED
        assert not any((await books(later)).values())


async def test_a_dispute_of_a_lost_charge_is_booked_line_by_line(
    office: Office, tmp_path: Path
) -> None:
    async with lost_payment(office, tmp_path, PayerType.DRIVER_IC) as later:
        (intent,) = later.stripe.intents
        opened = later.stripe.open_dispute(intent, CREATED + timedelta(days=7))
        await later.told("evt_1", "charge.dispute.created", opened)
        now = await books(later)
        assert now.get(SUSPENSE, 0) == 0
        assert now["acct_platform", "stripe_fees"] == 1_500
        won = later.stripe.reinstate(opened.id)
        for event in ("evt_2", "evt_3"):
            await later.told(event, "charge.dispute.funds_reinstated", won)
        now = await books(later)
        assert now[SUSPENSE] == -12_500
        assert now["acct_platform", "stripe_balance"] == 11_000
        assert await later.service.verification.verify(lambda _: None) == []


async def test_m18_a_dispute_that_came_before_the_repair_is_booked_by_it(
    office: Office, tmp_path: Path
) -> None:
    backup = backed_up(tmp_path)
    await pay(office, await office.approved(PayerType.DRIVER_IC))
    (intent,) = office.stripe.intents.values()
    balance_line(office, intent.latest_charge or "", 12_500)
    opened = office.stripe.open_dispute(intent.id, CREATED + timedelta(days=7))
    async with restored(office, tmp_path, backup) as later:
        await later.told("evt_1", "charge.dispute.created", opened)
        assert await fate(later, "evt_1") is InboxStatus.WAITING
        assert (await repaired(later)).passed
        assert await fate(later, "evt_1") is InboxStatus.APPLIED
        assert (await books(later)).get(SUSPENSE, 0) == 0


async def test_a_lost_charge_that_stripe_converted_is_booked_by_its_line(
    office: Office, tmp_path: Path
) -> None:
    backup = backed_up(tmp_path)
    await pay(office, await office.approved(PayerType.DRIVER_IC))
    (intent,) = office.stripe.intents.values()
    euros, nothing = Money(11_400, "eur"), Money(0, "eur")
    line = replace(balance_line(office, intent.latest_charge or "", 12_500), amount=euros)
    office.stripe.balance_lines[:] = [replace(line, fee=nothing, net=euros)]
    async with restored(office, tmp_path, backup) as later:
        assert (await repaired(later)).passed
        now = await books(later)
        assert (now["acct_platform", "stripe_balance"], now[SUSPENSE]) == (11_400, -12_500)
