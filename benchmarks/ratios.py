"""What is measured against what, and how much is asked of it. Pure arithmetic."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row of the table: what was found, and what was asked."""

    measured: str
    against: str
    found: str
    asked: str
    kept: bool


def ratio_of_rounds(measured: Sequence[float], against: Sequence[float]) -> float:
    """The median of the rounds' own ratios: the two of a round met the same machine.

    Raises ValueError without rounds, or for a round that one of them lacks.
    """
    if not measured:
        raise ValueError("no round was measured")
    return statistics.median(a / b for a, b in zip(measured, against, strict=True))


def at_least(
    measured: str, against: str, rounds: tuple[Sequence[float], Sequence[float]], floor: float
) -> Verdict:
    """A ratio that must reach its floor."""
    ratio = ratio_of_rounds(*rounds)
    return Verdict(measured, against, f"{ratio:.2f} x", f"at least {floor:g} x", ratio >= floor)


def shown(measured: str, against: str, rounds: tuple[Sequence[float], Sequence[float]]) -> Verdict:
    """A ratio of which nothing is asked."""
    return Verdict(measured, against, f"{ratio_of_rounds(*rounds):.2f} x", "", True)


def under(measured: str, rounds: Sequence[float], limit: float, unit: str) -> Verdict:
    """A figure whose median must stay below a limit."""
    found = statistics.median(rounds)
    return Verdict(measured, "", f"{found:.1f} {unit}", f"under {limit:g} {unit}", found < limit)
