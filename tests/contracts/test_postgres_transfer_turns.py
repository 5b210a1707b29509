"""Two processes on one PostgreSQL transfer at once, and the platform's reserve stays."""

from __future__ import annotations

import asyncio
from pathlib import Path

from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.stores.postgres import open_postgres
from tests.workflows.office import APPROVER, DISPATCHER, TroubledStore, office_on


async def test_transfers_asked_for_at_once_in_two_processes_leave_the_reserve(
    url: str, tmp_path: Path
) -> None:
    stores = [await open_postgres(url) for _ in range(2)]
    reserve = {"funds_reserve_cents": {"*": 10_000}}
    try:
        one = office_on(TroubledStore(stores[0]), tmp_path, None, reserve)
        two = office_on(TroubledStore(stores[1]), tmp_path, one, reserve)
        payments = []
        for _ in range(6):
            payment_id = await one.created(PayerType.BACK_OFFICE, amount=Money(10_000, "usd"))
            await one.service.approvals.approve(APPROVER, payment_id)
            payments.append(payment_id)
        one.stripe.platform_funds["usd"] = 39_999
        one.stripe.looks_meet = asyncio.Barrier(len(payments))
        await asyncio.gather(
            *(
                office.service.payments.process(DISPATCHER, payment_id, None)
                for office, payment_id in zip([one, two] * 3, payments, strict=True)
            )
        )
        assert one.stripe.platform_funds["usd"] >= 19_999
        await asyncio.gather(*(office.service.transfers.release() for office in (one, two)))
        await one.service.transfers.release()
        assert one.stripe.platform_funds["usd"] == 19_999
        assert len(await two.service.transfers.queue()) == 4
    finally:
        for store in stores:
            await store.close()
