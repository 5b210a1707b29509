"""The sandbox's time: it runs, stands or jumps, and never goes back."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


class ClockMode(Enum):
    RUNNING = "running"
    STANDING = "standing"


class ClockError(ValueError):
    """The clock was asked to go back, or to run without a source of time."""


@dataclass(frozen=True, slots=True)
class ClockReading:
    """What of a clock is kept over a restart. Milliseconds since 1970, UTC."""

    mode: str
    standing_at_ms: int
    offset_ms: int


class SandboxClock:
    """Milliseconds since 1970, from `source` plus an offset while running, else fixed.

    Without a source the clock stands, and moves by `jump_to` and `advance` alone.
    """

    def __init__(self, source: Callable[[], int] | None = None, standing_at_ms: int = 0) -> None:
        self._source = source
        self._offset_ms = 0
        self._standing_at_ms = standing_at_ms
        self._mode = ClockMode.STANDING if source is None else ClockMode.RUNNING

    @property
    def mode(self) -> ClockMode:
        return self._mode

    def now_ms(self) -> int:
        if self._mode is ClockMode.RUNNING and self._source is not None:
            return self._source() + self._offset_ms
        return self._standing_at_ms

    def stand(self) -> None:
        self._standing_at_ms = self.now_ms()
        self._mode = ClockMode.STANDING

    def run(self) -> None:
        """Run on from where the clock is. Raises ClockError without a source."""
        if self._source is None:
            raise ClockError("this clock has no source of time and cannot run")
        self._offset_ms = self.now_ms() - self._source()
        self._mode = ClockMode.RUNNING

    def advance(self, by_ms: int) -> None:
        self.jump_to(self.now_ms() + by_ms)

    def jump_to(self, at_ms: int) -> None:
        """Set the time; the mode stays. Raises ClockError for a time that has passed."""
        now_ms = self.now_ms()
        if at_ms < now_ms:
            raise ClockError("the clock cannot go back")
        if self._mode is ClockMode.RUNNING:
            self._offset_ms += at_ms - now_ms
        else:
            self._standing_at_ms = at_ms

    def reading(self) -> ClockReading:
        return ClockReading(self._mode.value, self._standing_at_ms, self._offset_ms)

    def restore(self, reading: ClockReading) -> None:
        """Take up where an earlier process left off; a clock without a source stays standing."""
        self._offset_ms = reading.offset_ms
        self._standing_at_ms = max(reading.standing_at_ms, self._standing_at_ms)
        if self._source is not None:
            self._mode = ClockMode(reading.mode)
