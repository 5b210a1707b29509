"""The journal's facts, as far as an auditor needs them, and what it makes of them itself.

Read from the stored JSON: nothing of the service's domain, fold or posting rules is used, so that
no misunderstanding is shared.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import msgspec

Posted = tuple[str, str, str, int]
"""Book, account, currency, and minor units: debit +, credit -."""


class Amount(msgspec.Struct, frozen=True):
    amount_cents: int
    currency: str


class Created(msgspec.Struct, frozen=True):
    payment_id: str
    company_id: str
    incident_id: str
    vendor_id: str
    payer_type: str
    amount: Amount
    created_by: str


class Scored(msgspec.Struct, frozen=True):
    flagged: bool


class Approved(msgspec.Struct, frozen=True):
    destination: str | None = None


class Request(msgspec.Struct, frozen=True):
    idempotency_key: str
    account: str
    livemode: bool
    params: str


class Started(msgspec.Struct, frozen=True):
    """ProcessingStarted, ConfirmationStarted, CancelRequested: the intent of one call."""

    request: Request
    destination: str | None = None


class Failed(msgspec.Struct, frozen=True):
    code: str = ""


class Opened(msgspec.Struct, frozen=True):
    payment_intent: str


class Waits(msgspec.Struct, frozen=True):
    """OutcomeUnknown, CancelRefused."""

    awaiting: str


class Completed(msgspec.Struct, frozen=True):
    payer_type: str
    object_id: str
    amount: Amount
    account: str
    company_id: str
    vendor_id: str
    charge_id: str | None = None
    destination: str | None = None


class BookedLine(msgspec.Struct, frozen=True):
    id: str
    amount: Amount
    fee: Amount
    net: Amount


class Booked(msgspec.Struct, frozen=True):
    object_id: str
    moved: Amount
    account: str
    transaction: BookedLine


class Reversed(msgspec.Struct, frozen=True):
    reversal_id: str
    transfer_id: str
    amount: Amount
    account: str
    destination: str
    company_id: str


class Stray(msgspec.Struct, frozen=True):
    object_id: str
    amount: Amount
    account: str


class PaidOut(msgspec.Struct, frozen=True):
    """PayoutPaid, PayoutFailed."""

    payout_id: str
    account: str
    amount: Amount
    was_paid: bool = False


F = TypeVar("F", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Fact:
    """One journal entry's type, time and stored JSON."""

    type: str
    at: datetime
    actor: str
    data: bytes

    def read(self, shape: builtins.type[F]) -> F:
        return msgspec.json.decode(self.data, type=shape)


def _pair(book: str, debit: str, credit: str, amount: Amount) -> list[Posted]:
    cents, currency = amount.amount_cents, amount.currency
    return [(book, debit, currency, cents), (book, credit, currency, -cents)]


def _completed(fact: Fact) -> list[Posted]:
    done = fact.read(Completed)
    if done.payer_type == "driver_ic":
        return _pair(
            done.account, "stripe_clearing", f"vendor_payable:{done.vendor_id}", done.amount
        )
    fleet = f"fleet_receivable:{done.company_id}"
    ours = _pair(done.account, fleet, "stripe_clearing", done.amount)
    return ours + _pair(done.destination or "", "stripe_balance", "earnings", done.amount)


def _reversed(fact: Fact) -> list[Posted]:
    back = fact.read(Reversed)
    fleet = f"fleet_receivable:{back.company_id}"
    ours = _pair(back.account, "stripe_clearing", fleet, back.amount)
    return ours + _pair(back.destination, "earnings", "stripe_balance", back.amount)


def _booked(fact: Fact) -> list[Posted]:
    booked = fact.read(Booked)
    line, book = booked.transaction, booked.account
    posted = [
        (book, "stripe_balance", line.net.currency, line.net.amount_cents),
        (book, "stripe_clearing", booked.moved.currency, -booked.moved.amount_cents),
    ]
    if line.fee.amount_cents:
        posted.append((book, "stripe_fees", line.fee.currency, line.fee.amount_cents))
    return posted


def _stray(fact: Fact) -> list[Posted]:
    stray = fact.read(Stray)
    return _pair(stray.account, "stripe_clearing", "suspense:stray", stray.amount)


def _paid_out(fact: Fact) -> list[Posted]:
    paid = fact.read(PaidOut)
    return _pair(paid.account, "bank", "stripe_balance", paid.amount)


def _payout_failed(fact: Fact) -> list[Posted]:
    failed = fact.read(PaidOut)
    if not failed.was_paid:
        return []
    return _pair(failed.account, "stripe_balance", "bank", failed.amount)


_POSTS: Mapping[str, Callable[[Fact], list[Posted]]] = {
    "PaymentCompleted": _completed,
    "TransferReversed": _reversed,
    "BalanceTransactionBooked": _booked,
    "StrayMoneyObserved": _stray,
    "PayoutPaid": _paid_out,
    "PayoutFailed": _payout_failed,
}
# What posts nothing, named one by one: of any other type only the sum is judged.
_POSTS_NOTHING = frozenset(
    "PaymentCreated PaymentScored ReviewCleared ReviewBlocked ApprovalRecorded ApprovalExpired "
    "PaymentApproved PaymentRejected PaymentCancelled ProcessingStarted PaymentIntentOpened "
    "ConfirmationStarted ActionRequired CancelRequested CancelRefused OutcomeUnknown PaymentFailed "
    "AttemptVoided PaymentRetried AnomalyRecorded VendorRegistered VendorChanged MovementsPaused "
    "MovementsResumed RefundAdopted".split()
)


def expected_postings(fact: Fact) -> list[Posted] | None:
    """The lines that this fact must have made, by the auditor's own chart; None for a type it
    does not know."""
    if fact.type in _POSTS_NOTHING:
        return []
    makes = _POSTS.get(fact.type)
    return makes(fact) if makes else None
