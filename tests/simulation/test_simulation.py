"""A thousand payments under every fault at once; the same seed twice; a crash between two steps."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.simulation.faults import CHANCES, Faults, Kind, UnknownFault, chosen
from tests.simulation.run import run_world
from tests.simulation.turns import SeededLoop, WorldStandsStill

ROOT = Path(__file__).parents[2]
EVERY_KIND = chosen("all")


def test_a_thousand_payments_under_every_fault_are_sound() -> None:
    result = run_world("a thousand", 1_000, EVERY_KIND)
    assert result.sound, "\n".join(["", *map(str, result.violations), *result.stories])
    assert [kind for kind in Kind if not result.struck[kind]] == []
    assert result.ends["completed"] > 500


@pytest.mark.parametrize("hash_seed", ["1", "4242"])
def test_the_same_seed_is_the_same_history(hash_seed: str) -> None:
    here = run_world("twice", 40, EVERY_KIND).digest
    elsewhere = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--payments", "40", "--seed", "twice"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
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
