"""What tests of settlement look at: the share, what was sent, the books, the debts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from roadcall_payments.commit import stream_of
from roadcall_payments.domain.settlement import Settlement
from roadcall_payments.domain.stripe_objects import (
    Operation,
)
from roadcall_payments.domain.vendor import Vendor
from tests.workflows.office import Office, open_office

SHARE = 11_220
TRANSFER, REVERSAL = Operation.CREATE_TRANSFER, Operation.CREATE_REVERSAL
SOON = timedelta(seconds=31)


async def settlement_of(office: Office, payment_id: str) -> Settlement:
    found = (await office.payment(payment_id)).settlement
    assert found is not None
    return found


async def settled(office: Office) -> str:
    payment_id = await office.completed()
    await office.attend()
    assert (await settlement_of(office, payment_id)).settled_cents == SHARE
    return payment_id


def sent(office: Office, *operations: Operation) -> list[str]:
    wanted = operations or (TRANSFER, REVERSAL)
    return [one.idempotency_key for one in office.stripe.sent if one.operation in wanted]


async def books(office: Office, payment_id: str) -> dict[str, int]:
    """The platform's and the vendor's books, without what waits for Stripe's own lines."""
    payment = await office.payment(payment_id)
    own = f"vendor_payable:{payment.vendor_id}"
    names = {own: "payable", "platform_fees": "fees", "earnings": "earnings"}
    return {
        names[line.account]: -line.amount_cents
        for line in await office.service.store.balances()
        if line.account in names and line.amount_cents
    }


async def debts(office: Office, payment_id: str) -> dict[str, int]:
    payment = await office.payment(payment_id)
    loaded = await office.service.store.load(stream_of("vendor", payment.vendor_id))
    assert loaded is not None
    assert isinstance(loaded.state, Vendor)
    return {one.id: one.outstanding_cents for one in loaded.state.debts.owed}


async def is_sound(office: Office) -> bool:
    assert await office.service.verification.verify(lambda _: None) == []
    return True


@asynccontextmanager
async def open_settling_office(directory: Path) -> AsyncIterator[Office]:
    """Of each payment of 125.00 we keep 10 % and 0.30: 12.80."""
    kept: dict[str, object] = {"platform_fee_bps": 1_000, "platform_fee_fixed_cents": 30}
    async with open_office(directory, None, settlement=True, **kept) as opened:
        yield opened
