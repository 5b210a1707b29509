"""Many clients at once that want their payments made, whatever the service answers meanwhile."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from uuid import uuid4

from tests.flows import payments
from tests.flows.stack import Reply, ServerProcess, Stack, call, wait_for

CLIENTS = 6
INSIST_S = 60


@dataclass
class Load:
    """What the clients have carried to a movement, and what they were told on the way.

    ``unheard``: connections that ended without an answer, as those to a killed process.
    """

    apis: Sequence[ServerProcess]
    carried: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    refusals: list[Reply] = field(default_factory=list)
    unheard: int = 0
    insist_s: float = INSIST_S
    over: threading.Event = field(default_factory=threading.Event)

    def api(self) -> ServerProcess:
        """A load balancer of sorts."""
        return random.choice(self.apis)

    def insist(self, stack: Stack, method: str, path: str, body: object, *, as_: str) -> Reply:
        """Ask until there is an answer, each time with the same key, as clients should."""
        headers = {**stack.bearer(as_), "Idempotency-Key": uuid4().hex}
        deadline = time.monotonic() + self.insist_s
        while True:
            try:
                reply = call(method, self.api().url + path, body, headers=headers)
            except (OSError, HTTPException):
                self.unheard += 1
            else:
                self.statuses[reply.status] += 1
                if reply.status != 503:
                    return reply
                self.refusals.append(reply)
            assert time.monotonic() < deadline, f"{method} {path} was not answered"
            time.sleep(0.05)

    def carry(self, stack: Stack, vendor: str, number: int) -> None:
        driver = bool(number % 2)
        reply = self.insist(
            stack, "POST", "/payments", payments.job(vendor, driver=driver), as_="dispatcher"
        )
        assert reply.status == 201, reply
        path = f"/payments/{reply.text('id')}"
        wait_for(f"approval of {path}", lambda: self._approved(stack, path), self.insist_s)
        moved = self.insist(stack, "POST", f"{path}/process", {}, as_="service")
        if driver:
            # The opening may still be unknown, and the worker at it.
            wait_for(
                f"the PaymentIntent of {path}", lambda: self._opened(stack, path), self.insist_s
            )
            method = {"paymentMethodId": "pm_card_visa"}
            moved = self.insist(stack, "POST", f"{path}/confirm", method, as_="driver")
        assert moved.status in (200, 202, 409), moved
        self.carried.append(reply.text("id"))

    def _approved(self, stack: Stack, path: str) -> bool:
        reply = self.insist(stack, "POST", f"{path}/approve", {}, as_="approver")
        if reply.status == 200:
            return True
        # Not scored yet, and the worker at it; or its first answer was lost, and it is approved.
        assert reply.status == 409, reply
        return reply.text("payment", "status") == "approved"

    def _opened(self, stack: Stack, path: str) -> bool:
        shown = self.insist(stack, "GET", path, None, as_="dispatcher")
        return bool(shown.body["stripePaymentIntentId"])


@contextmanager
def under_load(stack: Stack, *apis: ServerProcess, insist_s: float = INSIST_S) -> Iterator[Load]:
    """Clients that create, approve and move payments at these processes until the end of the
    block; each finishes the payment it is at. What a client trips over is raised, such as a call
    that is not answered within ``insist_s`` seconds of asking again and again."""
    load = Load(apis, insist_s=insist_s)
    vendor = payments.vendor(stack)

    def client(number: int) -> None:
        while not load.over.is_set():
            load.carry(stack, vendor, number)

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(client, number) for number in range(CLIENTS)]
        try:
            yield load
        finally:
            load.over.set()
        for one in clients:
            one.result()
