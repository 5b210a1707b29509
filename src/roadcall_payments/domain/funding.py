"""The queue of transfers that wait for the platform's funds: who goes next, and when. Pure.

Strictly in order, for each currency: by priority, then by age. A small transfer does not overtake
a big one that waited before it, or the big one might wait for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from roadcall_payments.domain.funding_events import Priority, QueueReason, TransferQueued
from roadcall_payments.domain.money import Money

# Stripe's refusal for want of funds, which no other payment of ours can be told apart by.
NO_FUNDS = "balance_insufficient"

_RANKS = {Priority.HIGH: 0, Priority.NORMAL: 1, Priority.LOW: 2}
_REST_MIN = timedelta(minutes=1)
_REST_MAX = timedelta(hours=1)
_DOUBLINGS_MAX = 6


@dataclass(frozen=True, slots=True)
class TransferTerms:
    """``reserve_cents``: by currency (``*``: every other) what of the balance is never
    transferred. ``debt_cap_bps``: how much of a transfer may pay its vendor's debts,
    where the vendor has no cap of its own."""

    reserve_cents: Mapping[str, int]
    debt_cap_bps: int

    def reserve(self, currency: str) -> Money:
        return Money(self.reserve_cents.get(currency, self.reserve_cents["*"]), currency)


@dataclass(frozen=True, slots=True)
class Funding:
    """How a transfer waits, or waited, for funds. ``since`` is when it first had to, and is kept:
    a refusal does not put it behind those that came later. ``waits`` False: it was released."""

    since: datetime
    priority: Priority
    reason: QueueReason
    needed: Money
    available: Money | None
    waits: bool = True
    refusals: int = 0
    # After a refusal it rests a little, and longer each time.
    not_before: datetime | None = None


def queued(before: Funding | None, fact: TransferQueued, at: datetime) -> Funding:
    """The wait as ``fact`` begins it, or goes on with it."""
    refusals = before.refusals if before else 0
    not_before: datetime | None = None
    if fact.reason is QueueReason.REFUSED_BY_STRIPE:
        not_before = at + min(_REST_MIN * 2 ** min(refusals, _DOUBLINGS_MAX), _REST_MAX)
        refusals += 1
    return Funding(
        since=before.since if before else at,
        priority=fact.priority,
        reason=fact.reason,
        needed=fact.needed,
        available=fact.available,
        refusals=refusals,
        not_before=not_before,
    )


def queue_key(payment_id: str, currency: str, priority: Priority, since: datetime) -> str:
    """Sorts as the transfers of a currency go out: by priority, age, and the payment's own id."""
    at = since.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return f"{currency}/{_RANKS[priority]}/{at}/{payment_id}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """One transfer in the queue, as its key tells of it; ``place`` 1 goes next in its currency."""

    payment_id: str
    currency: str
    since: datetime
    place: int


def waiting(keys: Sequence[str]) -> tuple[Waiting, ...]:
    """The queue that sorted keys tell of."""
    found: list[Waiting] = []
    places: dict[str, int] = {}
    for key in keys:
        currency, _, at, payment_id = key.split("/", 3)
        places[currency] = places.get(currency, 0) + 1
        since = datetime.strptime(at, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)
        found.append(Waiting(payment_id, currency, since, places[currency]))
    return tuple(found)
