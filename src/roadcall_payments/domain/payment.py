"""The payment: its statuses, its transition table, and when the worker looks at it again.

How facts make it is in ``payment_fold.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from roadcall_payments.domain import events as e
from roadcall_payments.domain import settlement_events as s
from roadcall_payments.domain.dispute import Dispute
from roadcall_payments.domain.funding import Funding
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.records import quickly_made
from roadcall_payments.domain.refund import Refund, RefundStatus
from roadcall_payments.domain.settlement import Settlement
from roadcall_payments.domain.stripe_objects import StripeRequest


class Status(StrEnum):
    PENDING_APPROVAL = "pending_approval"
    APPROVED = "approved"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


_NEW = None
_PENDING, _APPROVED, _PROCESSING = Status.PENDING_APPROVAL, Status.APPROVED, Status.PROCESSING
_COMPLETED, _FAILED = Status.COMPLETED, Status.FAILED
_CANCELLED, _REJECTED = Status.CANCELLED, Status.REJECTED
_UNCHANGED: Mapping[Status | None, Status] = {status: status for status in Status}
_AFTERWARDS: Mapping[Status | None, Status] = {_COMPLETED: _COMPLETED}

# DESIGN's table: from which status a fact leads to which. What is not here cannot happen.
TRANSITIONS: Mapping[type[e.PaymentFact], Mapping[Status | None, Status]] = {
    e.PaymentCreated: {_NEW: _PENDING},
    e.PaymentScored: {_PENDING: _PENDING, _COMPLETED: _COMPLETED},
    e.ReviewCleared: {_PENDING: _PENDING},
    e.ReviewBlocked: {_PENDING: _REJECTED},
    e.ApprovalRecorded: {_PENDING: _PENDING},
    e.ApprovalExpired: {_PENDING: _PENDING},
    e.PaymentApproved: {_PENDING: _APPROVED},
    e.PaymentRejected: {_PENDING: _REJECTED},
    e.PaymentCancelled: {
        _PENDING: _CANCELLED,
        _APPROVED: _CANCELLED,
        _PROCESSING: _CANCELLED,
        _FAILED: _CANCELLED,
    },
    # From processing: Stripe refused it for want of funds.
    e.TransferQueued: {_APPROVED: _APPROVED, _PROCESSING: _APPROVED},
    e.TransferReleased: {_APPROVED: _APPROVED},
    e.ProcessingStarted: {_APPROVED: _PROCESSING},
    # A restore may have lost the approval, the retry and the start with it (M18).
    e.AttemptAdopted: {_PENDING: _PROCESSING, _APPROVED: _PROCESSING, _FAILED: _PROCESSING},
    # Of a completed payment, its settlement's.
    e.OutcomeInquired: {
        _PROCESSING: _PROCESSING,
        _FAILED: _FAILED,
        _COMPLETED: _COMPLETED,
    },
    e.PaymentIntentOpened: {_PROCESSING: _PROCESSING},
    e.ConfirmationStarted: {_PROCESSING: _PROCESSING, _FAILED: _PROCESSING},
    e.ActionRequired: {_PROCESSING: _PROCESSING, _FAILED: _PROCESSING},
    e.CancelRequested: {_PROCESSING: _PROCESSING, _FAILED: _PROCESSING},
    e.CancelRefused: {_PROCESSING: _PROCESSING},
    e.OutcomeUnknown: {_PROCESSING: _PROCESSING},
    e.PaymentFailed: {_PROCESSING: _FAILED, _FAILED: _FAILED},
    e.AttemptVoided: {_PROCESSING: _FAILED},
    e.PaymentCompleted: {_PROCESSING: _COMPLETED, _FAILED: _COMPLETED},
    e.PaymentRetried: {_FAILED: _APPROVED},
    e.BalanceTransactionBooked: _UNCHANGED,
    e.TransferReversed: {_COMPLETED: _COMPLETED},
    e.StrayMoneyObserved: _UNCHANGED,
    e.AnomalyRecorded: _UNCHANGED,
    # A refund's own statuses are in refund.py. What Stripe did with one is taken always (M16).
    e.RefundRequested: _AFTERWARDS,
    e.RefundApproved: _AFTERWARDS,
    e.RefundRejected: _AFTERWARDS,
    e.RefundSubmitted: _AFTERWARDS,
    e.RefundOutcomeUnknown: _AFTERWARDS,
    e.RefundObserved: _UNCHANGED,
    e.RefundAdopted: _AFTERWARDS,
    e.RefundPending: _UNCHANGED,
    e.RefundSucceeded: _UNCHANGED,
    e.RefundFailed: _UNCHANGED,
    e.DisputeOpened: _UNCHANGED,
    e.DisputeChanged: _UNCHANGED,
    e.DisputeFundsWithdrawn: _UNCHANGED,
    e.DisputeFundsReinstated: _UNCHANGED,
    e.EvidenceDeadlineNeared: _UNCHANGED,
    e.DisputeClosed: _UNCHANGED,
    # A settlement's own steps are in settlement.py.
    s.SettlementDeferred: _AFTERWARDS,
    s.SettlementStarted: _AFTERWARDS,
    s.SettlementAdopted: _AFTERWARDS,
    s.SettlementWithheld: _AFTERWARDS,
    s.SettlementUnknown: _AFTERWARDS,
    s.SettlementCompleted: _AFTERWARDS,
    s.SettlementFailed: _AFTERWARDS,
    s.SettlementReversalStarted: _AFTERWARDS,
    s.SettlementReversalUnknown: _AFTERWARDS,
    s.SettlementReversed: _AFTERWARDS,
    s.SettlementReversalFailed: _AFTERWARDS,
    s.SettlementDebtUndone: _AFTERWARDS,
    s.SetOffReduced: _AFTERWARDS,
}


@dataclass(frozen=True, slots=True)
class Risk:
    """``percent`` 0 to 100; ``flagged`` payments wait for a review (M12)."""

    percent: int
    level: str
    reasons: tuple[str, ...]
    flagged: bool


@quickly_made
@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to move the money; ``open`` until proof settles it (M5)."""

    number: int
    request: StripeRequest
    started_at: datetime
    open: bool = True
    # Empty lists at Stripe since it became unknown: two of them may void it (M8).
    absences: tuple[datetime, ...] = ()
    # Of a transfer, as it was asked for: its place, should it have to wait for funds.
    priority: e.Priority | None = None


@dataclass(frozen=True, slots=True)
class AttemptSetOff:
    """By how much the transfer of an attempt is less than the payment (M22). ``adopted``: its start
    was lost with a restore, and so may be the debts that it pays (M18)."""

    attempt: int
    amount_cents: int
    adopted: bool = False


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A confirm call of the one PaymentIntent; ``open`` until its answer is known (M3)."""

    number: int
    request: StripeRequest
    started_at: datetime
    open: bool = True


@dataclass(frozen=True, slots=True)
class Cancellation:
    number: int
    request: StripeRequest
    started_at: datetime
    open: bool = True


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    message: str
    retryable: bool
    decline_code: str | None
    charge_id: str | None


@dataclass(frozen=True, slots=True)
class Unbooked:
    """An object whose balance transaction we have not booked yet; ``moved`` as Stripe signs."""

    object_id: str
    moved: Money


@dataclass(frozen=True, slots=True)
class Payment:
    """State folded from facts. Amounts are minor units of ``amount.currency``."""

    id: str
    company_id: str
    incident_id: str
    vendor_id: str
    driver_id: str | None
    payer_type: e.PayerType
    amount: Money
    line_items: tuple[e.LineItem, ...]
    description: e.TextRef | None
    created_by: str
    created_at: datetime
    updated_at: datetime
    status: Status = Status.PENDING_APPROVAL
    risk: Risk | None = None
    approvals: tuple[e.Approval, ...] = ()
    approvals_since: datetime | None = None
    destination: str | None = None
    attempt: Attempt | None = None
    # Of every attempt that had one: Stripe may turn out to have made any of them (M6).
    set_offs: tuple[AttemptSetOff, ...] = ()
    funding: Funding | None = None
    # Of its last transfer that started above a reserve, among those of its currency.
    funds_turn: int | None = None
    # When the first attempt began: nothing of ours at Stripe is older (M6).
    processing_since: datetime | None = None
    confirmation: Confirmation | None = None
    cancellation: Cancellation | None = None
    awaiting: e.Awaiting | None = None
    # Why we do not know what Stripe did with the open call; None while we do.
    unknown: str | None = None
    next_action: str | None = None
    payment_intent: str | None = None
    transfer: str | None = None
    charge: str | None = None
    account: str | None = None
    livemode: bool | None = None
    failure: Failure | None = None
    rejection: e.TextRef | None = None
    completed_at: datetime | None = None
    # When Stripe makes the charge's money available, and with it the vendor's share of it.
    charge_available_on: datetime | None = None
    amount_refunded_cents: int = 0
    amount_reversed_cents: int = 0
    reversals: tuple[str, ...] = ()
    booked: tuple[str, ...] = ()
    unbooked: tuple[Unbooked, ...] = ()
    strays: tuple[str, ...] = ()
    anomalies: tuple[str, ...] = ()
    refunds: tuple[Refund, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    # None: its vendor's share is not ours to transfer.
    settlement: Settlement | None = None

    @property
    def queued(self) -> bool:
        """Its transfer waits for the platform's funds."""
        return self.status is Status.APPROVED and self.funding is not None and self.funding.waits

    @property
    def flagged(self) -> bool:
        return self.risk is not None and self.risk.flagged

    @property
    def attempts(self) -> int:
        return self.attempt.number if self.attempt else 0

    def set_off(self, attempt: int) -> Money:
        """What the transfer of an attempt leaves out, to pay debts of the vendor's."""
        cents = sum(one.amount_cents for one in self.set_offs if one.attempt == attempt)
        return Money(cents, self.amount.currency)

    @property
    def intent_open(self) -> bool:
        """A PaymentIntent exists at Stripe, or may exist, that could still take money (M1)."""
        if self.payer_type is not e.PayerType.DRIVER_IC or self.attempt is None:
            return False
        ended = self.status in (Status.COMPLETED, Status.CANCELLED)
        return not ended and (self.payment_intent is not None or self.attempt.open)

    @property
    def on_review(self) -> bool:
        """Something about it waits for a person."""
        waiting = self.status is Status.PENDING_APPROVAL and self.flagged
        asked = any(one.status is RefundStatus.REQUESTED for one in self.refunds)
        disputed = any(one.awaits_evidence for one in self.disputes)
        return waiting or asked or disputed or bool(self.strays) or bool(self.anomalies)

    @property
    def refundable(self) -> Money:
        """What is neither given back nor asked for yet; a dashboard may have gone beyond."""
        reserved = sum(one.amount.amount_cents for one in self.refunds if one.reserves)
        left = self.amount.amount_cents - self.amount_refunded_cents - reserved
        return Money(max(left, 0), self.amount.currency)

    def refund(self, refund_id: str) -> Refund | None:
        return next((one for one in self.refunds if one.id == refund_id), None)

    def dispute(self, dispute_id: str) -> Dispute | None:
        return next((one for one in self.disputes if one.id == dispute_id), None)


# The anomaly of an approved payment that nobody processes: a person is told, once.
APPROVED_NOT_PROCESSED = "approved_not_processed"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a payment may rest before the worker looks at it again."""

    scoring: timedelta = timedelta(seconds=30)
    # Longer than a request may wait for Stripe (20 s, M32), so that the two do not meet.
    stripe: timedelta = timedelta(seconds=30)
    payer: timedelta = timedelta(days=7)
    approval: timedelta = timedelta(days=7)
    # Stripe tells of a refund's end by an event: looking is for the event that never came.
    refund_pending: timedelta = timedelta(hours=6)
    # How long before evidence is due somebody is told again.
    evidence: timedelta = timedelta(days=3)
    # How long a share rests that Stripe refused, or that has nowhere to go yet.
    settlement_again: timedelta = timedelta(hours=1)
    # Not how long, but when: the hour of the day, UTC, of daily payouts.
    payout_hour_utc: int = 6


def due_at(payment: Payment, patience: Patience) -> datetime | None:
    """When the worker must look at this payment again; None while nobody waits for us."""
    times = [_own_due_at(payment, patience)]
    if payment.unbooked:
        times.append(payment.updated_at)
    times += [refund_due_at(one, patience) for one in payment.refunds]
    times += [reminder_due_at(one, patience) for one in payment.disputes]
    return earliest(times)


def earliest(times: Sequence[datetime | None]) -> datetime | None:
    """The first of the times that are set; None where none is."""
    known = [at for at in times if at is not None]
    return min(known) if known else None


def _own_due_at(payment: Payment, patience: Patience) -> datetime | None:
    """By its status alone."""
    status = payment.status
    if status is _COMPLETED:
        return None
    if status is _PENDING:
        scored_by = payment.created_at + patience.scoring if payment.risk is None else None
        since = payment.approvals_since
        return earliest((scored_by, since + patience.approval if since else None))
    if status is _APPROVED:
        rests = payment.queued or APPROVED_NOT_PROCESSED in payment.anomalies
        return None if rests else payment.updated_at + patience.approval
    if status is _PROCESSING and payment.awaiting is e.Awaiting.STRIPE:
        return _stripe_due(payment, patience)
    if status in (_PROCESSING, _FAILED) and payment.payment_intent:
        return payment.updated_at + patience.payer
    return None


def _stripe_due(payment: Payment, patience: Patience) -> datetime:
    attempt = payment.attempt
    if attempt and attempt.open and attempt.absences:
        return second_look(attempt.absences[-1], attempt.started_at)
    return payment.updated_at + patience.stripe


def refund_due_at(refund: Refund, patience: Patience) -> datetime | None:
    """When the worker must look at this refund again; None while nobody waits for us."""
    if refund.status is not RefundStatus.SUBMITTED:
        return None
    if not refund.answer_open:
        return refund.updated_at + patience.refund_pending
    if refund.absences and refund.submitted_at:
        return second_look(refund.absences[-1], refund.submitted_at)
    return refund.updated_at + patience.stripe


def second_look(first_look: datetime, started_at: datetime) -> datetime:
    """The second empty list comes an hour later, and 25 h after the start (M8)."""
    return max(first_look + timedelta(hours=1), started_at + timedelta(hours=25))


def reminder_due_at(dispute: Dispute, patience: Patience) -> datetime | None:
    """When somebody has to be told that evidence is due; None where nobody has."""
    due = dispute.evidence_due
    if due is None or not dispute.awaits_evidence or dispute.reminded_of == due:
        return None
    return due - patience.evidence
