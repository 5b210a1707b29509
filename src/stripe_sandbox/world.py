"""Everything the sandbox knows: the records, the balances, what is due, and the time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

from stripe_sandbox import own_records as own
from stripe_sandbox import records as r
from stripe_sandbox.collection import Collection, Unsaved
from stripe_sandbox.config import SandboxConfig
from stripe_sandbox.delivery_queue import DeliveryQueue
from stripe_sandbox.faults import FaultPlan
from stripe_sandbox.ids import IdSource
from stripe_sandbox.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Origin:
    """The request on whose account things happen; both None where time itself acts."""

    request: str | None = None
    idempotency_key: str | None = None


@dataclass(slots=True)
class Funds:
    """One account's money in one currency, minor units. Either may be negative."""

    available: int = 0
    pending: int = 0


class Stamp(TypedDict):
    """The fields that every record has."""

    id: str
    account: str
    created: int
    sequence: int
    request: str | None
    idempotency_key: str | None


class World:
    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.ids = IdSource(config.seed)
        self.schedule = Schedule()
        self.now = 0
        """Seconds; set by the sandbox before anything happens."""
        self.origin = Origin()
        self.funds: dict[str, dict[str, Funds]] = {}
        """By account and currency; what the balance transactions add up to."""
        self.now_ms = 0
        self.faults = FaultPlan(config.seed)
        self.outgoing = DeliveryQueue()
        self.unsaved = Unsaved()
        self._make_collections(self.unsaved)

    def _make_collections(self, unsaved: Unsaved) -> None:
        self.accounts = Collection("account", r.Account, unsaved)
        self.bank_accounts = Collection("bank_account", r.BankAccount, unsaved)
        self.account_links = Collection("account_link", r.AccountLink, unsaved)
        self.customers = Collection("customer", r.Customer, unsaved)
        self.payment_methods = Collection(
            "payment_method",
            r.PaymentMethod,
            unsaved,
        )
        self.payment_intents = Collection("payment_intent", r.PaymentIntent, unsaved)
        self.charges = Collection(
            "charge",
            r.Charge,
            unsaved,
            payment_intent=lambda record: record.payment_intent,
            transfer_group=lambda record: record.transfer_group,
        )
        self.refunds = Collection(
            "refund",
            r.Refund,
            unsaved,
            charge=lambda record: record.charge,
            payment_intent=lambda record: record.payment_intent,
        )
        self.disputes = Collection(
            "dispute",
            r.Dispute,
            unsaved,
            charge=lambda record: record.charge,
            payment_intent=lambda record: record.payment_intent,
        )
        self.balance_transactions = Collection(
            "balance_transaction",
            r.BalanceTransaction,
            unsaved,
            source=lambda record: record.source,
        )
        self.application_fees = Collection(
            "application_fee",
            r.ApplicationFee,
            unsaved,
            charge=lambda record: record.charge,
        )
        self.fee_refunds = Collection(
            "fee_refund", r.FeeRefund, unsaved, fee=lambda record: record.fee
        )
        self.transfers = Collection(
            "transfer",
            r.Transfer,
            unsaved,
            transfer_group=lambda record: record.transfer_group,
            destination=lambda record: record.destination,
        )
        self.transfer_reversals = Collection(
            "transfer_reversal",
            r.TransferReversal,
            unsaved,
            transfer=lambda record: record.transfer,
        )
        self.payouts = Collection("payout", r.Payout, unsaved)
        self._make_deliveries(unsaved)

    def _make_deliveries(self, unsaved: Unsaved) -> None:
        """What tells of the objects, and what the sandbox keeps for itself."""
        self.events = Collection(
            "event", r.Event, unsaved, object_id=lambda record: record.object_id
        )
        self.webhook_endpoints = Collection("webhook_endpoint", r.WebhookEndpoint, unsaved)
        self.deliveries = Collection(
            "delivery", own.Delivery, unsaved, event=lambda record: record.event
        )
        self.idempotency = Collection("idempotency", own.IdempotencyRecord, unsaved)
        self.clocks = Collection("clock", own.ClockRecord, unsaved)
        self.starts = Collection("start", own.StartRecord, unsaved)
        self.access = Collection("access", own.AccessRecord, unsaved)

    @property
    def platform(self) -> str:
        return self.config.platform_account

    def loaders(self) -> dict[str, Callable[[bytes], r.Record]]:
        """By kind, what takes a stored body back in."""
        return {
            value.kind: value.load for value in vars(self).values() if isinstance(value, Collection)
        }

    def stamp(self, prefix: str, account: str) -> Stamp:
        """What every new record carries, for `**`."""
        return {
            "id": self.ids.new(prefix),
            "account": account,
            "created": self.now,
            "sequence": self.ids.sequence(),
            "request": self.origin.request,
            "idempotency_key": self.origin.idempotency_key,
        }
