"""A refund: its statuses, and how facts make it. It lives in its payment's stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from roadcall_payments.domain import refund_events as r
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.fact_parts import TextRef
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import StripeRequest


class RefundStatus(StrEnum):
    REQUESTED = "requested"
    REJECTED = "rejected"
    APPROVED = "approved"
    SUBMITTED = "submitted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


_NEW = None
_REQUESTED, _APPROVED = RefundStatus.REQUESTED, RefundStatus.APPROVED
_SUBMITTED, _SUCCEEDED = RefundStatus.SUBMITTED, RefundStatus.SUCCEEDED
_FAILED = RefundStatus.FAILED

# From which status a fact leads to which. What is not here cannot happen.
TRANSITIONS: Mapping[type[r.RefundFact], Mapping[RefundStatus | None, RefundStatus]] = {
    r.RefundRequested: {_NEW: _REQUESTED},
    r.RefundApproved: {_REQUESTED: _APPROVED},
    r.RefundRejected: {_REQUESTED: RefundStatus.REJECTED},
    r.RefundSubmitted: {_APPROVED: _SUBMITTED},
    r.RefundObserved: {_NEW: _SUBMITTED},
    # A restore may have lost the approval, or let somebody reject what had been approved (M18).
    r.RefundAdopted: {_REQUESTED: _SUBMITTED, RefundStatus.REJECTED: _SUBMITTED},
    r.RefundOutcomeUnknown: {_SUBMITTED: _SUBMITTED},
    # Any of these from failed: it was given up as absent, and Stripe has it after all (M16).
    r.RefundPending: {_SUBMITTED: _SUBMITTED, _FAILED: _SUBMITTED},
    r.RefundSucceeded: {_SUBMITTED: _SUCCEEDED, _FAILED: _SUCCEEDED},
    r.RefundFailed: {_SUBMITTED: _FAILED, _SUCCEEDED: _FAILED, _FAILED: _FAILED},
}


@dataclass(frozen=True, slots=True)
class RefundFailure:
    """``code`` is Stripe's error code or failure reason, or ours."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Refund:
    """``amount`` is in the payment's currency, except for a refund that Stripe alone made."""

    id: str
    amount: Money
    reason: str | None
    status: RefundStatus
    requested_at: datetime
    updated_at: datetime
    note: TextRef | None = None
    # None: it was made at Stripe, not by a request to us.
    requested_by: str | None = None
    decided_by: str | None = None
    rejection: TextRef | None = None
    request: StripeRequest | None = None
    submitted_at: datetime | None = None
    stripe_refund: str | None = None
    # Stripe's own status while it is under way there.
    at_stripe: str | None = None
    # Why we do not know whether Stripe has it; None while we do.
    unknown: str | None = None
    # Empty lists at Stripe since it became unknown: two of them end it (M8).
    absences: tuple[datetime, ...] = ()
    failure: RefundFailure | None = None
    from_suspense: bool = False
    # What of our fee went back with it.
    fee_returned: Money | None = None
    # Of a refund that Stripe alone made: the one of ours that its metadata name.
    claims: str | None = None

    @property
    def reserves(self) -> bool:
        """It has not moved money of the payment's own yet, and still may."""
        return not self.from_suspense and self.status in (_REQUESTED, _APPROVED, _SUBMITTED)

    @property
    def answer_open(self) -> bool:
        """Our call has no answer yet: whether Stripe has the refund is not known (M5)."""
        return self.status is _SUBMITTED and self.request is not None and self.stripe_refund is None


def apply(refunds: tuple[Refund, ...], fact: r.RefundFact, at: datetime) -> tuple[Refund, ...]:
    """The payment's refunds after ``fact``. Pure; raises BrokenInvariant outside the table."""
    known = next((one for one in refunds if one.id == fact.refund_id), None)
    status = TRANSITIONS[type(fact)].get(known.status if known else None)
    if status is None:
        raise BrokenInvariant(
            f"{type(fact).__name__} cannot follow for a refund that is "
            f"{known.status if known else 'not there'}."
        )
    if isinstance(fact, r.RefundRequested):
        new = Refund(fact.refund_id, fact.amount, fact.reason, status, at, at, fact.note, fact.by)
        return (*refunds, new)
    if isinstance(fact, r.RefundObserved):
        seen = Refund(fact.refund_id, fact.amount, fact.reason, status, at, at, claims=fact.claims)
        return (*refunds, seen)
    if known is None:
        raise BrokenInvariant("A refund starts with RefundRequested or RefundObserved.")
    after = replace(_evolved(known, fact, at), status=status, updated_at=at)
    return tuple(after if one is known else one for one in refunds)


def _evolved(refund: Refund, fact: r.RefundFact, at: datetime) -> Refund:
    match fact:
        case r.RefundApproved():
            return replace(refund, decided_by=fact.by)
        case r.RefundRejected():
            return replace(refund, decided_by=fact.by, rejection=fact.reason)
        case r.RefundSubmitted():
            return replace(refund, request=fact.request, submitted_at=at)
        case r.RefundAdopted():
            return replace(refund, stripe_refund=fact.stripe_refund, submitted_at=fact.made_at)
        case r.RefundOutcomeUnknown():
            absences = (*refund.absences, at) if fact.absent else refund.absences
            return replace(refund, unknown=fact.reason, absences=absences)
        case r.RefundPending():
            return replace(
                refund,
                stripe_refund=fact.stripe_refund,
                from_suspense=fact.from_suspense,
                at_stripe=fact.status,
                unknown=None,
                failure=None,
            )
        case r.RefundSucceeded():
            return replace(
                refund,
                stripe_refund=fact.stripe_refund,
                from_suspense=fact.from_suspense,
                fee_returned=fact.fee_returned,
                at_stripe=None,
                unknown=None,
                failure=None,
            )
        case r.RefundFailed():
            return replace(
                refund,
                stripe_refund=fact.stripe_refund,
                at_stripe=None,
                unknown=None,
                failure=RefundFailure(fact.code, fact.message),
            )
    raise BrokenInvariant(f"No rule folds {type(fact).__name__}.")
