"""The whole service on fakes of Stripe and of time, with a real store: fast, and scriptable."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from roadcall_payments.bootstrap import Service, join
from roadcall_payments.clock import SystemIds
from roadcall_payments.commit import Commit, CommitResult, stream_of
from roadcall_payments.config import Settings
from roadcall_payments.domain.events import PayerType, RefundReason
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.domain.people import Actor, Role
from roadcall_payments.domain.stripe_objects import StripeObject
from roadcall_payments.ports import Channel, Message, Queue, Store
from roadcall_payments.workflows.intake import NewLineItem, NewPayment
from roadcall_payments.workflows.refunds import NewRefund
from roadcall_payments.workflows.vendors import Contacts, VendorRecord
from tests.fakes.gateway import GOOD_SIGNATURE, FakeGateway
from tests.fakes.manual_clock import ManualClock
from tests.fakes.recording_notifier import RecordingNotifier
from tests.new_sqlite import open_new_sqlite

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

    def __init__(self, store: Store) -> None:
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
    mailboxes: Mapping[Channel, RecordingNotifier] = field(default_factory=dict)
    accounts: set[str] = field(default_factory=set)

    async def vendor(self, account: str | None = ACCOUNT) -> str:
        self.jobs += 1
        vendor_id = f"ve_{self.jobs}"
        if account in self.accounts:
            # One account is one vendor's.
            account = f"{account}{self.jobs}"
        if account is not None:
            self.accounts.add(account)
        contacts = Contacts("Tow & Go", "tow@example.com", None, None)
        await self.service.vendors.put(ADMIN, vendor_id, VendorRecord(account, "en-US", contacts))
        return vendor_id

    async def created(
        self,
        payer: PayerType,
        vendor_id: str | None = None,
        amount: Money = Money(12_500, "usd"),  # noqa: B008  # frozen, so it can be shared
    ) -> str:
        vendor_id = vendor_id or await self.vendor()
        self.jobs += 1
        new = NewPayment(
            company_id="co_1",
            incident_id=f"in_{self.jobs}",
            vendor_id=vendor_id,
            driver_id="dr_1" if payer is PayerType.DRIVER_IC else None,
            payer_type=payer,
            amount=amount,
            line_items=(NewLineItem("tow", 1, amount.amount_cents),),
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

    async def completed(
        self,
        amount: Money = Money(12_500, "usd"),  # noqa: B008  # frozen, so it can be shared
        vendor_id: str | None = None,
    ) -> str:
        """A driver's payment whose card was charged."""
        payment_id = await self.created(PayerType.DRIVER_IC, vendor_id, amount)
        if (await self.payment(payment_id)).flagged:
            await self.service.approvals.review(ADMIN, payment_id, True, None)
        answer = await self.service.approvals.approve(APPROVER, payment_id)
        if answer.payment.status is Status.PENDING_APPROVAL:
            await self.service.approvals.approve(ADMIN, payment_id)
        await self.service.payments.process(DISPATCHER, payment_id, None)
        await self.service.payments.confirm(DRIVER, payment_id, "pm_card_visa")
        return payment_id

    async def refund_requested(self, payment_id: str, cents: int | None = None) -> str:
        new = NewRefund(cents, RefundReason.REQUESTED_BY_CUSTOMER)
        answer = await self.service.refunds.request(DISPATCHER, payment_id, new)
        return answer.payment.refunds[-1].id

    async def refunded(self, payment_id: str, cents: int | None = None) -> str:
        refund_id = await self.refund_requested(payment_id, cents)
        await self.service.refunds.approve(ADMIN, refund_id)
        return refund_id

    async def told(self, event_id: str, kind: str, about: StripeObject) -> None:
        """A webhook event about an object arrives."""
        body = self.stripe.event(event_id, kind, about)
        await self.service.webhook_inbox.take(body, GOOD_SIGNATURE)

    def sent(self, channel: Channel) -> list[Message]:
        return self.mailboxes[channel].sent

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
async def open_office(
    directory: Path, before: Office | None = None, **changed: object
) -> AsyncIterator[Office]:
    """``before``: another office of the same Stripe and time, whose backup this one works on.

    Vendors' shares stay where they are, unless ``settlement`` says otherwise: most stories end
    with the payment.
    """
    real = open_new_sqlite(directory / "roadcall.sqlite")
    try:
        yield office_on(TroubledStore(real), directory, before, changed)
    finally:
        await real.close()


def office_on(
    troubled: TroubledStore, directory: Path, before: Office | None, changed: Mapping[str, object]
) -> Office:
    """An office on a store that is open, and stays so."""
    store: Store = troubled  # type: ignore[assignment] # it passes on what it does not answer
    clock = before.clock if before else ManualClock()
    stripe = before.stripe if before else FakeGateway()
    notifiers = {channel: RecordingNotifier() for channel in Channel}
    chosen = {"data_dir": directory, "settlement": False, **changed}
    settings = Settings.model_validate(chosen)
    service = join(settings, store, stripe, clock, SystemIds(clock), notifiers)
    return Office(service, stripe, clock, troubled, mailboxes=notifiers)
