"""M18, second half: what a restored service may do, and how its books learn what they lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from roadcall_payments.commit import stream_of
from roadcall_payments.domain.errors import (
    BrokenInvariant,
    CredentialsRejected,
    MovementsPaused,
    StatusForbids,
)
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.payment import Status
from roadcall_payments.domain.stripe_objects import (
    BalanceTransaction,
    Operation,
    PaymentIntent,
    StripeIdentity,
)
from roadcall_payments.ports import CreatedWindow, Unknown, UnknownReason
from roadcall_payments.stores.sqlite.backup import back_up, restoring
from roadcall_payments.workflows.drift_repair import DriftReport
from tests.workflows.office import ADMIN, APPROVER, DISPATCHER, DRIVER, Office, open_office


@asynccontextmanager
async def restored(office: Office, directory: Path, backup: Path) -> AsyncIterator[Office]:
    """The backup in a service of its own, held, at the same Stripe."""
    database = directory / "restored" / "roadcall.sqlite"
    with restoring(backup, database):
        pass
    async with open_office(database.parent, office) as later:
        await later.service.restore_guard.hold(ADMIN, "restored from Monday's")
        yield later


def backed_up(directory: Path) -> Path:
    file = directory / "backup.sqlite"
    back_up(directory / "roadcall.sqlite", file)
    return file


async def repaired(office: Office) -> DriftReport:
    return await office.service.drift_repair.repair(ADMIN)


async def pay(office: Office, payment_id: str) -> None:
    await office.service.payments.process(DISPATCHER, payment_id, None)
    if (await office.payment(payment_id)).payer_type is PayerType.DRIVER_IC:
        await office.service.payments.confirm(DRIVER, payment_id, "pm_card_visa")


async def moved(office: Office) -> int:
    return len(office.stripe.made_transfers) + len(office.stripe.intents)


async def test_m18_nothing_is_sent_while_held_and_nobody_gives_up_a_payment(
    office: Office, tmp_path: Path
) -> None:
    transfer = await office.approved(PayerType.BACK_OFFICE)
    pending = await office.created(PayerType.BACK_OFFICE)
    unanswered = await office.approved(PayerType.BACK_OFFICE)
    office.stripe.script(
        Operation.CREATE_TRANSFER, Unknown(UnknownReason.TIMEOUT, "no answer in time")
    )
    await office.service.payments.process(DISPATCHER, unanswered, None)
    async with restored(office, tmp_path, backed_up(tmp_path)) as later:
        sent = len(later.stripe.sent)
        payments, approvals = later.service.payments, later.service.approvals
        for refused in (
            payments.process(DISPATCHER, transfer, None),
            payments.cancel(ADMIN, transfer, "no"),
            approvals.reject(APPROVER, pending, None),
        ):
            with pytest.raises(MovementsPaused) as held:
                await refused
            assert held.value.code == "held_after_restore"
        # Approving moves nothing; an open call of the backup is looked for, and not repeated.
        await approvals.approve(APPROVER, pending)
        await later.attend(after=timedelta(minutes=5))
        assert len(later.stripe.sent) == sent
        await repaired(later)
        await later.service.restore_guard.release(ADMIN)
        await later.attend(after=timedelta(minutes=2))
        assert (await later.payment(unanswered)).status is Status.COMPLETED
        assert later.stripe.sent[-1].idempotency_key == f"transfer_{unanswered}"


@pytest.mark.parametrize("payer", list(PayerType))
async def test_m18_a_payment_approved_in_the_backup_and_paid_after_it_is_paid_once(
    office: Office, tmp_path: Path, payer: PayerType
) -> None:
    payment_id = await office.approved(payer)
    backup = backed_up(tmp_path)
    await pay(office, payment_id)
    async with restored(office, tmp_path, backup) as later:
        made = await moved(later)
        report = await repaired(later)
        assert [line.payment_id for line in report.adopted] == [payment_id]
        assert (await later.payment(payment_id)).status is Status.COMPLETED
        assert "AttemptAdopted" in await later.facts(payment_id)
        await later.service.restore_guard.release(ADMIN)
        with pytest.raises(StatusForbids):
            await later.service.payments.process(DISPATCHER, payment_id, None)
        assert await moved(later) == made


async def test_m6_a_retry_after_the_backup_is_adopted_under_its_own_number(
    office: Office, tmp_path: Path
) -> None:
    payment_id = await office.approved(PayerType.BACK_OFFICE)
    office.stripe.script(
        Operation.CREATE_TRANSFER, Unknown(UnknownReason.TIMEOUT, "no answer in time")
    )
    await office.service.payments.process(DISPATCHER, payment_id, None)
    await office.attend(after=timedelta(hours=24))
    await office.attend(after=timedelta(hours=2))
    assert (await office.payment(payment_id)).status is Status.FAILED
    backup = backed_up(tmp_path)
    await office.service.payments.retry(DISPATCHER, payment_id)
    await pay(office, payment_id)
    async with restored(office, tmp_path, backup) as later:
        assert (await repaired(later)).passed
        payment = await later.payment(payment_id)
        assert (payment.status, payment.attempts) == (Status.COMPLETED, 2)


async def test_a_lost_approval_does_not_let_it_be_paid_again(
    office: Office, tmp_path: Path
) -> None:
    payment_id = await office.created(PayerType.BACK_OFFICE)
    backup = backed_up(tmp_path)
    await office.service.approvals.approve(APPROVER, payment_id)
    await pay(office, payment_id)
    async with restored(office, tmp_path, backup) as later:
        await repaired(later)
        payment = await later.payment(payment_id)
        assert payment.status is Status.COMPLETED
        assert payment.anomalies == ("approval_lost",)


async def test_m16_money_of_a_lost_payment_goes_to_suspense_with_what_came_back(
    office: Office, tmp_path: Path
) -> None:
    await office.vendor()
    backup = backed_up(tmp_path)
    payment_id = await office.approved(PayerType.BACK_OFFICE)
    await pay(office, payment_id)
    (transfer,) = office.stripe.made_transfers.values()
    office.stripe.reverse(transfer.id, 2_500)
    (reversal,) = office.stripe.made_reversals
    now = office.clock.now()
    nothing = replace(transfer.amount, amount_cents=0)
    for source, amount in ((transfer.id, -transfer.amount), (reversal.id, reversal.amount)):
        line = BalanceTransaction(
            f"txn_{source}", "transfer", source, amount, nothing, amount, now, now
        )
        office.stripe.balance_lines.append(line)
    async with restored(office, tmp_path, backup) as later:
        first, second = await repaired(later), await repaired(later)
        assert [line.object_id for line in first.strays] == [transfer.id, reversal.id]
        assert (second.strays, second.passed) == ([], True), "the second repair finds it booked"
        balances = {
            (line.book, line.account): line.amount_cents
            for line in await later.service.store.balances()
        }
    assert balances == {
        ("acct_platform", "stripe_balance"): -10_000,
        ("acct_platform", "suspense:stray"): 10_000,
        (transfer.destination, "stripe_balance"): 10_000,
        (transfer.destination, "earnings"): -10_000,
    }


async def test_a_lost_payment_intent_that_can_still_be_paid_needs_a_person_first(
    office: Office, tmp_path: Path
) -> None:
    await office.vendor()
    backup = backed_up(tmp_path)
    lost = await office.opened()
    async with restored(office, tmp_path, backup) as later:
        report = await repaired(later)
        assert [line.payment_id for line in report.problems] == [lost]
        with pytest.raises(StatusForbids, match="repair-drift"):
            await later.service.restore_guard.release(ADMIN)
        await office.service.payments.cancel(ADMIN, lost, "cancelled at Stripe")
        assert (await repaired(later)).passed
        await later.service.restore_guard.release(ADMIN)


async def test_an_event_that_came_after_the_backup_is_taken_again(
    office: Office, tmp_path: Path
) -> None:
    """A reversal of a transfer that is older than the backup is known by its event alone."""
    payment_id = await office.approved(PayerType.BACK_OFFICE)
    await pay(office, payment_id)
    backup = backed_up(tmp_path)
    (transfer,) = office.stripe.made_transfers.values()
    reversed_ = office.stripe.reverse(transfer.id, 2_500)
    office.stripe.listed.append(office.stripe.event("evt_1", "transfer.reversed", reversed_))

    async def too_old(_window: CreatedWindow) -> list[object]:
        return []

    office.stripe.transfers_created = too_old  # type: ignore[method-assign, assignment] # older than the window
    async with restored(office, tmp_path, backup) as later:
        report = await repaired(later)
        assert report.events == 1
        assert (await later.payment(payment_id)).amount_reversed_cents == 2_500
        assert (await repaired(later)).passed


async def test_m18_another_accounts_key_repairs_nothing(office: Office, tmp_path: Path) -> None:
    payment_id = await office.opened()
    backup = backed_up(tmp_path)
    async with restored(office, tmp_path, backup) as later:
        later.stripe.speaks_for = StripeIdentity("acct_other", livemode=False)
        report = await repaired(later)
        assert payment_id in [line.payment_id for line in report.problems]
        assert not report.passed


async def test_m18_a_key_that_changes_underneath_ends_the_repair(
    office: Office, tmp_path: Path
) -> None:
    backup = backed_up(tmp_path)
    async with restored(office, tmp_path, backup) as later:

        async def swapped(_window: CreatedWindow) -> list[PaymentIntent]:
            later.stripe.speaks_for = StripeIdentity("acct_other", livemode=False)
            return []

        later.stripe.payment_intents = swapped  # type: ignore[method-assign, assignment] # the key is replaced meanwhile
        with pytest.raises(CredentialsRejected):
            await repaired(later)
        with pytest.raises(StatusForbids):
            await later.service.restore_guard.release(ADMIN)


async def test_a_list_that_is_too_long_is_asked_for_in_halves(
    office: Office, tmp_path: Path
) -> None:
    payment_id = await office.approved(PayerType.BACK_OFFICE)
    backup = backed_up(tmp_path)
    await pay(office, payment_id)
    transfers = list(office.stripe.made_transfers.values())
    asked: list[timedelta] = []

    async def bounded(window: CreatedWindow) -> list[object]:
        asked.append(window.end - window.start)
        if asked[-1] > timedelta(minutes=8):
            raise BrokenInvariant("too many", code="list_too_long")
        return list(transfers)

    office.stripe.transfers_created = bounded  # type: ignore[method-assign, assignment] # Stripe's limit
    async with restored(office, tmp_path, backup) as later:
        assert (await repaired(later)).passed
        assert len(asked) > 2
        assert (await later.payment(payment_id)).status is Status.COMPLETED


async def test_a_stranger_with_other_metadata_is_left_alone(office: Office, tmp_path: Path) -> None:
    await office.vendor()
    backup = backed_up(tmp_path)
    payment_id = await office.approved(PayerType.BACK_OFFICE)
    await pay(office, payment_id)
    for name, transfer in list(office.stripe.made_transfers.items()):
        office.stripe.made_transfers[name] = replace(transfer, metadata={"order": "7"})
    async with restored(office, tmp_path, backup) as later:
        report = await repaired(later)
        assert (report.objects, report.strays, report.passed) == (0, [], True)


async def test_without_a_hold_there_is_nothing_to_repair_or_release(office: Office) -> None:
    with pytest.raises(StatusForbids):
        await repaired(office)
    with pytest.raises(StatusForbids):
        await office.service.restore_guard.release(ADMIN)


async def test_a_new_hold_needs_a_repair_of_its_own(office: Office) -> None:
    guard = office.service.restore_guard
    await guard.hold(ADMIN, "restored")
    await repaired(office)
    office.clock.advance(60)
    await guard.hold(ADMIN, "restored once more")
    with pytest.raises(StatusForbids, match="repair-drift"):
        await guard.release(ADMIN)


async def test_what_the_repair_did_stands_in_the_journal(office: Office) -> None:
    await office.service.restore_guard.hold(ADMIN, "restored")
    await repaired(office)
    await office.service.restore_guard.release(ADMIN)
    entries = await office.service.store.journal(stream_of("control", "movements"))
    assert [entry.type for entry in entries] == ["MovementsHeld", "DriftRepaired", "HoldReleased"]
    assert {entry.actor for entry in entries} == {str(ADMIN)}
