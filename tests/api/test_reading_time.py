"""What takes too long to arrive is ended; what is ended by somebody else stays ended."""

from __future__ import annotations

import asyncio

import pytest

from roadcall_payments.api.reading_time import ReadingTime

LOOK_EVERY_S = 0.005


async def reading(watch: ReadingTime, arrived: asyncio.Event) -> str:
    mark = watch.begin()
    try:
        await arrived.wait()
    except asyncio.CancelledError:
        if not watch.ran_out(mark):
            raise
        return "too slow"
    finally:
        watch.end(mark)
    return "read"


async def test_the_slow_are_ended_and_the_others_are_not() -> None:
    watch, never, soon = ReadingTime(0.0, LOOK_EVERY_S), asyncio.Event(), asyncio.Event()
    slow = asyncio.create_task(reading(watch, never))
    quick = asyncio.create_task(reading(watch, soon))
    soon.set()
    assert await quick == "read"
    assert await slow == "too slow"
    assert slow.cancelling() == 0
    # And again, once nobody was watched.
    assert await asyncio.create_task(reading(watch, never)) == "too slow"


async def test_there_is_time_up_to_the_limit() -> None:
    patient, hasty = ReadingTime(3_600.0, LOOK_EVERY_S), ReadingTime(0.0, 3 * LOOK_EVERY_S)
    never = asyncio.Event()
    slow = asyncio.create_task(reading(patient, never))
    assert await asyncio.create_task(reading(hasty, never)) == "too slow"
    assert not slow.done()
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow


async def test_a_cancellation_from_elsewhere_stays_one() -> None:
    watch, never = ReadingTime(0.0, LOOK_EVERY_S), asyncio.Event()
    task = asyncio.create_task(reading(watch, never))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
