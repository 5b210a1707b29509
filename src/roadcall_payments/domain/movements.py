"""The switch that holds every outgoing movement: for an operator, and after a restore (M18)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.events import (
    ControlFact,
    DriftRepaired,
    EventsCompared,
    HoldReleased,
    InboxEventDismissed,
    MovementsHeld,
    MovementsPaused,
    MovementsResumed,
)


@dataclass(frozen=True, slots=True)
class Hold:
    """The database is older than what was done with it. ``since``: what Stripe did from then on
    may be missing; ``repaired_until``: up to when it was looked for and booked, None before."""

    reason: str
    since: datetime
    held_at: datetime
    repaired_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Movements:
    """``paused`` is the operator's; ``hold`` stands apart from it, until it is released.
    ``events_compared_until``: the inbox lacks no event of Stripe's from before that time."""

    paused: bool
    by: str
    reason: str
    updated_at: datetime
    hold: Hold | None = None
    events_compared_until: datetime | None = None

    @property
    def flow(self) -> bool:
        return not self.paused and self.hold is None


def apply(movements: Movements | None, fact: ControlFact, at: datetime) -> Movements:
    """The switch after ``fact``. Pure."""
    before = movements or Movements(False, "", "", at)
    match fact:
        case MovementsPaused():
            return replace(before, paused=True, by=fact.by, reason=fact.reason, updated_at=at)
        case MovementsResumed():
            return replace(before, paused=False, by=fact.by, reason="", updated_at=at)
        case MovementsHeld():
            # A restore on top of one that is not repaired yet: the longer look serves both.
            since = min(before.hold.since, fact.since) if before.hold else fact.since
            return replace(before, hold=Hold(fact.reason, since, at), updated_at=at)
        case DriftRepaired():
            if before.hold is None:
                raise BrokenInvariant("Drift is repaired while movements are held.")
            return replace(before, hold=replace(before.hold, repaired_until=fact.until))
        case HoldReleased():
            return replace(before, hold=None, updated_at=at)
        case EventsCompared():
            return replace(before, events_compared_until=fact.until)
        case InboxEventDismissed():
            # Kept beside the hold that it may lift; the switch itself stands as it stood.
            return before
