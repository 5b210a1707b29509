"""A driver pays by card: a good one, a declined one, one whose bank asks, or by phone at Stripe."""

from __future__ import annotations

import contextlib

import aiohttp

from roadcall_payments.bootstrap import Service
from roadcall_payments.domain.errors import FinalError
from roadcall_payments.domain.payment import Payment
from roadcall_payments.workflows.idempotency import Answer, IdempotencyKey
from tests.simulation.stories.approving import approved, cancel, process
from tests.simulation.stripe_desk import form
from tests.simulation.teller import DISPATCHER, Act, Heard, Teller, both, ended

ROUNDS_MAX = 4
GOOD = "pm_card_visa"
DECLINED = "pm_card_visa_chargeDeclined"
CHALLENGED = "pm_card_threeDSecureRequired"

# What the payer does in a round, and how often.
_ACTS = {
    "good card": 60,
    "declined card": 14,
    "challenged card": 10,
    "phone": 5,
    "two cards": 3,
    "cancel": 2,
    "cancel and card": 3,
    "silence": 3,
}


async def driver_pays(teller: Teller) -> None:
    if await approved(teller) is None:
        return
    heard: Heard | None = await teller.ask("process", process(teller))
    for _ in range(ROUNDS_MAX):
        payment = await teller.settled(heard)
        if ended(payment) or payment.payment_intent is None:
            return
        [act] = teller.random.choices(list(_ACTS), list(_ACTS.values()))
        if act == "silence":
            return
        heard = await _payer_acts(teller, payment, act)


async def _payer_acts(teller: Teller, payment: Payment, act: str) -> Heard | None:
    intent = payment.payment_intent or ""
    await teller.rest(0.1, 20)
    match act:
        case "good card":
            return await teller.ask("confirm", confirm(teller, GOOD))
        case "declined card":
            return await teller.ask("confirm", confirm(teller, DECLINED))
        case "challenged card":
            await teller.ask("confirm", confirm(teller, CHALLENGED))
            await teller.rest(1, 60)
            outcome = "succeed" if teller.chance(0.7) else "fail"
            path = f"payment_intents/{intent}/authenticate"
            teller.world.desk.control("POST", path, {"outcome": outcome})
            await teller.rest(0.1, 5)
        case "phone":
            await _by_phone(teller, intent)
        case "two cards":
            await both(
                teller.ask("confirm", confirm(teller, GOOD)),
                teller.ask("confirm", confirm(teller, DECLINED)),
            )
        case "cancel":
            await teller.ask("cancel", cancel(teller))
        case "cancel and card":
            await both(
                teller.ask("cancel", cancel(teller)),
                teller.ask("confirm", confirm(teller, GOOD)),
            )
    return None


async def _by_phone(teller: Teller, intent: str) -> None:
    """The phone confirms at Stripe with the client secret, as Stripe's own libraries do."""
    try:
        secret = await teller.read(
            lambda service: service.payments.client_secret(teller.payment_id)
        )
    except FinalError:
        return  # paid or cancelled meanwhile: there is nothing left to confirm
    params = {"client_secret": secret, "payment_method": GOOD}
    teller.job.paid_by_phone += 1
    request = form(f"/v1/payment_intents/{intent}/confirm", params, "pk_test_simulated")
    with contextlib.suppress(OSError, aiohttp.ClientError):
        await teller.world.network.send("phone", request)
    await teller.rest(0.5, 10)


def confirm(teller: Teller, method: str) -> Act:
    async def act(service: Service, idem: IdempotencyKey) -> Answer:
        return await service.payments.confirm(DISPATCHER, teller.payment_id, method, idem)

    return act
