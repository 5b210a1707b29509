"""What lies between the service and Stripe: requests and webhooks, carried without a socket."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass
from random import Random
from urllib.parse import urlsplit

import aiohttp
import stripe

from stripe_sandbox import Answer, Manner, Request, Sandbox
from stripe_sandbox.webhooks import Parcel
from tests.simulation.faults import Faults, Kind
from tests.simulation.turns import SeededLoop

Reply = tuple[bytes, int, Mapping[str, str]]

LATENCY_S = (0.02, 0.4)
# What has been on its way for longer lost its connection: all clocks moved on meanwhile.
ON_ITS_WAY_S_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as the network saw it, for the story of a failing seed."""

    at: float
    by: str
    method: str
    path: str
    key: str
    outcome: str


class Network:
    """Carries requests to the sandbox and its deliveries back, each with its delay and its loss.

    Runs in the world's own context: what was sent arrives, though its sender be dead.
    ``post`` hands a webhook to some machine and says what status that answered, None for none.
    """

    def __init__(
        self,
        loop: SeededLoop,
        sandbox: Sandbox,
        random: Random,
        faults: Faults,
        post: Callable[[Parcel], Awaitable[int | None]],
    ) -> None:
        self._loop = loop
        self._sandbox = sandbox
        self._random = random
        self._faults = faults
        self._post = post
        self._context = Context()
        self._timers: list[float] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.out_until = 0.0
        # Requests that Stripe has and has not begun.
        self.held = 0
        self.log: list[Seen] = []

    def send(self, by: str, request: Request) -> asyncio.Future[Reply]:
        """Raises OSError or aiohttp.ClientError in the future where no whole answer comes."""
        reply: asyncio.Future[Reply] = self._loop.create_future()
        self._later(self._latency(), self._arrive, by, request, reply, self._loop.time())
        return reply

    def ask_now(self, request: Request) -> bytes:
        """For the world's own people, whom no fault meets: the answer at once."""
        answer = self._sandbox.handle(request)
        if answer.deliver_first:
            # Nobody waits for the answer, so nothing has to come before it; but it has to come.
            self._begin(self._deliver_all(answer.deliver_first))
        self._look()
        return answer.response.body

    @property
    def out(self) -> bool:
        """Whether Stripe cannot be reached now."""
        return self._loop.time() < self.out_until

    def _arrive(
        self, by: str, request: Request, reply: asyncio.Future[Reply], sent_at: float
    ) -> None:
        if self._loop.time() - sent_at > ON_ITS_WAY_S_MAX:
            self._note(by, request, "connection lost on the way")
            self._lose(reply, ConnectionResetError("simulated"))
            return
        if self.out or self._faults.strikes(Kind.REFUSED_CONNECTION):
            self._note(by, request, "connection refused")
            self._lose(reply, ConnectionRefusedError("simulated"))
            return
        self._carry(by, request, self._sandbox.handle(request), reply)
        self._look()

    def _carry(
        self, by: str, request: Request, answer: Answer, reply: asyncio.Future[Reply]
    ) -> None:
        self._note(by, request, _told(answer))
        if answer.deliver_first:
            self._begin(self._deliver_first(answer, reply))
        elif answer.manner is Manner.WAIT:
            self.held += 1
            self._later(answer.hold_s, self._resume, by, request, answer.ticket or "", reply)
        else:
            self._send_back(answer, reply)

    async def _deliver_first(self, answer: Answer, reply: asyncio.Future[Reply]) -> None:
        await self._deliver_all(answer.deliver_first)
        self._send_back(answer, reply)

    async def _deliver_all(self, delivery_ids: Sequence[str]) -> None:
        for delivery_id in delivery_ids:
            parcel = self._sandbox.parcel(delivery_id)
            if parcel is not None:
                await self._deliver(parcel)

    def _resume(self, by: str, request: Request, ticket: str, reply: asyncio.Future[Reply]) -> None:
        self.held -= 1
        self._carry(by, request, self._sandbox.resume(ticket), reply)
        self._look()

    def _send_back(self, answer: Answer, reply: asyncio.Future[Reply]) -> None:
        if answer.ticket is not None:
            self._later(answer.hold_s, self._sandbox.release, answer.ticket)
        after_s = answer.hold_s + self._latency()
        match answer.manner:
            case Manner.DROP:
                self._later(after_s, self._lose, reply, ConnectionResetError("simulated"))
            case Manner.TRUNCATE:
                broken = aiohttp.ClientPayloadError("simulated")
                self._later(after_s, self._lose, reply, broken)
            case _:
                self._later(after_s, self._answer, reply, answer)

    def _answer(self, reply: asyncio.Future[Reply], answer: Answer) -> None:
        if not reply.done():
            response = answer.response
            reply.set_result((response.body, response.status, response.headers))

    def _lose(self, reply: asyncio.Future[Reply], why: Exception) -> None:
        if not reply.done():
            reply.set_exception(why)
            reply.exception()  # its sender may be dead, and then nobody else will look

    # webhooks

    def _look(self) -> None:
        """Keep what changed nowhere, and be there when the next delivery is due."""
        self._sandbox.world.unsaved.forget()
        due_ms = self._sandbox.next_due_ms()
        if due_ms is None:
            return
        in_s = max(0.0, (due_ms - self._sandbox.clock.now_ms()) / 1000)
        at = self._loop.time() + in_s
        if not self._timers or at < self._timers[0]:
            heapq.heappush(self._timers, at)
            # A millisecond late rather than early, whatever the rounding.
            self._later(in_s + 0.001, self._deliver_due)

    def _deliver_due(self) -> None:
        heapq.heappop(self._timers)
        parcels = self._sandbox.due_parcels()
        in_order = [parcel for parcel in parcels if parcel.in_order]
        if in_order:
            self._begin(self._deliver_in_order(in_order))
        for parcel in parcels:
            if not parcel.in_order:
                self._begin(self._deliver(parcel))
        self._look()

    async def _deliver_in_order(self, parcels: list[Parcel]) -> None:
        for parcel in parcels:
            await self._deliver(parcel)

    async def _deliver(self, parcel: Parcel) -> None:
        await asyncio.sleep(self._latency())
        status = None if self.out else await self._post(parcel)
        self._sandbox.report_delivery(parcel.delivery, status, None if status else "no answer")
        self._look()

    # the world's own turns

    def _latency(self) -> float:
        return self._random.uniform(*LATENCY_S)

    def _later(self, delay_s: float, act: Callable[..., object], *args: object) -> None:
        self._loop.call_later(delay_s, act, *args, context=self._context)

    def _begin(self, carried: Awaitable[None]) -> None:
        task = self._loop.create_task(_run(carried), context=self._context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _note(self, by: str, request: Request, outcome: str) -> None:
        key = request.headers.get("idempotency-key", "")
        self.log.append(Seen(self._loop.time(), by, request.method, request.path, key, outcome))


async def _run(carried: Awaitable[None]) -> None:
    await carried


def _told(answer: Answer) -> str:
    replayed = " replayed" if "Idempotent-Replayed" in answer.response.headers else ""
    match answer.manner:
        case Manner.SEND:
            held = f", held {answer.hold_s:g} s" if answer.hold_s else ""
            return f"{answer.response.status}{replayed}{held}"
        case Manner.WAIT:
            return f"waits {answer.hold_s:g} s"
        case manner:
            return f"{answer.response.status}{replayed}, {manner.value}"


class StripeLine(stripe.HTTPClient):
    """A process's way to Stripe: what the gateway's SDK sends through."""

    name = "simulated"

    def __init__(self, machine: str, network: Network) -> None:
        super().__init__()
        self._machine = machine
        self._network = network
        self._cut = False

    def cut(self) -> None:
        self._cut = True

    async def request_async(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        post_data: str | None = None,
    ) -> Reply:
        if self._cut:
            raise ConnectionResetError("the process is dead")
        parts = urlsplit(url)
        sent = {name.lower(): value for name, value in headers.items()}
        body = (post_data or "").encode()
        request = Request(method.upper(), parts.path, parts.query, sent, body)
        return await self._network.send(self._machine, request)

    async def close_async(self) -> None:
        return None
