"""The worker: what fails is tried again and in the end parked; what stops, drains."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from roadcall_payments.clock import SystemIds
from roadcall_payments.domain.errors import (
    MovementsPaused,
    NotFound,
    StoreUnavailable,
    TransientError,
)
from roadcall_payments.ports import Claim, Queue, Store
from roadcall_payments.stores.sqlite.store import open_sqlite
from roadcall_payments.worker import Pace, RetryRules, Worker
from tests.builders import commit_of, new_payment_write
from tests.fakes.manual_clock import START, ManualClock
from tests.new_sqlite import open_new_sqlite

LEASE_S = 90
PACE = Pace(poll_ms=1_000, batch_size=10, concurrency=3, lease_s=LEASE_S, drain_s=1)
RULES = RetryRules(base_s=2, cap_s=60, attempts_max=4)
PATIENT = RetryRules(base_s=2, cap_s=60, attempts_max=4, transient_parks=False)

Handler = Callable[[Claim], Awaitable[None]]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_new_sqlite(tmp_path / "worker.sqlite")
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def worker_of(
    store: Store,
    clock: ManualClock,
    handlers: Mapping[Queue, Handler],
    rules: RetryRules = RULES,
    pace: Pace = PACE,
) -> Worker:
    every = dict.fromkeys(Queue, rules)
    return Worker(store, clock, SystemIds(clock), handlers, every, pace)


async def write_due(store: Store, count: int = 1) -> list[str]:
    """Payments that are due for attention now; their streams."""
    writes = [new_payment_write(at=START, due_at=START) for _ in range(count)]
    await store.commit([commit_of(write) for write in writes])
    return [write.stream for write in writes]


class Attendant:
    """A handler that finishes its work, unless it is told to fail first."""

    def __init__(self, store: Store, *failures: Exception) -> None:
        self._store = store
        self.failures = list(failures)
        self.attended: list[str] = []
        self.done = asyncio.Event()

    async def attend(self, claim: Claim) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.attended.append(claim.key)
        await self._store.finish(claim)
        self.done.set()


# --- one piece of work -------------------------------------------------------------------------


async def test_due_work_is_done_once(store: Store, clock: ManualClock) -> None:
    streams = await write_due(store, count=25)
    attendant = Attendant(store)
    worker = worker_of(store, clock, {Queue.ATTENTION: attendant.attend})
    assert await worker.work_off() == 25
    assert sorted(attendant.attended) == sorted(streams)
    assert await worker.work_off() == 0


async def test_a_failure_puts_the_piece_back_with_its_reason(
    store: Store, clock: ManualClock
) -> None:
    (stream,) = await write_due(store)
    attendant = Attendant(store, ConnectionError("no route"), ConnectionError("no route"))
    worker = worker_of(store, clock, {Queue.ATTENTION: attendant.attend})
    with capture_logs() as logs:
        assert await worker.work_off() == 1
    (line,) = [line for line in logs if line["event"] == "work_failed"]
    assert (line["key"], line["outcome"], line["attempts"]) == (stream, "postponed", 1)
    assert isinstance(line["exc_info"], ConnectionError)
    assert await worker.work_off() == 0
    clock.advance(2.5)
    assert await worker.work_off() == 1
    clock.advance(2.5)
    assert await worker.work_off() == 0
    clock.advance(2.5)
    assert await worker.work_off() == 1
    assert attendant.attended == [stream]


async def test_what_keeps_failing_is_parked_until_a_person_redrives_it(
    store: Store, clock: ManualClock
) -> None:
    (stream,) = await write_due(store)
    attendant = Attendant(store, *[ZeroDivisionError("by sk_test_12345678")] * 4)
    worker = worker_of(store, clock, {Queue.ATTENTION: attendant.attend})
    for _ in range(4):
        assert await worker.work_off() == 1
        clock.advance(100)
    assert await worker.work_off() == 0
    (dead,) = await store.dead_letters()
    assert (dead.key, dead.reason) == (stream, "ZeroDivisionError: by [redacted]")
    assert await store.redrive(Queue.ATTENTION, stream, now=clock.now())
    assert await worker.work_off() == 1
    assert attendant.attended == [stream]


async def test_money_in_flight_is_never_given_up_while_failures_may_pass(
    store: Store, clock: ManualClock
) -> None:
    (stream,) = await write_due(store)
    attendant = Attendant(store, *[MovementsPaused("held")] * 40)
    worker = worker_of(store, clock, {Queue.ATTENTION: attendant.attend}, PATIENT)
    for _ in range(41):
        assert await worker.work_off() == 1
        clock.advance(100)
    assert attendant.attended == [stream]


async def test_a_hint_to_wait_longer_is_kept(store: Store, clock: ManualClock) -> None:
    await write_due(store)
    attendant = Attendant(store, TransientError("busy", retry_after_s=50))
    worker = worker_of(store, clock, {Queue.ATTENTION: attendant.attend})
    await worker.work_off()
    clock.advance(49)
    assert await worker.work_off() == 0
    clock.advance(1)
    assert await worker.work_off() == 1


async def test_one_failing_piece_leaves_its_batch_alone(store: Store, clock: ManualClock) -> None:
    streams = await write_due(store, count=9)
    attendant = Attendant(store)

    async def attend(claim: Claim) -> None:
        if claim.key == streams[4]:
            raise NotFound("gone")
        await attendant.attend(claim)

    worker = worker_of(store, clock, {Queue.ATTENTION: attend})
    assert await worker.work(Queue.ATTENTION) == 9
    assert sorted(attendant.attended) == sorted(set(streams) - {streams[4]})


async def test_no_more_pieces_at_once_than_allowed(store: Store, clock: ManualClock) -> None:
    await write_due(store, count=10)
    at_once = most = 0

    async def attend(claim: Claim) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        for _ in range(3):
            await asyncio.sleep(0)
        at_once -= 1
        await store.finish(claim)

    await worker_of(store, clock, {Queue.ATTENTION: attend}).work_off()
    assert most == PACE.concurrency


async def test_a_piece_is_not_begun_when_its_lease_might_run_out(
    store: Store, clock: ManualClock
) -> None:
    await write_due(store, count=2)
    attended: list[str] = []

    async def attend(claim: Claim) -> None:
        attended.append(claim.key)
        clock.advance(LEASE_S * 0.6)
        await store.finish(claim)

    slow = Pace(poll_ms=1_000, batch_size=10, concurrency=1, lease_s=LEASE_S, drain_s=1)
    worker = worker_of(store, clock, {Queue.ATTENTION: attend}, pace=slow)
    await worker.work(Queue.ATTENTION)
    assert len(attended) == 1
    # Given back, so that nobody waits for its lease to end.
    rest = Attendant(store)
    assert await worker_of(store, clock, {Queue.ATTENTION: rest.attend}).work_off() == 1
    assert not set(rest.attended) & set(attended)


async def test_two_workers_never_hold_the_same_piece(store: Store, clock: ManualClock) -> None:
    streams = await write_due(store, count=40)
    attendant = Attendant(store)
    workers = [worker_of(store, clock, {Queue.ATTENTION: attendant.attend}) for _ in range(3)]
    await asyncio.gather(*(worker.work_off() for worker in workers))
    assert sorted(attendant.attended) == sorted(streams)


# --- the loop ----------------------------------------------------------------------------------


async def test_a_nudge_wakes_the_loop_before_its_time(store: Store, clock: ManualClock) -> None:
    attendant = Attendant(store)
    worker = worker_of(store, clock, {Queue.ATTENTION: attendant.attend})
    running = asyncio.create_task(worker.run())
    # The clock stands still: without a nudge it would sleep for ever.
    (stream,) = await write_due(store)
    worker.nudge()
    await asyncio.wait_for(attendant.done.wait(), 20)
    assert attendant.attended == [stream]
    worker.stop()
    await running


async def test_without_a_nudge_the_loop_looks_again_after_its_interval(
    store: Store, clock: ManualClock
) -> None:
    attendant = Attendant(store)
    worker = worker_of(store, clock, {Queue.ATTENTION: attendant.attend})
    running = asyncio.create_task(worker.run())
    (stream,) = await write_due(store)
    while not attendant.attended:
        clock.advance(0.2)
        await asyncio.sleep(0.001)
    assert attendant.attended == [stream]
    worker.stop()
    await running


async def test_stopping_finishes_what_is_in_hand_and_begins_nothing(
    store: Store, clock: ManualClock
) -> None:
    await write_due(store, count=10)
    begun: list[str] = []
    all_hands_full, go_on = asyncio.Event(), asyncio.Event()
    finished: list[str] = []

    async def attend(claim: Claim) -> None:
        begun.append(claim.key)
        if len(begun) == PACE.concurrency:
            all_hands_full.set()
        await go_on.wait()
        await store.finish(claim)
        finished.append(claim.key)

    worker = worker_of(store, clock, {Queue.ATTENTION: attend})
    running = asyncio.create_task(worker.run())
    await asyncio.wait_for(all_hands_full.wait(), 20)
    worker.stop()
    go_on.set()
    await running
    assert finished == begun
    rest = Attendant(store)
    assert await worker_of(store, clock, {Queue.ATTENTION: rest.attend}).work_off() == 7
    assert not set(rest.attended) & set(finished)


async def test_what_outlasts_the_drain_is_left_to_its_lease(
    store: Store, clock: ManualClock
) -> None:
    (stream,) = await write_due(store)
    begun = asyncio.Event()

    async def hang(claim: Claim) -> None:
        begun.set()
        await asyncio.Event().wait()

    hasty = Pace(poll_ms=1_000, batch_size=10, concurrency=1, lease_s=LEASE_S, drain_s=0)
    worker = worker_of(store, clock, {Queue.ATTENTION: hang}, pace=hasty)
    running = asyncio.create_task(worker.run())
    await begun.wait()
    with capture_logs() as logs:
        worker.stop()
        await running
    assert {"event": "worker_left_work", "queue": "attention", "log_level": "warning"} in logs
    rest = Attendant(store)
    successor = worker_of(store, clock, {Queue.ATTENTION: rest.attend})
    assert await successor.work_off() == 0
    clock.advance(LEASE_S)
    assert await successor.work_off() == 1
    assert rest.attended == [stream]


async def test_the_loop_outlives_a_store_that_is_away(clock: ManualClock, tmp_path: Path) -> None:
    opened = open_sqlite(tmp_path / "away.sqlite")

    class Flaky:
        """The store, away for its first claims."""

        absences = 2

        def __getattr__(self, name: str) -> object:
            if name == "claim" and self.absences:
                self.absences -= 1
                raise StoreUnavailable("the database is away")
            found: object = getattr(opened, name)
            return found

    attendant = Attendant(opened)
    flaky: Store = Flaky()  # type: ignore[assignment] # it hands every call on to a real store
    worker = worker_of(flaky, clock, {Queue.ATTENTION: attendant.attend})
    await write_due(opened)
    running = asyncio.create_task(worker.run())
    while not attendant.attended:
        clock.advance(1)
        await asyncio.sleep(0.001)
    worker.stop()
    await running
    await opened.close()


async def test_expected_failures_are_warnings_and_faults_of_ours_are_errors(
    store: Store, clock: ManualClock
) -> None:
    await write_due(store, count=2)
    attendant = Attendant(store, TransientError("later"), ZeroDivisionError())
    worker = worker_of(store, clock, {Queue.ATTENTION: attendant.attend})
    with capture_logs() as logs:
        await worker.work_off()
    levels = [logging.getLevelNamesMapping()[line["log_level"].upper()] for line in logs]
    assert sorted(levels) == [logging.WARNING, logging.ERROR]


async def test_a_loop_that_breaks_ends_the_worker_loudly(store: Store) -> None:
    class Exhausted(Exception):
        """A fault outside any piece of work."""

    class Spent(ManualClock):
        async def sleep(self, seconds: float) -> None:
            raise Exhausted

    worker = worker_of(store, Spent(), {Queue.ATTENTION: Attendant(store).attend})
    with capture_logs() as logs, pytest.raises(Exhausted):
        await asyncio.wait_for(worker.run(), 20)
    assert logs == []
