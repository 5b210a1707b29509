"""A dispute of a payment's charge, as facts make it. It lives in its payment's stream."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from roadcall_payments.domain import dispute_events as d
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import DisputeStatus

AWAITING_EVIDENCE = frozenset({DisputeStatus.NEEDS_RESPONSE, DisputeStatus.WARNING_NEEDS_RESPONSE})
CLOSED = frozenset(
    {
        DisputeStatus.WON,
        DisputeStatus.LOST,
        DisputeStatus.WARNING_CLOSED,
        DisputeStatus.PREVENTED,
    }
)
# Stripe refuses a refund beside these: the bank has the money, or keeps it.
_REFUNDS_FORBIDDEN = frozenset(
    {DisputeStatus.NEEDS_RESPONSE, DisputeStatus.UNDER_REVIEW, DisputeStatus.LOST}
)
_INQUIRIES = frozenset(
    {
        DisputeStatus.WARNING_NEEDS_RESPONSE,
        DisputeStatus.WARNING_UNDER_REVIEW,
        DisputeStatus.WARNING_CLOSED,
    }
)


@dataclass(frozen=True, slots=True)
class Dispute:
    """Amounts in minor units of ``amount.currency``.

    ``withheld_cents``: taken by the bank and not given back. ``lost_cents``: how much of that
    somebody bears for good.
    """

    id: str
    charge: str
    amount: Money
    reason: str
    status: DisputeStatus
    evidence_due: datetime | None
    opened_at: datetime
    updated_at: datetime
    withheld_cents: int = 0
    lost_cents: int = 0
    borne_by: d.Bearer | None = None
    # The deadline that somebody was reminded of.
    reminded_of: datetime | None = None

    @property
    def inquiry(self) -> bool:
        return self.status in _INQUIRIES

    @property
    def awaits_evidence(self) -> bool:
        return self.status in AWAITING_EVIDENCE

    @property
    def forbids_refunds(self) -> bool:
        return self.status in _REFUNDS_FORBIDDEN


def apply(disputes: tuple[Dispute, ...], fact: d.DisputeFact, at: datetime) -> tuple[Dispute, ...]:
    """The payment's disputes after ``fact``. Pure."""
    known = next((one for one in disputes if one.id == fact.dispute_id), None)
    if isinstance(fact, d.DisputeOpened):
        if known is not None:
            raise BrokenInvariant("A dispute is opened once.")
        opened = Dispute(
            fact.dispute_id,
            fact.charge_id,
            fact.amount,
            fact.reason,
            fact.status,
            fact.evidence_due,
            at,
            at,
        )
        return (*disputes, opened)
    if known is None:
        raise BrokenInvariant("A dispute starts with DisputeOpened.")
    after = replace(_evolved(known, fact), updated_at=at)
    return tuple(after if one is known else one for one in disputes)


def _evolved(dispute: Dispute, fact: d.DisputeFact) -> Dispute:
    match fact:
        case d.DisputeChanged():
            return replace(
                dispute, amount=fact.amount, status=fact.status, evidence_due=fact.evidence_due
            )
        case d.DisputeFundsWithdrawn():
            withheld = dispute.withheld_cents + fact.amount.amount_cents
            return replace(dispute, withheld_cents=withheld)
        case d.DisputeFundsReinstated():
            withheld = dispute.withheld_cents - fact.amount.amount_cents
            return replace(dispute, withheld_cents=withheld)
        case d.EvidenceDeadlineNeared():
            return replace(dispute, reminded_of=fact.evidence_due)
        case d.DisputeClosed():
            return replace(
                dispute,
                status=fact.status,
                evidence_due=None,
                lost_cents=dispute.lost_cents + fact.loss.amount_cents,
                borne_by=fact.borne_by,
            )
    raise BrokenInvariant(f"No rule folds {type(fact).__name__}.")
