"""What a worker does by the clock: when it is due, again after a failure, once more at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from roadcall_payments import telemetry
from roadcall_payments.bootstrap import open_service
from roadcall_payments.clock import SystemIds
from roadcall_payments.config import Settings
from roadcall_payments.domain.people import Actor, Role
from roadcall_payments.ports import Store
from roadcall_payments.worker import DUTY_AFTER_FAILURE_S, Duty, Pace, Worker
from tests.fakes.manual_clock import ManualClock
from tests.new_sqlite import open_new_sqlite

ADMIN = Actor("ada", Role.ADMIN)
PACE = Pace(poll_ms=1_000, batch_size=10, concurrency=3, lease_s=90, drain_s=1)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_new_sqlite(tmp_path / "worker.sqlite")
    yield opened
    await opened.close()


class Chimes:
    """Due every 100 s; counts how often it was looked at."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.attended = asyncio.Semaphore(0)
        self.count = 0
        self.ended = 0

    async def attend(self) -> float:
        self.count += 1
        self.attended.release()
        if self.failures:
            raise self.failures.pop(0)
        return 100.0

    async def at_end(self) -> None:
        self.ended += 1


@asynccontextmanager
async def working(store: Store, clock: ManualClock, duty: Duty) -> AsyncIterator[Worker]:
    worker = Worker(store, clock, SystemIds(clock), {}, {}, PACE, [duty])
    running = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        await asyncio.wait_for(running, 10)


def failing(duty: str) -> float | None:
    return telemetry.REGISTRY.get_sample_value("roadcall_duty_failing", {"duty": duty})


async def advance_until(clock: ManualClock, chimes: Chimes, step_s: float) -> float:
    """Let time pass in steps until it chimes again; how much that was."""
    passed = 0.0
    while True:
        clock.advance(step_s)
        passed += step_s
        with suppress(TimeoutError):
            await asyncio.wait_for(chimes.attended.acquire(), 0.05)
            return passed


async def test_a_duty_is_looked_at_when_it_says_and_done_once_at_the_end(store: Store) -> None:
    clock, chimes = ManualClock(), Chimes()
    async with working(store, clock, Duty("chime", chimes.attend, chimes.at_end)):
        await chimes.attended.acquire()
        await clock.until_somebody_sleeps()
        assert await advance_until(clock, chimes, 25) >= 100
        assert chimes.ended == 0
    assert (chimes.count, chimes.ended) == (2, 1)


async def test_a_duty_that_fails_is_recorded_and_tried_later(store: Store) -> None:
    clock, chimes = ManualClock(), Chimes(OSError("the disk is full"))
    with capture_logs() as logs:
        async with working(store, clock, Duty("chime", chimes.attend, chimes.at_end)):
            await chimes.attended.acquire()
            await clock.until_somebody_sleeps()
            assert failing("chime") == 1
            assert await advance_until(clock, chimes, 60) >= DUTY_AFTER_FAILURE_S
    failed = [line for line in logs if line["event"] == "worker_failed"]
    assert [line["during"] for line in failed] == ["chime"]
    assert failing("chime") == 0
    assert chimes.ended == 1


async def test_an_end_that_takes_too_long_does_not_hold_the_worker(store: Store) -> None:
    clock, chimes = ManualClock(), Chimes()
    begun = asyncio.Event()

    async def for_ever() -> None:
        begun.set()
        await asyncio.Event().wait()

    with capture_logs() as logs:
        async with working(store, clock, Duty("chime", chimes.attend, for_ever)):
            await chimes.attended.acquire()
    assert begun.is_set()
    left = [line["queue"] for line in logs if line["event"] == "worker_left_work"]
    assert left == ["chime"]


async def test_the_services_worker_signs_what_it_finds_and_what_it_leaves(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, worker_poll_interval_ms=10)
    async with open_service(settings) as service:
        await service.movements_switch.pause(ADMIN, "before the start")
        running = asyncio.create_task(service.worker.run())
        while await service.checkpoints.newest() is None:  # noqa: ASYNC110  # files send no event
            await asyncio.sleep(0.01)
        await service.movements_switch.resume(ADMIN)
        service.worker.stop()
        await asyncio.wait_for(running, 30)
        held = await service.checkpoints.hold()
    assert (held.count, held.faults) == (2, ())
    assert held.newest is not None
    assert held.newest.number == 2
