"""Defects in how Stripe's objects and events are looked at, and whose they are taken for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from roadcall_payments.domain import events as e
from roadcall_payments.domain import outcomes
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.stripe_objects import (
    IntentStatus,
    PaymentIntent,
    StripeEvent,
    StripeIdentity,
    Transfer,
)
from roadcall_payments.ports import (
    CreatedWindow,
    Gateway,
    StripeCredentials,
)
from roadcall_payments.stripe_gateway.identity import Identities
from roadcall_payments.workflows.missed_events import MissedEvents
from tests.simulation.comparing import tell_with_comparing
from tests.simulation.defects.planted import (
    EVERY_FAULT,
    Planted,
    Wrong,
    swapped,
    wrong_function,
    wrong_gateway,
)
from tests.simulation.faults import Kind
from tests.simulation.history import MONEY_BACK


class _Searches(Wrong):
    """Looks objects up by search, whose index lags (M7): here by more than two days."""

    right: Gateway

    async def transfers(self, transfer_group: str) -> Sequence[Transfer]:
        return ()

    async def payment_intents(self, created: CreatedWindow) -> Sequence[PaymentIntent]:
        return ()


class _BelievesEvents(Wrong):
    """What an event says of a PaymentIntent is taken for what Stripe would say now (M15)."""

    right: Gateway

    def __init__(self, right: Gateway) -> None:
        super().__init__(right)
        self._told: dict[str, PaymentIntent] = {}

    async def verified_event(self, body: bytes, signature: str, *, now: datetime) -> StripeEvent:
        event = await self.right.verified_event(body, signature, now=now)
        if isinstance(event.payload, PaymentIntent):
            self._told[event.payload.id] = event.payload
        return event

    def stored_event(self, body: bytes) -> StripeEvent:
        event = self.right.stored_event(body)
        if isinstance(event.payload, PaymentIntent):
            self._told[event.payload.id] = event.payload
        return event

    async def payment_intent(self, intent_id: str) -> PaymentIntent:
        told = self._told.pop(intent_id, None)
        return told or await self.right.payment_intent(intent_id)


def _anything_that_names_us(payment: Payment, found: object, account: str) -> bool:
    assert isinstance(found, PaymentIntent | Transfer)
    return found.metadata.get("paymentId") == payment.id


def _open_and_named(payment: Payment, found: object, account: str) -> bool:
    attempt = payment.attempt
    open_ = attempt is not None and attempt.open
    return open_ and _anything_that_names_us(payment, found, account)


def _first_ever(self: Identities, credentials: StripeCredentials) -> StripeIdentity | None:
    return self._known[1] if self._known is not None else None


_right_intent_seen = outcomes.payment_intent_seen


def _as_the_event_says(
    payment: Payment,
    intent: PaymentIntent,
    source: e.Source,
    at: datetime,
    answer: outcomes.Answer | None = None,
) -> outcomes.Facts:
    failure = intent.failure
    backwards = intent.status is IntentStatus.REQUIRES_PAYMENT_METHOD and failure is not None
    if source is e.Source.WEBHOOK and backwards and payment.payment_intent is not None:
        assert failure is not None
        code, message = failure.code, failure.message
        return (e.PaymentFailed(payment.attempts, code, message, True, source),)
    return _right_intent_seen(payment, intent, source, at, answer)


async def _compares_nothing(self: MissedEvents) -> None:
    return


WEBHOOKS_FAIL = {Kind.WEBHOOK_REORDER: 0.15, Kind.WEBHOOK_DELAY: 0.2, Kind.WEBHOOK_DUPLICATE: 0.2}

LOOKS = (
    Planted(
        wrong_gateway("search for lookup", _Searches),
        "M7",
        "objects are searched for, and the index lags by two days",
        neighbours=("M5",),
        boosts={Kind.ERROR_AFTER: 0.2},
    ),
    Planted(
        wrong_function(
            "a stranger's metadata accepted",
            (outcomes, "is_ours", _anything_that_names_us),
            (outcomes, "is_open_attempts", _open_and_named),
        ),
        "M13",
        "whatever names a payment is taken for its own",
    ),
    Planted(
        wrong_function("account switched underneath", (Identities, "_of", _first_ever)),
        "M18",
        "the account is learned once, and the key replaced afterwards",
        neighbours=(
            "M33",
            "M6",
        ),
        faults=f"{EVERY_FAULT},-key_rotation,-pause,-jump",
        other_account=True,
        payments=100,
        boosts={Kind.DROP_AFTER: 0.4, Kind.ERROR_AFTER: 0.4, Kind.CRASH: 1 / 250},
    ),
    Planted(
        replace(
            wrong_gateway("webhook applied backwards", _BelievesEvents),
            during=lambda: swapped([(outcomes, "payment_intent_seen", _as_the_event_says)]),
        ),
        "M15",
        "a failure is applied from its event, whenever that comes",
        neighbours=("M19",),
        boosts=WEBHOOKS_FAIL,
    ),
    Planted(
        wrong_function(
            "lost webhooks not looked for", (MissedEvents, "_compare", _compares_nothing)
        ),
        "M16",
        "what only a webhook told, and none brought, is never learned",
        neighbours=("M17",),
        faults="all",
        boosts={Kind.WEBHOOK_DROP: 0.4},
        stories=MONEY_BACK,
        history=tell_with_comparing,
        outsiders=False,
    ),
)
