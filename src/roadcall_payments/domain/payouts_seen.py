"""From what Stripe did with payouts to facts. Pure; these are never refused (M16).

Every function takes the payout as it stands now and gives no facts where Stripe's word is no news.
One movement has one stream, whichever event or answer comes first. A payout never moves backwards,
and a failed one is never paid afterwards, whatever the order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from roadcall_payments.domain import payout_events as p
from roadcall_payments.domain.fact_parts import Source
from roadcall_payments.domain.outcomes import ABSENCES_APART, VOID_AFTER
from roadcall_payments.domain.paying_out import PURPOSE
from roadcall_payments.domain.payout import RETURN_PERIOD, Payout, PayoutStatus, apply
from roadcall_payments.domain.stripe_objects import Payout as StripePayout
from roadcall_payments.domain.stripe_objects import PayoutStatus as Theirs
from roadcall_payments.domain.stripe_objects import StripeFailure

Facts = tuple[p.PayoutFact, ...]

# Ours, for a payout whose request never reached Stripe.
NEVER_SENT = "payout_voided"
# Ours, for a cancel that Stripe did not get within its key's life.
CANCEL_NOT_RECEIVED = "cancel_not_received"
# Ours, for a cancel that came when the bank had the order.
TOO_LATE = "payout_not_pending"

_ENDED = (Theirs.FAILED, Theirs.CANCELED)


@dataclass(frozen=True, slots=True)
class Seen:
    """A payout as Stripe shows it: in which account and mode, to which vendor's bank, and how we
    learned of it."""

    payout: StripePayout
    account: str
    livemode: bool
    source: Source
    vendor_id: str | None = None
    event_id: str = ""
    request_id: str | None = None
    # False: the day that it says it is of has another payout in the books.
    takes_day: bool = True

    @property
    def day(self) -> str | None:
        """The day whose payout our request said it is."""
        told = self.payout.metadata.get("day")
        return told if self.takes_day and self.claims is not None else None

    @property
    def claims(self) -> str | None:
        """The id of ours that its metadata carry."""
        told = self.payout.metadata
        return told.get("payoutId") if told.get("purpose") == PURPOSE else None


def is_ours(payout: Payout, seen: Seen) -> bool:
    """Whether an object we hold no ref for is the open request's own (M13): id, amount, account
    and mode must all agree."""
    return (
        payout.request is not None
        and payout.stripe_payout is None
        and seen.claims == payout.id
        and seen.payout.amount == payout.amount
        and (seen.account, seen.livemode) == (payout.account, payout.livemode)
    )


def may_come_early(seen: StripePayout) -> bool:
    """Whether it applies from an event: a failure applies from the fetched object only (M15)."""
    return seen.status not in _ENDED


def payout_seen(payout: Payout | None, seen: Seen, at: datetime) -> Facts:
    """The facts in a payout at Stripe that is this stream's."""
    facts: list[p.PayoutFact] = []
    if payout is None:
        facts.append(_observed(seen))
    elif payout.stripe_payout is None:
        facts.append(_opened(payout, seen))
    after = apply(payout, facts[0], at) if facts else payout
    if after is not None:
        facts += _progress(after, seen, at)
    return tuple(facts)


def _observed(seen: Seen) -> p.PayoutObserved:
    shown = seen.payout
    return p.PayoutObserved(
        shown.id,
        seen.account,
        seen.livemode,
        shown.amount,
        shown.automatic,
        shown.created,
        shown.arrival_date,
        seen.vendor_id,
        seen.claims,
        seen.day,
    )


def _opened(payout: Payout, seen: Seen) -> p.PayoutOpened:
    return p.PayoutOpened(
        payout.id,
        seen.payout.id,
        seen.account,
        seen.livemode,
        seen.payout.arrival_date,
        seen.source,
        seen.request_id,
    )


def _progress(payout: Payout, seen: Seen, at: datetime) -> Facts:
    shown = seen.payout
    under_way = payout.status in (PayoutStatus.PENDING, PayoutStatus.IN_TRANSIT)
    match shown.status:
        case Theirs.PENDING:
            return ()
        case Theirs.IN_TRANSIT if under_way:
            known = (PayoutStatus.IN_TRANSIT, shown.arrival_date)
            moved = p.PayoutInTransit(shown.id, shown.arrival_date)
            news = () if (payout.status, payout.arrival) == known else (moved,)
            return (*news, *_cancel_refused(payout, TOO_LATE))
        case Theirs.PAID if under_way:
            until = at + RETURN_PERIOD
            return (p.PayoutPaid(shown.id, seen.account, payout.amount, seen.event_id, until),)
        case Theirs.FAILED if under_way or payout.status is PayoutStatus.PAID:
            return (_failed(payout, seen),)
        case Theirs.CANCELED if under_way:
            return (p.PayoutCancelled(shown.id),)
    return ()


def return_period_over(payout: Payout, now: datetime) -> Facts:
    """It was looked at for the last time, and is still paid."""
    until = payout.returnable_until
    if payout.stripe_payout is None or until is None or now < until:
        return ()
    return (p.PayoutReturnPeriodEnded(payout.stripe_payout),)


def _failed(payout: Payout, seen: Seen) -> p.PayoutFailed:
    shown = seen.payout
    return p.PayoutFailed(
        payout_id=shown.id,
        account=seen.account,
        amount=payout.amount,
        code=shown.failure_code or "unknown",
        message=shown.failure_message or "The bank refused the payout.",
        event_id=seen.event_id,
        was_paid=payout.status is PayoutStatus.PAID,
    )


def payout_refused(payout: Payout, failure: StripeFailure, request_id: str | None) -> Facts:
    """A definite refusal ends the payout, if nothing else settled it meanwhile."""
    if not payout.answer_open:
        return ()
    code, message = failure.code, failure.message
    return (p.PayoutNotMade(payout.id, code, message, Source.ANSWER, request_id),)


def payout_unknown(payout: Payout, reason: str, request_id: str | None) -> Facts:
    """No proof: still requested (M5). Said once for a call."""
    if not payout.answer_open or payout.unknown is not None:
        return ()
    return (p.PayoutOutcomeUnknown(payout.id, reason, request_id=request_id),)


def payout_absent(payout: Payout, now: datetime) -> Facts:
    """A list at Stripe without it after the key's deadline: the second of two ends it (M8)."""
    if not payout.answer_open or payout.created_at is None:
        return ()
    apart = any(now - seen >= ABSENCES_APART for seen in payout.absences)
    if apart and now - payout.created_at >= VOID_AFTER:
        gone = "It never reached Stripe, and no money moved: ask for a new payout."
        return (p.PayoutNotMade(payout.id, NEVER_SENT, gone, Source.LOOKUP),)
    return (p.PayoutOutcomeUnknown(payout.id, "absent", absent=True),)


def cancel_refused(payout: Payout, number: int, code: str) -> Facts:
    """Of this cancel call alone: a later one may be open by now."""
    asked = payout.cancellation
    return _cancel_refused(payout, code) if asked and asked.number == number else ()


def _cancel_refused(payout: Payout, code: str) -> Facts:
    asked = payout.cancellation
    if asked is None or not asked.open:
        return ()
    return (p.PayoutCancelRefused(payout.id, asked.number, code),)
