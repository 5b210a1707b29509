"""From what Stripe did with refunds to facts. Pure; these are never refused (M16).

Every function takes the payment as it stands now and gives no facts where Stripe's word is no
news. A refund is booked by its id, once (M17), whoever made it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from roadcall_payments.domain import events as e
from roadcall_payments.domain.drift import APPROVAL_LOST
from roadcall_payments.domain.outcomes import (
    ABSENCES_APART,
    VOID_AFTER,
    booking,
)
from roadcall_payments.domain.payment import Payment, Status, Unbooked
from roadcall_payments.domain.payment_fold import apply
from roadcall_payments.domain.refund import Refund, RefundStatus
from roadcall_payments.domain.stripe_objects import Refund as StripeRefund
from roadcall_payments.domain.stripe_objects import RefundStatus as Theirs
from roadcall_payments.domain.stripe_objects import StripeFailure
from roadcall_payments.domain.vendor_share import fee_to_return

Facts = tuple[e.PaymentFact, ...]

# Each is up to four entries with their postings and names (M28).
REFUNDS_A_COMMIT = 4

_BEFORE_IT_WAS_SENT = (RefundStatus.REQUESTED, RefundStatus.REJECTED)

# Ours, for a refund whose request never reached Stripe.
NEVER_SENT = "refund_voided"


def is_ready_for(payment: Payment, seen: StripeRefund) -> bool:
    """Whether the money it gives back is in our books already: else it has to wait."""
    return payment.status is Status.COMPLETED or _is_stray(payment, seen)


def refunds_seen(
    payment: Payment,
    seen: Sequence[StripeRefund],
    source: e.Source,
    at: datetime,
    request_id: str | None = None,
) -> Facts:
    """The facts in refunds of this payment, at most ``REFUNDS_A_COMMIT`` of them (M28): ask again
    until there are none.

    Anything but success must have been fetched after ``payment`` was read, or be the answer to
    the refund's own call (M15).
    """
    facts: list[e.PaymentFact] = []
    news = 0
    for one in seen:
        if news == REFUNDS_A_COMMIT:
            break
        found = _one_seen(payment, one, source, request_id)
        for fact in found:
            payment = apply(payment, fact, at)
        facts += found
        news += bool(found)
    return tuple(facts)


def exceeds_a_commit(payment: Payment, seen: Sequence[StripeRefund]) -> bool:
    """Whether there may be more news than ``refunds_seen`` gives at once."""
    known = {one.stripe_refund for one in payment.refunds}
    news = [one for one in seen if one.id not in known and not _moved_nothing(one)]
    return len(news) > REFUNDS_A_COMMIT


def _one_seen(
    payment: Payment, seen: StripeRefund, source: e.Source, request_id: str | None
) -> Facts:
    if payment.account is None or payment.livemode is None or not is_ready_for(payment, seen):
        return ()
    refund = _known(payment, seen)
    found: Facts = ()
    if refund is None:
        if _moved_nothing(seen):
            return ()
        claimed = _claimed(payment, seen)
        claims = claimed.id if claimed else None
        found = (e.RefundObserved(seen.id, seen.amount, seen.reason, claims),)
        refund = Refund(
            seen.id, seen.amount, seen.reason, RefundStatus.SUBMITTED, seen.created, seen.created
        )
    elif refund.status in _BEFORE_IT_WAS_SENT:
        found = _adopted(refund, seen)
        refund = replace(refund, status=RefundStatus.SUBMITTED, stripe_refund=seen.id)
    return (*found, *_progress(payment, refund, seen, source, request_id))


def _moved_nothing(seen: StripeRefund) -> bool:
    return seen.status in (Theirs.FAILED, Theirs.CANCELED) and not seen.drawn


def _known(payment: Payment, seen: StripeRefund) -> Refund | None:
    """Ours by Stripe's id; else the one that it carries the id and the amount of (M13).

    One that the books never sent is ours too, if it gives back what our own PaymentIntent took:
    a restore lost that it was sent, and left waiting it could be approved and given again (M18).
    """
    for refund in payment.refunds:
        if seen.id in (refund.stripe_refund, refund.id):
            return refund
    claimed = _claimed(payment, seen)
    if claimed is None or claimed.stripe_refund is not None or claimed.amount != seen.amount:
        return None
    own_charge = seen.payment_intent == payment.payment_intent and not _is_stray(payment, seen)
    return claimed if claimed.request is not None or own_charge else None


def _claimed(payment: Payment, seen: StripeRefund) -> Refund | None:
    return payment.refund(seen.metadata.get("refundId", ""))


def _adopted(refund: Refund, seen: StripeRefund) -> Facts:
    detail = f"Stripe has refund {refund.id}, which the books say is {refund.status}"
    return (
        e.RefundAdopted(refund.id, seen.id, seen.created),
        # Each is a case of its own, however many a restore lost.
        e.AnomalyRecorded(APPROVAL_LOST, detail, seen.id),
    )


def _progress(
    p: Payment, refund: Refund, seen: StripeRefund, source: e.Source, request_id: str | None
) -> Facts:
    ended = refund.status is RefundStatus.FAILED and refund.stripe_refund is not None
    if ended or p.account is None or p.livemode is None:
        return ()
    match seen.status:
        case Theirs.SUCCEEDED:
            if refund.status is RefundStatus.SUCCEEDED:
                return ()
            stray = _is_stray(p, seen)
            done = e.RefundSucceeded(
                refund.id,
                seen.id,
                seen.amount,
                p.account,
                p.livemode,
                p.company_id,
                p.vendor_id,
                stray,
                source,
                request_id,
                None if stray else fee_to_return(p, seen.amount),
            )
            line = seen.balance_transaction
            return (done, *booking(p, Unbooked(seen.id, -seen.amount), line))
        case Theirs.PENDING | Theirs.REQUIRES_ACTION:
            known = (refund.stripe_refund, refund.at_stripe) == (seen.id, seen.status)
            if known or refund.status is RefundStatus.SUCCEEDED:
                return ()
            return (
                e.RefundPending(
                    refund.id,
                    seen.id,
                    seen.status,
                    p.account,
                    p.livemode,
                    source,
                    request_id,
                    _is_stray(p, seen),
                ),
            )
        case Theirs.FAILED | Theirs.CANCELED:
            code = seen.failure_reason or seen.status
            words = _FAILURE_WORDS.get(code, "The refund could not be completed.")
            failure = StripeFailure(code, words)
            return (_failed(p, refund, failure, seen, source, request_id),)


# Stripe gives a reason, not a sentence: docs.stripe.com/refunds#failed-refunds.
_FAILURE_WORDS = {
    "lost_or_stolen_card": "The card was lost or stolen.",
    "expired_or_canceled_card": "The card has expired or was cancelled.",
    "charge_for_pending_refund_disputed": "The payer disputed the charge meanwhile.",
    "insufficient_funds": "Our Stripe balance could not pay it.",
    "declined": "The payer's bank declined it.",
    "merchant_request": "It was cancelled at our request.",
    "canceled": "It was cancelled before the payer acted.",
}


def refund_refused(
    payment: Payment, refund_id: str, failure: StripeFailure, request_id: str | None
) -> Facts:
    """A definite refusal ends the refund, if nothing else settled it meanwhile."""
    refund = payment.refund(refund_id)
    if refund is None or not refund.answer_open:
        return ()
    return (_failed(payment, refund, failure, None, e.Source.ANSWER, request_id),)


def refund_unknown(payment: Payment, refund_id: str, reason: str, request_id: str | None) -> Facts:
    """No proof: still submitted (M5). Said once for a call."""
    refund = payment.refund(refund_id)
    if refund is None or not refund.answer_open or refund.unknown is not None:
        return ()
    return (e.RefundOutcomeUnknown(refund_id, reason, request_id=request_id),)


def refund_absent(payment: Payment, refund_id: str, now: datetime) -> Facts:
    """An empty list at Stripe after the key's deadline: the second of two ends it (M8)."""
    refund = payment.refund(refund_id)
    if refund is None or not refund.answer_open or refund.submitted_at is None:
        return ()
    apart = any(now - seen >= ABSENCES_APART for seen in refund.absences)
    if apart and now - refund.submitted_at >= VOID_AFTER:
        gone = StripeFailure(
            NEVER_SENT, "It never reached Stripe, and no money moved: ask for a new refund."
        )
        return (_failed(payment, refund, gone, None, e.Source.LOOKUP, None),)
    return (e.RefundOutcomeUnknown(refund_id, "absent", absent=True),)


def _failed(
    p: Payment,
    refund: Refund,
    failure: StripeFailure,
    seen: StripeRefund | None,
    source: e.Source,
    request_id: str | None,
) -> e.RefundFailed:
    returned = refund.status is RefundStatus.SUCCEEDED
    stray = refund.from_suspense if returned or seen is None else _is_stray(p, seen)
    return e.RefundFailed(
        refund_id=refund.id,
        amount=refund.amount,
        code=failure.code,
        message=failure.message,
        account=p.account or "",
        livemode=bool(p.livemode),
        vendor_id=p.vendor_id,
        from_suspense=stray,
        returned=returned,
        drawn=seen is not None and seen.drawn and not returned,
        source=source,
        stripe_refund=seen.id if seen else None,
        request_id=request_id,
        fee_returned=refund.fee_returned if returned else None,
    )


def _is_stray(payment: Payment, seen: StripeRefund) -> bool:
    """Money that we put to suspense: an object of its own, or the cancelled payment's charge."""
    return seen.charge in payment.strays or seen.payment_intent in payment.strays
