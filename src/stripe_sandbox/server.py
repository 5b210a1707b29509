"""The sandbox behind HTTP: answers carried out, state committed, webhooks posted."""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable
from typing import Protocol

import aiohttp
from aiohttp import web

from stripe_sandbox.messages import Answer, Manner, Request
from stripe_sandbox.sandbox import Sandbox
from stripe_sandbox.webhooks import Parcel

log = logging.getLogger("stripe_sandbox")

WEBHOOK_TIMEOUT_S = 20.0
WEBHOOKS_AT_ONCE = 16
CLOCK_CHECK_S = 1.0
"""How long the deliverer sleeps at most: the clock may have jumped."""


HEADERS = (
    "authorization",
    "content-type",
    "idempotency-key",
    "stripe-account",
    "stripe-version",
)
"""Those that the sandbox reads."""


class GroupCommit:
    """Requests that come together share one commit; each waits until it is written."""

    def __init__(self, sandbox: Sandbox, failed: Callable[[], None]) -> None:
        self._sandbox = sandbox
        self._failed = failed
        """Called when a commit fails: memory is then ahead of the file for good."""
        self._waiting: list[asyncio.Future[None]] = []
        self._writing: asyncio.Task[None] | None = None

    async def flush(self) -> None:
        """Return once everything that had happened when this was called is committed.

        Raises the storage's error where it could not be.
        """
        if self._writing is None:
            if not len(self._sandbox.world.unsaved):
                return
            self._writing = asyncio.create_task(self._write())
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        await waiter

    async def _write(self) -> None:
        """Commit after commit, as long as somebody waits for one."""
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            rows = self._sandbox.take_writes()
            try:
                await asyncio.to_thread(self._sandbox.storage.commit, rows)
            except sqlite3.Error as error:
                log.exception("the state could not be written: stopping")
                self._failed()
                _settle(waiting, error)
            else:
                _settle(waiting, None)
        self._writing = None


def _settle(waiting: list[asyncio.Future[None]], error: sqlite3.Error | None) -> None:
    for waiter in waiting:
        if waiter.done():
            continue
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)


class Committer(Protocol):
    async def flush(self) -> None: ...


class NoCommit:
    """Memory alone: there is nothing to wait for."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def flush(self) -> None:
        self._sandbox.world.unsaved.forget()


class Deliverer:
    """Posts what is due, and reports what came of it."""

    def __init__(self, sandbox: Sandbox, committer: Committer) -> None:
        self._sandbox = sandbox
        self._committer = committer
        self._wake = asyncio.Event()
        self._slots = asyncio.Semaphore(WEBHOOKS_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=WEBHOOK_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            self._session = session
            try:
                while True:
                    await self._deliver_due()
                    await self._sleep()
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
                self._session = None

    async def _deliver_due(self) -> None:
        parcels = self._sandbox.due_parcels()
        await self._committer.flush()
        for parcel in parcels:
            if parcel.in_order:
                await self.post(parcel)
                continue
            await self._slots.acquire()
            task = asyncio.create_task(self.post(parcel))
            self._tasks.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._slots.release()

    async def _sleep(self) -> None:
        due_ms = self._sandbox.next_due_ms()
        wait_s = CLOCK_CHECK_S
        if due_ms is not None:
            wait_s = min(wait_s, max(0.0, (due_ms - self._sandbox.clock.now_ms()) / 1000))
        if due_ms is not None and wait_s == 0.0:
            await asyncio.sleep(0)
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), wait_s)
        self._wake.clear()

    async def post_now(self, delivery_ids: Iterable[str]) -> None:
        """Post these one after the other, before an answer is sent."""
        for delivery_id in delivery_ids:
            parcel = self._sandbox.parcel(delivery_id)
            if parcel is not None:
                await self.post(parcel)

    async def post(self, parcel: Parcel) -> None:
        started = time.monotonic()
        status, problem = None, None
        try:
            if self._session is None:
                raise ConnectionError("the sandbox is stopping")
            async with self._session.post(
                parcel.url, data=parcel.body, headers=parcel.headers, allow_redirects=False
            ) as response:
                status = response.status
                await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"[:200]
        duration_ms = int((time.monotonic() - started) * 1000)
        self._sandbox.report_delivery(parcel.delivery, status, problem, duration_ms)
        if status is None or not 200 <= status < 300:
            log.warning("webhook %s to %s: %s", parcel.delivery, parcel.url, problem or status)
        await self._committer.flush()
        self.wake()


class Server:
    """One sandbox on one port."""

    def __init__(self, sandbox: Sandbox, *, durable: bool) -> None:
        self._sandbox = sandbox
        self.broken = asyncio.Event()
        """Set when it can no longer keep what it promises, and must be stopped."""
        self._committer: Committer = (
            GroupCommit(sandbox, self.broken.set) if durable else NoCommit(sandbox)
        )
        self.deliverer = Deliverer(sandbox, self._committer)

    async def respond(self, incoming: web.BaseRequest) -> web.StreamResponse:
        sent = incoming.headers
        request = Request(
            incoming.method,
            incoming.path,
            incoming.rel_url.raw_query_string,
            {name: sent[name] for name in HEADERS if name in sent},
            await incoming.read(),
        )
        answer = self._sandbox.handle(request)
        while answer.manner is Manner.WAIT and answer.ticket is not None:
            await asyncio.sleep(answer.hold_s)
            answer = self._sandbox.resume(answer.ticket)
        await self._committer.flush()
        self.deliverer.wake()
        if answer.deliver_first:
            await self.deliverer.post_now(answer.deliver_first)
        if answer.hold_s > 0:
            await self._hold(answer)
        return await self._carry_out(incoming, answer)

    async def _hold(self, answer: Answer) -> None:
        try:
            await asyncio.sleep(answer.hold_s)
        finally:
            if answer.ticket is not None:
                self._sandbox.release(answer.ticket)

    async def _carry_out(self, incoming: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        given = answer.response
        if answer.manner is Manner.SEND:
            return web.Response(status=given.status, body=given.body, headers=given.headers)
        transport = incoming.transport
        response = web.StreamResponse(status=given.status, headers=given.headers)
        if answer.manner is Manner.TRUNCATE:
            response.content_length = len(given.body)
            await response.prepare(incoming)
            await response.write(given.body[: len(given.body) // 2])
        if transport is not None:
            transport.close()
        return response
