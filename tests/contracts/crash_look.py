"""A process that commits is killed: nothing it said was written is lost, and nothing is half."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg

from tests.contracts.crash_writer import open_at, rows_of

ROOT = Path(__file__).parents[2]

_OTHERS_AT_WORK = (
    "SELECT count(*), pg_sleep(0.01) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    " AND datname = current_database() AND pid <> pg_backend_pid()"
)


def crash_and_look(place: str, *, crashes: int) -> None:
    """Kill writers of the database at ``place`` (an address, or a SQLite file's path), then open
    it and read what each of them had begun."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    begun: set[str] = set()
    acknowledged: set[str] = set()
    for _ in range(crashes):
        _crash(place, chance.randrange(20, 400), begun, acknowledged)
    assert acknowledged, f"seed {seed}"
    asyncio.run(_look(place, begun, acknowledged, seed))


async def _look(place: str, begun: set[str], acknowledged: set[str], seed: int) -> None:
    if place.startswith("postgresql://"):
        await _await_the_last_statement(place)
    store = await open_at(place)
    for name in begun:
        present = await rows_of(store, name)
        assert all(present) or (name not in acknowledged and not any(present)), (
            f"seed {seed}: {name} is half there: {present}"
        )
        if all(present):
            assert await store.payment_faults(f"payment/{name}-a") == []
    assert await store.orphans() == []
    await store.close()


async def _await_the_last_statement(url: str) -> None:
    """A server finishes what a dead client asked for: looked at meanwhile, it seems half there."""
    connection = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(30):
            while await connection.fetchval(_OTHERS_AT_WORK):
                pass
    finally:
        await connection.close()


def _crash(place: str, after_lines: int, begun: set[str], acknowledged: set[str]) -> None:
    """Let a process commit, kill it with SIGKILL after so many lines, and read what it said."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.contracts.crash_writer", place],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout as said:
        for number, line in enumerate(said):
            if number == after_lines:
                os.kill(process.pid, signal.SIGKILL)
            word, _, name = line.rstrip("\n").partition(" ")
            # The last line may be cut short by the kill.
            if line.endswith("\n"):
                assert word in ("begun", "acknowledged")
                (begun if word == "begun" else acknowledged).add(name)
    assert process.wait() == -signal.SIGKILL
