"""The history of one world: jobs arrive and are paid under faults, then all comes to rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from roadcall_payments.domain.errors import RoadcallError
from roadcall_payments.domain.events import Awaiting, PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.workflows.vendors import Contacts, VendorRecord
from tests.simulation.asked import Job
from tests.simulation.machines import NoAnswer
from tests.simulation.misfortunes import befall, planned
from tests.simulation.stories.approving import cancel, create_act, creation_key
from tests.simulation.stories.at_the_dashboard import disputed, refunded_there, taken_back
from tests.simulation.stories.back_office_pays import back_office_pays
from tests.simulation.stories.driver_pays import driver_pays
from tests.simulation.stories.indebted import earns_again, runs_into_debt
from tests.simulation.stories.money_back import money_back
from tests.simulation.stories.paid_daily import paid_daily
from tests.simulation.stories.paid_out import paid_out
from tests.simulation.stories.settled import settled, settled_and_disputed
from tests.simulation.stories.short_of_funds import released, short_of_funds
from tests.simulation.teller import ADMIN, GaveUp, Teller, ended
from tests.simulation.world import World

Story = Callable[[Teller], Awaitable[None]]
Stories = tuple[tuple[PayerType, float, Story], ...]

# (payer, share, story)
STORIES: Final[Stories] = (
    (PayerType.DRIVER_IC, 0.55, driver_pays),
    (PayerType.BACK_OFFICE, 0.45, back_office_pays),
)
# Worlds of their own, so that the seeds of the others keep their histories.
MONEY_BACK: Final[Stories] = (
    (PayerType.DRIVER_IC, 0.35, money_back),
    (PayerType.DRIVER_IC, 0.25, disputed),
    (PayerType.DRIVER_IC, 0.2, refunded_there),
    (PayerType.BACK_OFFICE, 0.2, taken_back),
)
PAID_OUT: Final[Stories] = (
    (PayerType.BACK_OFFICE, 0.7, paid_out),
    (PayerType.BACK_OFFICE, 0.3, taken_back),
)
PAID_DAILY: Final[Stories] = (
    (PayerType.BACK_OFFICE, 0.8, paid_daily),
    (PayerType.BACK_OFFICE, 0.2, paid_out),
)
FUNDED: Final[Stories] = ((PayerType.BACK_OFFICE, 1.0, short_of_funds),)
SETTLED: Final[Stories] = (
    (PayerType.DRIVER_IC, 0.55, settled),
    (PayerType.DRIVER_IC, 0.2, settled_and_disputed),
    (PayerType.DRIVER_IC, 0.1, refunded_there),
    (PayerType.BACK_OFFICE, 0.15, taken_back),
)
INDEBTED: Final[Stories] = (
    (PayerType.DRIVER_IC, 0.5, runs_into_debt),
    (PayerType.DRIVER_IC, 0.3, earns_again),
    (PayerType.BACK_OFFICE, 0.2, earns_again),
)
# The service's settings in such a world: a fee that is given back in part, and everything is
# settled.
SETTLES: Final[Mapping[str, object]] = {
    "settlement": True,
    "platform_fee_bps": 1_000,
    "platform_fee_fixed_cents": 50,
    "returns_platform_fee": True,
}

GAP_S: Final = 12.0
BURST_MAX: Final = 30
# Now and then so many at once that what was made around a payment fills several of Stripe's pages.
RUSH: Final = 200
RUSHES: Final = 0.01
VENDORS: Final = 24
NOT_READY_EVERY: Final = 6
WITH_EMAIL_EVERY: Final = 3
DAY_S: Final = 86_400.0
QUIET_WITHIN_S: Final = 60 * DAY_S
HISTORY_MAX_S: Final = 365 * DAY_S


class NeverQuiet(Exception):
    """Something goes on long after the faults have stopped."""


def tell(world: World, payments: int, stories: Stories = STORIES) -> None:
    """The whole history of ``payments`` jobs. Raises NeverQuiet."""
    with world.defect.during():
        world.live(_all_of_it(world, payments, stories))
        world.stop_faults()
        come_to_rest(world)
        world.live(close_what_is_left(world))
        come_to_rest(world)


async def _all_of_it(world: World, payments: int, stories: Stories) -> None:
    vendors = await vendors_of(world)
    world.desk.begin_faults(world.faults)
    await arrivals(world, range(payments), vendors, stories)


def come_to_rest(world: World) -> None:
    """Vendors bring what Stripe asks of them, and nothing more happens by itself. Raises
    NeverQuiet."""
    for account in {job.account: None for job in world.asked.jobs}:
        world.desk.control("POST", f"accounts/{account}/onboard")
    if not world.settle(QUIET_WITHIN_S):
        raise NeverQuiet("work is due again and again, days after the last fault")


async def arrivals(
    world: World, numbers: range, vendors: Sequence[tuple[str, str]], told_of: Stories
) -> None:
    """The jobs of these numbers come, and their stories are told to the end; cancelled, everybody
    goes home, and only the misfortunes go on."""
    misfortunes = planned(world, len(numbers))
    stories: list[asyncio.Task[None]] = []
    befallen: list[asyncio.Task[None]] = []
    left_of_burst = 0
    try:
        for place, number in enumerate(numbers):
            if left_of_burst == 0:
                left_of_burst = _burst(world)
                await asyncio.sleep(world.random.expovariate(1 / (GAP_S * left_of_burst)))
            left_of_burst -= 1
            befallen += [world.begin(befall(world, kind)) for kind in misfortunes.get(place, ())]
            job, story = _job(world, number, vendors, told_of)
            world.asked.jobs.append(job)
            stories.append(world.begin(_told(story, Teller(world, job))))
        # A story that fails is a problem of the world's; the others go on.
        await asyncio.gather(*stories, *befallen, return_exceptions=True)
    except asyncio.CancelledError:
        for one in stories:
            one.cancel()
        raise


def _burst(world: World) -> int:
    """How many jobs come at once."""
    rush = world.random.random() < RUSHES
    return RUSH if rush else world.random.randint(1, BURST_MAX)


async def _told(story: Story, teller: Teller) -> None:
    try:
        await story(teller)
    except GaveUp:
        return


def _job(
    world: World, number: int, vendors: Sequence[tuple[str, str]], stories: Stories
) -> tuple[Job, Story]:
    payer, _, story = world.random.choices(stories, [share for _, share, _ in stories])[0]
    vendor_id, account = world.random.choice(vendors)
    job = Job(
        incident_id=f"in_{number}",
        vendor_id=vendor_id,
        company_id="co_1",
        payer_type=payer,
        amount=Money(_cents(world), "usd"),
        destination=account if payer is PayerType.BACK_OFFICE else None,
        account=account,
    )
    return job, story


def _cents(world: World) -> int:
    """Mostly everyday amounts, some that are flagged, some that two people must approve."""
    draw = world.random.random()
    if draw < 0.9:
        return world.random.randint(1_000, 90_000)
    if draw < 0.96:
        return world.random.randint(250_001, 500_000)
    return world.random.randint(500_001, 2_000_000)


async def vendors_of(world: World) -> list[tuple[str, str]]:
    """(vendor, connected account)"""
    vendors = []
    for number in range(VENDORS):
        account = world.desk.connected_account(ready=number % NOT_READY_EVERY != 0)
        vendor_id = f"ve_{number}"
        email = f"vendor{number}@example.com" if number % WITH_EMAIL_EVERY == 0 else None
        contacts = Contacts(f"Vendor {number}", email, None, None)
        record = VendorRecord(account, "en-US", contacts)
        await _put(world, vendor_id, record)
        vendors.append((vendor_id, account))
    return vendors


async def _put(world: World, vendor_id: str, record: VendorRecord) -> None:
    while True:
        try:
            await world.any_process().call(
                lambda service: service.vendors.put(ADMIN, vendor_id, record), 30
            )
        except (NoAnswer, RoadcallError):
            await asyncio.sleep(1)
        else:
            return


async def close_what_is_left(world: World) -> None:
    """The clerk finishes what people left: a creation that nobody answered is asked for again,
    under its own key, and what waits for a person is cancelled. What waits for Stripe is not
    touched: it has to come to its end by itself."""
    open_payments = world.open_payments()
    for job in world.asked.jobs:
        # Asked for twice, and made by a machine that slept meanwhile: nobody was told of it.
        unheard = open_payments.get(job.incident_id)
        if unheard is not None and unheard not in job.payment_ids:
            job.payment_ids.append(unheard)
    left = [
        job for job in world.asked.jobs if not job.payment_ids or job.incident_id in open_payments
    ]
    await asyncio.gather(*(_closed(Teller(world, job)) for job in left))


async def _closed(teller: Teller) -> None:
    if not teller.job.payment_ids:
        asked = teller.job.told("create", 0, 503)
        if asked:
            await teller.ask("create", create_act(teller.job), creation_key(teller.job))
        elif (known := await teller.known()) is not None:
            teller.job.payment_ids.append(known.id)
    if not teller.job.payment_ids:
        return
    payment = await teller.payment()
    if payment.queued:
        payment = await released(teller)
    if not (ended(payment) or payment.queued or payment.awaiting is Awaiting.STRIPE):
        await teller.ask("cancel", cancel(teller))
