"""Pieces that many coroutines hand in, worked on together: one round trip for all that wait.

While one batch is at the database the next one gathers, so batches grow with the load and an idle
service waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Generic

from roadcall_payments.domain.errors import StoreUnavailable
from roadcall_payments.stores.lane import AnswerT, JobT, Submission
from roadcall_payments.stores.postgres.connection import classified

Work = Callable[[Sequence[Submission[JobT, AnswerT]]], Awaitable[None]]

# How many batches' worth of waiting jobs are looked through for ones that collide with nothing.
_LOOK_AHEAD = 4


class Lane(Generic[JobT, AnswerT]):
    """``work`` sets each submission's answer or error; what it raises fails those left over.

    At most ``at_once`` batches of up to ``batch_max`` jobs are worked on at a time. At most
    ``waiting_max`` jobs wait; more raise StoreUnavailable at once. Jobs that share a key of
    ``keys_of`` are worked on in their order and never at the same time.
    """

    def __init__(
        self,
        work: Work[JobT, AnswerT],
        *,
        at_once: int,
        batch_max: int,
        waiting_max: int,
        keys_of: Callable[[JobT], Collection[str]] | None = None,
    ) -> None:
        self._work = work
        self._at_once = at_once
        self._batch_max = batch_max
        self._waiting_max = waiting_max
        self._keys_of = keys_of
        self._waiting: deque[Submission[JobT, AnswerT]] = deque()
        self._busy: set[str] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._unanswered = 0
        self._starts_in: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def submit(self, job: JobT) -> asyncio.Future[AnswerT]:
        """Hand in a job. Raises StoreUnavailable when too many wait, or after ``close``."""
        if self._closed or self._unanswered >= self._waiting_max:
            raise self._refusal()
        return self._handed_in(job, asyncio.get_running_loop())

    def submit_all(self, jobs: Sequence[JobT]) -> list[asyncio.Future[AnswerT]]:
        """Hand in all of them, in order, or none."""
        if self._closed or self._unanswered + len(jobs) > self._waiting_max:
            raise self._refusal()
        loop = asyncio.get_running_loop()
        return [self._handed_in(job, loop) for job in jobs]

    def _refusal(self) -> StoreUnavailable:
        if self._closed:
            return StoreUnavailable("The store is closed.")
        return StoreUnavailable(
            f"The store is overloaded: {self._unanswered} wait.", retry_after_s=1
        )

    def _handed_in(self, job: JobT, loop: asyncio.AbstractEventLoop) -> asyncio.Future[AnswerT]:
        answer: asyncio.Future[AnswerT] = loop.create_future()
        self._waiting.append(Submission(job, answer))
        self._unanswered += 1
        # What is handed in within one turn of the event loop travels together.
        if self._starts_in is not loop:
            self._starts_in = loop
            loop.call_soon(self._start)
        return answer

    async def close(self) -> None:
        """Finish what was handed in."""
        self._closed = True
        self._start()
        while self._running:
            await asyncio.wait(self._running)

    def _start(self) -> None:
        self._starts_in = None
        while len(self._running) < self._at_once and (batch := self._take()):
            task = asyncio.get_running_loop().create_task(self._run(batch))
            self._running.add(task)

    def _take(self) -> list[Submission[JobT, AnswerT]]:
        """The next batch; empty when nothing waits that could be worked on now."""
        if self._keys_of is None:
            count = min(len(self._waiting), self._batch_max)
            return [self._waiting.popleft() for _ in range(count)]
        batch: list[Submission[JobT, AnswerT]] = []
        passed: list[Submission[JobT, AnswerT]] = []
        taken: set[str] = set()
        for _ in range(min(len(self._waiting), self._batch_max * _LOOK_AHEAD)):
            if len(batch) == self._batch_max:
                break
            one = self._waiting.popleft()
            keys = self._keys_of(one.job)
            if self._busy.isdisjoint(keys) and taken.isdisjoint(keys):
                batch.append(one)
            else:
                passed.append(one)
            # Whoever shares a key with one that was passed over must stay behind it.
            taken.update(keys)
        self._waiting.extendleft(reversed(passed))
        for one in batch:
            self._busy.update(self._keys_of(one.job))
        return batch

    async def _run(self, batch: list[Submission[JobT, AnswerT]]) -> None:
        try:
            await self._work(batch)
        except asyncio.CancelledError:
            for one in batch:
                one.future.cancel()
            raise
        except Exception as error:  # noqa: BLE001  # a batch's failure is answered to its callers
            for one in batch:
                if one.answer is None and one.error is None:
                    one.error = classified(error)
        finally:
            self._settle(batch)

    def _settle(self, batch: Sequence[Submission[JobT, AnswerT]]) -> None:
        self._unanswered -= len(batch)
        if self._keys_of is not None:
            for one in batch:
                self._busy.difference_update(self._keys_of(one.job))
        for one in batch:
            one.settle()
        task = asyncio.current_task()
        if task is not None:
            self._running.discard(task)
        self._start()
