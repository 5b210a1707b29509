"""Money that Stripe moved for a payment that the books do not have: lost with a restore (M16)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.events import LostMovementFound, StrayFact
from roadcall_payments.domain.money import Money


@dataclass(frozen=True, slots=True)
class Stray:
    """One object of Stripe's, in suspense; ``booked`` is the line it made in Stripe's books."""

    object_id: str
    kind: str
    payment_id: str
    amount: Money
    account: str
    livemode: bool
    reason: str
    proposed: str
    found_at: datetime
    booked: str | None = None


def apply(stray: Stray | None, fact: StrayFact, at: datetime) -> Stray:
    """The stray after ``fact``. Pure; it is found once and booked once."""
    if isinstance(fact, LostMovementFound):
        if stray is not None:
            raise BrokenInvariant("A lost movement is found once.")
        return stray_of(fact, at)
    if stray is None or stray.booked is not None:
        raise BrokenInvariant("A stray is found before its line is booked, and booked once.")
    return replace(stray, booked=fact.transaction.id)


def stray_of(fact: LostMovementFound, at: datetime) -> Stray:
    return Stray(
        fact.object_id,
        fact.kind,
        fact.payment_id,
        fact.amount,
        fact.account,
        fact.livemode,
        fact.reason,
        fact.proposed,
        at,
    )
