"""What people ask of refunds: each command gives facts or says why not. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from roadcall_payments.domain import events as e
from roadcall_payments.domain.errors import InvalidInput, NotAllowed, NotFound, StatusForbids
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.domain.people import Actor, Role
from roadcall_payments.domain.refund import Refund, RefundStatus
from roadcall_payments.domain.settling import must_not_be_under_way
from roadcall_payments.domain.stripe_objects import StripeRequest

Facts = Sequence[e.PaymentFact]

# Each is kept in the payment's state (M28). What Stripe did is booked beyond that too.
REFUNDS_MAX = 50


def refund_key(refund_id: str) -> str:
    """One key for the refund's whole life: a new try is a new refund (M9)."""
    return f"refund_{refund_id}"


def amount_to_refund(payment: Payment, amount_cents: int | None) -> Money:
    """The amount asked for; without one, all that is left. Raises StatusForbids, InvalidInput."""
    must_be_refundable(payment)
    left = payment.refundable
    if amount_cents is None:
        if left.amount_cents == 0:
            raise _too_much(payment)
        return left
    if amount_cents < 1:
        raise InvalidInput("amountCents", "A refund is more than zero.")
    if amount_cents > left.amount_cents:
        raise _too_much(payment)
    return Money(amount_cents, left.currency)


def request_refund(
    payment: Payment,
    refund_id: str,
    amount: Money,
    reason: e.RefundReason,
    note: e.TextRef | None,
    actor: Actor,
) -> Facts:
    """Reserves the amount; nothing moves before somebody else approved it."""
    must_be_refundable(payment)
    amount_to_refund(payment, amount.amount_cents)
    if len(payment.refunds) >= REFUNDS_MAX:
        raise StatusForbids(
            f"A payment has at most {REFUNDS_MAX} refunds: give the rest back in Stripe's "
            "dashboard; it is booked from there.",
            code="too_many_refunds",
        )
    return (e.RefundRequested(refund_id, amount, reason, note, str(actor)),)


def approve_refund(payment: Payment, refund_id: str, request: StripeRequest, actor: Actor) -> Facts:
    """An admin's word, and the intent to send it, in one decision.

    Raises NotAllowed for whoever asked for it; StatusForbids where it was decided already, or
    what is left has meanwhile been given back elsewhere; SettlementUnderWay (M20).
    """
    must_be_approvable(payment, refund_id, actor)
    return (
        e.RefundApproved(refund_id, str(actor)),
        e.RefundSubmitted(refund_id, request),
    )


def must_be_approvable(payment: Payment, refund_id: str, actor: Actor) -> Refund:
    refund = refund_of(payment, refund_id)
    _must_be_requested(refund, "approved")
    must_be_refundable(payment)
    if actor.role is not Role.ADMIN:
        raise NotAllowed("Only admins approve refunds.")
    if refund.requested_by is None or refund.requested_by.partition(":")[2] == actor.id:
        raise NotAllowed("You asked for this refund: somebody else has to approve it.")
    twin = next((one for one in payment.refunds if one.claims == refund_id), None)
    if twin is not None:
        raise StatusForbids(
            f"Stripe has a refund that carries this one's id, {twin.id}: compare the two, reject "
            "this one, and ask for another if more is to be given back."
        )
    gone = payment.amount_refunded_cents + sum(
        one.amount.amount_cents for one in payment.refunds if one.reserves
    )
    if gone > payment.amount.amount_cents:
        # A refund made at Stripe took what this one had reserved.
        raise _too_much(payment)
    must_not_be_under_way(payment)
    return refund


def reject_refund(
    payment: Payment, refund_id: str, actor: Actor, reason: e.TextRef | None
) -> Facts:
    """Frees what it reserved."""
    _must_be_requested(refund_of(payment, refund_id), "rejected")
    return (e.RefundRejected(refund_id, str(actor), reason),)


def refund_of(payment: Payment, refund_id: str) -> Refund:
    """Raises NotFound."""
    refund = payment.refund(refund_id)
    if refund is None:
        raise NotFound(f"There is no refund {refund_id}.")
    return refund


def must_be_refundable(payment: Payment) -> None:
    """Whether any of its money can be given back by us at all."""
    if payment.status is not Status.COMPLETED:
        raise StatusForbids(f"A payment that is {payment.status} cannot be refunded.")
    if payment.payer_type is not e.PayerType.DRIVER_IC:
        raise StatusForbids(
            "Nobody's card paid it: reverse its transfer in Stripe's dashboard; the reversal is "
            "booked from there.",
            code="not_refundable",
        )
    _must_be_undisputed(payment)


def _must_be_undisputed(payment: Payment) -> None:
    if any(one.forbids_refunds for one in payment.disputes):
        raise StatusForbids(
            "The payer disputed this charge, so the bank decides who keeps the money: answer the "
            "dispute, or accept it, in Stripe's dashboard. A refund would pay twice.",
            code="disputed",
        )


def _must_be_requested(refund: Refund, wanted: str) -> None:
    if refund.status is not RefundStatus.REQUESTED:
        raise StatusForbids(f"A refund that is {refund.status} cannot be {wanted}.")


def _too_much(payment: Payment) -> StatusForbids:
    left = payment.refundable
    return StatusForbids(
        f"Of this payment {left.amount_cents} {left.currency} (minor units) can still be given "
        "back; the rest is refunded, or asked for.",
        code="refund_exceeds_payment",
    )
