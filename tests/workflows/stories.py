"""A small world in a store, written as the service writes: two payments completed, one cancelled,
one whose outcome is unknown, a vendor, a payout, the switch.
For tests of what reads it all back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from roadcall_payments.clock import SystemClock, SystemIds
from roadcall_payments.commit import stream_of
from roadcall_payments.domain import events as e
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.people import STRIPE, WORKER, Actor, Role
from roadcall_payments.domain.stripe_objects import BalanceTransaction, Operation, StripeRequest
from roadcall_payments.ports import Store
from roadcall_payments.workflows.account_reading import AccountReading
from roadcall_payments.workflows.movements_switch import MovementsSwitch
from roadcall_payments.workflows.texts import erasable_text
from roadcall_payments.workflows.vendors import Contacts, VendorRecord, Vendors
from roadcall_payments.workflows.write_path import WritePath
from tests.fakes.gateway import FakeGateway
from tests.new_sqlite import open_new_sqlite

PLATFORM = "acct_platform"
VENDOR_ACCOUNT = "acct_1TowTruck"
DISPATCHER = Actor("dana", Role.DISPATCHER, company_id="co_1")
ADMIN = Actor("ada", Role.ADMIN)
CONTACTS = Contacts("Tow & Go", "tow@example.com", "+15551234567", None)


@dataclass(frozen=True)
class World:
    driver_payment: str
    back_office_payment: str
    cancelled_payment: str
    open_payment: str
    vendor: str = "ve_tow"
    payout: str = "po_1"


async def write_world(path: Path) -> World:
    """Make the file; it is closed and whole afterwards."""
    store = open_new_sqlite(path)
    try:
        return await Storyteller(store).world()
    finally:
        await store.close()


class Storyteller:
    """Writes stories through the one write path."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = SystemClock()
        self.ids = SystemIds(self.clock)
        self.write_path = WritePath(store, self.clock, self.ids)

    async def world(self) -> World:
        record = VendorRecord(VENDOR_ACCOUNT, "en-US", CONTACTS)
        reading = AccountReading(self.write_path, self.store, FakeGateway())
        await Vendors(self.write_path, self.store, self.ids, reading).put(ADMIN, "ve_tow", record)
        switch = MovementsSwitch(self.write_path, self.store)
        await switch.pause(ADMIN, "Stripe reports an incident")
        await switch.resume(ADMIN)
        paid = e.PayoutPaid("po_1", VENDOR_ACCOUNT, Money(5_000, "usd"), "evt_po_1")
        await self.facts(stream_of("payout", "po_1"), paid, actor=STRIPE)
        return World(
            await self.driver_payment(),
            await self.back_office_payment(),
            await self.cancelled_payment(),
            await self.open_payment(),
        )

    async def facts(self, stream: str, *facts: e.Fact, actor: Actor = WORKER) -> None:
        """One commit a fact, so that each has its own time."""
        for fact in facts:
            await self.write_path.write(stream, lambda _: (fact,), actor=actor)  # noqa: B023  # awaited here, before the next

    async def created(self, payer_type: e.PayerType, incident: str) -> str:
        payment_id = self.ids.uuid7()
        stream = stream_of("payment", payment_id)
        described, description = erasable_text(self.ids, stream, "Two tyres on the I-80")
        worded, words = erasable_text(self.ids, stream, "Tyre 315/80 R22.5")
        driver = payer_type is e.PayerType.DRIVER_IC
        fact = e.PaymentCreated(
            payment_id,
            "co_1",
            incident,
            "ve_tow",
            "dr_1" if driver else None,
            payer_type,
            Money(125_000, "usd"),
            (e.LineItem("parts", 2, 62_500, 125_000, worded),),
            described,
            "service:intake",
        )
        await self.write_path.write(
            stream, lambda _: (fact,), actor=DISPATCHER, texts=(description, words)
        )
        return payment_id

    async def approved(self, payment_id: str, destination: str | None) -> str:
        stream = stream_of("payment", payment_id)
        await self.facts(
            stream,
            e.PaymentScored(20, "low", ("first_payment",), False, "rules"),
            e.PaymentApproved((e.Approval("ada", "admin"),), destination),
            actor=ADMIN,
        )
        return stream

    async def driver_payment(self) -> str:
        payment_id = await self.created(e.PayerType.DRIVER_IC, "in_1")
        stream = await self.approved(payment_id, None)
        amount = Money(125_000, "usd")
        await self.facts(
            stream,
            e.ProcessingStarted(
                1,
                request(Operation.CREATE_PAYMENT_INTENT, f"payment_{payment_id}"),
                None,
                "dispatcher:dana",
            ),
            e.PaymentIntentOpened(1, "pi_1", PLATFORM, False, e.Source.ANSWER, "req_1"),
            e.ConfirmationStarted(
                1,
                request(Operation.CONFIRM_PAYMENT_INTENT, f"confirm_{payment_id}_1"),
                "driver:dr_1",
            ),
            e.PaymentFailed(
                1,
                "card_declined",
                "Your card was declined.",
                True,
                e.Source.ANSWER,
                decline_code="insufficient_funds",
            ),
            e.PaymentCompleted(
                1,
                e.PayerType.DRIVER_IC,
                "pi_1",
                amount,
                PLATFORM,
                False,
                "co_1",
                "ve_tow",
                e.Source.WEBHOOK,
                charge_id="ch_1",
            ),
            e.BalanceTransactionBooked(
                "ch_1",
                amount,
                PLATFORM,
                self.line("txn_1", "charge", "ch_1", 125_000, 3_655),
            ),
        )
        return payment_id

    async def back_office_payment(self) -> str:
        payment_id = await self.created(e.PayerType.BACK_OFFICE, "in_2")
        stream = await self.approved(payment_id, VENDOR_ACCOUNT)
        amount = Money(125_000, "usd")
        await self.facts(
            stream,
            e.ProcessingStarted(
                1,
                request(Operation.CREATE_TRANSFER, f"transfer_{payment_id}"),
                VENDOR_ACCOUNT,
                "dispatcher:dana",
            ),
            e.PaymentCompleted(
                1,
                e.PayerType.BACK_OFFICE,
                "tr_1",
                amount,
                PLATFORM,
                False,
                "co_1",
                "ve_tow",
                e.Source.ANSWER,
                destination=VENDOR_ACCOUNT,
            ),
            e.BalanceTransactionBooked(
                "tr_1",
                -amount,
                PLATFORM,
                self.line("txn_2", "transfer", "tr_1", -125_000, 0),
            ),
        )
        return payment_id

    async def cancelled_payment(self) -> str:
        payment_id = await self.created(e.PayerType.DRIVER_IC, "in_3")
        stream = await self.approved(payment_id, None)
        await self.facts(stream, e.PaymentCancelled("dispatcher:dana", None), actor=DISPATCHER)
        return payment_id

    async def open_payment(self) -> str:
        payment_id = await self.created(e.PayerType.BACK_OFFICE, "in_4")
        stream = await self.approved(payment_id, VENDOR_ACCOUNT)
        sent = request(Operation.CREATE_TRANSFER, f"transfer_{payment_id}")
        await self.facts(
            stream,
            e.ProcessingStarted(1, sent, VENDOR_ACCOUNT, "dispatcher:dana"),
            e.OutcomeUnknown("timeout", e.Awaiting.STRIPE),
        )
        return payment_id

    def line(
        self, line_id: str, kind: str, source: str, amount_cents: int, fee_cents: int
    ) -> BalanceTransaction:
        at: datetime = self.clock.now()
        return BalanceTransaction(
            line_id,
            kind,
            source,
            Money(amount_cents, "usd"),
            Money(fee_cents, "usd"),
            Money(amount_cents - fee_cents, "usd"),
            at,
            at,
        )


def request(operation: Operation, key: str) -> StripeRequest:
    return StripeRequest(
        operation, "/v1/payment_intents", "{}", key, PLATFORM, False, "2026-10-28.endive"
    )
