"""What takes too long to arrive is ended; what is ended by somebody else stays ended."""

from __future__ import annotations

import asyncio

import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message

from roadcall_payments.api.reading_time import ReadingTime
from roadcall_payments.api.request_body import read_bounded

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


async def test_a_body_that_does_not_arrive_is_answered_408() -> None:
    first: list[Message] = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive() -> Message:
        if first:
            return first.pop()
        await asyncio.Event().wait()
        raise AssertionError("nothing more arrives")

    with pytest.raises(HTTPException) as refused:
        await read_bounded(receive, "2", 10, ReadingTime(0.0, LOOK_EVERY_S))
    assert refused.value.status_code == 408
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
