"""What befalls the whole world, or one machine of it, and not one request: planned at the start,
so that each kind comes in every run that has room for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from roadcall_payments.bootstrap import Service
from roadcall_payments.domain.errors import RoadcallError
from roadcall_payments.domain.movements import Movements
from tests.simulation.faults import CHANCES, Kind
from tests.simulation.machines import NoAnswer
from tests.simulation.teller import ADMIN
from tests.simulation.world import World

HOUR_S = 3_600.0
# The rest strike on occasions; these come by the number of payments.
PLANNED = (Kind.SUSPEND, Kind.JUMP, Kind.OUTAGE, Kind.PAUSE, Kind.KEY_ROTATION)
TRIES_MAX = 20
LONGEST_SLEEP_H = 31


def planned(world: World, payments: int) -> Mapping[int, list[Kind]]:
    """Which misfortunes come with the n-th payment; at least one of each kind."""
    plan: dict[int, list[Kind]] = {}
    for kind in PLANNED:
        if not world.faults.chance(kind):
            continue
        for _ in range(max(1, round(payments * CHANCES[kind]))):
            plan.setdefault(world.random.randrange(payments), []).append(kind)
    return plan


async def befall(world: World, kind: Kind) -> None:
    if not world.faults.on:
        return
    match kind:
        case Kind.SUSPEND:
            _suspend(world)
        case Kind.JUMP:
            seconds = world.random.uniform(24.5, 30) * HOUR_S
            while world.network.held:  # noqa: ASYNC110  # a simulated second costs nothing
                # Stripe would begin it a day after it was sent, which nobody could prevent (M8).
                await asyncio.sleep(1)
            _struck(world, kind, f"all clocks move on by {seconds / HOUR_S:.1f} h")
            world.loop.jump(seconds)
        case Kind.OUTAGE:
            seconds = _length(world)
            _struck(world, kind, f"Stripe is away for {seconds:.0f} s")
            world.network.out_until = world.loop.time() + seconds
        case Kind.PAUSE:
            await _pause(world)
        case Kind.KEY_ROTATION:
            await _rotate(world)


def _struck(world: World, kind: Kind, what: str) -> None:
    world.faults.struck[kind] += 1
    world.faults.note(world.loop.time(), kind, what)


def _length(world: World) -> float:
    """Mostly a minute or two, now and then hours."""
    draw = world.random.random()
    if draw < 0.75:
        return world.random.uniform(15, 120)
    if draw < 0.95:
        return world.random.uniform(120, 900)
    return world.random.uniform(1, 3) * HOUR_S


def _suspend(world: World) -> None:
    """One machine sleeps, perhaps for longer than Stripe keeps a key; the others go on."""
    awake = [machine.process for machine in world.machines if machine.process.awake]
    if len(awake) < 2:
        return
    process = world.random.choice(awake)
    day = world.random.random() < 0.4
    seconds = world.random.uniform(24.5, 30) * HOUR_S if day else world.random.uniform(10, 300)
    _struck(world, Kind.SUSPEND, f"{process.machine} sleeps for {seconds:.0f} s")
    process.suspend(seconds)


async def _pause(world: World) -> None:
    """An operator holds all movements, and lets them go again."""
    _struck(world, Kind.PAUSE, "movements are paused")
    heard = await _until_done(world, pausing=True)
    await asyncio.sleep(world.random.uniform(5, 120))
    if not await _until_done(world, pausing=False) or not heard:
        world.begin(_still_flows(world))


async def _still_flows(world: World) -> None:
    """What a machine that slept was asked for, it does when it wakes: a pause, after its end."""
    for _ in range(LONGEST_SLEEP_H):
        await asyncio.sleep(HOUR_S)
        await _until_done(world, pausing=False)


async def _until_done(world: World, *, pausing: bool) -> bool:
    """Whether the first who was asked did it."""

    async def turn(service: Service) -> Movements:
        switch = service.movements_switch
        return await (switch.pause(ADMIN, "simulated") if pausing else switch.resume(ADMIN))

    for tries in range(TRIES_MAX):
        try:
            await world.any_process().call(turn, 30)
        except (NoAnswer, RoadcallError):
            await asyncio.sleep(2)
        else:
            return tries == 0
    return False


async def _rotate(world: World) -> None:
    """New keys at Stripe, in the service's secrets some time later, the old ones gone after that,
    or already before."""
    _struck(world, Kind.KEY_ROTATION, "keys are rotated")
    world.desk.add_keys()
    await asyncio.sleep(world.random.uniform(0, 60))
    early = world.random.random() < 0.3
    if early:
        world.desk.revoke_old_key()
        await asyncio.sleep(world.random.uniform(1, 30))
    world.desk.hand_over_keys()
    await asyncio.sleep(world.random.uniform(70, 200))
    if not early:
        world.desk.revoke_old_key()
