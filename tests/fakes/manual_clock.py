"""Time that passes only when a test says so."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)


class ManualClock:
    """A ``Clock``: who sleeps wakes when ``advance`` has passed its time."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._elapsed_s = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []
        self._slept = asyncio.Event()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self._sleepers.append((self._elapsed_s + seconds, woken))
        self._slept.set()
        await woken.wait()

    async def until_somebody_sleeps(self) -> None:
        await self._slept.wait()

    def advance(self, seconds: float) -> None:
        self._elapsed_s += seconds
        for wakes_at, woken in self._sleepers:
            if wakes_at <= self._elapsed_s:
                woken.set()
