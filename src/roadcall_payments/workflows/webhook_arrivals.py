"""Webhooks that arrive together are worked on together, one step for all of them after the other.

A burst is what webhooks are. What came in one turn of the event loop is verified, looked up with
one question to the store, and decided, before any of it is written: each step finds its code and
data at hand. Only the plain case is decided here, a success of a payment whose own record names the
very object; whatever else it is, or goes wrong on the way, goes its own way as a retry would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from roadcall_payments.commit import Commit, InboxInsert, InboxStatus, stream_of
from roadcall_payments.domain import outcomes
from roadcall_payments.domain.errors import RoadcallError
from roadcall_payments.domain.events import Source
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.people import STRIPE
from roadcall_payments.domain.stripe_objects import (
    IntentStatus,
    PaymentIntent,
    StripeEvent,
    StripeIdentity,
)
from roadcall_payments.ports import Gateway, Loaded, Store
from roadcall_payments.workflows.webhook_delivery import Delivery
from roadcall_payments.workflows.write_path import WritePath


class Arrived(msgspec.Struct, frozen=True):
    """A verified delivery, and what it would write if nothing moved meanwhile; None where that
    takes more than its payment and itself."""

    delivery: Delivery
    draft: Commit | None


@dataclass(slots=True)
class _Arrival:
    body: bytes
    signature: str
    answer: asyncio.Future[Arrived]
    delivery: Delivery | None = None
    draft: Commit | None = None

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class Arrivals:
    """Belongs to one event loop at a time. A line that is logged while many are verified carries
    the request id of the first of them."""

    def __init__(self, write_path: WritePath, store: Store, gateway: Gateway) -> None:
        self._write_path = write_path
        self._store = store
        self._gateway = gateway
        self._gathered: list[_Arrival] = []
        self._starts_in: asyncio.AbstractEventLoop | None = None
        self._working: set[asyncio.Task[None]] = set()

    async def take(self, body: bytes, signature: str) -> Arrived:
        """Raises InvalidInput, and CredentialsRejected, for what cannot be verified; and
        StoreUnavailable."""
        loop = asyncio.get_running_loop()
        arrival = _Arrival(body, signature, loop.create_future())
        self._gathered.append(arrival)
        if self._starts_in is not loop:
            self._starts_in = loop
            loop.call_soon(self._start)
        return await arrival.answer

    def _start(self) -> None:
        self._starts_in = None
        gathered, self._gathered = self._gathered, []
        task = asyncio.get_running_loop().create_task(self._answer(gathered))
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _answer(self, gathered: Sequence[_Arrival]) -> None:
        try:
            verified = [one for one in gathered if await self._is_verified(one)]
            await self._draft(verified)
            for one in verified:
                if one.delivery is not None and not one.answer.done():
                    one.answer.set_result(Arrived(one.delivery, one.draft))
        except RoadcallError as away:
            for one in gathered:
                one.fail(away)
        finally:
            # Nobody is left waiting, whatever ended this.
            for one in gathered:
                one.answer.cancel()

    async def _is_verified(self, one: _Arrival) -> bool:
        now = self._write_path.clock.now()
        try:
            event = await self._gateway.verified_event(one.body, one.signature, now=now)
        except Exception as refused:  # noqa: BLE001  # answered to the one whom it concerns
            one.fail(refused)
            return False
        one.delivery = Delivery(event, one.body, now, attempts=0, fresh=True)
        return True

    async def _draft(self, verified: Sequence[_Arrival]) -> None:
        named = [
            (one, one.delivery, stream)
            for one in verified
            if one.delivery is not None
            and (stream := named_payment(one.delivery.event)) is not None
        ]
        if not named:
            return
        try:
            identity = await self._gateway.identity()
        except RoadcallError:
            # Each meets it again on its own way, and is kept with it.
            return
        found = await self._store.load_all([stream for _, _, stream in named])
        for one, delivery, stream in named:
            loaded = found.get(stream)
            if loaded is not None:
                one.draft = self._drafted(delivery, stream, loaded, identity)

    def _drafted(
        self, delivery: Delivery, stream: str, loaded: Loaded, identity: StripeIdentity
    ) -> Commit | None:
        intent, payment = delivery.event.payload, loaded.state
        if not isinstance(intent, PaymentIntent) or not isinstance(payment, Payment):
            return None
        if delivery.event.livemode != identity.livemode:
            return None
        if not outcomes.is_on_record(payment, intent, identity):
            return None
        try:
            facts = outcomes.payment_intent_seen(
                payment, intent, Source.WEBHOOK, delivery.received_at
            )
            row = delivery.row(InboxStatus.APPLIED, stream=stream)
            if not isinstance(row, InboxInsert):
                return None
            return self._write_path.draft(stream, loaded, facts, actor=STRIPE, inbox=row)
        except Exception:  # noqa: BLE001  # met again on its own way, which keeps the event with it
            return None


def applies_by_itself(event: StripeEvent) -> bool:
    """A success asks nobody: that an event is a repeat, its commit finds out."""
    payload = event.payload
    return isinstance(payload, PaymentIntent) and payload.status is IntentStatus.SUCCEEDED


def named_payment(event: StripeEvent) -> str | None:
    """The stream of the payment that a success names; whether it is its own, the payment says."""
    payload = event.payload
    if not isinstance(payload, PaymentIntent) or payload.status is not IntentStatus.SUCCEEDED:
        return None
    claim = payload.metadata.get("paymentId")
    return stream_of("payment", claim) if claim and event.connected_account is None else None
