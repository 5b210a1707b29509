"""The people around one job, and how they ask: again under the same key until they are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from roadcall_payments.bootstrap import Service
from roadcall_payments.domain.errors import (
    BrokenInvariant,
    DestinationMismatch,
    DuplicateJob,
    FinalError,
    IdempotencyKeyReused,
    InvalidInput,
    NotAllowed,
    NotFound,
    StatusForbids,
    TransientError,
    VendorCannotReceive,
)
from roadcall_payments.domain.events import Awaiting
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.domain.payout import Payout
from roadcall_payments.domain.people import Actor, Role
from roadcall_payments.ports import PaymentQuery
from roadcall_payments.workflows.idempotency import Answer, IdempotencyKey
from roadcall_payments.workflows.payouts import PayoutAnswer
from tests.simulation.asked import NOBODY_ANSWERED, Command, Job
from tests.simulation.faults import Kind
from tests.simulation.machines import NoAnswer
from tests.simulation.world import World

T = TypeVar("T")

DISPATCHER = Actor("us_1", Role.DISPATCHER, "co_1")
APPROVER = Actor("us_2", Role.DISPATCHER, "co_1")
ADMIN = Actor("us_3", Role.ADMIN)
SECOND_ADMIN = Actor("us_4", Role.ADMIN)

TRIES_MAX = 15
LOOKS_MAX = 60
CALL_TIMEOUT_S = 60.0
PATIENCE_S_MAX = 1_800.0

# As the API answers them.
_HTTP: dict[type[FinalError], int] = {
    InvalidInput: 400,
    NotAllowed: 403,
    NotFound: 404,
    StatusForbids: 409,
    DuplicateJob: 409,
    VendorCannotReceive: 409,
    DestinationMismatch: 422,
    IdempotencyKeyReused: 422,
    BrokenInvariant: 500,
}

Act = Callable[[Service, IdempotencyKey], Coroutine[Any, Any, Answer | PayoutAnswer]]


class GaveUp(Exception):
    """Nobody answered for too long: the person went home. The clerk finishes the job later."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer as its caller heard it; ``payment`` and ``payout`` are None where it was an error,
    or about the other."""

    status: int
    payment: Payment | None = None
    code: str | None = None
    payout: Payout | None = None
    client_secret: str | None = field(default=None, repr=False)


class Teller:
    """Asks for one job, and notes what was asked and heard."""

    def __init__(self, world: World, job: Job) -> None:
        self.world = world
        self.job = job
        self.random = world.random
        self._keys = 0

    def chance(self, of: float) -> bool:
        return self.random.random() < of

    async def rest(self, least_s: float, most_s: float) -> None:
        await asyncio.sleep(self.random.uniform(least_s, most_s))

    @property
    def payment_id(self) -> str:
        if not self.job.payment_ids:
            raise GaveUp("its payment is lost")
        return self.job.payment_ids[-1]

    async def ask(self, name: str, act: Act, key: str | None = None) -> Heard:
        """Ask until answered, now and then twice at once. Raises GaveUp."""
        self._keys += 1
        key = key or f"{self.job.incident_id}:{name}:{self._keys}"
        if not self.world.faults.strikes(Kind.DOUBLE_CLICK):
            return await self._answered(name, act, key)
        other = self.world.begin(self._clicked_again(name, act, key))
        heard = await self._answered(name, act, key)
        await other
        return heard

    async def _clicked_again(self, name: str, act: Act, key: str) -> None:
        try:
            await self._answered(name, act, key)
        except GaveUp:
            return

    async def _answered(self, name: str, act: Act, key: str) -> Heard:
        idem = IdempotencyKey(f"simulated:{name}", key, name)
        for tries in range(TRIES_MAX):
            timeout_s = CALL_TIMEOUT_S
            if self.world.faults.strikes(Kind.IMPATIENCE):
                timeout_s = self.random.uniform(0.001, 1.0)
            try:
                answer = await self.call(lambda service: act(service, idem), timeout_s)
            except NoAnswer:
                self._note(name, key, NOBODY_ANSWERED)
                await self.rest(0.5, 15)
            except TransientError as error:
                self._note(name, key, 503, error.code)
                await self.rest(error.retry_after_s or 1, min(10 * 2**tries, PATIENCE_S_MAX))
            except FinalError as error:
                status = _HTTP[type(error)]
                self._note(name, key, status, error.code)
                return Heard(status, code=error.code)
            else:
                return self._heard(name, key, answer)
        raise GaveUp(name)

    def _heard(self, name: str, key: str, answer: Answer | PayoutAnswer) -> Heard:
        if isinstance(answer, PayoutAnswer):
            self._note(name, key, answer.status)
            return Heard(answer.status, payout=answer.payout)
        payment = answer.payment
        code = payment.failure.code if answer.status == 400 and payment.failure else None
        self._note(name, key, answer.status, code, payment.id)
        return Heard(answer.status, payment, code, client_secret=answer.client_secret)

    def _note(
        self, name: str, key: str, status: int, code: str | None = None, payment: str | None = None
    ) -> None:
        self.job.heard(Command(name, self.world.now(), key, status, code), payment)

    async def call(
        self, act: Callable[[Service], Coroutine[Any, Any, T]], timeout_s: float = CALL_TIMEOUT_S
    ) -> T:
        """One call of some process. A broken invariant would have been a bare 500: a problem."""
        try:
            return await self.world.any_process().call(act, timeout_s)
        except BrokenInvariant as broken:
            self.world.loop.problems.append(f"500: {broken}")
            raise

    async def read(self, look: Callable[[Service], Coroutine[Any, Any, T]]) -> T:
        """A read, until it is answered. Raises GaveUp."""
        for _ in range(TRIES_MAX):
            try:
                return await self.call(look)
            except (NoAnswer, TransientError):
                await self.rest(0.5, 10)
        raise GaveUp("read")

    async def payment(self) -> Payment:
        return await self.read(lambda service: service.queries.payment(self.payment_id))

    async def known(self) -> Payment | None:
        """The job's newest payment, as the list shows it."""
        query = PaymentQuery(incident_id=self.job.incident_id)
        page = await self.read(lambda service: service.queries.payments(query))
        return page.items[0] if page.items else None

    async def until(self, ready: Callable[[Payment], bool]) -> Payment:
        """Look now and then until the payment is ``ready``. Raises GaveUp after hours."""
        for looks in range(LOOKS_MAX):
            payment = await self.payment()
            if ready(payment):
                return payment
            await self.rest(1, min(5 * 2**looks, 600))
        raise GaveUp("until")

    async def settled(self, heard: Heard | None = None) -> Payment:
        """Once nothing of it waits for Stripe: as the last answer said, or as it shows later."""
        if heard is not None and heard.payment and heard.status in (200, 400):
            return heard.payment
        return await self.until(lambda payment: payment.awaiting is not Awaiting.STRIPE)


def ended(payment: Payment) -> bool:
    return payment.status in (Status.COMPLETED, Status.CANCELLED, Status.REJECTED)


async def both(first: Awaitable[Heard], second: Awaitable[Heard]) -> tuple[Heard, Heard]:
    """At once; whoever gives up gives up alone."""
    heard = await asyncio.gather(first, second, return_exceptions=True)
    outcomes = []
    for one in heard:
        if isinstance(one, GaveUp):
            outcomes.append(Heard(NOBODY_ANSWERED))
        elif isinstance(one, BaseException):
            raise one
        else:
            outcomes.append(one)
    return outcomes[0], outcomes[1]
