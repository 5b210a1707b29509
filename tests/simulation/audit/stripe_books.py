"""Stripe's side: the sandbox's own books, read from `GET /_sandbox/state`.

Amounts are in Stripe's units, as Stripe shows them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

JsonState = Mapping[str, object]
"""The body of `GET /_sandbox/state`, or a part of it."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What every object carries. ``key``: the idempotency key of the request that made it;
    ``created`` in Unix seconds; ``account`` whose books it stands in."""

    id: str
    account: str = msgspec.field(name="_account")
    key: str | None = msgspec.field(name="_idempotency_key", default=None)
    created: int = 0


class Intent(Made, frozen=True, kw_only=True):
    amount: int
    currency: str
    status: str
    metadata: dict[str, str] = {}


class Charge(Made, frozen=True, kw_only=True):
    """``source_transfer``: the transfer that a connected account's payment came from."""

    amount: int
    currency: str
    status: str
    captured: bool
    payment_intent: str | None = None
    source_transfer: str | None = None

    @property
    def took_money(self) -> bool:
        return self.status == "succeeded" and self.captured


class Transfer(Made, frozen=True, kw_only=True):
    amount: int
    currency: str
    destination: str
    metadata: dict[str, str] = {}


class Reversal(Made, frozen=True, kw_only=True):
    amount: int
    currency: str
    transfer: str


class Refund(Made, frozen=True, kw_only=True):
    amount: int
    currency: str
    status: str
    charge: str | None = None


class Dispute(Made, frozen=True, kw_only=True):
    charge: str
    amount: int
    status: str


class Payout(Made, frozen=True, kw_only=True):
    amount: int
    currency: str
    status: str


class Line(Made, frozen=True, kw_only=True):
    """A balance transaction: ``net`` is ``amount`` less ``fee``; pending before ``available_on``,
    in Unix seconds."""

    amount: int
    fee: int
    net: int
    currency: str
    type: str
    source: str | None = None
    available_on: int = 0


T = TypeVar("T", bound=Made)

KINDS = (
    "payment_intents",
    "charges",
    "transfers",
    "transfer_reversals",
    "refunds",
    "disputes",
    "payouts",
    "balance_transactions",
)


class StripeBooks:
    """One Stripe world's objects by id, and which payment object each one came from."""

    def __init__(self, fetch: Callable[[str], JsonState]) -> None:
        """``fetch`` gives the state of one kind at a time, so that a large world never stands in
        memory as a whole."""
        first = fetch("payouts")
        self.platform = msgspec.convert(first["platform"], str)
        self.now = msgspec.convert(first["now"], int)
        self.payouts = _read(first, "payouts", Payout)
        self.intents = _read(fetch("payment_intents"), "payment_intents", Intent)
        self.charges = _read(fetch("charges"), "charges", Charge)
        self.transfers = _read(fetch("transfers"), "transfers", Transfer)
        self.reversals = _read(fetch("transfer_reversals"), "transfer_reversals", Reversal)
        self.refunds = _read(fetch("refunds"), "refunds", Refund)
        self.disputes = _read(fetch("disputes"), "disputes", Dispute)
        self.lines = _read(fetch("balance_transactions"), "balance_transactions", Line)
        self._index()

    def _index(self) -> None:
        self.intents_of: defaultdict[str, list[Intent]] = defaultdict(list)
        self.transfers_of: defaultdict[str, list[Transfer]] = defaultdict(list)
        self.charges_of: defaultdict[str, list[Charge]] = defaultdict(list)
        self.reversals_of: defaultdict[str, list[Reversal]] = defaultdict(list)
        self.refunds_of: defaultdict[str, list[Refund]] = defaultdict(list)
        self.disputes_of: defaultdict[str, list[Dispute]] = defaultdict(list)
        self.lines_of: defaultdict[str, list[Line]] = defaultdict(list)
        self.lines_from: defaultdict[str, list[Line]] = defaultdict(list)
        for intent in self.intents.values():
            if intent.key is not None:
                self.intents_of[intent.key].append(intent)
        for transfer in self.transfers.values():
            if transfer.key is not None:
                self.transfers_of[transfer.key].append(transfer)
        for charge in self.charges.values():
            if charge.payment_intent is not None:
                self.charges_of[charge.payment_intent].append(charge)
        for reversal in self.reversals.values():
            self.reversals_of[reversal.transfer].append(reversal)
        for refund in self.refunds.values():
            self.refunds_of[refund.charge or ""].append(refund)
        for dispute in self.disputes.values():
            self.disputes_of[dispute.charge].append(dispute)
        for line in self.lines.values():
            self.lines_from[line.source or ""].append(line)
            self.lines_of[self.root(line.source)].append(line)

    def root(self, source: str | None) -> str:
        """The PaymentIntent, transfer or payout behind an object; the object itself where there
        is none, "" for lines that have no source (an opening balance)."""
        if source is None:
            return ""
        if source in self.refunds:
            return self.root(self.refunds[source].charge)
        if source in self.disputes:
            return self.root(self.disputes[source].charge)
        if source in self.reversals:
            return self.reversals[source].transfer
        if source in self.charges:
            charge = self.charges[source]
            return charge.payment_intent or charge.source_transfer or charge.id
        return source


def _read(state: JsonState, kind: str, of: type[T]) -> dict[str, T]:
    found: list[T] = msgspec.convert(state[kind], list[of])  # type: ignore[valid-type]  # made from the variable
    return {one.id: one for one in found}


def books_of(state: JsonState) -> StripeBooks:
    """From a state that was read as a whole."""
    return StripeBooks(lambda _: state)
