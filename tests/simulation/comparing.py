"""A history in which webhooks are lost for good, and the worker's duty finds what they told.

What people do at Stripe's dashboard is told by a webhook alone. Each hour somebody's worker holds
Stripe's own list of events against the inbox, and once more when no more are lost: afterwards
nothing may be missing.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from roadcall_payments.domain.errors import RoadcallError
from roadcall_payments.workflows.missed_events import GRACE
from tests.simulation.history import Stories, tell
from tests.simulation.machines import NoAnswer
from tests.simulation.world import World

EVERY_S: Final = 3_600.0
LAST_LOOKS: Final = 3


def tell_with_comparing(world: World, payments: int, stories: Stories) -> None:
    """As ``tell``. Raises NeverQuiet."""
    world.begin(_compares(world))
    tell(world, payments, stories)


async def _compares(world: World) -> None:
    while world.faults.on:
        await _looks(world)
        await asyncio.sleep(EVERY_S)
    # A process that found Stripe away does not look at once.
    for _ in range(LAST_LOOKS):
        await asyncio.sleep(2 * GRACE.total_seconds())
        await _looks(world)


async def _looks(world: World) -> None:
    with contextlib.suppress(NoAnswer, RoadcallError):
        await world.any_process().call(lambda service: service.missed_events.attend(), EVERY_S)
