"""Time and chance: their only sources."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The only source of time. ``now`` is UTC; ``monotonic`` is seconds and never jumps back."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...


class Ids(Protocol):
    """The only source of chance."""

    def uuid7(self) -> str: ...
    def salt(self) -> str:
        """16 random bytes in hex, for digests of personal data (M29)."""
        ...

    def fraction(self) -> float:
        """Uniform in [0, 1), for jitter."""
        ...
