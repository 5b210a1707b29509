"""A thread that works through what coroutines hand in, many pieces at a time.

What the coroutines hand in while a batch is under way travels to the thread together, and the
answers of a batch travel back together: a piece costs a share of a thread switch, not two.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec

from roadcall_payments.domain.errors import StoreUnavailable

JobT = TypeVar("JobT")
AnswerT = TypeVar("AnswerT")
SubmittedT = TypeVar("SubmittedT", contravariant=True)


class Submission(msgspec.Struct, Generic[JobT, AnswerT], eq=False):
    """One job on its way through a lane: the thread sets ``answer`` or ``error``."""

    job: JobT
    future: asyncio.Future[AnswerT]
    answer: AnswerT | None = None
    error: BaseException | None = None

    def settle(self) -> None:
        # A caller that was cancelled meanwhile waits no more.
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.answer)  # type: ignore[arg-type]  # None is an answer too


class Submits(Protocol[SubmittedT, AnswerT]):
    """What a store asks of a lane; ``Lane`` says more."""

    def submit(self, job: SubmittedT) -> asyncio.Future[AnswerT]: ...
    def submit_all(self, jobs: Sequence[SubmittedT]) -> list[asyncio.Future[AnswerT]]: ...
    async def close(self) -> None: ...


class LaneMaker(Protocol):
    """How a store's lanes are made: ``Lane`` itself, but where a seed has to decide every turn
    (simulations) and a thread would take its own."""

    def __call__(
        self,
        name: str,
        work: Callable[[Sequence[Submission[JobT, AnswerT]]], None],
        *,
        first: Callable[[Sequence[Submission[JobT, AnswerT]]], None] | None = None,
        waiting_max: int,
        batch_max: int,
        at_end: Callable[[], None],
    ) -> Submits[JobT, AnswerT]: ...


class Lane(Generic[JobT, AnswerT]):
    """One worker thread, and one batch under way; the next one gathers meanwhile.

    ``work`` is called in the thread with a batch and settles every submission. ``first`` is called
    with it before, in the event loop's own turn and while the thread rests; batches that are left
    at ``close`` go without.

    At most ``waiting_max`` jobs wait; more raise StoreUnavailable at once. One event loop at a
    time may submit.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Sequence[Submission[JobT, AnswerT]]], None],
        *,
        first: Callable[[Sequence[Submission[JobT, AnswerT]]], None] | None = None,
        waiting_max: int,
        batch_max: int,
        at_end: Callable[[], None],
    ) -> None:
        self._work = work
        self._first = first
        self._waiting_max = waiting_max
        self._batch_max = batch_max
        self._at_end = at_end
        self._gathered: list[Submission[JobT, AnswerT]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._flushes_in: asyncio.AbstractEventLoop | None = None
        self._queue: queue.SimpleQueue[list[Submission[JobT, AnswerT]] | None]
        self._queue = queue.SimpleQueue()
        self._under_way = False
        self._waiting = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: JobT) -> asyncio.Future[AnswerT]:
        """Hand in a job. Raises StoreUnavailable when too many wait, or after ``close``."""
        return self.submit_all([job])[0]

    def submit_all(self, jobs: Sequence[JobT]) -> list[asyncio.Future[AnswerT]]:
        """Hand in all of them, in order, or none."""
        if self._closed:
            raise StoreUnavailable("The store is closed.")
        if self._waiting + len(jobs) > self._waiting_max:
            raise StoreUnavailable(
                f"The store is overloaded: {self._waiting} wait.", retry_after_s=1
            )
        loop = asyncio.get_running_loop()
        submissions: list[Submission[JobT, AnswerT]] = [
            Submission(job, loop.create_future()) for job in jobs
        ]
        self._waiting += len(jobs)
        self._gathered += submissions
        if self._flushes_in is not loop:
            self._loop = self._flushes_in = loop
            loop.call_soon(self._flush)
        return [submission.future for submission in submissions]

    async def close(self) -> None:
        """Finish what was handed in, then end the thread."""
        if not self._closed:
            self._closed = True
            while batch := self._take():
                self._queue.put(batch)
            self._queue.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    def _flush(self) -> None:
        self._flushes_in = None
        if self._under_way or not (batch := self._take()):
            return
        self._under_way = True
        try:
            if self._first is not None:
                self._first(batch)
        finally:
            self._queue.put(batch)

    def _take(self) -> list[Submission[JobT, AnswerT]]:
        batch = self._gathered[: self._batch_max]
        del self._gathered[: self._batch_max]
        return batch

    def _run(self) -> None:
        try:
            while (batch := self._queue.get()) is not None:
                self._work(batch)
                self._answer(batch)
        finally:
            self._at_end()

    def _answer(self, batch: Sequence[Submission[JobT, AnswerT]]) -> None:
        # Before the loop is looked up: a submission sets it first, and asks this afterwards.
        self._under_way = False
        loops = {submission.future.get_loop() for submission in batch}
        # Whoever found this batch under way waits to be told, though none of it may be theirs.
        if self._loop is not None:
            loops.add(self._loop)
        for loop in loops:
            own = [one for one in batch if one.future.get_loop() is loop]
            try:
                loop.call_soon_threadsafe(self._settle, own)
            except RuntimeError:
                # The loop was closed, so nobody waits there any more.
                self._waiting -= len(own)

    def _settle(self, batch: Sequence[Submission[JobT, AnswerT]]) -> None:
        # First, so that the thread works while this batch is answered.
        self._flush()
        self._waiting -= len(batch)
        for submission in batch:
            submission.settle()
