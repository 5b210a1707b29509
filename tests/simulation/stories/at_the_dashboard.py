"""What happens at Stripe itself to money that was paid: refunds, disputes and reversals that no
request of ours made, and banks that send a refund back."""

from __future__ import annotations

import asyncio

from roadcall_payments.domain.payment import Payment, Status
from stripe_sandbox.json_types import JsonObject
from tests.simulation.stories.back_office_pays import back_office_pays
from tests.simulation.stories.driver_pays import driver_pays
from tests.simulation.stories.money_back import refund_in_parts
from tests.simulation.teller import Teller

HOUR_S = 3_600.0


async def disputed(teller: Teller) -> None:
    """The payer's bank asks, or takes the money at once; it may decide, and decide again. People
    ask for refunds meanwhile, and are told no."""
    charge = await _charge(teller)
    if charge is None:
        return
    await teller.rest(1, 2 * HOUR_S)
    inquiry = teller.chance(0.3)
    order: JsonObject = {"reason": "fraudulent", "inquiry": inquiry}
    opened = teller.world.desk.control("POST", f"charges/{charge}/dispute", order)
    name = opened.get("id")
    if not isinstance(name, str):
        return
    dispute = f"disputes/{name}"
    if teller.chance(0.4):
        await refund_in_parts(teller)
    await teller.rest(1, 60 if teller.chance(0.4) else HOUR_S)
    if inquiry and teller.chance(0.5):
        teller.world.desk.control("POST", f"{dispute}/escalate")
        await teller.rest(1, 60)
    if teller.chance(0.8):
        outcome = "won" if teller.chance(0.4) else "lost"
        teller.world.desk.control("POST", f"{dispute}/decide", {"outcome": outcome})
    # Where nobody decides, Stripe does when the day has come.


async def refunded_there(teller: Teller) -> None:
    """Somebody gives back at the dashboard, perhaps while we do; and some refunds come back."""
    charge = await _charge(teller)
    if charge is None:
        return
    await teller.rest(1, 600)
    if teller.chance(0.5):
        await asyncio.gather(refund_in_parts(teller), _refunds(teller, charge))
    else:
        await _refunds(teller, charge)
    await sent_back(teller)


async def _refunds(teller: Teller, charge: str) -> None:
    for _ in range(teller.random.randint(1, 2)):
        params = {"charge": charge}
        if teller.chance(0.7):
            params["amount"] = str(teller.random.randint(1, 900))
        teller.world.desk.post("/v1/refunds", params)
        await teller.rest(1, 600)


async def sent_back(teller: Teller) -> None:
    """The payer's bank returns some of what was given, hours later."""
    payment = await teller.known()
    for refund in payment.refunds if payment else ():
        if refund.stripe_refund is not None and teller.chance(0.5):
            await teller.rest(1, 3 * HOUR_S)
            teller.world.desk.control("POST", f"refunds/{refund.stripe_refund}/fail")


async def taken_back(teller: Teller) -> None:
    """Parts of a transfer are reversed at the dashboard."""
    await back_office_pays(teller)
    payment = await _paid(teller)
    if payment is None or payment.transfer is None:
        return
    for _ in range(teller.random.randint(0, 2)):
        await teller.rest(1, 600)
        amount = {"amount": str(teller.random.randint(1, 900))}
        teller.world.desk.post(f"/v1/transfers/{payment.transfer}/reversals", amount)


async def _charge(teller: Teller) -> str | None:
    """What the driver paid with, once they have."""
    await driver_pays(teller)
    payment = await _paid(teller)
    if payment is None or payment.payment_intent is None:
        return None
    return teller.world.desk.charge_of(payment.payment_intent)


async def _paid(teller: Teller) -> Payment | None:
    payment = await teller.known()
    return payment if payment is not None and payment.status is Status.COMPLETED else None
