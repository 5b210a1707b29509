"""The facts of refunds. They stand in their payment's stream, each naming its refund.

``refund_id`` is ours, or Stripe's own (``re_...``) where the refund was not made by us (M16).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from roadcall_payments.domain.fact_parts import Source, TextRef
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import StripeRequest


class RefundReason(StrEnum):
    """Stripe's own three."""

    DUPLICATE = "duplicate"
    FRAUDULENT = "fraudulent"
    REQUESTED_BY_CUSTOMER = "requested_by_customer"


@dataclass(frozen=True, slots=True)
class RefundRequested:
    refund_id: str
    amount: Money
    reason: RefundReason
    note: TextRef | None
    by: str


@dataclass(frozen=True, slots=True)
class RefundApproved:
    refund_id: str
    by: str


@dataclass(frozen=True, slots=True)
class RefundRejected:
    refund_id: str
    by: str
    reason: TextRef | None


@dataclass(frozen=True, slots=True)
class RefundSubmitted:
    """The intent, committed before the call, with exactly what will be sent (M4)."""

    refund_id: str
    request: StripeRequest


@dataclass(frozen=True, slots=True)
class RefundOutcomeUnknown:
    """No proof either way (M5). ``absent`` marks an empty list at Stripe (M8)."""

    refund_id: str
    reason: str
    absent: bool = False
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class RefundObserved:
    """A refund that none of our requests made: in Stripe's dashboard, mostly (M16).

    ``claims``: the refund of this payment whose id its metadata carry, though it is not that one.
    """

    refund_id: str
    amount: Money
    reason: str | None
    claims: str | None = None


@dataclass(frozen=True, slots=True)
class RefundAdopted:
    """Stripe has this refund, and the books do not know that it was approved and sent: those facts
    were lost with a restore (M18). ``made_at`` is when Stripe made it.
    """

    refund_id: str
    stripe_refund: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class RefundPending:
    """Stripe took it; the bank, or the customer, has the next move. ``status`` is Stripe's.

    ``from_suspense`` as in RefundSucceeded: nothing of the payment's own waits for it.
    """

    refund_id: str
    stripe_refund: str
    status: str
    account: str
    livemode: bool
    source: Source
    request_id: str | None = None
    from_suspense: bool = False


@dataclass(frozen=True, slots=True)
class RefundSucceeded:
    """The money went back to the payer; it may still fail later.

    ``from_suspense``: what it gives back was stray money, owed to nobody (M16).
    """

    refund_id: str
    stripe_refund: str
    amount: Money
    account: str
    livemode: bool
    company_id: str
    vendor_id: str
    from_suspense: bool
    source: Source
    request_id: str | None = None
    # What of our fee went back with it; the vendor bears the rest.
    fee_returned: Money | None = None


@dataclass(frozen=True, slots=True)
class RefundFailed:
    """The payer did not get it. ``returned``: it had succeeded, so it is booked back (M21).

    ``drawn``: it had not, yet Stripe took the money and put it back; both lines get booked.
    """

    refund_id: str
    amount: Money
    code: str
    message: str
    account: str
    livemode: bool
    vendor_id: str
    from_suspense: bool
    returned: bool
    drawn: bool
    source: Source
    stripe_refund: str | None = None
    request_id: str | None = None
    # What of our fee had gone back with it, and is ours again.
    fee_returned: Money | None = None


RefundFact = (
    RefundRequested
    | RefundApproved
    | RefundRejected
    | RefundSubmitted
    | RefundOutcomeUnknown
    | RefundObserved
    | RefundAdopted
    | RefundPending
    | RefundSucceeded
    | RefundFailed
)
