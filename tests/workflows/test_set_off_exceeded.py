"""A transfer went out less by more than its vendor still owed: the vendor gets the rest (M22)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Status
from roadcall_payments.domain.stripe_objects import StripeFailure
from roadcall_payments.ports import Channel, Queue, Refused
from tests.workflows.office import ACCOUNT, APPROVER, DISPATCHER, Office, open_office
from tests.workflows.settlement_reading import (
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

REFUSED = Refused(StripeFailure("rejected", "Not now."), 400, "req_x", replayed=False)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_settling_office(tmp_path) as opened:
        yield opened


async def owing(office: Office) -> tuple[str, str]:
    """A payment whose vendor owes 50.00 of it, which no reversal could take back; its refund."""
    payment_id = await settled(office)
    office.stripe.spent.add(ACCOUNT)
    refund_id = await office.refunded(payment_id, 5_000)
    await office.attend()
    assert await debts(office, payment_id) == {refund_id: 5_000}
    return payment_id, refund_id


async def collected_at_stripe(office: Office, payment_id: str, cents: int) -> None:
    """Somebody reverses the payment's first transfer in the dashboard."""
    transfers = office.stripe.made_transfers.values()
    share = next(one for one in transfers if one.transfer_group == payment_id)
    await office.told("evt_by_hand", "transfer.reversed", office.stripe.reverse(share.id, cents))


async def ready(office: Office, vendor_id: str, cents: int) -> str:
    amount = Money(cents, "usd")
    payment_id = await office.created(PayerType.BACK_OFFICE, vendor_id, amount)
    await office.service.approvals.approve(APPROVER, payment_id)
    return payment_id


@pytest.mark.parametrize("taken", [5_000, 2_000])
async def test_what_was_collected_at_stripe_while_a_share_had_it_reserved_goes_to_the_vendor(
    office: Office, taken: int
) -> None:
    payment_id, refund_id = await owing(office)
    vendor_id = (await office.payment(payment_id)).vendor_id
    office.stripe.lose_answer(TRANSFER)
    next_id = await office.completed(vendor_id=vendor_id)
    await office.attend()
    assert (await settlement_of(office, next_id)).transfers[0].set_off_cents == 5_000
    await collected_at_stripe(office, payment_id, taken)
    assert await debts(office, payment_id) == {refund_id: 5_000 - taken}

    await office.attend(SOON)
    await office.attend()
    first, second = (await settlement_of(office, next_id)).transfers
    assert (first.amount_cents, first.set_off_cents) == (SHARE - 5_000, 5_000 - taken)
    assert (second.amount_cents, second.set_off_cents) == (taken, 0)
    assert sent(office, TRANSFER)[-1] == f"settlement_{next_id}_2"
    assert await debts(office, payment_id) == {refund_id: 0}
    assert (await books(office, next_id)).get("payable", 0) == 0
    assert (await books(office, next_id))["earnings"] == 2 * SHARE - 5_000
    assert await is_sound(office)


async def test_a_reserved_debt_that_was_collected_is_not_owed_again_when_the_share_fails(
    office: Office,
) -> None:
    payment_id, refund_id = await owing(office)
    vendor_id = (await office.payment(payment_id)).vendor_id

    async def meanwhile() -> None:
        await collected_at_stripe(office, payment_id, 5_000)

    office.stripe.script(TRANSFER, REFUSED)
    office.stripe.during(TRANSFER, meanwhile)
    next_id = await office.completed(vendor_id=vendor_id)
    await office.attend()
    assert await debts(office, payment_id) == {refund_id: 0}
    office.clock.advance(3_601)
    await office.attend()
    assert (await settlement_of(office, next_id)).settled_cents == SHARE
    assert (await books(office, next_id))["earnings"] == 2 * SHARE - 5_000
    assert await is_sound(office)


async def test_what_a_back_office_transfer_set_off_too_much_goes_out_by_itself(
    office: Office,
) -> None:
    payment_id, refund_id = await owing(office)
    vendor_id = (await office.payment(payment_id)).vendor_id
    next_id = await ready(office, vendor_id, 20_000)
    office.stripe.lose_answer(TRANSFER)
    await office.service.payments.process(DISPATCHER, next_id, None)
    await collected_at_stripe(office, payment_id, 5_000)
    await office.attend(SOON)
    assert (await office.payment(next_id)).status is Status.COMPLETED
    await office.attend()
    assert sent(office, TRANSFER)[-2:] == [f"transfer_{next_id}", f"settlement_{next_id}"]
    own, rest = list(office.stripe.made_transfers.values())[-2:]
    assert (own.amount.amount_cents, rest.amount.amount_cents) == (15_000, 5_000)
    assert rest.destination == own.destination
    assert await debts(office, payment_id) == {refund_id: 0}
    assert (await books(office, next_id)).get("payable", 0) == 0
    await office.attend(SOON)
    assert len(office.stripe.made_transfers) == 3, "once"
    # Stripe tells of both, and of one that is reversed by hand: each is its own.
    await office.told("evt_own", "transfer.created", own)
    await office.told("evt_rest", "transfer.created", rest)
    await office.told("evt_back", "transfer.reversed", office.stripe.reverse(own.id, 1_000))
    assert (await office.payment(next_id)).amount_reversed_cents == 1_000
    assert await is_sound(office)


async def test_a_transfer_believed_failed_that_finds_its_debts_paid_is_made_up_for(
    tmp_path: Path,
) -> None:
    kept: dict[str, object] = {"platform_fee_bps": 1_000, "platform_fee_fixed_cents": 30}
    told = {"back_office_emails": ["office@example.com"]}
    async with open_office(tmp_path, None, settlement=True, **kept, **told) as office:
        payment_id, refund_id = await owing(office)
        vendor_id = (await office.payment(payment_id)).vendor_id
        late_id = await ready(office, vendor_id, 20_000)
        office.stripe.script(TRANSFER, REFUSED)
        await office.service.payments.process(DISPATCHER, late_id, None)
        request = office.stripe.sent[-1]
        other_id = await ready(office, vendor_id, 20_000)
        await office.service.payments.process(DISPATCHER, other_id, None)
        assert await debts(office, payment_id) == {refund_id: 0}
        await office.service.payments.retry(DISPATCHER, late_id)
        office.stripe._transferred(request)
        await office.service.payments.process(DISPATCHER, late_id, None)
        await office.attend()
        assert sent(office, TRANSFER)[-1] == f"settlement_{late_id}"
        assert (await books(office, late_id)).get("payable", 0) == 0
        assert (await books(office, late_id))["earnings"] == SHARE + 20_000 + 15_000
        assert await is_sound(office)

        await office.service.worker.work(Queue.OUTBOX)
        await office.service.worker.work(Queue.NOTICES)
        mails = [
            one.content for one in office.sent(Channel.EMAIL) if one.to == "office@example.com"
        ]
        [mail] = [one for one in mails if "set off" in one.subject]
        assert "$50.00" in mail.text
        assert late_id in mail.text
