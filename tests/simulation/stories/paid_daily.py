"""A vendor's balance goes to its bank by itself, once a day at 06:00 UTC, for a night or some."""

from __future__ import annotations

import asyncio

from roadcall_payments.bootstrap import Service
from roadcall_payments.domain.errors import RoadcallError
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.workflows.vendors import VendorRecord
from tests.simulation.machines import NoAnswer
from tests.simulation.stories.back_office_pays import back_office_pays
from tests.simulation.teller import ADMIN, Teller

HOUR_S = 3_600.0


async def paid_daily(teller: Teller) -> None:
    """Paid on one of three days, and paid out on those that follow, until the vendor wants no more:
    a world where somebody is paid out daily never comes to rest."""
    await teller.rest(1, 48 * HOUR_S if teller.chance(0.6) else 600)
    await _pays_daily(teller, wanted=True)
    try:
        await back_office_pays(teller)
        await teller.rest(30 * HOUR_S, 80 * HOUR_S)
    finally:
        await _pays_daily(teller, wanted=False)


async def _pays_daily(teller: Teller, *, wanted: bool) -> None:
    """Until somebody answered: nobody else would switch it off."""

    async def put(service: Service) -> Vendor:
        vendors, vendor_id = service.vendors, teller.job.vendor_id
        vendor = await vendors.get(vendor_id)
        contacts = await vendors.contacts(vendor)
        assert contacts is not None
        record = VendorRecord(
            vendor.stripe_account, vendor.locale, contacts, vendor.fee, pays_daily=wanted
        )
        return await vendors.put(ADMIN, vendor_id, record)

    while True:
        try:
            await teller.call(put)
        except (NoAnswer, RoadcallError):
            await asyncio.sleep(1)
        else:
            return
