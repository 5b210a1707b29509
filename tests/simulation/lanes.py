"""The store's lanes without threads: a batch is worked on in one turn of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from roadcall_payments.domain.errors import StoreUnavailable
from roadcall_payments.stores.lane import Submission

JobT = TypeVar("JobT")
AnswerT = TypeVar("AnswerT")


class TurnLane(Generic[JobT, AnswerT]):
    """What is handed in is worked on some turns later, with all that was handed in by then.

    A crash may come before that turn, and nothing was done, or after it, and nobody hears of it.
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
        self._name = name
        self._first = first
        self._work = work
        self._waiting_max = waiting_max
        self._batch_max = batch_max
        self._at_end = at_end
        self._gathered: list[Submission[JobT, AnswerT]] = []
        self._closed = False

    def submit(self, job: JobT) -> asyncio.Future[AnswerT]:
        return self.submit_all([job])[0]

    def submit_all(self, jobs: Sequence[JobT]) -> list[asyncio.Future[AnswerT]]:
        if self._closed:
            raise StoreUnavailable(f"The lane {self._name} is closed.")
        if len(self._gathered) + len(jobs) > self._waiting_max:
            raise StoreUnavailable("The store is overloaded.", retry_after_s=1)
        loop = asyncio.get_running_loop()
        submissions: list[Submission[JobT, AnswerT]] = [
            Submission(job, loop.create_future()) for job in jobs
        ]
        if not self._gathered:
            loop.call_soon(self._flush)
        self._gathered += submissions
        return [submission.future for submission in submissions]

    async def close(self) -> None:
        self._flush()
        self.cut()

    def cut(self) -> None:
        """The process died: what was not begun is never done."""
        if not self._closed:
            self._closed = True
            self._gathered.clear()
            self._at_end()

    def _flush(self) -> None:
        gathered, self._gathered = self._gathered, []
        for start in range(0, len(gathered), self._batch_max):
            part = gathered[start : start + self._batch_max]
            if self._first is not None:
                self._first(part)
            self._work(part)
            for submission in part:
                submission.settle()
