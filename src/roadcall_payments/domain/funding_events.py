"""The facts of a transfer that waits for the platform's funds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from roadcall_payments.domain.money import Money


class Priority(StrEnum):
    """Which waiting transfer goes first; among equals the oldest."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class QueueReason(StrEnum):
    INSUFFICIENT_FUNDS = "insufficient_funds"
    # The funds would do, and belong to those that wait already.
    BEHIND_OTHERS = "behind_others"
    # Somebody else took the funds between our look and our call.
    REFUSED_BY_STRIPE = "refused_by_stripe"


@dataclass(frozen=True, slots=True)
class TransferQueued:
    """``needed`` is the transfer's amount; ``available`` what Stripe held for us above the
    reserve, None where nobody looked. The destination is kept for the release (M10)."""

    reason: QueueReason
    priority: Priority
    needed: Money
    available: Money | None
    destination: str | None
    by: str


@dataclass(frozen=True, slots=True)
class TransferReleased:
    """The funds have come; the attempt starts in the same commit."""

    available: Money


FundingFact = TransferQueued | TransferReleased
