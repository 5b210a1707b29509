"""A payout: its statuses, and how facts make it. Ours, and those that Stripe made by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from roadcall_payments.domain import payout_events as p
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import StripeRequest


class PayoutStatus(StrEnum):
    """``requested``: committed, and whether Stripe has it is not known yet."""

    REQUESTED = "requested"
    PENDING = "pending"
    IN_TRANSIT = "in_transit"
    PAID = "paid"
    FAILED = "failed"
    CANCELLED = "cancelled"


_NEW = None
_REQUESTED, _PENDING = PayoutStatus.REQUESTED, PayoutStatus.PENDING
_IN_TRANSIT, _PAID = PayoutStatus.IN_TRANSIT, PayoutStatus.PAID
_FAILED, _CANCELLED = PayoutStatus.FAILED, PayoutStatus.CANCELLED

# From which status a fact leads to which. What is not here cannot happen.
TRANSITIONS: Mapping[type[p.PayoutFact], Mapping[PayoutStatus | None, PayoutStatus]] = {
    p.PayoutRequested: {_NEW: _REQUESTED},
    p.PayoutOutcomeUnknown: {_REQUESTED: _REQUESTED},
    p.PayoutNotMade: {_REQUESTED: _FAILED},
    # From failed: it was given up as absent, and Stripe has it after all (M16).
    p.PayoutOpened: {_REQUESTED: _PENDING, _FAILED: _PENDING},
    p.PayoutObserved: {_NEW: _PENDING},
    p.PayoutInTransit: {_PENDING: _IN_TRANSIT, _IN_TRANSIT: _IN_TRANSIT},
    # From nothing: journals of before payouts were followed from their start.
    p.PayoutPaid: {_NEW: _PAID, _PENDING: _PAID, _IN_TRANSIT: _PAID},
    p.PayoutReturnPeriodEnded: {_PAID: _PAID},
    p.PayoutFailed: {_NEW: _FAILED, _PENDING: _FAILED, _IN_TRANSIT: _FAILED, _PAID: _FAILED},
    p.PayoutCancelRequested: {_PENDING: _PENDING},
    p.PayoutCancelRefused: {status: status for status in PayoutStatus},
    p.PayoutCancelled: {_PENDING: _CANCELLED, _IN_TRANSIT: _CANCELLED},
}


@dataclass(frozen=True, slots=True)
class PayoutCancellation:
    """A cancel call; ``open`` until what became of the payout is known."""

    number: int
    request: StripeRequest
    by: str
    started_at: datetime
    open: bool = True
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Payout:
    """``account`` is the account whose bank is paid: a vendor's, or the platform's own."""

    id: str
    account: str
    amount: Money
    status: PayoutStatus
    updated_at: datetime
    failure_code: str | None = None
    failure_message: str | None = None
    created_at: datetime | None = None
    vendor_id: str | None = None
    livemode: bool | None = None
    # None: Stripe's schedule or dashboard made it.
    request: StripeRequest | None = None
    requested_by: str | None = None
    day: str | None = None
    automatic: bool = False
    stripe_payout: str | None = None
    arrival: datetime | None = None
    # Why we do not know whether Stripe has it; None while we do.
    unknown: str | None = None
    # Lists at Stripe without it since it became unknown: two of them end it (M8).
    absences: tuple[datetime, ...] = ()
    cancellation: PayoutCancellation | None = None
    paid_at: datetime | None = None
    # Until when a paid one is looked at for having come back; None once it is not.
    returnable_until: datetime | None = None
    claims: str | None = None

    @property
    def answer_open(self) -> bool:
        """Our call has no answer yet: whether Stripe has the payout is not known (M5)."""
        return self.status is PayoutStatus.REQUESTED

    @property
    def on_the_way(self) -> bool:
        """Its money left the balance, or may have, and has not arrived."""
        return self.status in (_REQUESTED, _PENDING, _IN_TRANSIT)

    @property
    def cancelling(self) -> bool:
        return self.cancellation is not None and self.cancellation.open


def apply(payout: Payout | None, fact: p.PayoutFact, at: datetime) -> Payout:
    """The payout after ``fact``. Pure; raises BrokenInvariant outside the table."""
    status = TRANSITIONS[type(fact)].get(payout.status if payout else None)
    if status is None:
        raise BrokenInvariant(
            f"{type(fact).__name__} cannot follow for a payout that is "
            f"{payout.status if payout else 'not there'}."
        )
    begun = payout or _begun(fact, at)
    return replace(_evolved(begun, fact, at), status=status, updated_at=at)


def _begun(fact: p.PayoutFact, at: datetime) -> Payout:
    match fact:
        case p.PayoutRequested():
            return Payout(
                fact.payout_id,
                fact.account,
                fact.amount,
                PayoutStatus.REQUESTED,
                at,
                created_at=at,
                vendor_id=fact.vendor_id,
                livemode=fact.livemode,
                request=fact.request,
                requested_by=fact.by,
                day=fact.day,
            )
        case p.PayoutObserved():
            return Payout(
                fact.stripe_payout,
                fact.account,
                fact.amount,
                PayoutStatus.PENDING,
                at,
                created_at=fact.created,
                vendor_id=fact.vendor_id,
                livemode=fact.livemode,
                automatic=fact.automatic,
                stripe_payout=fact.stripe_payout,
                arrival=fact.arrival,
                claims=fact.claims,
                day=fact.day,
            )
        case p.PayoutPaid() | p.PayoutFailed():
            return Payout(
                fact.payout_id,
                fact.account,
                fact.amount,
                PayoutStatus.PENDING,
                at,
                created_at=at,
                stripe_payout=fact.payout_id,
            )
    raise BrokenInvariant(f"A payout does not start with {type(fact).__name__}.")


def _evolved(payout: Payout, fact: p.PayoutFact, at: datetime) -> Payout:
    match fact:
        case p.PayoutOutcomeUnknown():
            absences = (*payout.absences, at) if fact.absent else payout.absences
            return replace(payout, unknown=fact.reason, absences=absences)
        case p.PayoutNotMade():
            return _failed(replace(payout, unknown=None), fact.code, fact.message)
        case p.PayoutOpened():
            return replace(
                payout,
                stripe_payout=fact.stripe_payout,
                arrival=fact.arrival,
                unknown=None,
                failure_code=None,
                failure_message=None,
            )
        case p.PayoutInTransit():
            return replace(payout, arrival=fact.arrival)
        case p.PayoutPaid():
            paid = replace(payout, paid_at=at, returnable_until=fact.returnable_until)
            return _uncancellable(paid)
        case p.PayoutReturnPeriodEnded():
            return replace(payout, returnable_until=None)
        case p.PayoutFailed():
            failed = _failed(payout, fact.code, fact.message)
            return _uncancellable(replace(failed, returnable_until=None))
        case p.PayoutCancelRequested():
            asked = PayoutCancellation(fact.number, fact.request, fact.by, at)
            return replace(payout, cancellation=asked)
        case p.PayoutCancelRefused() if payout.cancellation:
            closed = replace(payout.cancellation, open=False, refusal=fact.code)
            return replace(payout, cancellation=closed)
        case p.PayoutCancelled():
            return _uncancellable(payout)
    return payout


def _failed(payout: Payout, code: str, message: str) -> Payout:
    return replace(payout, failure_code=code, failure_message=message)


def _uncancellable(payout: Payout) -> Payout:
    """Its end answers the question whether it can be cancelled."""
    asked = payout.cancellation
    return replace(payout, cancellation=replace(asked, open=False) if asked else None)


# Stripe tells of each step by an event: looking is for the event that never came.
LOOK_AFTER = timedelta(hours=6)
# A bank has five business days more to give a payout back that Stripe took for paid: Stripe's
# word, and as much again for what holidays make of it.
RETURN_PERIOD = timedelta(days=14)
FIRST_LOOK_AFTER_PAID = timedelta(days=1)


def due_at(payout: Payout, answer_after: timedelta) -> datetime | None:
    """When the worker must look at this payout again; None while nobody waits for us.

    ``answer_after``: how long Stripe's answer to a call of ours may take before it is looked for.
    """
    if payout.answer_open and payout.absences and payout.created_at:
        # The second list without it comes an hour later, and 25 h after the start (M8).
        second = payout.absences[-1] + timedelta(hours=1)
        return max(second, payout.created_at + timedelta(hours=25))
    if payout.answer_open or payout.cancelling:
        return payout.updated_at + answer_after
    if payout.on_the_way:
        return max(payout.updated_at, payout.arrival or payout.updated_at) + LOOK_AFTER
    if payout.paid_at is not None and payout.returnable_until is not None:
        return payout.paid_at + FIRST_LOOK_AFTER_PAID
    return None


def look_again_at(payout: Payout, now: datetime) -> datetime | None:
    """After a look that showed a paid one as paid: when as much time again has passed since it was
    paid, and once more at the period's end. None for one that has no rhythm of its own."""
    if payout.paid_at is None or payout.returnable_until is None or payout.cancelling:
        return None
    passed = max(now - payout.paid_at, FIRST_LOOK_AFTER_PAID)
    return min(now + passed, max(payout.returnable_until, now + LOOK_AFTER))
