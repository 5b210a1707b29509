"""What of a share comes back, and goes out again: refunds, disputes, debts (M20, M21, M22)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from roadcall_payments.domain.errors import SettlementUnderWay
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import (
    DisputeStatus,
    Operation,
    RefundStatus,
)
from roadcall_payments.ports import Unknown, UnknownReason
from tests.workflows.office import ACCOUNT, ADMIN, Office, open_office
from tests.workflows.settlement_reading import (
    REVERSAL,
    SHARE,
    SOON,
    TRANSFER,
    books,
    debts,
    is_sound,
    open_settling_office,
    sent,
    settled,
    settlement_of,
)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_settling_office(tmp_path) as opened:
        yield opened


async def test_m20_what_is_asked_back_stays_here_and_goes_out_when_it_is_rejected(
    office: Office,
) -> None:
    payment_id = await office.completed()
    refund_id = await office.refund_requested(payment_id, 2_000)
    await office.attend()
    assert (await settlement_of(office, payment_id)).settled_cents == SHARE - 2_000
    await office.service.refunds.reject(ADMIN, refund_id, None)
    await office.attend()
    assert sent(office) == [f"settlement_{payment_id}", f"settlement_{payment_id}_2"]
    assert await books(office, payment_id) == {"fees": 1_280, "earnings": SHARE}
    assert await is_sound(office)


async def test_m20_a_refund_waits_for_an_unknown_share(office: Office) -> None:
    office.stripe.lose_answer(TRANSFER)
    payment_id = await office.completed()
    await office.attend()
    refund_id = await office.refund_requested(payment_id, 2_000)
    with pytest.raises(SettlementUnderWay) as waits:
        await office.service.refunds.approve(ADMIN, refund_id)
    assert waits.value.retry_after_s == 5
    await office.attend(SOON)
    assert (await office.service.refunds.approve(ADMIN, refund_id)).status == 200


async def test_m20_a_refund_asked_for_while_the_share_is_sent_is_taken_back(
    office: Office,
) -> None:
    payment_id = await office.completed()

    async def meanwhile() -> None:
        await office.refund_requested(payment_id, 2_000)

    office.stripe.during(TRANSFER, meanwhile)
    await office.attend()
    assert (await settlement_of(office, payment_id)).settled_cents == SHARE
    [refund] = (await office.payment(payment_id)).refunds
    await office.service.refunds.approve(ADMIN, refund.id)
    await office.attend()
    assert sent(office, REVERSAL) == [f"reversal_{refund.id}"]
    assert await books(office, payment_id) == {"fees": 1_280, "earnings": SHARE - 2_000}


async def test_m21_the_share_comes_back_after_the_refund_succeeded(office: Office) -> None:
    payment_id = await settled(office)
    refund_id = await office.refunded(payment_id, 5_000)
    assert sent(office, REVERSAL) == []
    await office.attend()
    assert sent(office, REVERSAL) == [f"reversal_{refund_id}"]
    payment = await office.payment(payment_id)
    assert payment.reversals == tuple(one.id for one in office.stripe.made_reversals)
    assert await books(office, payment_id) == {"fees": 1_280, "earnings": SHARE - 5_000}
    assert await debts(office, payment_id) == {}
    assert await is_sound(office)


async def test_m21_no_reversal_while_the_refund_is_pending(office: Office) -> None:
    payment_id = await settled(office)
    refund_id = await office.refund_requested(payment_id, 5_000)
    office.stripe.lose_answer(Operation.CREATE_REFUND)
    await office.service.refunds.approve(ADMIN, refund_id)
    await office.attend()
    assert sent(office, REVERSAL) == []
    await office.attend(SOON)
    await office.attend()
    assert sent(office, REVERSAL) == [f"reversal_{refund_id}"]


async def test_a_whole_refund_leaves_our_fee_as_the_vendors_debt(office: Office) -> None:
    payment_id = await settled(office)
    refund_id = await office.refunded(payment_id)
    await office.attend()
    [reversal] = office.stripe.made_reversals
    assert reversal.amount == Money(SHARE, "usd")
    assert await debts(office, payment_id) == {f"{refund_id}_2": 1_280}
    assert await books(office, payment_id) == {"payable": -1_280, "fees": 1_280}
    assert await is_sound(office)


async def test_the_fee_goes_back_in_proportion_where_that_is_the_policy(tmp_path: Path) -> None:
    kept: dict[str, object] = {"platform_fee_bps": 1_000, "returns_platform_fee": True}
    async with open_office(tmp_path, None, settlement=True, **kept) as office:
        payment_id = await office.completed()
        await office.attend()
        await office.refunded(payment_id, 2_501)
        await office.attend()
        assert await books(office, payment_id) == {"fees": 1_000, "earnings": 8_999}
        await office.refunded(payment_id)
        await office.attend()
        assert (await books(office, payment_id)).get("payable", 0) == 0
        assert await debts(office, payment_id) == {}
        assert await is_sound(office)


async def test_the_fee_is_kept_once_where_refunds_that_gave_some_back_fail_one_by_one(
    tmp_path: Path,
) -> None:
    kept: dict[str, object] = {"platform_fee_bps": 1_000, "returns_platform_fee": True}
    async with open_office(tmp_path, None, settlement=True, **kept) as office:
        payment_id = await office.completed()
        await office.attend()
        for cents in (374, 9_876):
            await office.refunded(payment_id, cents)
            await office.attend()
        for number, made in enumerate(list(office.stripe.made_refunds.values())):
            back = office.stripe.refund_becomes(made.id, RefundStatus.FAILED)
            await office.told(f"evt_{number}", "refund.failed", back)
            await office.attend()
        assert await books(office, payment_id) == {"fees": 1_250, "earnings": 11_250}
        assert await is_sound(office)


async def test_m22_what_cannot_be_taken_back_becomes_a_debt(office: Office) -> None:
    payment_id = await settled(office)
    office.stripe.spent.add(ACCOUNT)
    refund_id = await office.refunded(payment_id, 5_000)
    await office.attend()
    assert await debts(office, payment_id) == {refund_id: 5_000}
    assert (await books(office, payment_id))["payable"] == -5_000
    await office.attend(timedelta(days=1))
    assert sent(office, REVERSAL) == [f"reversal_{refund_id}"], "never asked for twice"
    assert await is_sound(office)


async def test_what_others_paid_of_a_debt_that_came_to_nothing_goes_out_of_our_balance(
    office: Office,
) -> None:
    first = await settled(office)
    office.stripe.spent.add(ACCOUNT)
    await office.refunded(first, 10_000)
    await office.attend()
    vendor_id = (await office.payment(first)).vendor_id
    await office.completed(vendor_id=vendor_id)
    await office.attend()
    [made] = office.stripe.made_refunds.values()
    failed = office.stripe.refund_becomes(made.id, RefundStatus.FAILED)
    await office.told("evt_1", "refund.failed", failed)
    await office.attend()
    [*_, restore] = [one for one in office.stripe.sent if one.operation is TRANSFER]
    params = json.loads(restore.params)
    assert params["amount"] == SHARE // 2, "what the second payment's share was less by"
    assert "source_transaction" not in params, "the charge has gone out whole, but for our fee"
    assert (await settlement_of(office, first)).settled_cents == SHARE
    assert set((await debts(office, first)).values()) == {0}
    assert await is_sound(office)


@pytest.mark.parametrize("owes", [False, True])
async def test_m21_a_refund_that_fails_later_goes_out_to_the_vendor_again(
    office: Office, owes: bool
) -> None:
    payment_id = await settled(office)
    if owes:
        office.stripe.spent.add(ACCOUNT)
    refund_id = await office.refunded(payment_id, 5_000)
    await office.attend()
    [made] = office.stripe.made_refunds.values()
    back = office.stripe.refund_becomes(made.id, RefundStatus.FAILED)
    await office.told("evt_1", "refund.failed", back)
    await office.attend()
    restored = [] if owes else [f"restore_{refund_id}"]
    assert sent(office, TRANSFER) == [f"settlement_{payment_id}", *restored]
    assert await books(office, payment_id) == {"fees": 1_280, "earnings": SHARE}
    assert sum((await debts(office, payment_id)).values()) == 0
    assert await is_sound(office)


async def test_m21_an_unknown_restore_is_found_and_never_made_twice(office: Office) -> None:
    payment_id = await settled(office)
    refund_id = await office.refunded(payment_id, 5_000)
    await office.attend()
    [made] = office.stripe.made_refunds.values()
    back = office.stripe.refund_becomes(made.id, RefundStatus.FAILED)
    await office.told("evt_1", "refund.failed", back)
    office.stripe.lose_answer(TRANSFER)
    await office.attend()
    await office.attend(SOON)
    assert sent(office, TRANSFER) == [f"settlement_{payment_id}", f"restore_{refund_id}"]
    assert len(office.stripe.made_transfers) == 2
    assert await books(office, payment_id) == {"fees": 1_280, "earnings": SHARE}


async def test_a_lost_answer_of_a_reversal_is_found_by_listing(office: Office) -> None:
    payment_id = await settled(office)
    office.stripe.lose_answer(REVERSAL)
    await office.refunded(payment_id, 5_000)
    await office.attend()
    await office.attend(SOON)
    assert len(office.stripe.made_reversals) == 1
    assert len(sent(office, REVERSAL)) == 1
    assert await books(office, payment_id) == {"fees": 1_280, "earnings": SHARE - 5_000}


async def test_a_reversal_at_the_dashboard_is_booked_once_and_not_paid_again(
    office: Office,
) -> None:
    payment_id = await settled(office)
    [share] = office.stripe.made_transfers.values()
    for number in (1, 2):
        reversed_ = office.stripe.reverse(share.id, 1_000)
        await office.told(f"evt_{number}", "transfer.reversed", reversed_)
        await office.told(f"evt_{number}_again", "transfer.reversed", reversed_)
    await office.attend(timedelta(days=1))
    assert await books(office, payment_id) == {
        "payable": 2_000,
        "fees": 1_280,
        "earnings": SHARE - 2_000,
    }
    assert len(sent(office)) == 1
    await office.refunded(payment_id, 2_000)
    await office.attend()
    assert sent(office, REVERSAL) == [], "what was taken by hand serves for the refund"
    assert await is_sound(office)


async def test_a_lost_dispute_is_taken_back_from_the_vendor_that_bears_it(office: Office) -> None:
    payment_id = await settled(office)
    intent = (await office.payment(payment_id)).payment_intent or ""
    due = office.clock.now() + timedelta(days=7)
    opened = office.stripe.open_dispute(intent, due, cents=6_000)
    await office.told("evt_1", "charge.dispute.created", opened)
    await office.attend()
    assert sent(office, REVERSAL) == [], "nobody has lost it yet"
    lost = office.stripe.dispute_becomes(opened.id, DisputeStatus.LOST)
    await office.told("evt_2", "charge.dispute.closed", lost)
    await office.attend()
    assert sent(office, REVERSAL) == [f"reversal_{opened.id}"]
    assert (await books(office, payment_id))["earnings"] == SHARE - 6_000
    won = office.stripe.reinstate(opened.id)
    await office.told("evt_3", "charge.dispute.closed", won)
    await office.attend()
    assert sent(office, TRANSFER)[-1] == f"restore_{opened.id}"
    assert (await books(office, payment_id))["earnings"] == SHARE


async def test_m20_an_open_dispute_holds_its_amount_back(office: Office) -> None:
    payment_id = await office.completed()
    intent = (await office.payment(payment_id)).payment_intent or ""
    due = office.clock.now() + timedelta(days=7)
    opened = office.stripe.open_dispute(intent, due, cents=6_000)
    await office.told("evt_1", "charge.dispute.created", opened)
    await office.attend()
    assert (await settlement_of(office, payment_id)).settled_cents == SHARE - 6_000
    won = office.stripe.reinstate(opened.id)
    await office.told("evt_2", "charge.dispute.closed", won)
    await office.attend()
    assert (await settlement_of(office, payment_id)).settled_cents == SHARE


async def test_m22_a_debt_is_set_off_against_the_next_share(office: Office) -> None:
    payment_id = await settled(office)
    vendor_id = (await office.payment(payment_id)).vendor_id
    office.stripe.spent.add(ACCOUNT)
    refund_id = await office.refunded(payment_id, 5_000)
    await office.attend()
    assert await debts(office, payment_id) == {refund_id: 5_000}
    next_id = await office.completed(vendor_id=vendor_id)
    await office.attend()
    [share] = (await settlement_of(office, next_id)).transfers
    assert (share.amount_cents, share.set_off_cents) == (SHARE - 5_000, 5_000)
    assert await debts(office, payment_id) == {refund_id: 0}
    assert (await books(office, next_id)).get("payable", 0) == 0
    assert await is_sound(office)


async def test_m22_a_debt_that_somebody_collected_at_stripe_is_not_set_off_again(
    office: Office,
) -> None:
    payment_id = await settled(office)
    vendor_id = (await office.payment(payment_id)).vendor_id
    office.stripe.spent.add(ACCOUNT)
    refund_id = await office.refunded(payment_id, 5_000)
    await office.attend()
    assert await debts(office, payment_id) == {refund_id: 5_000}
    [share] = office.stripe.made_transfers.values()
    by_hand = office.stripe.reverse(share.id, 5_000)
    await office.told("evt_1", "transfer.reversed", by_hand)
    await office.told("evt_1_again", "transfer.reversed", by_hand)
    assert await debts(office, payment_id) == {refund_id: 0}
    next_id = await office.completed(vendor_id=vendor_id)
    await office.attend()
    assert (await settlement_of(office, next_id)).transfers[0].amount_cents == SHARE
    assert (await books(office, payment_id)).get("payable", 0) == 0
    [made] = office.stripe.made_refunds.values()
    back = office.stripe.refund_becomes(made.id, RefundStatus.FAILED)
    await office.told("evt_2", "refund.failed", back)
    await office.attend()
    assert sent(office, TRANSFER)[-1] == f"restore_{refund_id}", "what was collected goes out again"
    assert (await books(office, payment_id))["earnings"] == 2 * SHARE
    assert await is_sound(office)


async def test_m17_a_share_that_somebody_reversed_with_the_refund_is_not_reversed_again(
    office: Office,
) -> None:
    payment_id = await settled(office)
    [share] = office.stripe.made_transfers.values()
    by_hand = office.stripe.reverse(share.id, 5_000)
    await office.refunded(payment_id, 5_000)
    await office.attend()
    assert sent(office, REVERSAL) == [], "its event has not come yet, and it was looked for"
    await office.told("evt_1", "transfer.reversed", by_hand)
    await office.attend()
    assert await books(office, payment_id) == {"fees": 1_280, "earnings": SHARE - 5_000}
    assert await is_sound(office)


async def test_m28_a_reversal_that_never_reaches_stripe_is_tried_less_and_less_often(
    office: Office,
) -> None:
    """The key has no right to reverse transfers, for a month."""
    payment_id = await settled(office)
    forbidden = Unknown(UnknownReason.PERMISSION, "HTTP 403")
    office.stripe.script(REVERSAL, *[forbidden] * 1_000)
    refund_id = await office.refunded(payment_id, 5_000)
    for _ in range(60):
        await office.attend(timedelta(hours=12))
    keys = dict.fromkeys(sent(office, REVERSAL))
    assert list(keys)[:2] == [f"reversal_{refund_id}", f"reversal_{refund_id}_2"]
    assert 6 <= len(keys) <= 10, "each gives up after a day: it would have been near thirty"
    assert (await office.payment(payment_id)).anomalies == ("reversal_never_received",)
    assert await debts(office, payment_id) == {}

    office.stripe.allow(REVERSAL)
    await office.attend(timedelta(days=7))
    await office.attend(timedelta(days=7))
    assert len(office.stripe.made_reversals) == 1
    assert (await books(office, payment_id))["earnings"] == SHARE - 5_000
    assert await is_sound(office)
