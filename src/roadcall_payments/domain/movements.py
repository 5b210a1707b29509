"""The switch that holds every outgoing movement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from roadcall_payments.domain.events import ControlFact, MovementsPaused


@dataclass(frozen=True, slots=True)
class Movements:
    paused: bool
    by: str
    reason: str
    updated_at: datetime


def apply(movements: Movements | None, fact: ControlFact, at: datetime) -> Movements:
    """The switch after ``fact``. Pure; ``movements`` is taken for symmetry with other folds."""
    if isinstance(fact, MovementsPaused):
        return Movements(True, fact.by, fact.reason, at)
    return Movements(False, fact.by, "", at)
