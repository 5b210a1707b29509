"""`verify` finds every kind of tampering and says which row it is; on untouched books it is
silent, also while the service writes."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from roadcall_payments.commit import decode_state, stream_of
from roadcall_payments.domain import events as e
from roadcall_payments.domain.money import Money
from roadcall_payments.stores.sqlite.store import open_sqlite
from roadcall_payments.workflows.verification import Verification
from tests.workflows.stories import Storyteller, World, write_world
from tests.workflows.tampering import TAMPERINGS, Tampering, tamper


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, World]:
    path = tmp_path_factory.mktemp("world") / "world.sqlite"
    return path, asyncio.run(write_world(path))


@dataclass(frozen=True)
class Copy:
    path: Path
    world: World

    async def faults(self) -> Sequence[str]:
        store = open_sqlite(self.path)
        try:
            return await Verification(store).verify(lambda _: None)
        finally:
            await store.close()


@pytest.fixture
def copy(written: tuple[Path, World], tmp_path: Path) -> Copy:
    path, world = written
    return Copy(Path(shutil.copy(path, tmp_path / "copy.sqlite")), world)


async def test_an_untouched_database_is_clean(copy: Copy) -> None:
    assert await copy.faults() == []


async def test_states_that_an_earlier_version_wrote_in_full_are_sound(copy: Copy) -> None:
    db = sqlite3.connect(copy.path)
    with db:
        for stream, state in db.execute("SELECT stream, state FROM streams").fetchall():
            in_full = msgspec.json.encode(decode_state(stream, state))
            assert len(in_full) >= len(state)
            db.execute("UPDATE streams SET state = ? WHERE stream = ?", (in_full, stream))
    db.close()
    assert await copy.faults() == []


@pytest.mark.parametrize("tampering", TAMPERINGS, ids=lambda one: one.name)
async def test_tampering_is_found_and_its_row_named(copy: Copy, tampering: Tampering) -> None:
    named = tamper(copy.path, tampering, copy.world)
    faults = await copy.faults()
    assert any(all(part in fault for part in named) for fault in faults), (named, faults)


async def test_every_stream_is_counted_and_reported_as_progress(copy: Copy) -> None:
    store = open_sqlite(copy.path)
    steps: list[int] = []
    try:
        verification = Verification(store)
        await verification.verify(steps.append)
        assert sum(steps) == await verification.count() == 7
    finally:
        await store.close()


async def test_an_erased_text_is_no_fault(copy: Copy) -> None:
    db = sqlite3.connect(copy.path)
    with db:
        db.execute("DELETE FROM texts")
    db.close()
    assert await copy.faults() == []


async def test_a_service_that_writes_meanwhile_raises_no_false_alarm(copy: Copy) -> None:
    store = open_sqlite(copy.path)
    storyteller = Storyteller(store)
    stream = stream_of("payment", copy.world.driver_payment)
    stray = e.StrayMoneyObserved(
        "ch_stray", "charge", Money(700, "usd"), "acct_platform", "unknown", "refund"
    )
    begun = asyncio.Event()

    async def keep_writing() -> None:
        while True:
            await storyteller.facts(stream, stray)
            begun.set()

    writing = asyncio.create_task(keep_writing())
    try:
        await begun.wait()
        faults = await Verification(store).verify(lambda _: None)
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await store.close()
    # What never stands still may be called unread, but nothing is said to be wrong.
    assert [fault for fault in faults if "times while being read" not in fault] == []
