"""A circuit breaker: while Stripe fails, calls are refused at once instead of piling up (M32)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """Opens when ``failure_share`` of at least ``calls_min`` calls in ``window_s`` failed."""

    failure_share: float = 0.5
    calls_min: int = 10
    window_s: float = 60.0
    probe_after_s: float = 30.0


class Permit(msgspec.Struct, frozen=True):
    """Leave for one call. Results of calls from before the last change of state are ignored."""

    era: int
    probe: bool


class CircuitBreaker:
    """Closed, or open with one probing call every ``probe_after_s`` seconds (half-open).

    A probe that never reports (its task was cancelled) holds nothing up: the next one is let
    through after the same wait. One event loop uses it; there is no lock.
    """

    def __init__(self, settings: BreakerSettings, monotonic: Callable[[], float]) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._results: deque[tuple[float, bool]] = deque()
        self._failures = 0
        self._era = 0
        self._probe_at: float | None = None  # None while closed

    @property
    def wait_s(self) -> float:
        """Seconds until a call would be let through; 0.0 when one would be now."""
        if self._probe_at is None:
            return 0.0
        return max(0.0, self._probe_at - self._monotonic())

    @property
    def closed(self) -> bool:
        return self._probe_at is None

    def admit(self) -> Permit | None:
        """Leave for a call, to be reported with ``record``; None while calls are refused."""
        if self._probe_at is None:
            return Permit(self._era, probe=False)
        if self.wait_s > 0.0:
            return None
        self._probe_at = self._monotonic() + self._settings.probe_after_s
        return Permit(self._era, probe=True)

    def record(self, permit: Permit, *, failed: bool) -> None:
        """What became of a permitted call. ``failed``: Stripe or the way there is broken."""
        if permit.era != self._era:
            return
        if not permit.probe:
            self._count(failed=failed)
        elif failed:
            self._open()
        else:
            self._change()
            self._probe_at = None

    def _count(self, *, failed: bool) -> None:
        now = self._monotonic()
        self._results.append((now, failed))
        self._failures += failed
        while self._results[0][0] <= now - self._settings.window_s:
            self._failures -= self._results.popleft()[1]
        calls = len(self._results)
        if (
            calls >= self._settings.calls_min
            and self._failures >= self._settings.failure_share * calls
        ):
            self._open()

    def _open(self) -> None:
        self._change()
        self._probe_at = self._monotonic() + self._settings.probe_after_s

    def _change(self) -> None:
        self._era += 1
        self._results.clear()
        self._failures = 0
