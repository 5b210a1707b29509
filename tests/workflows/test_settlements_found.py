"""Shares that Stripe has and the books do not: after a restore, or asked for by a person (M18)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from roadcall_payments.domain.errors import InvalidInput, StatusForbids, StripeUnavailable
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.settlement import Step
from roadcall_payments.domain.stripe_objects import RefundStatus
from roadcall_payments.ports import Answered, Unknown, UnknownReason
from roadcall_payments.stores.sqlite.backup import restoring
from roadcall_payments.workflows.movements_switch import MovementsSwitch
from tests.workflows.office import ADMIN, Office, open_office
from tests.workflows.settlement_reading import (
    REVERSAL,
    SHARE,
    TRANSFER,
    books,
    is_sound,
    open_settling_office,
    sent,
    settled,
    settlement_of,
)
from tests.workflows.test_drift_repair import backed_up, pay


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_settling_office(tmp_path) as opened:
        yield opened


async def repaired(later: Office) -> None:
    report = await later.service.drift_repair.repair(ADMIN)
    assert report.passed
    switch: MovementsSwitch = later.service.movements_switch
    await switch.release(ADMIN)


@pytest.mark.parametrize("started", [False, True])
async def test_m18_a_share_that_a_restore_lost_never_goes_out_again(
    office: Office, tmp_path: Path, started: bool
) -> None:
    payment_id = await office.completed()
    if started:
        # The backup knows of the call and not of its answer.
        office.stripe.lose_answer(TRANSFER)
        await office.attend()
    backup = backed_up(tmp_path)
    await office.attend(timedelta(minutes=2))
    assert len(office.stripe.made_transfers) == 1
    database = tmp_path / "restored" / "roadcall.sqlite"
    with restoring(backup, database):
        pass
    kept: dict[str, object] = {"platform_fee_bps": 1_000, "platform_fee_fixed_cents": 30}
    async with open_office(database.parent, office, settlement=True, **kept) as later:
        await later.service.restore_guard.hold(ADMIN, "restored from Monday's")
        await later.attend()
        await repaired(later)
        await later.attend(timedelta(days=2))
        assert len(later.stripe.made_transfers) == 1
        assert await books(later, payment_id) == {"fees": 1_280, "earnings": SHARE}
        assert await is_sound(later)


async def test_m18_what_came_back_after_the_backup_is_not_taken_twice(
    office: Office, tmp_path: Path
) -> None:
    payment_id = await settled(office)
    backup = backed_up(tmp_path)
    await office.refunded(payment_id, 5_000)
    await office.attend()
    [made] = office.stripe.made_refunds.values()
    [share] = office.stripe.made_transfers.values()
    office.stripe.listed = [
        office.stripe.event("evt_1", "refund.created", made),
        office.stripe.event("evt_2", "transfer.reversed", share),
    ]
    database = tmp_path / "restored" / "roadcall.sqlite"
    with restoring(backup, database):
        pass
    async with open_office(database.parent, office, settlement=True) as later:
        await later.service.restore_guard.hold(ADMIN, "restored from Monday's")
        await repaired(later)
        before = len(sent(later, REVERSAL))
        await later.attend(timedelta(days=2))
        assert len(sent(later, REVERSAL)) == before
        assert await books(later, payment_id) == {"fees": 1_280, "earnings": SHARE - 5_000}
        assert await is_sound(later)


async def test_a_person_has_stripe_asked_about_an_unknown_share(office: Office) -> None:
    office.stripe.lose_answer(TRANSFER)
    payment_id = await office.completed()
    await office.attend()
    asked = await office.service.inquiry.settle(ADMIN, payment_id)
    assert asked.settled
    assert (await settlement_of(office, payment_id)).settled_cents == SHARE
    with pytest.raises(StatusForbids):
        await office.service.inquiry.settle(ADMIN, payment_id)


async def test_evidence_of_a_share_is_fetched_and_compared(office: Office) -> None:
    other_id = await settled(office)
    [other] = office.stripe.made_transfers.values()
    office.stripe.lose_answer(TRANSFER)
    payment_id = await office.completed()
    await office.attend()
    with pytest.raises(InvalidInput):
        await office.service.inquiry.settle(ADMIN, payment_id, other.id)
    own = next(one for one in office.stripe.made_transfers.values() if one.id != other.id)
    assert (await office.service.inquiry.settle(ADMIN, payment_id, own.id)).settled
    assert (await settlement_of(office, other_id)).settled_cents == SHARE


async def test_m21_the_plan_of_a_refund_tells_what_comes_back_and_what_is_owed(
    office: Office,
) -> None:
    payment_id = await settled(office)
    refund_id = await office.refund_requested(payment_id)
    payment = await office.payment(payment_id)
    refund = payment.refund(refund_id)
    assert refund is not None
    plan = await office.service.refunds.plan(payment, refund)
    assert plan is not None
    assert plan.reversed_from_vendor == Money(SHARE, "usd")
    assert plan.platform_fee_returned == Money(0, "usd")
    assert plan.vendor_debt == Money(1_280, "usd")
    await office.service.refunds.approve(ADMIN, refund_id)
    await office.attend()
    assert (await books(office, payment_id))["payable"] == -plan.vendor_debt.amount_cents


async def test_the_plan_takes_nothing_back_of_what_was_held_back(office: Office) -> None:
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id, 2_000)
    await office.attend()
    payment = await office.payment(payment_id)
    refund = payment.refund(refund_id)
    assert refund is not None
    plan = await office.service.refunds.plan(payment, refund)
    assert plan is not None
    assert plan.reversed_from_vendor == plan.vendor_debt == Money(0, "usd")


async def test_our_fee_is_kept_once_where_a_share_that_was_given_up_went_out_after_all(
    office: Office,
) -> None:
    """A machine that slept with the request in hand (M8): Stripe's word counts, late as it is."""
    office.stripe.script(TRANSFER, Unknown(UnknownReason.TIMEOUT, "no answer"))
    payment_id = await office.completed()
    await office.attend()
    office.stripe.lists_down = StripeUnavailable("The lists are down.")
    await office.attend(timedelta(hours=23))
    office.stripe.lists_down = None
    for hours in (1, 2, 2):
        await office.attend(timedelta(hours=hours))
    assert sent(office) == [f"settlement_{payment_id}", f"settlement_{payment_id}_2"]
    first = (await settlement_of(office, payment_id)).transfers[0]
    assert first.status is Step.FAILED
    assert first.request is not None
    late = await office.stripe.send(first.request, first_try=True, budget_s=1.0)
    assert isinstance(late, Answered)
    await office.told("evt_late", "transfer.created", late.object)
    settlement = await settlement_of(office, payment_id)
    assert (settlement.fee_cents, settlement.settled_cents) == (1_280, 2 * SHARE)
    assert await books(office, payment_id) == {
        "payable": -SHARE,
        "fees": 1_280,
        "earnings": 2 * SHARE,
    }
    await office.attend()
    assert (await office.payment(payment_id)).anomalies == ("vendor_overpaid",)
    assert await is_sound(office)


@pytest.mark.parametrize("status", [RefundStatus.PENDING, RefundStatus.REQUIRES_ACTION])
async def test_a_refund_of_stray_money_that_is_under_way_holds_no_share_back(
    office: Office, tmp_path: Path, status: RefundStatus
) -> None:
    """The payer was charged twice, and somebody gives the second charge back in the dashboard."""
    payment_id = await office.approved(PayerType.DRIVER_IC)
    backup = backed_up(tmp_path)
    await pay(office, payment_id)
    [first] = office.stripe.intents.values()
    second = replace(first, id="pi_second", latest_charge="ch_second")
    office.stripe.intents[second.id] = second
    database = tmp_path / "restored" / "roadcall.sqlite"
    with restoring(backup, database):
        pass
    async with open_office(database.parent, office, settlement=True) as later:
        await later.service.restore_guard.hold(ADMIN, "restored from Monday's")
        await repaired(later)
        back = later.stripe.refund(second.id, 12_500, status=status)
        await later.told("evt_1", "refund.created", back)
        await later.attend(timedelta(days=2))
        payment = await later.payment(payment_id)
        assert payment.strays == ("ch_second",)
        assert payment.refundable == payment.amount
        assert (await settlement_of(later, payment_id)).settled_cents == 12_500
        done = later.stripe.refund_becomes(back.id, RefundStatus.SUCCEEDED)
        await later.told("evt_2", "refund.updated", done)
        await later.attend(timedelta(days=2))
        assert sent(later, REVERSAL) == []
        assert await is_sound(later)
