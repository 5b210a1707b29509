"""A vendor gets its share of what a driver paid, and owes some of it back: refunds and disputes
after it, accounts that are empty by then, or cannot receive, and reversals at the dashboard."""

from __future__ import annotations

from roadcall_payments.domain.payment import Payment, Status
from tests.simulation.stories.at_the_dashboard import disputed, sent_back
from tests.simulation.stories.driver_pays import driver_pays
from tests.simulation.stories.money_back import refund_in_parts
from tests.simulation.teller import Teller

HOUR_S = 3_600.0
REQUIREMENT = "individual.verification.document"


async def settled(teller: Teller) -> None:
    """Paid, settled, and then perhaps given back, in any order."""
    if teller.chance(0.1):
        owes_a_document(teller)
    await driver_pays(teller)
    await teller.rest(0.1, 60 if teller.chance(0.4) else HOUR_S)
    if teller.chance(0.4):
        empties_its_account(teller)
    if teller.chance(0.6):
        await refund_in_parts(teller)
    if teller.chance(0.3):
        await sent_back(teller)
    if teller.chance(0.1):
        await _taken_back_there(teller)
    brings_it(teller)


async def settled_and_disputed(teller: Teller) -> None:
    if teller.chance(0.4):
        empties_its_account(teller)
    await disputed(teller)


async def _taken_back_there(teller: Teller) -> None:
    """Somebody at the dashboard reverses a part of the share."""
    payment = await _paid(teller)
    shares = payment.settlement.transfers if payment and payment.settlement else ()
    for share in shares:
        if share.transfer is not None:
            amount = {"amount": str(teller.random.randint(1, 500))}
            teller.world.desk.post(f"/v1/transfers/{share.transfer}/reversals", amount)


async def _paid(teller: Teller) -> Payment | None:
    payment = await teller.known()
    return payment if payment is not None and payment.status is Status.COMPLETED else None


def empties_its_account(teller: Teller) -> None:
    """The vendor takes all that it has to its bank: nothing is left to be reversed."""
    account = teller.job.account
    cents = teller.world.desk.available(account)
    if cents > 0:
        params = {"amount": str(cents), "currency": "usd"}
        teller.world.desk.post("/v1/payouts", params, account)


def owes_a_document(teller: Teller) -> None:
    """Stripe stops transfers to the vendor, until it brings what is due."""
    path = f"accounts/{teller.job.account}/requirements"
    teller.world.desk.control("POST", path, {"due": [REQUIREMENT]})


def brings_it(teller: Teller) -> None:
    teller.world.desk.control("POST", f"accounts/{teller.job.account}/onboard")
