"""The whole service on fakes of Stripe and of time, with a real store: fast, and scriptable."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from roadcall_payments.bootstrap import Service, join
from roadcall_payments.clock import SystemIds
from roadcall_payments.commit import Commit, CommitResult, stream_of
from roadcall_payments.config import Settings
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.people import Actor, Role
from roadcall_payments.ports import Channel, Queue, Store
from roadcall_payments.stores.sqlite.store import SqliteStore, open_sqlite
from roadcall_payments.workflows.intake import NewLineItem, NewPayment
from roadcall_payments.workflows.vendors import Contacts, VendorRecord
from tests.fakes.gateway import FakeGateway
from tests.fakes.manual_clock import ManualClock
from tests.fakes.recording_notifier import RecordingNotifier

DISPATCHER = Actor("us_1", Role.DISPATCHER, "co_1")
APPROVER = Actor("us_2", Role.DISPATCHER, "co_1")
ADMIN = Actor("us_3", Role.ADMIN)
DRIVER = Actor("dr_1", Role.DRIVER, "co_1", driver_id="dr_1")
ACCOUNT = "acct_vendor"


class TroubledStore:
    """The real store, but for what a test makes of single commits.

    ``trouble`` sees each commit before it is written and may write something first, give a result
    of its own, or return None to let it through.
    """

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.trouble: Callable[[Commit], CommitResult | None] | None = None

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitResult]:
        results: list[CommitResult] = []
        for commit in batch:
            forced = self.trouble(commit) if self.trouble else None
            results.append(forced or (await self._store.commit([commit]))[0])
        return results

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


@dataclass
class Office:
    service: Service
    stripe: FakeGateway
    clock: ManualClock
    troubled: TroubledStore
    jobs: int = 0

    async def vendor(self, account: str | None = ACCOUNT) -> str:
        self.jobs += 1
        vendor_id = f"ve_{self.jobs}"
        contacts = Contacts("Tow & Go", "tow@example.com", None, None)
        await self.service.vendors.put(ADMIN, vendor_id, VendorRecord(account, "en-US", contacts))
        return vendor_id

    async def created(self, payer: PayerType, vendor_id: str | None = None) -> str:
        vendor_id = vendor_id or await self.vendor()
        self.jobs += 1
        new = NewPayment(
            company_id="co_1",
            incident_id=f"in_{self.jobs}",
            vendor_id=vendor_id,
            driver_id="dr_1" if payer is PayerType.DRIVER_IC else None,
            payer_type=payer,
            amount=Money(12_500, "usd"),
            line_items=(NewLineItem("tow", 1, 12_500),),
        )
        return (await self.service.intake.create(DISPATCHER, new)).payment.id

    async def approved(self, payer: PayerType) -> str:
        payment_id = await self.created(payer)
        await self.service.approvals.approve(APPROVER, payment_id)
        return payment_id

    async def opened(self) -> str:
        """A driver's payment whose PaymentIntent waits for the payer."""
        payment_id = await self.approved(PayerType.DRIVER_IC)
        await self.service.payments.process(DISPATCHER, payment_id, None)
        return payment_id

    async def payment(self, payment_id: str) -> Payment:
        return await self.service.queries.payment(payment_id)

    async def facts(self, payment_id: str) -> list[str]:
        entries = await self.service.store.journal(stream_of("payment", payment_id))
        return [entry.type for entry in entries]

    async def attend(self, after: timedelta = timedelta()) -> None:
        """Let time pass, then let recovery do what is due."""
        self.clock.advance(after.total_seconds())
        await self.service.worker.work(Queue.ATTENTION)


@asynccontextmanager
async def open_office(directory: Path) -> AsyncIterator[Office]:
    real = open_sqlite(directory / "roadcall.sqlite")
    troubled = TroubledStore(real)
    store: Store = troubled  # type: ignore[assignment] # it passes on what it does not answer
    clock, stripe = ManualClock(), FakeGateway()
    notifiers = {channel: RecordingNotifier() for channel in Channel}
    settings = Settings(data_dir=directory)
    service = join(settings, store, stripe, clock, SystemIds(clock), notifiers)
    try:
        yield Office(service, stripe, clock, troubled)
    finally:
        await real.close()
