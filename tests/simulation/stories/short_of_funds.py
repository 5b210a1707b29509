"""The platform has too little at Stripe: transfers to vendors wait for it, by priority and age,
until somebody adds funds. Workers look each minute; here whoever waits has one of them look."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Final

from roadcall_payments.bootstrap import Service
from roadcall_payments.domain.errors import RoadcallError
from roadcall_payments.domain.funding_events import Priority
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.workflows.idempotency import Answer, IdempotencyKey
from tests.simulation.machines import NoAnswer
from tests.simulation.stories.approving import approved, cancel, retry
from tests.simulation.stripe_desk import OPENING_BALANCE
from tests.simulation.teller import DISPATCHER, Act, Teller, ended

ROUNDS_MAX = 4
LOOKS_MAX = 60
HOUR_S = 3_600.0
PRIORITIES = (Priority.HIGH, Priority.NORMAL, Priority.LOW)
SHARES = (0.2, 0.6, 0.2)

# What the platform may transfer at first; the rest is its reserve.
FREE_CENTS: Final = 1_000_000
SHORT_OF_FUNDS: Final[Mapping[str, object]] = {
    "funds_reserve_cents": {"*": OPENING_BALANCE - FREE_CENTS}
}


async def short_of_funds(teller: Teller) -> None:
    if await approved(teller) is None:
        return
    priority = teller.random.choices(PRIORITIES, SHARES)[0]
    for _ in range(ROUNDS_MAX):
        heard = await teller.ask("process", _process(teller, priority))
        payment = await teller.settled(heard)
        if payment.queued:
            payment = await _waited(teller)
        if ended(payment):
            return
        if payment.status is Status.FAILED:
            _onboarded(teller)
            await teller.ask("retry", retry(teller))
        elif heard.code == "vendor_cannot_receive":
            _onboarded(teller)
        await teller.rest(1, 20)


async def _waited(teller: Teller) -> Payment:
    """Until it waits for funds no more; some change its priority, or their mind."""
    if teller.chance(0.05):
        await teller.ask("cancel", cancel(teller))
    payment = await teller.settled()
    for _ in range(LOOKS_MAX):
        if not payment.queued:
            break
        await teller.rest(10, 300)
        if teller.chance(0.15):
            _adds_funds(teller)
        if teller.chance(0.05):
            other = teller.random.choice(PRIORITIES)
            await teller.ask("process", _process(teller, other))
        await _looks(teller)
        payment = await teller.settled()
    return payment


async def released(teller: Teller) -> Payment:
    """The clerk adds what is needed, and waits until it went out: nothing else keeps it."""
    _adds_funds(teller)
    payment = await teller.settled()
    for _ in range(ROUNDS_MAX):
        if not payment.queued:
            break
        await teller.rest(HOUR_S, 2 * HOUR_S)
        await _looks(teller)
        payment = await teller.settled()
    return payment


async def _looks(teller: Teller) -> None:
    with contextlib.suppress(NoAnswer, RoadcallError):
        await teller.call(lambda service: service.transfers.attend())


def _adds_funds(teller: Teller) -> None:
    """By a charge that is nothing of ours: enough for this transfer, after Stripe's fee."""
    cents = teller.job.amount.amount_cents * 11 // 10 + 100
    params = {
        "amount": str(cents),
        "currency": teller.job.amount.currency,
        "confirm": "true",
        "payment_method": "pm_card_bypassPending",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
    }
    teller.world.desk.post("/v1/payment_intents", params)


def _process(teller: Teller, priority: Priority) -> Act:
    async def act(service: Service, idem: IdempotencyKey) -> Answer:
        payments = service.payments
        return await payments.process(DISPATCHER, teller.payment_id, None, idem, priority)

    return act


def _onboarded(teller: Teller) -> None:
    teller.world.desk.control("POST", f"accounts/{teller.job.account}/onboard")
