"""A store, a vendor, the people, and channels that keep what they are given: for notices."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from roadcall_payments.clock import SystemIds
from roadcall_payments.commit import stream_of
from roadcall_payments.domain import events as e
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.people import WORKER, Actor, Role
from roadcall_payments.domain.stripe_objects import (
    Operation,
    StripeRequest,
)
from roadcall_payments.event_bus import InProcessBus
from roadcall_payments.notifications.rendering import FileTemplates
from roadcall_payments.ports import Channel, Message, OutgoingEvent, Queue, Store
from roadcall_payments.worker import Pace, RetryRules, Worker
from roadcall_payments.workflows.account_reading import AccountReading
from roadcall_payments.workflows.notices import EVENT_NAMES, Audience, Notices
from roadcall_payments.workflows.outbox_relay import OutboxRelay
from roadcall_payments.workflows.payout_reading import PayoutReading
from roadcall_payments.workflows.payout_statement import PayoutStatement
from roadcall_payments.workflows.remittance import Remittances
from roadcall_payments.workflows.vendors import Contacts, VendorRecord, Vendors
from roadcall_payments.workflows.write_path import WritePath
from tests.builders import payment_created
from tests.fakes.gateway import FakeGateway
from tests.fakes.manual_clock import ManualClock
from tests.fakes.recording_notifier import RecordingNotifier
from tests.new_sqlite import open_new_sqlite

ADMIN = Actor("ada", Role.ADMIN)
VENDOR = "ve_1"
EVERYWHERE = Contacts("Tow & Go", "tow@example.com", "+15551234567", "push-device-7")
AUDIENCE = Audience(
    approvers=("approver@example.com", "second@example.com"),
    reviewers=("reviewer@example.com",),
    back_office=("office@example.com",),
    operations=("ops@example.com",),
)
REQUEST = StripeRequest(
    Operation.CREATE_TRANSFER, "/v1/transfers", "{}", "k", "acct_p", False, "2026-10-28"
)
LOW_RISK = e.PaymentScored(20, "low", (), False, "rules")
HIGH_RISK = e.PaymentScored(80, "high", ("amount_over_limit",), True, "rules")
APPROVED = e.PaymentApproved((e.Approval("admin:ada", "admin"),), "acct_v")
STARTED = e.ProcessingStarted(1, REQUEST, "acct_v", "admin:ada")
REFUSED = e.PaymentFailed(1, "balance_insufficient", "Not enough funds.", True, e.Source.ANSWER)
REVERSED = e.TransferReversed(
    "trr_1", "tr_1", Money(500, "usd"), "acct_p", "acct_v", "co_1", VENDOR
)


def completed(payer_type: e.PayerType) -> e.PaymentCompleted:
    return e.PaymentCompleted(
        1,
        payer_type,
        "tr_1",
        Money(12_500, "usd"),
        "acct_p",
        False,
        "co_1",
        VENDOR,
        e.Source.ANSWER,
        charge_id="ch_1",
        destination="acct_v",
    )


@dataclass
class Town:
    """A store, its one vendor, the people, and three recording channels."""

    store: Store
    clock: ManualClock
    write_path: WritePath
    vendors: Vendors
    notices: Notices
    worker: Worker
    heard: list[OutgoingEvent]
    channels: dict[Channel, RecordingNotifier]

    async def happened(
        self, *facts: e.Fact, payer_type: e.PayerType = e.PayerType.BACK_OFFICE
    ) -> str:
        """A new payment lives through the facts; nothing is relayed yet."""
        payment_id = self.write_path.ids.uuid7()
        created = payment_created(payment_id, incident_id=payment_id, payer_type=payer_type)
        stream = stream_of("payment", payment_id)
        await self.write(stream, created, *facts)
        return stream

    async def write(self, stream: str, *facts: e.Fact) -> None:
        await self.write_path.write(stream, lambda _: facts, actor=WORKER)

    async def register(self, contacts: Contacts, locale: str = "en-US") -> None:
        await self.vendors.put(ADMIN, VENDOR, VendorRecord("acct_v", locale, contacts))

    def sent(self) -> list[tuple[Channel, str]]:
        return [(name, one.to) for name, box in self.channels.items() for one in box.sent]

    def mail(self) -> list[Message]:
        return self.channels[Channel.EMAIL].sent


@asynccontextmanager
async def open_town(tmp_path: Path) -> AsyncIterator[Town]:
    store, clock = open_new_sqlite(tmp_path / "notices.sqlite"), ManualClock()
    ids = SystemIds(clock)
    write_path = WritePath(store, clock, ids)
    reading = AccountReading(write_path, store, FakeGateway())
    vendors = Vendors(write_path, store, ids, reading)
    channels = {channel: RecordingNotifier() for channel in Channel}
    templates, stripe = FileTemplates(), FakeGateway()
    payout_reading = PayoutReading(write_path, store, stripe)
    remittances = Remittances(store, stripe, clock)
    statement = PayoutStatement(stripe, payout_reading, remittances, vendors, templates)
    notices = Notices(store, clock, vendors, AUDIENCE, templates, channels, statement)
    heard: list[OutgoingEvent] = []
    bus = InProcessBus()

    async def hear(event: OutgoingEvent) -> None:
        heard.append(event)

    bus.subscribe(notices.plan, *EVENT_NAMES)
    bus.subscribe(hear)
    worker = Worker(
        store,
        clock,
        ids,
        {Queue.OUTBOX: OutboxRelay(store, bus, 100).relay, Queue.NOTICES: notices.send},
        dict.fromkeys(Queue, RetryRules(2, 60, 3, final_parks=True)),
        Pace(1_000, 10, 4, 90, 1),
    )
    yield Town(store, clock, write_path, vendors, notices, worker, heard, channels)
    await store.close()
