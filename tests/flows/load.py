"""Many clients at once that want their payments made, whatever the service answers meanwhile."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException
from uuid import uuid4

from tests.flows import payments
from tests.flows.stack import Reply, ServerProcess, Stack, call, wait_for

CLIENTS = 6
INSIST_S = 60
UNHEARD = 0


@dataclass(frozen=True, slots=True)
class Told:
    """One call as its client saw it; ``status`` is ``UNHEARD`` where no answer came."""

    name: str
    key: str
    at: datetime
    status: int
    code: str | None


@dataclass(slots=True)
class Errand:
    """One payment that a client wants made: what it sent for it, and all that it was told."""

    job: Mapping[str, object]
    payment_id: str | None = None
    told: list[Told] = field(default_factory=list)


@dataclass
class Load:
    """What the clients have carried to a movement, and what they were told on the way.

    ``unheard``: connections that ended without an answer, as those to a killed process.
    ``afterwards``: what a client does for a driver's payment that was carried.
    """

    apis: Sequence[ServerProcess]
    vendor: str
    carried: list[str] = field(default_factory=list)
    errands: list[Errand] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    refusals: list[Reply] = field(default_factory=list)
    unheard: int = 0
    insist_s: float = INSIST_S
    afterwards: Callable[[Load, Errand], None] | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def api(self) -> ServerProcess:
        """A load balancer of sorts."""
        return random.choice(self.apis)

    def insist(
        self, stack: Stack, errand: Errand, name: str, path: str, body: object, *, as_: str
    ) -> Reply:
        """Ask until there is an answer, each time with the same key, as clients should."""
        key = uuid4().hex
        headers = {**stack.bearer(as_), "Idempotency-Key": key}
        method = "GET" if body is None else "POST"
        deadline = time.monotonic() + self.insist_s
        while True:
            reply = self._heard(method, path, body, headers)
            status = reply.status if reply else UNHEARD
            code = reply.body.get("code") if reply else None
            told = Told(name, key, datetime.now(UTC), status, str(code) if code else None)
            errand.told.append(told)
            if reply is not None and status != 503:
                return reply
            assert time.monotonic() < deadline, f"{method} {path} was not answered"
            time.sleep(0.05)

    def _heard(
        self, method: str, path: str, body: object, headers: Mapping[str, str]
    ) -> Reply | None:
        try:
            reply = call(method, self.api().url + path, body, headers=headers)
        except (OSError, HTTPException):
            self.unheard += 1
            return None
        self.statuses[reply.status] += 1
        if reply.status == 503:
            self.refusals.append(reply)
        return reply

    def carry(self, stack: Stack, number: int) -> None:
        driver = bool(number % 2)
        errand = Errand(payments.job(self.vendor, driver=driver))
        self.errands.append(errand)
        reply = self.insist(stack, errand, "create", "/payments", errand.job, as_="dispatcher")
        assert reply.status == 201, reply
        errand.payment_id = reply.text("id")
        path = f"/payments/{errand.payment_id}"
        wait_for(f"approval of {path}", lambda: self._approved(stack, errand, path), self.insist_s)
        moved = self.insist(stack, errand, "process", f"{path}/process", {}, as_="service")
        if driver:
            # The opening may still be unknown, and the worker at it.
            wait_for(
                f"the PaymentIntent of {path}",
                lambda: self._opened(stack, errand, path),
                self.insist_s,
            )
            method = {"paymentMethodId": "pm_card_visa"}
            moved = self.insist(stack, errand, "confirm", f"{path}/confirm", method, as_="driver")
        assert moved.status in (200, 202, 409), moved
        self.carried.append(errand.payment_id)
        if driver and self.afterwards is not None:
            self.afterwards(self, errand)

    def _approved(self, stack: Stack, errand: Errand, path: str) -> bool:
        reply = self.insist(stack, errand, "approve", f"{path}/approve", {}, as_="approver")
        if reply.status == 200:
            return True
        # Not scored yet, and the worker at it; or its first answer was lost, and it is approved.
        assert reply.status == 409, reply
        return reply.text("payment", "status") == "approved"

    def _opened(self, stack: Stack, errand: Errand, path: str) -> bool:
        shown = self.insist(stack, errand, "show", path, None, as_="dispatcher")
        return bool(shown.body["stripePaymentIntentId"])


@contextmanager
def under_load(
    stack: Stack,
    *apis: ServerProcess,
    insist_s: float = INSIST_S,
    afterwards: Callable[[Load, Errand], None] | None = None,
) -> Iterator[Load]:
    """Clients that create, approve and move payments at these processes until the end of the
    block; each finishes the payment it is at. What a client trips over is raised, such as a call
    that is not answered within ``insist_s`` seconds of asking again and again."""
    load = Load(apis, payments.vendor(stack), insist_s=insist_s, afterwards=afterwards)

    def client(number: int) -> None:
        while not load.over.is_set():
            load.carry(stack, number)

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(client, number) for number in range(CLIENTS)]
        try:
            yield load
        finally:
            load.over.set()
        for one in clients:
            one.result()
