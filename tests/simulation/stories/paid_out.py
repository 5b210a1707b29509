"""A vendor's balance goes to its bank: asked for of us, or at Stripe; it comes back, too."""

from __future__ import annotations

from roadcall_payments.bootstrap import Service
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Status
from roadcall_payments.domain.payout import Payout
from roadcall_payments.workflows.idempotency import IdempotencyKey
from roadcall_payments.workflows.payouts import PayoutAnswer
from tests.simulation.stories.back_office_pays import back_office_pays
from tests.simulation.teller import ADMIN, Act, Teller, both

HOUR_S = 3_600.0
LEAST_CENTS = 1_000


async def paid_out(teller: Teller) -> None:
    await back_office_pays(teller)
    payment = await teller.known()
    if payment is None or payment.status is not Status.COMPLETED:
        return
    for _ in range(teller.random.randint(1, 2)):
        await teller.rest(1, HOUR_S)
        await _once(teller)


async def _once(teller: Teller) -> None:
    account = teller.job.account
    most = min(teller.world.desk.available(account), 50_000)
    if most < LEAST_CENTS:
        return
    cents = teller.random.randint(LEAST_CENTS, most)
    if teller.chance(0.15):
        # By the vendor itself, at Stripe.
        amount = {"amount": str(cents), "currency": "usd"}
        teller.world.desk.post("/v1/payouts", amount, account)
        return
    if teller.chance(0.2):
        act = _ask(teller, cents)
        heard, _ = await both(teller.ask("payout", act), teller.ask("payout", act))
    else:
        heard = await teller.ask("payout", _ask(teller, cents))
    if heard.payout is not None:
        await _its_fate(teller, heard.payout)


async def _its_fate(teller: Teller, payout: Payout) -> None:
    """Mostly it arrives by itself, some days later."""
    if teller.chance(0.15):
        await teller.ask("payout_cancel", _cancel(payout.id))
    if payout.stripe_payout is None or teller.chance(0.5):
        return
    await teller.rest(1, HOUR_S)
    path = f"payouts/{payout.stripe_payout}"
    if teller.chance(0.7):
        teller.world.desk.control("POST", f"{path}/pay")
        await teller.rest(1, 60 if teller.chance(0.5) else 48 * HOUR_S)
    if teller.chance(0.6):
        teller.world.desk.control("POST", f"{path}/fail", {"failure_code": "account_closed"})


def _ask(teller: Teller, cents: int) -> Act:
    async def act(service: Service, idem: IdempotencyKey) -> PayoutAnswer:
        amount = Money(cents, "usd")
        return await service.payouts.request(ADMIN, teller.job.vendor_id, amount, idem)

    return act


def _cancel(payout_id: str) -> Act:
    async def act(service: Service, idem: IdempotencyKey) -> PayoutAnswer:
        return await service.payouts.cancel(ADMIN, payout_id, idem)

    return act
