"""A vendor owes more than it has: refunds after its account was emptied. What it earns later pays
that, its transfers are refused in between, refunds fail after all, and some is forgiven."""

from __future__ import annotations

import contextlib

from roadcall_payments.bootstrap import Service
from roadcall_payments.domain.errors import RoadcallError
from roadcall_payments.domain.events import PayerType
from tests.simulation.machines import NoAnswer
from tests.simulation.stories.at_the_dashboard import sent_back
from tests.simulation.stories.back_office_pays import back_office_pays
from tests.simulation.stories.driver_pays import driver_pays
from tests.simulation.stories.money_back import refund_in_parts
from tests.simulation.stories.settled import brings_it, empties_its_account, owes_a_document
from tests.simulation.teller import ADMIN, Teller

HOUR_S = 3_600.0
# What a card paid is available after two days, in the vendor's account too.
AVAILABLE_S = 48 * HOUR_S


async def runs_into_debt(teller: Teller) -> None:
    """Its share is in the bank when the payer gets the money back."""
    await driver_pays(teller)
    await teller.rest(AVAILABLE_S + HOUR_S, AVAILABLE_S + 6 * HOUR_S)
    empties_its_account(teller)
    await refund_in_parts(teller)
    await teller.rest(60, 6 * HOUR_S)
    if teller.chance(0.2):
        await sent_back(teller)
    if teller.chance(0.2):
        await _is_forgiven(teller)


async def earns_again(teller: Teller) -> None:
    """After that, by a share or by a transfer, which Stripe may refuse at first."""
    await teller.rest(AVAILABLE_S + 4 * HOUR_S, AVAILABLE_S + 16 * HOUR_S)
    if teller.chance(0.3):
        owes_a_document(teller)
    driver = teller.job.payer_type is PayerType.DRIVER_IC
    await (driver_pays(teller) if driver else back_office_pays(teller))
    await teller.rest(60, 2 * HOUR_S)
    brings_it(teller)
    if driver and teller.chance(0.2):
        await refund_in_parts(teller)


async def _is_forgiven(teller: Teller) -> None:
    vendor_id = teller.job.vendor_id

    async def forgive(service: Service) -> None:
        owed = (await service.debt_forgiveness.debts(vendor_id)).owed
        if owed:
            one = teller.random.choice(owed)
            cents = teller.random.choice([None, 1])
            await service.debt_forgiveness.forgive(ADMIN, vendor_id, one.id, cents, "goodwill")

    with contextlib.suppress(NoAnswer, RoadcallError):
        await teller.call(forgive)
