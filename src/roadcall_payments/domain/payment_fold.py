"""The fold that makes a payment from its facts. Pure; follows the transition table alone."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from roadcall_payments.domain import dispute, funding, refund, settlement
from roadcall_payments.domain import events as e
from roadcall_payments.domain import settlement_events as s
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.funding import Funding
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import (
    TRANSITIONS,
    Attempt,
    AttemptSetOff,
    Cancellation,
    Confirmation,
    Failure,
    Payment,
    Risk,
    Status,
    Unbooked,
)
from roadcall_payments.domain.records import replace
from roadcall_payments.domain.settlement import Settlement

C = TypeVar("C", Attempt, Confirmation, Cancellation)

# The facts of the movement itself, which most are: told at once, before the others are asked for.
_OF_THE_MOVEMENT = frozenset(
    {
        e.ProcessingStarted,
        e.AttemptAdopted,
        e.PaymentIntentOpened,
        e.ConfirmationStarted,
        e.ActionRequired,
        e.CancelRequested,
        e.CancelRefused,
        e.OutcomeUnknown,
        e.PaymentFailed,
        e.AttemptVoided,
        e.PaymentRetried,
        e.PaymentCancelled,
        e.PaymentCompleted,
    }
)


def next_status(status: Status | None, fact: e.PaymentFact) -> Status:
    """The table's answer. Raises BrokenInvariant where the table has none."""
    after = TRANSITIONS[type(fact)].get(status)
    if after is None:
        raise BrokenInvariant(f"{type(fact).__name__} cannot follow in status {status}.")
    return after


def apply(payment: Payment | None, fact: e.PaymentFact, at: datetime) -> Payment:
    """The payment after ``fact``. Pure; raises BrokenInvariant outside the table."""
    status = next_status(payment.status if payment else None, fact)
    if isinstance(fact, e.PaymentCreated):
        return _created(fact, at)
    if payment is None:
        raise BrokenInvariant("A payment starts with PaymentCreated.")
    # The commonest facts set status and time with the rest, so that one record is made, not two.
    after = _evolved(payment, fact, at)
    if after.status is status and after.updated_at is at:
        return after
    return replace(after, status=status, updated_at=at)


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
    if type(fact) in _OF_THE_MOVEMENT:
        return _moved(p, fact, at)
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
            return _booked(p, fact)
        case e.StrayMoneyObserved():
            stray = Unbooked(fact.object_id, fact.amount)
            return replace(p, strays=(*p.strays, fact.object_id), unbooked=(*p.unbooked, stray))
        case e.AnomalyRecorded():
            return replace(p, anomalies=(*p.anomalies, fact.code))
        case e.OutcomeInquired():
            return p
        case e.TransferQueued():
            return _queued(p, fact, at)
        case e.TransferReleased():
            return replace(p, funding=_left_queue(p.funding))
        case e.RefundSucceeded():
            return _refunded(_with_refund(p, fact, at), fact)
        case e.RefundFailed():
            return _not_refunded(_with_refund(p, fact, at), fact)
        case (
            e.RefundRequested()
            | e.RefundApproved()
            | e.RefundRejected()
            | e.RefundSubmitted()
            | e.RefundOutcomeUnknown()
            | e.RefundObserved()
            | e.RefundAdopted()
            | e.RefundPending()
        ):
            return _with_refund(p, fact, at)
        case e.DisputeFundsWithdrawn():
            return _with_dispute(p, fact, at, -fact.amount)
        case e.DisputeFundsReinstated():
            return _with_dispute(p, fact, at, fact.amount)
        case (
            e.DisputeOpened() | e.DisputeChanged() | e.EvidenceDeadlineNeared() | e.DisputeClosed()
        ):
            return _with_dispute(p, fact, at)
        case _ if isinstance(fact, s.SettlementFact):
            return _settling(p, fact, at)
    raise BrokenInvariant(f"No rule folds {type(fact).__name__}.")


def _booked(p: Payment, fact: e.BalanceTransactionBooked) -> Payment:
    due = fact.transaction.available_on if fact.object_id == p.charge else p.charge_available_on
    return replace(
        p,
        charge_available_on=due,
        booked=(*p.booked, fact.transaction.id),
        unbooked=tuple(u for u in p.unbooked if u != Unbooked(fact.object_id, fact.moved)),
    )


def _moved(p: Payment, fact: e.PaymentFact, at: datetime) -> Payment:
    """The facts of the movement itself, from its intent to its end."""
    if p.unknown is not None:
        p = replace(p, unknown=None)
    match fact:
        case e.PaymentCompleted():
            return _completed(p, fact, at)
        case e.ProcessingStarted() | e.AttemptAdopted():
            return _started(p, fact, at)
        case e.PaymentIntentOpened():
            return replace(
                p,
                updated_at=at,
                payment_intent=fact.payment_intent,
                attempt=_closed(p.attempt),
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
            return replace(p, cancellation=_closed(p.cancellation), awaiting=fact.awaiting)
        case e.OutcomeUnknown():
            return _unknown(p, fact, at)
        case e.PaymentFailed():
            return replace(
                _answered(p),
                attempt=_closed(p.attempt),
                awaiting=None,
                next_action=None,
                failure=Failure(
                    fact.code, fact.message, fact.retryable, fact.decline_code, fact.charge_id
                ),
            )
        case e.AttemptVoided():
            gone = Failure("attempt_voided", fact.reason, True, None, None)
            return replace(p, attempt=_closed(p.attempt), awaiting=None, failure=gone)
        case e.PaymentRetried():
            return replace(p, awaiting=None)
        case e.PaymentCancelled():
            ended = _answered(p)
            return replace(ended, awaiting=None, cancellation=None, attempt=_closed(p.attempt))
    raise BrokenInvariant(f"No rule folds {type(fact).__name__}.")


def _started(p: Payment, fact: e.ProcessingStarted | e.AttemptAdopted, at: datetime) -> Payment:
    if isinstance(fact, e.AttemptAdopted):
        started_at, priority, turn = fact.started_at, None, None
    else:
        started_at, priority, turn = at, fact.priority, fact.turn
    return replace(
        p,
        status=Status.PROCESSING,
        updated_at=at,
        attempt=Attempt(fact.attempt, fact.request, started_at, priority=priority),
        set_offs=_set_offs(p, fact),
        funding=_left_queue(p.funding),
        funds_turn=turn or p.funds_turn,
        processing_since=min(p.processing_since or started_at, started_at),
        destination=fact.destination,
        awaiting=e.Awaiting.STRIPE,
        failure=None,
        account=fact.request.account,
        livemode=fact.request.livemode,
        settlement=Settlement() if fact.settles else None,
    )


def _queued(p: Payment, fact: e.TransferQueued, at: datetime) -> Payment:
    return replace(
        p,
        attempt=_closed(p.attempt),
        awaiting=None,
        unknown=None,
        destination=fact.destination,
        funding=funding.queued(p.funding, fact, at),
    )


def _left_queue(before: Funding | None) -> Funding | None:
    return replace(before, waits=False, not_before=None) if before and before.waits else before


def _set_offs(
    p: Payment, fact: e.ProcessingStarted | e.AttemptAdopted
) -> tuple[AttemptSetOff, ...]:
    if fact.set_off is None:
        return p.set_offs
    others = tuple(one for one in p.set_offs if one.attempt != fact.attempt)
    adopted = isinstance(fact, e.AttemptAdopted)
    return (*others, AttemptSetOff(fact.attempt, fact.set_off.amount_cents, adopted))


def _closed(call: C | None) -> C | None:
    return replace(call, open=False) if call and call.open else call


def _answered(p: Payment) -> Payment:
    """The open confirmation and cancellation have their answer."""
    confirmation, cancellation = p.confirmation, p.cancellation
    if not (confirmation and confirmation.open) and not (cancellation and cancellation.open):
        return p
    return replace(p, confirmation=_closed(confirmation), cancellation=_closed(cancellation))


def _unknown(p: Payment, fact: e.OutcomeUnknown, at: datetime) -> Payment:
    attempt, confirmation = p.attempt, p.confirmation
    if fact.absent and attempt and attempt.open:
        attempt = replace(attempt, absences=(*attempt.absences, at))
    return replace(
        p,
        attempt=attempt,
        confirmation=_closed(confirmation) if fact.answered else confirmation,
        awaiting=fact.awaiting,
        unknown=fact.reason,
    )


def _completed(p: Payment, fact: e.PaymentCompleted, at: datetime) -> Payment:
    driver = fact.payer_type is e.PayerType.DRIVER_IC
    booked_as = fact.charge_id or fact.object_id
    transferred = fact.amount - fact.set_off if fact.set_off else fact.amount
    moved = fact.amount if driver else -transferred
    return replace(
        _answered(p),
        status=Status.COMPLETED,
        updated_at=at,
        attempt=_closed(p.attempt),
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


def _with_refund(p: Payment, fact: e.RefundFact, at: datetime) -> Payment:
    return replace(p, refunds=refund.apply(p.refunds, fact, at))


def _settling(p: Payment, fact: s.SettlementFact, at: datetime) -> Payment:
    before = p.settlement
    if before is None and isinstance(fact, s.SettlementAdopted):
        before = Settlement()
    if before is None and isinstance(fact, s.SetOffReduced):
        sent = p.amount - fact.set_off
        before = settlement.of_back_office(sent, fact.set_off, p.destination or "", at)
    if before is None:
        raise BrokenInvariant(f"{type(fact).__name__} follows for a payment that we do not settle.")
    p = replace(p, settlement=settlement.apply(before, fact, at))
    match fact:
        case s.SettlementCompleted():
            waits = Unbooked(fact.transfer_id, -fact.amount)
            return replace(p, unbooked=(*p.unbooked, waits))
        case s.SettlementReversed():
            waits = Unbooked(fact.reversal_id, fact.amount)
            known = (*p.reversals, fact.reversal_id)
            return replace(p, reversals=known, unbooked=(*p.unbooked, waits))
        case _:
            return p


def _fee_returned(p: Payment, fee: Money | None, sign: int) -> Payment:
    if p.settlement is None or fee is None:
        return p
    kept = p.settlement.fee_cents - sign * fee.amount_cents
    return replace(p, settlement=replace(p.settlement, fee_cents=kept))


def _refunded(p: Payment, fact: e.RefundSucceeded) -> Payment:
    given_back = 0 if fact.from_suspense else fact.amount.amount_cents
    p = _fee_returned(p, fact.fee_returned, 1)
    return replace(
        p,
        amount_refunded_cents=p.amount_refunded_cents + given_back,
        unbooked=(*p.unbooked, Unbooked(fact.stripe_refund, -fact.amount)),
    )


def _not_refunded(p: Payment, fact: e.RefundFailed) -> Payment:
    """Stripe's books have a line for each way that the money went, out and back."""
    if fact.stripe_refund is None:
        return p
    out, back = (
        Unbooked(fact.stripe_refund, -fact.amount),
        Unbooked(fact.stripe_refund, fact.amount),
    )
    if fact.returned:
        came_back = 0 if fact.from_suspense else fact.amount.amount_cents
        p = _fee_returned(p, fact.fee_returned, -1)
        return replace(
            p,
            amount_refunded_cents=p.amount_refunded_cents - came_back,
            unbooked=(*p.unbooked, back),
        )
    return replace(p, unbooked=(*p.unbooked, out, back)) if fact.drawn else p


def _with_dispute(
    p: Payment, fact: e.DisputeFact, at: datetime, moved: Money | None = None
) -> Payment:
    """``moved``: what Stripe's books have a line for, signed as Stripe signs it."""
    disputes = dispute.apply(p.disputes, fact, at)
    unbooked = (*p.unbooked, Unbooked(fact.dispute_id, moved)) if moved else p.unbooked
    return replace(p, disputes=disputes, unbooked=unbooked)
