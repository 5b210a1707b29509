"""Machines that run the service, and die of it: one process at a time each.

A crash takes every task of a process between two steps, wherever it stood. Its connections are
gone first: Python runs ``finally`` blocks when it lets a coroutine go, and these find nothing
left to write to and nobody left to ask. What the process had written stays.
"""

from __future__ import annotations

import asyncio
import contextvars
import weakref
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from roadcall_payments.bootstrap import Service
from roadcall_payments.domain.errors import RoadcallError
from roadcall_payments.ports import Queue
from tests.simulation.faults import Faults, Kind
from tests.simulation.time_and_chance import MachineClock
from tests.simulation.turns import OWNER, SeededLoop

T = TypeVar("T")


class NoAnswer(Exception):
    """The caller heard nothing: the process crashed, slept, or took too long."""


@dataclass(frozen=True, slots=True)
class Wired:
    """A service and what has to be cut when its process dies."""

    service: Service
    cut: Callable[[], object]


class Process:
    """One run of the service: the owner of all its tasks and callbacks."""

    def __init__(
        self,
        machine: str,
        loop: SeededLoop,
        faults: Faults,
        wire: Callable[[Process], Wired],
        died: Callable[[Process], None],
    ) -> None:
        self.machine = machine
        self.clock = MachineClock(loop)
        self.tasks: list[weakref.ref[asyncio.Task[Any]]] = []
        self.alive = True
        self.suspended = False
        self.tending: set[Queue] = set()
        self._loop = loop
        self._faults = faults
        self._died = died
        self._kept: list[asyncio.Handle] = []
        self._waiting: dict[asyncio.Future[Any], asyncio.TimerHandle] = {}
        self._steps_left = faults.steps_to_crash()
        self._context = contextvars.copy_context()
        self._context.run(OWNER.set, self)
        self._wired = self._context.run(wire, self)

    @property
    def service(self) -> Service:
        return self._wired.service

    @property
    def awake(self) -> bool:
        return self.alive and not self.suspended

    def admits(self, step: asyncio.Handle) -> bool:
        if not self.alive:
            return False
        if self.suspended:
            self._kept.append(step)
            return False
        self._steps_left -= 1
        if self._steps_left == 0 and self._faults.on:
            self._faults.struck[Kind.CRASH] += 1
            self._faults.note(self._loop.time(), Kind.CRASH, self.machine)
            self.crash()
            return False
        return True

    def call(
        self, act: Callable[[Service], Coroutine[Any, Any, T]], timeout_s: float
    ) -> asyncio.Future[T]:
        """Run ``act`` in the process; the caller gets its result, its error, or NoAnswer."""
        heard: asyncio.Future[T] = self._loop.create_future()
        if not self.alive:
            heard.set_exception(NoAnswer(f"{self.machine} is down"))
            return heard
        task = self._loop.create_task(act(self.service), context=self._context.copy())
        self._waiting[heard] = self._loop.call_later(timeout_s, self._give_up, heard)

        def answered(ended: asyncio.Task[T]) -> None:
            error = ended.exception()
            if heard.done():
                return
            self._waiting.pop(heard).cancel()
            if error is not None:
                heard.set_exception(error)
            else:
                heard.set_result(ended.result())

        task.add_done_callback(answered, context=contextvars.copy_context())
        return heard

    def crash(self) -> None:
        self.alive = False
        self._wired.cut()
        self._context.run(self._let_go)
        self._kept.clear()
        for heard in list(self._waiting):
            self._give_up(heard)
        self._died(self)

    def _let_go(self) -> None:
        for task in [task for made in self.tasks if (task := made()) is not None]:
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own way
            try:
                task.get_coro().close()
            except RoadcallError:
                # A ``finally`` met a port that is gone, as it should.
                continue

    def suspend(self, seconds: float) -> None:
        """The machine sleeps: nothing of it runs, and its monotonic clock stands."""
        self.suspended = True
        self._loop.call_later(seconds, self._wake, seconds)

    def _wake(self, slept_s: float) -> None:
        self.suspended = False
        self.clock.slept_s += slept_s
        kept, self._kept = self._kept, []
        for step in kept:
            self._loop.again(step)

    def _give_up(self, heard: asyncio.Future[Any]) -> None:
        self._waiting.pop(heard).cancel()
        if not heard.done():
            heard.set_exception(NoAnswer(f"{self.machine} did not answer"))


@dataclass
class Machine:
    """Starts a process again some seconds after it died."""

    name: str
    loop: SeededLoop
    faults: Faults
    wire: Callable[[Process], Wired]
    died: list[Process] = field(default_factory=list)
    stopped: bool = False

    def __post_init__(self) -> None:
        self.process = self._started()

    def stop(self) -> None:
        """Dead until ``start``."""
        self.stopped = True
        if self.process.alive:
            self.process.crash()

    def start(self) -> None:
        self.stopped = False
        self._restart()

    def _started(self) -> Process:
        return Process(self.name, self.loop, self.faults, self.wire, self._mourn)

    def _mourn(self, process: Process) -> None:
        self.died.append(process)
        self.loop.call_later(self.faults.between(0.5, 20.0), self._restart)

    def _restart(self) -> None:
        if not self.stopped and not self.process.alive:
            self.process = self._started()
