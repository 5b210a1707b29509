"""What a payout's advice says of drivers' jobs: earned, our fee, kept, taken back, carried."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.remittance import RemittedJob
from tests.workflows.office import ACCOUNT, ADMIN, APPROVER, DISPATCHER, Office
from tests.workflows.settlement_reading import SHARE, open_settling_office, settled

FEE = 1_280


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_settling_office(tmp_path) as opened:
        yield opened


def usd(cents: int) -> Money:
    return Money(cents, "usd")


async def told(office: Office, vendor_id: str, cents: int) -> tuple[list[RemittedJob], str]:
    """The jobs in a payout of that amount, and the advice in words."""
    office.clock.advance(60)
    office.stripe.fund(ACCOUNT, usd(cents))
    asked = await office.service.payouts.request(ADMIN, vendor_id, usd(cents))
    advice = await office.service.payout_statement.advice(asked.payout)
    assert advice.remittance.other == usd(0)
    return list(advice.remittance.jobs), advice.words


async def test_a_share_with_its_fee_and_what_was_taken_back(office: Office) -> None:
    payment_id = await settled(office)
    vendor_id = (await office.payment(payment_id)).vendor_id
    office.clock.advance(60)
    await office.refunded(payment_id, 2_000)
    await office.attend()
    (job,), words = await told(office, vendor_id, SHARE - 2_000)
    assert (job.earned, job.fee, job.set_off) == (usd(12_500), usd(FEE), usd(0))
    assert (job.reversed, job.carried, job.partly) == (usd(2_000), usd(SHARE - 2_000), False)
    assert "Earned $125.00, our fee $12.80, taken back $20.00" in words


async def test_a_share_and_a_transfer_with_what_was_kept_of_them(office: Office) -> None:
    payment_id = await settled(office)
    vendor_id = (await office.payment(payment_id)).vendor_id
    office.stripe.spent.add(ACCOUNT)
    await office.refunded(payment_id, 8_000)
    await office.attend()
    office.clock.advance(60)
    await office.completed(vendor_id=vendor_id)
    await office.attend()
    office.clock.advance(60)
    last = await office.created(PayerType.BACK_OFFICE, vendor_id, usd(10_000))
    await office.service.approvals.approve(APPROVER, last)
    await office.service.payments.process(DISPATCHER, last, None)
    kept = SHARE // 2
    carried = [SHARE, SHARE - kept, 10_000 - (8_000 - kept)]
    jobs, words = await told(office, vendor_id, sum(carried))
    assert [one.carried.amount_cents for one in jobs] == carried
    assert [one.set_off.amount_cents for one in jobs] == [0, kept, 8_000 - kept]
    assert [one.fee.amount_cents for one in jobs] == [FEE, FEE, 0]
    assert not any(one.partly for one in jobs)
    assert "Earned $125.00, our fee $12.80, kept for what you owed us $56.10" in words


async def test_an_advice_that_was_sent_stays_as_it_was(office: Office) -> None:
    payment_id = await settled(office)
    vendor_id = (await office.payment(payment_id)).vendor_id
    office.clock.advance(60)
    office.stripe.fund(ACCOUNT, usd(SHARE))
    payout = (await office.service.payouts.request(ADMIN, vendor_id, usd(SHARE))).payout
    before = await office.service.payout_statement.advice(payout)
    office.clock.advance(60)
    await office.refunded(payment_id, 5_000)
    await office.attend()
    settlement = (await office.payment(payment_id)).settlement
    assert settlement is not None
    assert settlement.settled_cents == SHARE - 5_000
    after = await office.service.payout_statement.advice(payout)
    assert (after.remittance, after.words) == (before.remittance, before.words)
    assert "taken back" not in after.words
