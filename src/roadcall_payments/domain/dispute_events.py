"""The facts of disputes: a card holder's bank asks, takes the money, and decides who keeps it.

They stand in the stream of the payment whose charge is disputed; ``dispute_id`` is Stripe's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import DisputeStatus


class Bearer(StrEnum):
    """Whose loss a lost dispute is. ``suspense``: stray money's, which nobody owned (M16)."""

    VENDOR = "vendor"
    PLATFORM = "platform"
    SUSPENSE = "suspense"


@dataclass(frozen=True, slots=True)
class DisputeOpened:
    """``evidence_due`` is None where no evidence is awaited. An inquiry takes no money yet."""

    dispute_id: str
    charge_id: str
    amount: Money
    reason: str
    status: DisputeStatus
    evidence_due: datetime | None
    account: str
    livemode: bool


@dataclass(frozen=True, slots=True)
class DisputeChanged:
    dispute_id: str
    amount: Money
    status: DisputeStatus
    evidence_due: datetime | None


@dataclass(frozen=True, slots=True)
class DisputeFundsWithdrawn:
    """The bank took the money; booked by Stripe's own line, once (M17)."""

    dispute_id: str
    amount: Money
    balance_transaction: str
    account: str


@dataclass(frozen=True, slots=True)
class DisputeFundsReinstated:
    dispute_id: str
    amount: Money
    balance_transaction: str
    account: str


@dataclass(frozen=True, slots=True)
class EvidenceDeadlineNeared:
    """Time to tell somebody: what is not answered by then is lost."""

    dispute_id: str
    evidence_due: datetime


@dataclass(frozen=True, slots=True)
class DisputeClosed:
    """Decided. ``loss`` goes to ``borne_by``; negative, it gives an earlier loss back."""

    dispute_id: str
    status: DisputeStatus
    loss: Money
    borne_by: Bearer
    account: str
    vendor_id: str


DisputeFact = (
    DisputeOpened
    | DisputeChanged
    | DisputeFundsWithdrawn
    | DisputeFundsReinstated
    | EvidenceDeadlineNeared
    | DisputeClosed
)
