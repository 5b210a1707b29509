"""What an object of Stripe's means for books that are older than it (M6, M13, M16, M18). Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from roadcall_payments.domain import disputes_seen
from roadcall_payments.domain import events as e
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.outcomes import PURPOSE_DRIVER, PURPOSE_VENDOR, SET_OFF, purpose_of
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.domain.stray import Stray
from roadcall_payments.domain.stripe_objects import (
    BalanceTransaction,
    Dispute,
    IntentStatus,
    PaymentIntent,
    Refund,
    Reversal,
    StripeIdentity,
    StripeRequest,
    Transfer,
)

APPROVAL_LOST = "approval_lost"
_ATTEMPT_DIGITS_MAX = 4
_SET_OFF_DIGITS_MAX = 15
# The statuses from which our own books would start an attempt of their own: the lost one is first.
_BEFORE_THE_ATTEMPT = (Status.PENDING_APPROVAL, Status.APPROVED, Status.FAILED)


@dataclass(frozen=True, slots=True)
class Claim:
    """What an object's metadata say: which attempt of which payment made it."""

    payment_id: str
    purpose: str
    attempt: int


def claim_of(found: PaymentIntent | Transfer) -> Claim | None:
    """The claim of an object that a service like ours made; None for all others."""
    said = found.metadata
    purpose = PURPOSE_DRIVER if isinstance(found, PaymentIntent) else PURPOSE_VENDOR
    payment_id, attempt = said.get("paymentId", ""), said.get("attempt", "")
    if said.get("purpose") != purpose or not payment_id:
        return None
    if not (attempt.isascii() and attempt.isdigit() and len(attempt) <= _ATTEMPT_DIGITS_MAX):
        return None
    return Claim(payment_id, purpose, int(attempt))


def fits(payment: Payment, found: PaymentIntent | Transfer, identity: StripeIdentity) -> bool:
    """Whether the object can be this payment's, as far as the books still know it (M13)."""
    claim = claim_of(found)
    if claim is None or claim.payment_id != payment.id or claim.purpose != purpose_of(payment):
        return False
    if found.livemode != identity.livemode or _whole(found) != payment.amount:
        return False
    if payment.account is not None:
        ours = StripeIdentity(payment.account, bool(payment.livemode))
        if ours != identity:
            return False
    if isinstance(found, PaymentIntent):
        return True
    return payment.destination in (None, found.destination)


def set_off_of(found: PaymentIntent | Transfer) -> Money | None:
    """What a transfer's metadata say that it is less by."""
    said = found.metadata.get(SET_OFF, "")
    if isinstance(found, PaymentIntent) or not (said.isascii() and said.isdigit()):
        return None
    return Money(int(said), found.amount.currency) if len(said) <= _SET_OFF_DIGITS_MAX else None


def _whole(found: PaymentIntent | Transfer) -> Money:
    set_off = set_off_of(found)
    return found.amount + set_off if set_off else found.amount


def lost_attempt(payment: Payment, found: PaymentIntent | Transfer) -> int | None:
    """The number of the attempt to adopt the object with; None where the books have an attempt or
    an object already, and the ordinary rules do.

    Never below the attempts we know: the next one must not use their keys again.
    """
    claim = claim_of(found)
    if claim is None or payment.status not in _BEFORE_THE_ATTEMPT or payment.payment_intent:
        return None
    return max(claim.attempt, payment.attempts, 1)


def adopted(
    payment: Payment,
    found: PaymentIntent | Transfer,
    number: int,
    request: StripeRequest,
    *,
    settles: bool,
) -> tuple[e.PaymentFact, ...]:
    """The attempt whose facts were lost, as far as its object tells them; what Stripe did with it
    is told by the rules for any open attempt.

    A payment that is not approved in the books is adopted too, or it could be paid again; a
    person is told. ``settles``: a driver's payment is settled by us, as far as settings tell.
    """
    settles = settles and isinstance(found, PaymentIntent)
    destination = found.destination if isinstance(found, Transfer) else None
    facts: list[e.PaymentFact] = [
        e.AttemptAdopted(
            number, request, destination, found.id, found.created, set_off_of(found), settles
        )
    ]
    if payment.status is Status.PENDING_APPROVAL:
        detail = "Stripe has its money, the books have no approval: it was lost with the restore"
        facts.append(e.AnomalyRecorded(APPROVAL_LOST, detail, found.id))
    return tuple(facts)


def lost_movement(
    found: PaymentIntent | Transfer, claim: Claim, account: str
) -> e.LostMovementFound | None:
    """Money of a payment that the books do not have, for suspense (M16); None where none moved."""
    if isinstance(found, Transfer):
        fact = _lost(found.id, "transfer", claim, -found.amount, account, found.livemode)
        return replace(fact, destination=found.destination)
    if found.status is not IntentStatus.SUCCEEDED:
        return None
    booked_as = found.latest_charge or found.id
    return _lost(booked_as, "charge", claim, found.amount, account, found.livemode)


def lost_reversal(reversal: Reversal, transfer: Transfer, of: Stray) -> e.LostMovementFound:
    """What of a lost transfer came back: out of suspense again."""
    fact = _after(of, reversal.id, "reversal", reversal.amount)
    return replace(fact, destination=transfer.destination)


def lost_refund(refund: Refund, of: Stray) -> e.LostMovementFound:
    """What of a lost charge was given back: out of suspense again."""
    return _after(of, refund.id, "refund", -refund.amount)


def lost_refund_failure(refund: Refund, line: BalanceTransaction, of: Stray) -> e.LostMovementFound:
    """A refund of a lost charge that its payer did not get; named by Stripe's line for it, since
    the refund's own name is that of its way out."""
    return _after(of, line.id, "refund_failure", refund.amount)


def lost_dispute_line(line: BalanceTransaction, dispute: Dispute, of: Stray) -> e.LostMovementFound:
    """What a bank took of a lost charge, or gave back; a dispute may have a line for each."""
    return _after(of, line.id, "dispute", disputes_seen.moved_by(dispute, line))


def _after(of: Stray, object_id: str, kind: str, moved: Money) -> e.LostMovementFound:
    return e.LostMovementFound(
        object_id, kind, of.payment_id, moved, of.account, of.livemode, of.reason, "none"
    )


def _lost(
    object_id: str, kind: str, claim: Claim, moved: Money, account: str, livemode: bool
) -> e.LostMovementFound:
    proposed = {"transfer": "reverse", "charge": "refund"}[kind]
    reason = f"the books have no payment {claim.payment_id} that it fits"
    return e.LostMovementFound(
        object_id, kind, claim.payment_id, moved, account, livemode, reason, proposed
    )
