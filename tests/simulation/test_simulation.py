"""A thousand payments under every fault at once; the same seed twice; a crash between two steps."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from roadcall_payments.bootstrap import Service
from roadcall_payments.domain.movements import Movements
from roadcall_payments.workflows.movements_switch import MOVEMENTS
from tests.simulation.faults import CHANCES, Faults, Kind, UnknownFault, chosen
from tests.simulation.machines import NoAnswer
from tests.simulation.run import run_world
from tests.simulation.teller import ADMIN
from tests.simulation.turns import SeededLoop, WorldStandsStill
from tests.simulation.world import World

ROOT = Path(__file__).parents[2]
EVERY_KIND = chosen("all")


@pytest.mark.timeout(600)  # of the processor it takes a fraction, but others may want that too
def test_a_thousand_payments_under_every_fault_are_sound() -> None:
    result = run_world("a thousand", 1_000, EVERY_KIND)
    assert result.sound, "\n".join(["", *map(str, result.violations), *result.stories])
    assert [kind for kind in Kind if not result.struck[kind]] == []
    assert result.ends["completed"] > 500


@pytest.mark.timeout(600)
def test_the_same_seed_is_the_same_history() -> None:
    here = run_world("twice", 40, EVERY_KIND).digest
    elsewhere = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--payments", "40", "--seed", "twice"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "4242"},
        capture_output=True,
        text=True,
        check=False,  # forty payments do not meet every kind of fault
    ).stdout
    assert f"digest {here}" in elsewhere


def test_another_seed_is_another_history() -> None:
    nothing = chosen("none")
    assert run_world("one", 5, nothing).digest != run_world("other", 5, nothing).digest


def test_faults_are_named_by_group_and_by_kind() -> None:
    assert chosen("crash, stripe,-outage") == chosen("crash,stripe") - {Kind.OUTAGE}
    assert chosen("all,-crash") == set(Kind) - {Kind.CRASH}
    assert chosen("none") == frozenset()
    with pytest.raises(UnknownFault, match="gremlins"):
        chosen("gremlins")
    assert set(CHANCES) == set(Kind)


def test_no_fault_strikes_after_the_end() -> None:
    faults = Faults(Random("1"), EVERY_KIND)
    faults.stop()
    assert not any(faults.strikes(kind) for kind in Kind for _ in range(1_000))
    assert faults.steps_to_crash() < 0


@pytest.fixture
def world() -> Iterator[World]:
    opened = World("small", chosen("none"))
    yield opened
    opened.close()


def test_a_crash_ends_a_call_where_it_stands_and_the_machine_starts_anew(world: World) -> None:
    machine = world.machines[0]
    process, went_on = machine.process, []

    async def act(service: Service) -> None:
        await service.movements_switch.pause(ADMIN, "before the crash")
        await service.clock.sleep(5)
        await service.movements_switch.resume(ADMIN)
        went_on.append("after the crash")

    heard = process.call(act, timeout_s=60)
    world.live(asyncio.sleep(1))
    process.crash()
    with pytest.raises(NoAnswer):
        heard.result()
    world.live(asyncio.sleep(60))
    assert went_on == []
    assert machine.process.alive
    assert machine.process is not process
    switch = world.inspected(lambda store: store.load(MOVEMENTS))
    assert switch is not None
    assert isinstance(switch.state, Movements)
    assert switch.state.paused


def test_a_machine_that_sleeps_goes_on_when_it_wakes(world: World) -> None:
    process, day_s = world.machines[0].process, 86_400.0
    clock = process.clock
    before, heard = clock.now(), process.call(lambda service: service.clock.sleep(5), day_s * 2)
    world.live(asyncio.sleep(1))
    process.suspend(day_s)
    world.live(asyncio.sleep(60))
    assert not heard.done()
    world.live(asyncio.sleep(day_s))
    assert heard.done()
    assert clock.now() - before >= timedelta(days=1)
    assert clock.monotonic() < 120


def test_time_passes_only_when_nothing_is_ready_and_then_at_once() -> None:
    loop = SeededLoop(Random("1"))
    seen: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append((name, loop.time()))

    async def both() -> None:
        await asyncio.gather(sleeper("late", 86_400.0), sleeper("soon", 0.5))

    loop.run_until_complete(both())
    loop.close()
    assert seen == [("soon", 0.5), ("late", 86_400.0)]  # both are whole ticks


def test_a_world_in_which_nothing_can_happen_any_more_says_so() -> None:
    loop = SeededLoop(Random("1"))
    with pytest.raises(WorldStandsStill):
        loop.run_until_complete(_waits_for_ever(loop))
    loop.close()


async def _waits_for_ever(loop: SeededLoop) -> None:
    await loop.create_future()
