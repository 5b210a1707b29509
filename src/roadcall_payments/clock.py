"""Time and chance from the machine: the only place that reads its clock or draws at random."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import threading
import time
from datetime import UTC, datetime, timedelta

from roadcall_payments.ports import Clock

# RFC 9562 leaves 74 bits of a UUIDv7 beside time, version and variant. Two of them stay zero, so
# that each part is whole hexadecimal digits.
_TAIL_BITS = 72
_STEP_BITS = 32


class SystemClock:
    """The machine's clock, ``offset_s`` seconds ahead: drills look at tomorrow that way."""

    def __init__(self, offset_s: int = 0) -> None:
        self._offset = timedelta(seconds=offset_s)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SystemIds:
    """UUIDv7 (RFC 9562) from clock and random bits, ever rising within a process.

    Within one millisecond, and when the clock steps back, the next id is the last one plus a
    random step: order stays, and the next id cannot be guessed.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last = 0

    def uuid7(self) -> str:
        milliseconds = int(self._clock.now().timestamp() * 1000)
        with self._lock:
            if milliseconds > self._last >> _TAIL_BITS:
                self._last = milliseconds << _TAIL_BITS | _random_bits(_TAIL_BITS)
            else:
                self._last += 1 + _random_bits(_STEP_BITS)
            return _as_uuid7(self._last)

    def salt(self) -> str:
        return secrets.token_hex(16)

    def fraction(self) -> float:
        return random.random()


def _random_bits(count: int) -> int:
    # What ``secrets.randbits`` does, without the three calls around it.
    return int.from_bytes(os.urandom(count // 8), "big")


def _as_uuid7(value: int) -> str:
    """12 digits of time, version 7, 3 digits, variant 8, 15 digits; written without a ``UUID``,
    whose making costs more than the rest."""
    digits = f"{value:030x}"
    return f"{digits[:8]}-{digits[8:12]}-7{digits[12:15]}-8{digits[15:18]}-{digits[18:]}"
