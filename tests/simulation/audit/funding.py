"""Transfers that waited for funds: released in order, above the reserve, and none left waiting.

Two rules bind what waited alone, since whoever finds an empty queue goes at once (decision 0193):
what such transfers took between a look and its transfer is not held against the release.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from tests.simulation.audit.journal_facts import Amount, Fact, Started
from tests.simulation.audit.stripe_books import Line, StripeBooks
from tests.simulation.audit.stripes_units import stripes_units
from tests.simulation.audit.violations import Violation

# Between a worker's look at queue and balance and its commit, while no machine sleeps.
LOOK_MAX = timedelta(minutes=15)
_RANKS = {"high": 0, "normal": 1, "low": 2}
_ENDS = frozenset({"PaymentCancelled", "ProcessingStarted"})


class Queued(msgspec.Struct, frozen=True):
    priority: str
    needed: Amount


Key = tuple[int, datetime, str]


@dataclass(slots=True)
class Wait:
    """For as long as a transfer stood in one place: ``place`` sorts as they have to go out."""

    payment_id: str
    needed: Amount
    place: Key
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """``looked``: no earlier can the worker have looked."""

    wait: Wait
    looked: datetime
    at: datetime
    key: str


@dataclass(slots=True)
class Funding:
    waits: list[Wait] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)

    def add(self, payment_id: str, facts: Sequence[Fact]) -> None:
        """One payment's."""
        first: datetime | None = None
        current: Wait | None = None
        released: tuple[Wait, datetime] | None = None
        last = facts[0].at
        for fact in facts:
            if fact.type == "TransferQueued":
                told = fact.read(Queued)
                first = first or fact.at
                place = _RANKS[told.priority], first, payment_id
                _end(current, fact)
                current = Wait(payment_id, told.needed, place, fact.at)
                self.waits.append(current)
            elif fact.type == "TransferReleased" and current is not None:
                released = current, max(last, fact.at - LOOK_MAX)
            elif fact.type == "ProcessingStarted" and released is not None:
                key = fact.read(Started).request.idempotency_key
                self.releases.append(Release(*released, fact.at, key))
                released = None
            if fact.type in _ENDS:
                _end(current, fact)
                current = None
            last = fact.at


def _end(wait: Wait | None, fact: Fact) -> None:
    if wait is not None:
        wait.until = fact.at


def audit_funding(stripe: StripeBooks, funding: Funding, reserve_cents: int) -> Iterator[Violation]:
    """``reserve_cents``: what is never released, in each currency."""
    yield from _in_order(funding)
    yield from _covered(stripe, funding.releases, reserve_cents)
    yield from _left_waiting(stripe, funding, reserve_cents)


def _left_waiting(stripe: StripeBooks, funding: Funding, reserve_cents: int) -> Iterator[Violation]:
    """The first in the queue goes as soon as the funds do; the others wait for it."""
    first: dict[str, Wait] = {}
    for wait in funding.waits:
        now = first.setdefault(wait.needed.currency, wait) if wait.until is None else None
        if now is not None and wait.place < now.place:
            first[wait.needed.currency] = wait
    for currency, wait in first.items():
        free = -reserve_cents + sum(
            line.net
            for line in stripe.lines.values()
            if (line.account, line.currency) == (stripe.platform, currency)
            and line.available_on <= stripe.now
        )
        if stripes_units(wait.needed) <= free:
            said = f"it still waits for {wait.needed}, and {free} are there"
            yield Violation("funding", wait.payment_id, said)


def _in_order(funding: Funding) -> Iterator[Violation]:
    for one in funding.releases:
        for other in funding.waits:
            first = (
                other.needed.currency == one.wait.needed.currency and other.place < one.wait.place
            )
            stayed = other.until is None or other.until > one.at
            if first and other.since < one.looked and stayed:
                said = f"it was released at {one.at} before {other.payment_id}, which goes first"
                yield Violation("funding", one.wait.payment_id, said)


def _covered(
    stripe: StripeBooks, releases: Sequence[Release], reserve_cents: int
) -> Iterator[Violation]:
    """After each released transfer the platform still has its reserve."""
    by_key = {one.key: one for one in releases}
    held: dict[str, int] = {}
    at_once: list[Line] = []
    for line in stripe.lines.values():
        if line.account != stripe.platform:
            continue
        held[line.currency] = held.get(line.currency, 0) + line.net
        made = stripe.transfers.get(line.source or "")
        if made is None or line.net >= 0:
            continue
        release = by_key.get(made.key or "")
        if release is None:
            at_once.append(line)
            continue
        since = int(release.looked.timestamp())
        overtook = sum(
            one.net for one in at_once if one.currency == line.currency and one.created >= since
        )
        left = held[line.currency] - overtook
        if left < reserve_cents:
            said = f"{made.id} left {left} {line.currency}, less than the reserve {reserve_cents}"
            yield Violation("funding", release.wait.payment_id, said)
