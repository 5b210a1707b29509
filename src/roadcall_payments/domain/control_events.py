"""The facts of the switch that holds every movement: by an operator, or after a restore."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class MovementsPaused:
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class MovementsResumed:
    by: str


@dataclass(frozen=True, slots=True)
class MovementsHeld:
    """The database was restored, or is older than what was known of it (M18).

    ``since``: what Stripe did from then on may be missing in the books.
    """

    by: str
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class DriftRepaired:
    """All that Stripe did between ``since`` and ``until`` is in the books.

    ``adopted``: payments and accounts that went on by what was found; ``strays``: movements booked
    to suspense.
    """

    by: str
    since: datetime
    until: datetime
    adopted: int
    strays: int


@dataclass(frozen=True, slots=True)
class HoldReleased:
    by: str


@dataclass(frozen=True, slots=True)
class InboxEventDismissed:
    """A person put an event aside that cannot be applied; it keeps no hold any more (M18, M19).

    ``failure``: why it could not be applied when it was tried last.
    """

    by: str
    event_id: str
    event_type: str
    reason: str
    failure: str


@dataclass(frozen=True, slots=True)
class EventsCompared:
    """The inbox knows every event of Stripe's that was created until ``until``.

    ``missed``: how many of them no webhook had brought.
    """

    until: datetime
    missed: int


ControlFact = (
    MovementsPaused
    | MovementsResumed
    | MovementsHeld
    | DriftRepaired
    | HoldReleased
    | InboxEventDismissed
    | EventsCompared
)
