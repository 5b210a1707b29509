"""A machine's clock and its ids: both from the world's loop and seed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random

from roadcall_payments.ports import Clock
from tests.simulation.turns import SeededLoop

EPOCH = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
EPOCH_MS = int(EPOCH.timestamp()) * 1000


class MachineClock:
    """``now`` is the world's; ``monotonic`` stands still while the machine sleeps."""

    def __init__(self, loop: SeededLoop) -> None:
        self._loop = loop
        self.slept_s = 0.0
        self._told_at_s, self._told = 0.0, EPOCH

    def now(self) -> datetime:
        at_s = self._loop.time()
        if at_s != self._told_at_s:
            self._told_at_s = at_s
            self._told = EPOCH + timedelta(microseconds=int(at_s * 1_000_000))
        return self._told

    def monotonic(self) -> float:
        return self._loop.time() - self.slept_s

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SeededIds:
    """UUIDv7 from the clock and the seed, ever rising within a process."""

    def __init__(self, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._last = 0

    def uuid7(self) -> str:
        milliseconds = int(self._clock.now().timestamp() * 1000)
        fresh = milliseconds << 74 | self._random.getrandbits(74)
        self._last = fresh if fresh > self._last else self._last + 1 + self._random.getrandbits(32)
        high, low = self._last >> 62, self._last & ((1 << 62) - 1)
        time_part, first = high >> 12, high & 0xFFF
        whole = time_part << 80 | 7 << 76 | first << 64 | 0b10 << 62 | low
        digits = f"{whole:032x}"
        parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
        return "-".join(parts)

    def salt(self) -> str:
        return f"{self._random.getrandbits(128):032x}"

    def fraction(self) -> float:
        return self._random.random()
