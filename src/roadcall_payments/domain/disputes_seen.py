"""From what Stripe says of a dispute to facts. Pure; these are never refused (M16)."""

from __future__ import annotations

from datetime import datetime

from roadcall_payments.domain import events as e
from roadcall_payments.domain.dispute import CLOSED, Dispute
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.outcomes import booking
from roadcall_payments.domain.payment import Payment, Status, Unbooked
from roadcall_payments.domain.payment_fold import apply
from roadcall_payments.domain.stripe_objects import BalanceTransaction, DisputeStatus
from roadcall_payments.domain.stripe_objects import Dispute as StripeDispute

Facts = tuple[e.PaymentFact, ...]

# Each is two entries with their postings (M28); a dispute has one or two in its life.
LINES_A_COMMIT = 6


def is_ready_for(payment: Payment, seen: StripeDispute) -> bool:
    """Whether the money it is about is in our books already: else it has to wait."""
    return payment.status is Status.COMPLETED or _is_stray(payment, seen)


def dispute_seen(
    payment: Payment, seen: StripeDispute, loss_borne_by: e.Bearer, at: datetime
) -> Facts:
    """The facts in a dispute that was fetched after ``payment`` was read (M15).

    ``loss_borne_by`` is the policy for what is lost.
    """
    account, livemode = payment.account, payment.livemode
    if account is None or livemode is None or not is_ready_for(payment, seen):
        return ()
    facts: list[e.PaymentFact] = []

    def take(*some: e.PaymentFact) -> None:
        nonlocal payment
        for fact in some:
            payment = apply(payment, fact, at)
        facts.extend(some)

    known = payment.dispute(seen.id)
    if known is None:
        take(
            e.DisputeOpened(
                seen.id,
                seen.charge,
                seen.amount,
                seen.reason,
                seen.status,
                seen.evidence_due,
                account,
                livemode,
            )
        )
    elif _differs(known, seen):
        take(e.DisputeChanged(seen.id, seen.amount, seen.status, seen.evidence_due))
    news = [line for line in seen.lines if line.id not in payment.booked]
    for line in sorted(news, key=lambda one: one.created)[:LINES_A_COMMIT]:
        take(*_line(payment, seen, line, account))
    now = payment.dispute(seen.id)
    if now is not None and seen.status in CLOSED:
        take(*_closed(payment, now, known, seen, loss_borne_by, account))
    return tuple(facts)


def evidence_reminder(payment: Payment, dispute_id: str) -> Facts:
    """Said once for a deadline, and only while evidence is awaited."""
    dispute = payment.dispute(dispute_id)
    if dispute is None or not dispute.awaits_evidence or dispute.evidence_due is None:
        return ()
    if dispute.reminded_of == dispute.evidence_due:
        return ()
    return (e.EvidenceDeadlineNeared(dispute_id, dispute.evidence_due),)


def _differs(known: Dispute, seen: StripeDispute) -> bool:
    if seen.status in CLOSED:
        # DisputeClosed says it; a closed one has no deadline.
        return False
    ours = (known.amount, known.status, known.evidence_due)
    return ours != (seen.amount, seen.status, seen.evidence_due)


def moved_by(seen: StripeDispute, line: BalanceTransaction) -> Money:
    """What Stripe's line moved, signed as Stripe signs it, in the charge's currency: another one
    was converted."""
    if line.amount.currency == seen.amount.currency:
        return line.amount
    return -seen.amount if line.amount.amount_cents < 0 else seen.amount


def _line(
    payment: Payment, seen: StripeDispute, line: BalanceTransaction, account: str
) -> tuple[e.PaymentFact, ...]:
    moved = moved_by(seen, line)
    out = moved.amount_cents < 0
    told = e.DisputeFundsWithdrawn if out else e.DisputeFundsReinstated
    fact = told(seen.id, -moved if out else moved, line.id, account)
    return (fact, *booking(payment, Unbooked(seen.id, moved), line))


def _closed(
    payment: Payment,
    now: Dispute,
    known: Dispute | None,
    seen: StripeDispute,
    policy: e.Bearer,
    account: str,
) -> Facts:
    lost = now.withheld_cents if seen.status is DisputeStatus.LOST else 0
    difference = lost - now.lost_cents
    if known is not None and known.status is seen.status and difference == 0:
        return ()
    # An earlier loss is given back to whoever bore it.
    borne_by = now.borne_by or (e.Bearer.SUSPENSE if _is_stray(payment, seen) else policy)
    loss = Money(difference, now.amount.currency)
    return (e.DisputeClosed(seen.id, seen.status, loss, borne_by, account, payment.vendor_id),)


def _is_stray(payment: Payment, seen: StripeDispute) -> bool:
    return seen.charge in payment.strays or seen.payment_intent in payment.strays
