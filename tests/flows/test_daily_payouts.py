"""The daily payouts against the sandbox, days going by in both: in one process, no event arriving.

What Stripe does is learned by looking alone, as where every webhook is lost.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from stripe import StripeClient

from roadcall_payments.bootstrap import Service, join
from roadcall_payments.clock import SystemClock, SystemIds
from roadcall_payments.config import Settings
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payout import Payout, PayoutStatus
from roadcall_payments.ports import Channel, Queue
from roadcall_payments.stores.sqlite.store import open_sqlite
from roadcall_payments.stripe_gateway.client import GatewaySettings, StripeGateway
from roadcall_payments.workflows.intake import NewLineItem, NewPayment
from roadcall_payments.workflows.vendors import Contacts, VendorRecord
from tests.adapters.scripted_stripe import Safe
from tests.fakes.manual_clock import ManualClock
from tests.fakes.recording_notifier import RecordingNotifier
from tests.sandbox.process import SandboxProcess, running_sandbox
from tests.workflows.office import ADMIN, APPROVER, DISPATCHER

HOUR = timedelta(hours=1)
# Long enough for each step of a payout's to be looked for.
DAYS = timedelta(days=3)
VENDOR = "ve_daily"
CLOSED, GOOD = "000111111113", "000123456789"


@dataclass
class Town:
    service: Service
    sandbox: SandboxProcess
    clock: ManualClock
    account: str
    jobs: int = 0

    async def passes(self, time: timedelta) -> None:
        """In steps of an hour, at Stripe and here alike."""
        for _ in range(time // HOUR):
            self.sandbox.control("POST", "clock", {"advance": int(HOUR.total_seconds())})
            self.clock.advance(HOUR.total_seconds())
            await self.service.worker.work(Queue.ATTENTION)

    async def earns(self, cents: int) -> str:
        self.jobs += 1
        items = (NewLineItem("tow", 1, cents),)
        amount, incident = Money(cents, "usd"), f"in_{self.jobs}"
        new = NewPayment(
            company_id="co_1",
            incident_id=incident,
            vendor_id=VENDOR,
            driver_id=None,
            payer_type=PayerType.BACK_OFFICE,
            amount=amount,
            line_items=items,
        )
        payment_id = (await self.service.intake.create(DISPATCHER, new)).payment.id
        await self.service.approvals.approve(APPROVER, payment_id)
        await self.service.payments.process(DISPATCHER, payment_id, None)
        return incident

    async def payouts(self) -> list[Payout]:
        page = await self.service.payout_statement.payouts(VENDOR, None, 100)
        return list(reversed(page.items))

    async def jobs_of(self, payout: Payout) -> list[str]:
        advice = await self.service.payout_statement.advice(payout)
        assert advice.remittance.other == Money(0, "usd")
        return [one.incident_id for one in advice.remittance.jobs]

    def bank(self, number: str) -> None:
        path = f"accounts/{self.account}/bank_account"
        self.sandbox.control("POST", path, {"bank_account": number})


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    with running_sandbox() as sandbox:
        sandbox.control("POST", "clock", {"mode": "standing"})
        wall = SystemClock()
        clock = ManualClock(wall.now())
        settings = GatewaySettings(base_address=sandbox.url)
        gateway = StripeGateway(Safe("sk_test_daily"), wall, SystemIds(wall), settings)
        store = open_sqlite(tmp_path / "roadcall.sqlite")
        notifiers = {channel: RecordingNotifier() for channel in Channel}
        chosen = Settings.model_validate({"data_dir": tmp_path, "settlement": False})
        service = join(chosen, store, gateway, clock, SystemIds(clock), notifiers)
        client = StripeClient("sk_test_daily", base_addresses={"api": sandbox.url})
        account = client.v1.accounts.create().id
        sandbox.control("POST", f"accounts/{account}/onboard")
        contacts = Contacts("Tow & Go", "tow@example.com", None, None)
        record = VendorRecord(account, "en-US", contacts, pays_daily=True)
        await service.vendors.put(ADMIN, VENDOR, record)
        try:
            yield Town(service, sandbox, clock, account)
        finally:
            await gateway.close()
            await store.close()


async def test_each_days_balance_goes_out_once_and_what_came_back_with_a_later_one(
    town: Town,
) -> None:
    first = await town.earns(4_500)
    await town.passes(DAYS)
    (paid,) = await town.payouts()
    assert (paid.status, paid.amount) == (PayoutStatus.PAID, Money(4_500, "usd"))
    assert await town.jobs_of(paid) == [first]

    town.bank(CLOSED)
    second, small = await town.earns(8_000), await town.earns(900)
    await town.passes(DAYS)
    _, failed = await town.payouts()
    assert (failed.status, failed.failure_code) == (PayoutStatus.FAILED, "account_closed")
    assert await town.jobs_of(failed) == [second, small]

    town.bank(GOOD)
    await town.passes(DAYS)
    _, _, again = await town.payouts()
    assert (again.status, again.amount) == (PayoutStatus.PAID, Money(8_900, "usd"))
    assert await town.jobs_of(again) == [second, small]
    assert len({one.day for one in await town.payouts()}) == 3

    await town.earns(999)
    await town.passes(DAYS)
    assert len(await town.payouts()) == 3, "less than the minimum waits"
    made = town.sandbox.control("GET", "state?kinds=payouts")["payouts"]
    assert sorted(one["_idempotency_key"] for one in made) == sorted(
        f"payout_{one.id}" for one in await town.payouts()
    )
    assert await town.service.verification.verify(lambda _: None) == []
