"""The payment: its statuses, its transition table, and the fold that makes it from its facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from roadcall_payments.domain import events as e
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.money import Money
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
    e.ProcessingStarted: {_APPROVED: _PROCESSING},
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
}


@dataclass(frozen=True, slots=True)
class Risk:
    """``percent`` 0 to 100; ``flagged`` payments wait for a review (M12)."""

    percent: int
    level: str
    reasons: tuple[str, ...]
    flagged: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to move the money; ``open`` until proof settles it (M5)."""

    number: int
    request: StripeRequest
    started_at: datetime
    open: bool = True
    # Empty lists at Stripe since it became unknown: two of them may void it (M8).
    absences: tuple[datetime, ...] = ()


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
    amount_refunded_cents: int = 0
    amount_reversed_cents: int = 0
    reversals: tuple[str, ...] = ()
    booked: tuple[str, ...] = ()
    unbooked: tuple[Unbooked, ...] = ()
    strays: tuple[str, ...] = ()
    anomalies: tuple[str, ...] = ()

    @property
    def flagged(self) -> bool:
        return self.risk is not None and self.risk.flagged

    @property
    def attempts(self) -> int:
        return self.attempt.number if self.attempt else 0

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
        return waiting or bool(self.strays) or bool(self.anomalies)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a payment may rest before the worker looks at it again."""

    scoring: timedelta = timedelta(seconds=30)
    # Longer than a request may wait for Stripe (20 s, M32), so that the two do not meet.
    stripe: timedelta = timedelta(seconds=30)
    payer: timedelta = timedelta(days=7)
    approval: timedelta = timedelta(days=7)


def next_status(status: Status | None, fact: e.PaymentFact) -> Status:
    """The table's answer. Raises BrokenInvariant where the table has none."""
    after = TRANSITIONS[type(fact)].get(status)
    if after is None:
        raise BrokenInvariant(f"{type(fact).__name__} cannot follow in status {status}.")
    return after


def fold(
    payment: Payment | None, facts: tuple[tuple[e.PaymentFact, datetime], ...]
) -> Payment | None:
    """Apply facts with their times, in order."""
    for fact, at in facts:
        payment = apply(payment, fact, at)
    return payment


def apply(payment: Payment | None, fact: e.PaymentFact, at: datetime) -> Payment:
    """The payment after ``fact``. Pure; raises BrokenInvariant outside the table."""
    status = next_status(payment.status if payment else None, fact)
    if isinstance(fact, e.PaymentCreated):
        return _created(fact, at)
    if payment is None:
        raise BrokenInvariant("A payment starts with PaymentCreated.")
    return replace(_evolved(payment, fact, at), status=status, updated_at=at)


def _created(fact: e.PaymentCreated, at: datetime) -> Payment:
    return Payment(
        id=fact.payment_id,
        company_id=fact.company_id,
        incident_id=fact.incident_id,
        vendor_id=fact.vendor_id,
        driver_id=fact.driver_id,
        payer_type=fact.payer_type,
        amount=fact.amount,
        line_items=fact.line_items,
        description=fact.description,
        created_by=fact.created_by,
        created_at=at,
        updated_at=at,
    )


def _evolved(p: Payment, fact: e.PaymentFact, at: datetime) -> Payment:
    match fact:
        case e.PaymentScored():
            return replace(p, risk=Risk(fact.risk_percent, fact.level, fact.reasons, fact.flagged))
        case e.ReviewCleared():
            return replace(p, risk=replace(p.risk, flagged=False) if p.risk else None)
        case e.ReviewBlocked():
            return replace(p, rejection=fact.note)
        case e.ApprovalRecorded():
            return replace(
                p,
                approvals=(*p.approvals, e.Approval(fact.by, fact.role)),
                approvals_since=p.approvals_since or at,
                destination=fact.destination,
            )
        case e.ApprovalExpired():
            return replace(p, approvals=(), approvals_since=None, destination=None)
        case e.PaymentApproved():
            return replace(p, approvals=fact.approvals, destination=fact.destination)
        case e.PaymentRejected():
            return replace(p, rejection=fact.reason)
        case e.TransferReversed():
            return _reversed(p, fact)
        case e.BalanceTransactionBooked():
            return replace(
                p,
                booked=(*p.booked, fact.transaction.id),
                unbooked=tuple(u for u in p.unbooked if u.object_id != fact.object_id),
            )
        case e.StrayMoneyObserved():
            stray = Unbooked(fact.object_id, fact.amount)
            return replace(p, strays=(*p.strays, fact.object_id), unbooked=(*p.unbooked, stray))
        case e.AnomalyRecorded():
            return replace(p, anomalies=(*p.anomalies, fact.code))
        case _:
            return _moved(p, fact, at)


def _moved(p: Payment, fact: e.PaymentFact, at: datetime) -> Payment:
    """The facts of the movement itself, from its intent to its end."""
    if p.unknown is not None:
        p = replace(p, unknown=None)
    match fact:
        case e.ProcessingStarted():
            return replace(
                p,
                attempt=Attempt(fact.attempt, fact.request, at),
                destination=fact.destination,
                awaiting=e.Awaiting.STRIPE,
                failure=None,
                account=fact.request.account,
                livemode=fact.request.livemode,
            )
        case e.PaymentIntentOpened():
            return replace(
                p,
                payment_intent=fact.payment_intent,
                attempt=_closed_attempt(p),
                awaiting=e.Awaiting.PAYER,
            )
        case e.ConfirmationStarted():
            return replace(
                p,
                confirmation=Confirmation(fact.confirmation, fact.request, at),
                awaiting=e.Awaiting.STRIPE,
                failure=None,
                next_action=None,
            )
        case e.ActionRequired():
            return replace(
                _answered(p), awaiting=e.Awaiting.PAYER, next_action=fact.action, failure=None
            )
        case e.CancelRequested():
            return replace(
                p,
                cancellation=Cancellation(fact.cancellation, fact.request, at),
                awaiting=e.Awaiting.STRIPE,
            )
        case e.CancelRefused():
            closed = replace(p.cancellation, open=False) if p.cancellation else None
            return replace(p, cancellation=closed, awaiting=fact.awaiting)
        case e.OutcomeUnknown():
            return _unknown(p, fact, at)
        case e.PaymentFailed():
            return replace(
                _answered(p),
                attempt=_closed_attempt(p),
                awaiting=None,
                next_action=None,
                failure=Failure(
                    fact.code, fact.message, fact.retryable, fact.decline_code, fact.charge_id
                ),
            )
        case e.AttemptVoided():
            gone = Failure("attempt_voided", fact.reason, True, None, None)
            return replace(p, attempt=_closed_attempt(p), awaiting=None, failure=gone)
        case e.PaymentRetried():
            return replace(p, awaiting=None)
        case e.PaymentCancelled():
            ended = _answered(p)
            return replace(ended, awaiting=None, cancellation=None, attempt=_closed_attempt(p))
        case e.PaymentCompleted():
            return _completed(p, fact, at)
    raise BrokenInvariant(f"No rule folds {type(fact).__name__}.")


def _closed_attempt(p: Payment) -> Attempt | None:
    return replace(p.attempt, open=False) if p.attempt and p.attempt.open else p.attempt


def _answered(p: Payment) -> Payment:
    """The open confirmation and cancellation have their answer."""
    confirmation, cancellation = p.confirmation, p.cancellation
    if confirmation and confirmation.open:
        confirmation = replace(confirmation, open=False)
    if cancellation and cancellation.open:
        cancellation = replace(cancellation, open=False)
    return replace(p, confirmation=confirmation, cancellation=cancellation)


def _unknown(p: Payment, fact: e.OutcomeUnknown, at: datetime) -> Payment:
    attempt, confirmation = p.attempt, p.confirmation
    if fact.absent and attempt and attempt.open:
        attempt = replace(attempt, absences=(*attempt.absences, at))
    if fact.answered and confirmation and confirmation.open:
        confirmation = replace(confirmation, open=False)
    return replace(
        p,
        attempt=attempt,
        confirmation=confirmation,
        awaiting=fact.awaiting,
        unknown=fact.reason,
    )


def _completed(p: Payment, fact: e.PaymentCompleted, at: datetime) -> Payment:
    driver = fact.payer_type is e.PayerType.DRIVER_IC
    booked_as = fact.charge_id or fact.object_id
    moved = fact.amount if driver else -fact.amount
    return replace(
        _answered(p),
        attempt=_closed_attempt(p),
        awaiting=None,
        next_action=None,
        failure=None,
        payment_intent=fact.object_id if driver else p.payment_intent,
        transfer=p.transfer if driver else fact.object_id,
        charge=fact.charge_id,
        account=fact.account,
        livemode=fact.livemode,
        completed_at=at,
        unbooked=(*p.unbooked, Unbooked(booked_as, moved)),
    )


def _reversed(p: Payment, fact: e.TransferReversed) -> Payment:
    return replace(
        p,
        amount_reversed_cents=p.amount_reversed_cents + fact.amount.amount_cents,
        reversals=(*p.reversals, fact.reversal_id),
        unbooked=(*p.unbooked, Unbooked(fact.reversal_id, fact.amount)),
    )


def due_at(payment: Payment, patience: Patience) -> datetime | None:
    """When the worker must look at this payment again; None while nobody waits for us."""
    times: list[datetime] = []
    if payment.unbooked:
        times.append(payment.updated_at)
    match payment.status:
        case Status.PENDING_APPROVAL:
            if payment.risk is None:
                times.append(payment.created_at + patience.scoring)
            if payment.approvals_since:
                times.append(payment.approvals_since + patience.approval)
        case Status.PROCESSING if payment.awaiting is e.Awaiting.STRIPE:
            times.append(_stripe_due(payment, patience))
        case Status.PROCESSING | Status.FAILED if payment.payment_intent:
            times.append(payment.updated_at + patience.payer)
    return min(times, default=None)


def _stripe_due(payment: Payment, patience: Patience) -> datetime:
    attempt = payment.attempt
    if attempt and attempt.open and attempt.absences:
        # The second empty list comes an hour later, and 25 h after the start (M8).
        return max(
            attempt.absences[-1] + timedelta(hours=1), attempt.started_at + timedelta(hours=25)
        )
    return payment.updated_at + patience.stripe
