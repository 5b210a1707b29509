"""Payments that a restore lost: what Stripe moved for them stands in suspense, once (M16, M18)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.simulation.audit.journal_facts import Booked, Fact, Lost
from tests.simulation.audit.stripe_books import StripeBooks
from tests.simulation.audit.stripes_units import stripes_units
from tests.simulation.audit.violations import Violation


@dataclass(frozen=True, slots=True)
class LostSpan:
    """What was decided between the two stands in no book any more."""

    since: datetime
    until: datetime

    def holds(self, created: int) -> bool:
        """``created`` in Unix seconds, as Stripe stamps its objects."""
        return int(self.since.timestamp()) <= created <= self.until.timestamp()


@dataclass(slots=True)
class LostMovements:
    """Every ``stray`` stream: an object of Stripe's and the lines booked for it."""

    found: list[tuple[str, Lost]] = field(default_factory=list)
    lines: Counter[str] = field(default_factory=Counter)

    def add(self, stream: str, told: Sequence[Fact]) -> None:
        for fact in told:
            if fact.type == "LostMovementFound":
                self.found.append((stream, fact.read(Lost)))
            elif fact.type == "BalanceTransactionBooked":
                self.lines[fact.read(Booked).transaction.id] += 1

    def roots(self, stripe: StripeBooks) -> dict[str, str]:
        """The PaymentIntents and transfers behind them: what these explain, each with its first
        stream."""
        return {stripe.root(self._source(lost, stripe)): name for name, lost in self.found[::-1]}

    def audit(self, stripe: StripeBooks) -> Iterator[Violation]:
        for stream, lost in self.found:
            amounts = _moved(self._source(lost, stripe), stripe)
            if stripes_units(lost.amount) not in amounts:
                said = f"{lost.amount} is in suspense, Stripe has {amounts}"
                yield Violation("M16", stream, said)
        for root in sorted(self.roots(stripe)):
            for line in stripe.lines_of.get(root, ()):
                if line.account == stripe.platform and self.lines[line.id] != 1:
                    said = f"Stripe's line {line.id} was booked {self.lines[line.id]} times"
                    yield Violation("M17", root, said)

    @staticmethod
    def _source(lost: Lost, stripe: StripeBooks) -> str:
        """A dispute and a refund that failed are named by Stripe's own line for them."""
        line = stripe.lines.get(lost.object_id)
        return (line.source if line is not None else None) or lost.object_id


def _moved(source: str, stripe: StripeBooks) -> list[int]:
    """What Stripe's lines of an object say, signed as Stripe signs it."""
    lines = stripe.lines_from.get(source, ())
    return [line.amount for line in lines if line.account == stripe.platform]
