"""The facts of finding out at Stripe what the books do not say: after a restore, or by a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import StripeRequest


@dataclass(frozen=True, slots=True)
class AttemptAdopted:
    """Stripe has an object of an attempt whose facts were lost with a restore (M6, M18).

    ``request`` is what we would send for it today; what was sent is lost with its facts.
    ``started_at`` is when Stripe made the object. ``set_off``: what it says it was less by;
    ``settles`` as in ProcessingStarted.
    """

    attempt: int
    request: StripeRequest
    destination: str | None
    object_id: str
    started_at: datetime
    set_off: Money | None = None
    settles: bool = False


@dataclass(frozen=True, slots=True)
class OutcomeInquired:
    """A person had Stripe asked what became of the open call; ``object_id`` is their evidence."""

    by: str
    object_id: str | None = None


@dataclass(frozen=True, slots=True)
class LostMovementFound:
    """Stripe moved money for a payment that the books do not have: booked to suspense (M16).

    ``amount`` is signed as Stripe signs it: a transfer out is negative. ``destination``: the
    account that a transfer went to, or a reversal came from.
    """

    object_id: str
    kind: str
    payment_id: str
    amount: Money
    account: str
    livemode: bool
    reason: str
    proposed: str
    destination: str | None = None
