"""The facts of a payout: from a Stripe account to its bank.

A payout of ours has a stream under our own id; one that Stripe made by its schedule, or somebody in
its dashboard, stands under Stripe's (``po_...``). ``stripe_payout`` is always Stripe's id, and so
is ``payout_id`` of ``PayoutPaid`` and ``PayoutFailed``; elsewhere ``payout_id`` is the stream's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from roadcall_payments.domain.fact_parts import Source
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import StripeRequest


@dataclass(frozen=True, slots=True)
class PayoutRequested:
    """The intent, committed before the call, with exactly what will be sent (M4).

    ``account`` is the connected account that is paid out. ``day`` (ISO 8601, UTC): it is the daily
    payout of that day.
    """

    payout_id: str
    vendor_id: str
    account: str
    livemode: bool
    amount: Money
    request: StripeRequest
    by: str
    day: str | None = None


@dataclass(frozen=True, slots=True)
class PayoutOutcomeUnknown:
    """No proof either way (M5). ``absent`` marks a list at Stripe without it (M8)."""

    payout_id: str
    reason: str
    absent: bool = False
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class PayoutNotMade:
    """Stripe refused it, or never got it: nothing moved. A new try is a new payout (M9)."""

    payout_id: str
    code: str
    message: str
    source: Source
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class PayoutOpened:
    """Stripe has our payout. ``arrival``: when the bank should have the money."""

    payout_id: str
    stripe_payout: str
    account: str
    livemode: bool
    arrival: datetime | None
    source: Source
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class PayoutObserved:
    """A payout that none of our requests made: Stripe's schedule or dashboard did (M16).

    ``claims``: the payout of ours whose id its metadata carry, though it is not that one, or its
    request was lost with the database. ``day``: the day whose payout that was, unless the books
    have another one of it.
    """

    stripe_payout: str
    account: str
    livemode: bool
    amount: Money
    automatic: bool
    created: datetime
    arrival: datetime | None
    vendor_id: str | None
    claims: str | None = None
    day: str | None = None


@dataclass(frozen=True, slots=True)
class PayoutInTransit:
    """The bank has the order; also where Stripe came to expect the money at another time."""

    stripe_payout: str
    arrival: datetime | None


@dataclass(frozen=True, slots=True)
class PayoutPaid:
    """Stripe takes the money for arrived. It may still come back, until ``returnable_until`` by
    Stripe's word; None in journals of before that was looked for."""

    payout_id: str
    account: str
    amount: Money
    # Empty where an answer or a look told it.
    event_id: str
    returnable_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PayoutReturnPeriodEnded:
    """Still paid when the bank's time for returning it was over: nobody looks for it any more."""

    stripe_payout: str


@dataclass(frozen=True, slots=True)
class PayoutFailed:
    payout_id: str
    account: str
    amount: Money
    code: str
    message: str
    event_id: str
    # A payout can fail after it was paid: only then is there something to book back.
    was_paid: bool


@dataclass(frozen=True, slots=True)
class PayoutCancelRequested:
    """The intent to cancel, with exactly what will be sent (M2, M4)."""

    payout_id: str
    number: int
    request: StripeRequest
    by: str


@dataclass(frozen=True, slots=True)
class PayoutCancelRefused:
    """It was too late, or the request never reached Stripe: the payout goes on."""

    payout_id: str
    number: int
    code: str


@dataclass(frozen=True, slots=True)
class PayoutCancelled:
    """Stripe cancelled it while it was pending; the money is in the balance again."""

    stripe_payout: str


PayoutFact = (
    PayoutRequested
    | PayoutOutcomeUnknown
    | PayoutNotMade
    | PayoutOpened
    | PayoutObserved
    | PayoutInTransit
    | PayoutPaid
    | PayoutReturnPeriodEnded
    | PayoutFailed
    | PayoutCancelRequested
    | PayoutCancelRefused
    | PayoutCancelled
)
