"""The loop that works off the store's lists: relay, inbox, recovery, notices, under leases.

One task a queue. Each takes due work under a lease, works a few pieces at once, and sleeps until
the next look, a nudge, or the end. A piece that fails is recorded and put back for later, less
and less often; one that fails for good is parked for a person (M27).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import structlog

from roadcall_payments import telemetry
from roadcall_payments.config import Settings
from roadcall_payments.domain.errors import FinalError, TransientError
from roadcall_payments.ports import Claim, Clock, Ids, Queue, Store

T = TypeVar("T")

Handler = Callable[[Claim], Awaitable[None]]

AFTER_FAILURE_S = 5
DUTY_AFTER_FAILURE_S = 300
REASON_CHARS_MAX = 500

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RetryRules:
    """When a failed piece is tried again, and when it is given to a person.

    ``transient_parks``: whether failures that may pass ever park it. Money in flight is looked
    after for as long as it takes. ``final_parks``: whether a failure that will not pass parks it
    at once; else it counts as any other, for what surrounds the piece may change.
    """

    base_s: int
    cap_s: int
    attempts_max: int
    transient_parks: bool = True
    final_parks: bool = False

    def wait_s(self, attempts: int, fraction: float) -> float:
        """Doubles with each earlier attempt, up to the cap; ±25 % by ``fraction`` in [0, 1)."""
        doubled: int = self.base_s * 2 ** min(attempts, 32)
        return min(doubled, self.cap_s) * (0.75 + fraction / 2)

    def parks(self, error: Exception, attempts: int) -> bool:
        """Whether this was the last try; ``attempts`` counts the earlier ones."""
        if isinstance(error, TransientError) and not self.transient_parks:
            return False
        if isinstance(error, FinalError) and self.final_parks:
            return True
        return attempts + 1 >= self.attempts_max


@dataclass(frozen=True, slots=True)
class Pace:
    """How a worker works; seconds, but for ``poll_ms``."""

    poll_ms: int
    batch_size: int
    concurrency: int
    lease_s: int
    drain_s: int


def pace_of(settings: Settings) -> Pace:
    return Pace(
        poll_ms=settings.worker_poll_interval_ms,
        batch_size=settings.worker_batch_size,
        concurrency=settings.worker_concurrency,
        lease_s=settings.worker_lease_s,
        drain_s=settings.worker_drain_s,
    )


def retry_rules_of(settings: Settings) -> Mapping[Queue, RetryRules]:
    """What the settings say of each queue."""
    base_s, cap_s = settings.retry_base_s, settings.retry_cap_s
    return {
        Queue.OUTBOX: RetryRules(base_s, cap_s, settings.outbox_attempts_max),
        Queue.ATTENTION: RetryRules(
            base_s, cap_s, settings.attention_attempts_max, transient_parks=False
        ),
        Queue.INBOX: RetryRules(base_s, cap_s, settings.inbox_attempts_max, transient_parks=False),
        Queue.NOTICES: RetryRules(base_s, cap_s, settings.notices_attempts_max, final_parks=True),
    }


@dataclass(frozen=True, slots=True)
class Duty:
    """What is done by the clock and not from a list. ``attend`` does it when it is due, and says
    in how many seconds to look again; ``at_end`` is done once the queues have drained."""

    name: str
    attend: Callable[[], Awaitable[float]]
    at_end: Callable[[], Awaitable[None]]


class Worker:
    """Works off ``handlers``' queues; one for each process, any number of processes."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        ids: Ids,
        handlers: Mapping[Queue, Handler],
        rules: Mapping[Queue, RetryRules],
        pace: Pace,
        duties: Sequence[Duty] = (),
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._handlers = handlers
        self._rules = rules
        self._pace = pace
        self._duties = duties
        self._name = ids.uuid7()
        self._stopping = asyncio.Event()
        self._nudges = {queue: asyncio.Event() for queue in handlers}
        # Claims that were neither finished nor put back: begun too late, or the store was away.
        self._owed: dict[Queue, list[Claim]] = {queue: [] for queue in handlers}

    def nudge(self) -> None:
        """Something was written: look now. Call it in the worker's event loop."""
        for nudged in self._nudges.values():
            nudged.set()

    def stop(self) -> None:
        """Take no more work; ``run`` returns once the work in hand is done or time is up."""
        self._stopping.set()
        self.nudge()

    async def run(self) -> None:
        """Work until ``stop``. What outlasts the drain is left to its lease: another worker, or
        the next start, takes it up."""
        stopped = asyncio.create_task(self._stopping.wait(), name="stopped")
        tasks = [asyncio.create_task(self._tend(queue), name=queue) for queue in self._handlers]
        tasks += [asyncio.create_task(self._keep(duty), name=duty.name) for duty in self._duties]
        try:
            ended, _ = await asyncio.wait((stopped, *tasks), return_when=asyncio.FIRST_COMPLETED)
            for task in ended - {stopped}:
                # A loop ends by ``stop`` alone: better no worker than half a one.
                task.result()
            drained_by = self._clock.monotonic() + self._pace.drain_s
            _, late = await asyncio.wait(tasks, timeout=self._pace.drain_s)
            for task in late:
                _log.warning("worker_left_work", queue=task.get_name())
            await self._end_duties(drained_by)
        finally:
            for task in (stopped, *tasks):
                task.cancel()
            await asyncio.gather(stopped, *tasks, return_exceptions=True)

    async def work_off(self) -> int:
        """Work until nothing is due; how many pieces that were. For tests and simulations."""
        total = 0
        while worked := sum([await self.work(queue) for queue in self._handlers]):
            total += worked
        return total

    async def work(self, queue: Queue) -> int:
        """Claim one batch of due work and attend to it; how many pieces it was.

        Raises StoreUnavailable when nothing can be claimed.
        """
        await self._give_back(queue)
        claims = await self._store.claim(
            queue,
            now=self._clock.now(),
            lease_s=self._pace.lease_s,
            limit=self._pace.batch_size,
            worker=self._name,
        )
        if not claims:
            return 0
        lanes = min(self._pace.concurrency, len(claims))
        done = await asyncio.gather(
            *(self._attend_all(claims[lane::lanes]) for lane in range(lanes)),
            return_exceptions=True,
        )
        for failure in done:
            if failure is not None:
                raise failure
        await self._give_back(queue)
        return len(claims)

    async def _attend_all(self, claims: Sequence[Claim]) -> None:
        left = list(claims)
        try:
            while left:
                # A lease that could run out under us is not begun, and nothing is when we stop.
                spare = left[0].leased_until - self._clock.now()
                if self._stopping.is_set() or spare < timedelta(seconds=self._pace.lease_s / 2):
                    return
                await self._attend(left[0])
                left.pop(0)
        finally:
            if left:
                self._owed[left[0].queue] += left

    async def _give_back(self, queue: Queue) -> None:
        """Let anybody have at once what would else wait for its lease to end. A lease that has
        ended meanwhile is somebody else's, and stays so."""
        owed = self._owed[queue]
        while owed:
            await self._store.postpone(owed[0], due_at=owed[0].due_at, reason="given back")
            owed.pop(0)

    async def _attend(self, claim: Claim) -> None:
        try:
            await self._handlers[claim.queue](claim)
        except Exception as error:  # noqa: BLE001  # one piece; recorded, and tried again or parked
            await self._record(claim, error)
        else:
            telemetry.QUEUE_WORKED.labels(claim.queue, "done").inc()

    async def _record(self, claim: Claim, error: Exception) -> None:
        """Log the failure, and put the piece back or park it."""
        rules = self._rules[claim.queue]
        reason = str(telemetry.redact(f"{type(error).__name__}: {error}"))[:REASON_CHARS_MAX]
        parks = rules.parks(error, claim.attempts)
        outcome = "parked" if parks else "postponed"
        expected = isinstance(error, TransientError | FinalError)
        _log.log(
            logging.ERROR if parks or not expected else logging.WARNING,
            "work_failed",
            queue=claim.queue.value,
            key=claim.key,
            attempts=claim.attempts + 1,
            outcome=outcome,
            exc_info=error,
        )
        telemetry.QUEUE_WORKED.labels(claim.queue, outcome).inc()
        now = self._clock.now()
        if parks:
            await self._store.park(claim, now=now, reason=reason)
            return
        wait_s = rules.wait_s(claim.attempts, self._ids.fraction())
        if isinstance(error, TransientError) and error.retry_after_s:
            wait_s = max(wait_s, error.retry_after_s)
        due_at = now + timedelta(seconds=wait_s)
        await self._store.postpone(claim, due_at=due_at, reason=reason)

    async def _tend(self, queue: Queue) -> None:
        nudged = self._nudges[queue]
        while not self._stopping.is_set():
            nudged.clear()
            worked = await self._outlived(self.work(queue), queue)
            if worked is None:
                await self._rest(nudged, AFTER_FAILURE_S)
            elif worked:
                # One piece leads to the next: an entry to an event, an event to a notice.
                self.nudge()
            else:
                await self._rest(nudged, self._pace.poll_ms / 1000)

    async def _keep(self, duty: Duty) -> None:
        while not self._stopping.is_set():
            wait_s = await self._outlived(duty.attend(), duty.name)
            telemetry.DUTY_FAILING.labels(duty.name).set(wait_s is None)
            await self._rest(self._stopping, DUTY_AFTER_FAILURE_S if wait_s is None else wait_s)

    async def _end_duties(self, until: float) -> None:
        for duty in self._duties:
            left_s = until - self._clock.monotonic()
            try:
                if left_s <= 0:
                    raise TimeoutError
                await asyncio.wait_for(self._outlived(duty.at_end(), duty.name), left_s)
            except TimeoutError:
                _log.warning("worker_left_work", queue=duty.name)

    async def _outlived(self, step: Awaitable[T], name: str) -> T | None:
        """The step's result; None when it failed, which must not end the loop around it.

        Mostly the store: what was claimed is given back once it answers.
        """
        try:
            return await step
        except Exception as error:  # noqa: BLE001  # the process's outermost edge; recorded
            _log.error("worker_failed", during=name, exc_info=error)
            return None

    async def _rest(self, nudged: asyncio.Event, seconds: float) -> None:
        """Until nudged, stopped or rested."""
        woken = asyncio.create_task(nudged.wait())
        rested = asyncio.create_task(self._clock.sleep(seconds))
        try:
            ended, _ = await asyncio.wait((woken, rested), return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in (woken, rested):
                task.cancel()
            await asyncio.gather(woken, rested, return_exceptions=True)
