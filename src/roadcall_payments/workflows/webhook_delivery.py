"""One event on its way into the books: its row in the inbox, and both written at once."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import msgspec

from roadcall_payments.commit import (
    InboxEvent,
    InboxInsert,
    InboxStatus,
    InboxUpdate,
    stream_of,
)
from roadcall_payments.domain import outcomes
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.people import STRIPE
from roadcall_payments.domain.stray import Stray
from roadcall_payments.domain.stripe_objects import StripeEvent
from roadcall_payments.journal import Head
from roadcall_payments.ports import Loaded, Store
from roadcall_payments.workflows.suspense import Suspended, stream_of_stray
from roadcall_payments.workflows.write_path import WritePath, Written

# With waits of up to an hour that is three days, as long as Stripe itself delivers again.
ATTEMPTS_MAX = 80
FIRST_WAIT_S = 5
WAIT_MAX_S = 3_600
# A payment that keeps changing while it is fetched will be fetched again by the worker.
FETCHES_MAX = 5

# A PaymentIntent's event carries its secret, as a field and inside addresses.
# It begins with plain text, which is searched for thirty times as fast as alternatives are.
_CLIENT_SECRET = re.compile(rb'client_secret(?:("\s*:\s*)"[^"\\]*"|=[^"&\\]*)')


class Delivery(msgspec.Struct, frozen=True):
    """One event on its way into the books: a fresh one, or one that waited."""

    event: StripeEvent
    body: bytes
    received_at: datetime
    attempts: int
    fresh: bool

    def row(
        self,
        status: InboxStatus,
        *,
        reason: str | None = None,
        stream: str | None = None,
        due_at: datetime | None = None,
    ) -> InboxInsert | InboxUpdate:
        if not self.fresh:
            return InboxUpdate(self.event.id, status, reason, self.attempts, stream, due_at)
        origin = self.event.connected_account or "platform"
        event = InboxEvent(
            self.event.id,
            self.event.type,
            origin,
            self.received_at,
            _without_client_secrets(self.body),
            status,
            reason,
            self.attempts,
            stream,
        )
        return InboxInsert(event, due_at)


class NotNow(Exception):
    """The event cannot be applied as things stand; it waits."""


class Changed(Exception):
    """The stream is not what it was when Stripe was asked."""


class Deliveries:
    """Applies, keeps or puts off a delivery: always one commit with its row (M19)."""

    def __init__(self, write_path: WritePath, store: Store) -> None:
        self._write_path = write_path
        self._store = store

    def now(self) -> datetime:
        return self._write_path.clock.now()

    async def while_changing(
        self, delivery: Delivery, payment_id: str, once: Callable[[Payment], Awaitable[None]]
    ) -> None:
        for _ in range(FETCHES_MAX):
            loaded = await self._store.load(stream_of("payment", payment_id))
            if loaded is None or not isinstance(loaded.state, Payment):
                break
            try:
                await once(loaded.state)
                return
            except Changed:
                continue
        await self.wait(delivery, "the payment kept changing while it was fetched")

    async def write(
        self,
        delivery: Delivery | None,
        payment: Payment,
        decide: Callable[[Payment], outcomes.Facts],
        head: Head | None = None,
    ) -> Payment:
        """``head``: where the payment's stream stood when ``payment`` was read, which spares
        reading it again."""
        stream = stream_of("payment", payment.id)

        def on_current(current: Payment | None) -> outcomes.Facts:
            return decide(current or payment)

        row = delivery.row(InboxStatus.APPLIED, stream=stream) if delivery else None
        written: Written[Payment] = await self._write_path.write(
            stream,
            on_current,
            actor=STRIPE,
            inbox=row,
            loaded=Loaded(head, payment) if head else None,
        )
        return written.state

    async def keep(self, delivery: Delivery, reason: str) -> None:
        await self._write_path.write_inbox_alone(delivery.row(InboxStatus.KEPT, reason=reason))

    async def write_stray(
        self, delivery: Delivery, stray: Stray, taken: Sequence[Suspended]
    ) -> None:
        """What it told of a stray is booked, in commits of their own, each of which is made once.
        Raises NotNow while Stripe's lines are not there to book."""
        if not all(one.booked for one in taken):
            raise NotNow("Stripe's line for it is not there, or says another amount.")
        await self.applied(delivery, stream_of_stray(stray))

    async def applied(self, delivery: Delivery, stream: str) -> None:
        """Its row alone: what it told was written in commits of their own, each made once."""
        row = delivery.row(InboxStatus.APPLIED, stream=stream)
        await self._write_path.write_inbox_alone(row)

    async def wait(self, delivery: Delivery, reason: str) -> None:
        if delivery.attempts >= ATTEMPTS_MAX:
            row = delivery.row(InboxStatus.REVIEW, reason=reason)
        else:
            wait_s = min(FIRST_WAIT_S * 2**delivery.attempts, WAIT_MAX_S)
            due_at = self.now() + timedelta(seconds=wait_s)
            row = delivery.row(InboxStatus.WAITING, reason=reason, due_at=due_at)
        await self._write_path.write_inbox_alone(row)


def _without_client_secrets(body: bytes) -> bytes:
    """The event as it is kept: a client secret is stored nowhere (M33), and nothing applied
    needs it."""
    return _CLIENT_SECRET.sub(
        lambda found: b"client_secret" + (found[1] + b"null" if found[1] else b"="), body
    )
