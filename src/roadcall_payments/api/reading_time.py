"""How long reading a request may take, watched for all of them together (M28).

Most bodies are there when they are asked for: a timer for each costs more than reading it.
"""

from __future__ import annotations

import asyncio
from typing import Final

Reader = asyncio.Task[object]

LOOK_EVERY_S: Final = 1.0


class ReadingTime:
    """Of one event loop at a time. A task that reads for ``limit_s`` seconds is cancelled, at most
    ``look_every_s`` later; ``ran_out`` tells it why."""

    def __init__(self, limit_s: float, look_every_s: float = LOOK_EVERY_S) -> None:
        self._limit_s = limit_s
        self._look_every_s = look_every_s
        # In the order in which they began.
        self._began: dict[Reader, float] = {}
        self._ran_out: set[Reader] = set()
        self._looks_in: asyncio.AbstractEventLoop | None = None

    def begin(self) -> Reader:
        """The present task reads from now on."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("Only a task's reading can be watched.")
        loop = task.get_loop()
        if self._looks_in is not loop:
            self._began.clear()
            self._look_later(loop)
        self._began[task] = loop.time()
        return task

    def end(self, task: Reader) -> None:
        self._began.pop(task, None)
        self._ran_out.discard(task)

    def ran_out(self, task: Reader) -> bool:
        """Whether its time was why it was cancelled, and nothing else besides."""
        return task in self._ran_out and task.uncancel() == 0

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._looks_in = loop
        loop.call_later(self._look_every_s, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._looks_in is not loop:
            return
        latest = loop.time() - self._limit_s
        while self._began and (began := next(iter(self._began.items())))[1] <= latest:
            task = began[0]
            del self._began[task]
            self._ran_out.add(task)
            task.cancel()
        self._looks_in = None
        if self._began:
            self._look_later(loop)
