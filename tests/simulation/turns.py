"""The event loop of a simulated world: a seed decides each turn, and time is a number.

Whatever is ready runs in an order drawn at random, which is where the interleavings of many
processes come from. Time passes only when nothing is ready, and then at once. Nothing here waits
for a socket, a thread or the machine's clock, so one seed is one history.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import weakref
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from enum import Enum, auto
from random import Random
from typing import Any, Protocol, TypeVar, TypeVarTuple

TICK_S = 0.1

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Owner(Protocol):
    """Whose code it is. Tasks and callbacks inherit their maker's owner."""

    tasks: list[weakref.ref[asyncio.Task[Any]]]
    """All that were made, in their order. A dictionary of weak values takes five moves a task."""

    def admits(self, step: asyncio.Handle) -> bool:
        """Whether the step runs now. An owner that says no drops it, or keeps it for later."""
        ...


OWNER: ContextVar[Owner | None] = ContextVar("owner", default=None)
"""None for the world itself: people, networks, Stripe."""


class WorldStandsStill(Exception):
    """Somebody still waits, and nothing will ever happen."""


class _Step(asyncio.TimerHandle):
    """asyncio's own, but made and run in fewer moves: a payment takes hundreds of them."""

    __slots__ = ("_due", "act", "arguments", "owner", "where")

    def __init__(  # the base's own would keep what only a debugger asks for
        self,
        due: float,
        act: Callable[[*Ts], object],
        arguments: tuple[*Ts],
        context: Context | None,
    ) -> None:
        self._cancelled = False
        self._due = due
        self.act = act
        self.arguments = arguments
        self.where = copy_context() if context is None else context
        self.owner = self.where.get(OWNER)

    def cancel(self) -> None:
        self._cancelled = True

    def cancelled(self) -> bool:
        return self._cancelled

    def when(self) -> float:
        return self._due


class _Ended(Enum):
    HALTED = auto()
    DRY = auto()
    LATE = auto()


class SeededLoop(asyncio.BaseEventLoop):
    """``time`` is seconds since the world began. ``problems``: what asyncio complained of."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._draw = random.random
        self._runnable: list[_Step] = []
        self._make_ready = self._runnable.append
        self._timers: list[tuple[float, int, _Step]] = []
        self._order = itertools.count()
        self._now = 0.0
        self._halted = False
        self.problems: list[str] = []

    # time

    def time(self) -> float:
        return self._now

    def jump(self, seconds: float) -> None:
        """All clocks move on at once, as when everything slept; what was due meanwhile is late."""
        self._now += seconds

    # scheduling

    def call_soon(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        step = _Step(0.0, callback, args, context)
        self._make_ready(step)
        return step

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        # What would happen nearly at once happens at once, in an order that is drawn.
        when = math.ceil(when / TICK_S) * TICK_S
        timer = _Step(when, callback, args, context)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    def again(self, step: asyncio.Handle) -> None:
        """Make ready once more what an owner kept."""
        if isinstance(step, _Step):
            self._runnable.append(step)

    # running

    def run_until_complete(  # type: ignore[override]  # any awaitable in the stub; coroutines here
        self, future: Coroutine[Any, Any, T]
    ) -> T:
        """Raises WorldStandsStill when it can never be complete."""
        asyncio._set_running_loop(self)
        try:
            task = self.create_task(future)
            task.add_done_callback(self._halt)
            if self._run(float("inf")) is not _Ended.HALTED:
                raise WorldStandsStill
            return task.result()
        finally:
            asyncio._set_running_loop(None)

    def run_dry(self, until: float) -> bool:
        """Run until nothing is ready and no timer runs; False when that is not before ``until``."""
        asyncio._set_running_loop(self)
        try:
            return self._run(until) is _Ended.DRY
        finally:
            asyncio._set_running_loop(None)

    def _halt(self, _: asyncio.Task[Any]) -> None:
        self._halted = True

    def _run(self, until: float) -> _Ended:
        """Step by step. Written out in one piece: a payment takes hundreds of turns."""
        runnable, draw = self._runnable, self._draw
        self._halted = False
        while not self._halted:
            if not runnable:
                if not self._pass_time():
                    return _Ended.DRY
                if self._now > until:
                    return _Ended.LATE
            place = int(draw() * len(runnable))
            step = runnable[place]
            last = runnable.pop()
            if last is not step:
                runnable[place] = last
            if step._cancelled:
                continue
            owner = step.owner
            if owner is None or owner.admits(step):
                step.where.run(step.act, *step.arguments)
        return _Ended.HALTED

    def _pass_time(self) -> bool:
        """To the next timer; all of that instant become ready together."""
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        if not timers:
            return False
        self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            self._runnable.append(heapq.heappop(timers)[2])
        return True

    # what asyncio asks of a loop

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        task: asyncio.Task[T] = asyncio.Task(coro, loop=self, context=context)
        owner = OWNER.get() if context is None else context.get(OWNER)
        if owner is not None:
            owner.tasks.append(weakref.ref(task))
        return task

    # Every future and task asks: a built-in says False in no time.
    get_debug = staticmethod(bool)

    def close(self) -> None:
        self._runnable.clear()
        self._timers.clear()
        super().close()

    def run_in_executor(
        self, executor: object, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        raise NotImplementedError("no thread takes a turn in a seeded world")

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.problems.append(f"{context.get('message')}: {context.get('exception')!r}")
