"""What people ask of a payment: each command gives facts or says why not. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from roadcall_payments.domain import events as e
from roadcall_payments.domain.errors import InvalidInput, StatusForbids
from roadcall_payments.domain.funding_events import QueueReason
from roadcall_payments.domain.payment import Payment, Risk, Status
from roadcall_payments.domain.people import Actor
from roadcall_payments.domain.stripe_objects import Operation, StripeRequest

LINE_ITEMS_MAX = 50

Facts = Sequence[e.PaymentFact]


def create(new: e.PaymentCreated) -> Facts:
    """Raises InvalidInput where amount, line items or payer do not fit together."""
    if new.amount.amount_cents <= 0:
        raise InvalidInput("amountCents", "The amount must be more than zero.")
    if not 1 <= len(new.line_items) <= LINE_ITEMS_MAX:
        raise InvalidInput("lineItems", f"A payment has 1 to {LINE_ITEMS_MAX} line items.")
    for i, item in enumerate(new.line_items):
        if item.quantity < 1 or item.unit_cents < 0:
            raise InvalidInput(f"lineItems[{i}]", "A line item's numbers are not negative.")
        if item.amount_cents != item.quantity * item.unit_cents:
            raise InvalidInput(f"lineItems[{i}].amountCents", "Not quantity times unitCents.")
    total = sum(item.amount_cents for item in new.line_items)
    if total != new.amount.amount_cents:
        raise InvalidInput(
            "amountCents",
            f"The line items add up to {total}, the amount says {new.amount.amount_cents}.",
        )
    if (new.payer_type is e.PayerType.DRIVER_IC) != (new.driver_id is not None):
        raise InvalidInput("driverId", "A driver_ic payment names its driver; others none.")
    return (new,)


def record_score(payment: Payment, risk: Risk, scorer: str) -> Facts:
    """Scored once; a repeat changes nothing."""
    if payment.status is not Status.PENDING_APPROVAL or payment.risk is not None:
        return ()
    return (e.PaymentScored(risk.percent, risk.level, risk.reasons, risk.flagged, scorer),)


def review(payment: Payment, actor: Actor, cleared: bool, note: e.TextRef | None) -> Facts:
    """An admin's word on a flagged payment."""
    if payment.status is not Status.PENDING_APPROVAL or not payment.flagged:
        raise StatusForbids("Only a flagged payment that waits for approval can be reviewed.")
    if cleared:
        return (e.ReviewCleared(str(actor), note),)
    return (e.ReviewBlocked(str(actor), note),)


def reject(payment: Payment, actor: Actor, reason: e.TextRef | None) -> Facts:
    if payment.status is not Status.PENDING_APPROVAL:
        raise StatusForbids(f"A payment that is {payment.status} cannot be rejected.")
    return (e.PaymentRejected(str(actor), reason),)


def cancel(payment: Payment, actor: Actor) -> Facts:
    """Cancel where no money can be on its way; with an open intent see ``request_cancel``."""
    allowed = (Status.PENDING_APPROVAL, Status.APPROVED, Status.FAILED)
    if payment.status not in allowed:
        raise StatusForbids(f"A payment that is {payment.status} cannot be cancelled.")
    if payment.intent_open:
        raise StatusForbids("Its PaymentIntent must be cancelled at Stripe first.")
    return (e.PaymentCancelled(str(actor), None),)


def request_cancel(payment: Payment, request: StripeRequest, by: str, reason: str) -> Facts:
    """Ask Stripe to cancel the open PaymentIntent (M2)."""
    must_be_cancellable_at_stripe(payment)
    number = (payment.cancellation.number if payment.cancellation else 0) + 1
    return (e.CancelRequested(number, request, by, reason),)


def must_be_cancellable_at_stripe(payment: Payment) -> None:
    if not payment.intent_open or payment.payment_intent is None:
        raise StatusForbids(
            "What Stripe did is not known yet; the service is finding out. Try again shortly.",
            code="outcome_unknown",
        )
    if payment.cancellation and payment.cancellation.open:
        raise StatusForbids("Stripe has been asked to cancel it already.")


def retry(payment: Payment, actor: Actor) -> Facts:
    """A failed transfer, or a driver's payment whose intent never came to be, starts over."""
    if payment.status is not Status.FAILED:
        raise StatusForbids(f"A payment that is {payment.status} cannot be retried.")
    if payment.payment_intent is not None:
        raise StatusForbids(
            "Its PaymentIntent is still open: confirm it with another payment method instead."
        )
    return (e.PaymentRetried(str(actor)),)


def must_be_processable(payment: Payment) -> None:
    if payment.status is not Status.APPROVED:
        raise StatusForbids(f"A payment that is {payment.status} cannot be processed.")


def start_processing(
    payment: Payment,
    request: StripeRequest,
    destination: str | None,
    actor: Actor,
    *,
    settles: bool = False,
) -> Facts:
    """Commit to one attempt; ``request`` is sent exactly so, now and after a crash (M4).

    ``settles``: whether the vendor's share of a driver's payment is ours to transfer (M20).
    """
    must_be_processable(payment)
    settles = settles and payment.payer_type is e.PayerType.DRIVER_IC
    number = payment.attempts + 1
    return (e.ProcessingStarted(number, request, destination, str(actor), settles=settles),)


def queue_again(payment: Payment) -> Sequence[e.TransferQueued]:
    """Stripe refused the open attempt for want of funds: it waits where it waited before."""
    needed = payment.amount - payment.set_off(payment.attempts)
    asked = payment.attempt.priority if payment.attempt else None
    priority = asked or (payment.funding.priority if payment.funding else e.Priority.NORMAL)
    refused, destination = QueueReason.REFUSED_BY_STRIPE, payment.destination
    return (e.TransferQueued(refused, priority, needed, None, destination, "stripe"),)


def must_be_confirmable(payment: Payment) -> str:
    """The PaymentIntent to confirm. One confirmation is open at a time (M3)."""
    if payment.payer_type is not e.PayerType.DRIVER_IC:
        raise StatusForbids("Only a driver's payment is confirmed.")
    if payment.status not in (Status.PROCESSING, Status.FAILED) or payment.payment_intent is None:
        raise StatusForbids(
            f"A payment that is {payment.status} has no PaymentIntent to confirm: process it first."
        )
    if payment.confirmation and payment.confirmation.open:
        raise StatusForbids("A confirmation is under way: wait for its outcome.")
    if payment.cancellation and payment.cancellation.open:
        raise StatusForbids("Stripe has been asked to cancel it.")
    return payment.payment_intent


def start_confirmation(payment: Payment, request: StripeRequest, actor: Actor) -> Facts:
    must_be_confirmable(payment)
    return (e.ConfirmationStarted(next_confirmation(payment), request, str(actor)),)


def next_confirmation(payment: Payment) -> int:
    return (payment.confirmation.number if payment.confirmation else 0) + 1


_FIRST_KEYS = {
    Operation.CREATE_PAYMENT_INTENT: "payment",
    Operation.CREATE_TRANSFER: "transfer",
}


def attempt_key(operation: Operation, payment: Payment, attempt: int) -> str:
    """``transfer_{paymentId}``, and from the second attempt on ``transfer_{paymentId}_2``."""
    first = f"{_FIRST_KEYS[operation]}_{payment.id}"
    return first if attempt == 1 else f"{first}_{attempt}"


def confirmation_key(payment: Payment) -> str:
    return f"confirm_{payment.id}_{next_confirmation(payment)}"


def cancellation_key(payment: Payment) -> str:
    number = (payment.cancellation.number if payment.cancellation else 0) + 1
    return f"cancel_{payment.id}_{number}"
