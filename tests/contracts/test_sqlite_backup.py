"""Copies of the SQLite file: whole while others write, and never in anybody's place by accident."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from roadcall_payments.domain.errors import InvalidInput, StatusForbids
from roadcall_payments.stores.sqlite.backup import back_up, kept_aside, restoring
from roadcall_payments.stores.sqlite.store import open_sqlite
from tests.builders import commit_of, new_payment_write


def facts_in(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        (count,) = db.execute("SELECT count(*) FROM journal").fetchone()
        return int(count)


def names_in(directory: Path) -> list[str]:
    return sorted(one.name for one in directory.iterdir())


async def written(path: Path, payments: int) -> None:
    store = open_sqlite(path)
    try:
        for number in range(payments):
            await store.commit([commit_of(new_payment_write(f"p_{payments}_{number}"))])
    finally:
        await store.close()


async def test_a_copy_beside_an_open_store_is_one_moment_of_it(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite"
    await written(path, 3)
    store = open_sqlite(path)
    try:
        await store.commit([commit_of(new_payment_write("p_in_the_log"))])
        copied = back_up(path, tmp_path / "copy.sqlite")
        await store.commit([commit_of(new_payment_write("p_after"))])
    finally:
        await store.close()
    assert copied.facts == facts_in(copied.path) == facts_in(path) - 1
    assert copied.newest_at is not None
    assert stat.S_IMODE(copied.path.stat().st_mode) == 0o600
    assert [name for name in names_in(tmp_path) if "copy" in name] == ["copy.sqlite"]


async def test_a_copy_replaces_nothing(tmp_path: Path) -> None:
    path, there = tmp_path / "db.sqlite", tmp_path / "there"
    await written(path, 1)
    there.write_text("mine")
    with pytest.raises(InvalidInput):
        back_up(path, there)
    assert there.read_text() == "mine"


async def test_a_restore_keeps_what_was_there(tmp_path: Path) -> None:
    path, copy = tmp_path / "db.sqlite", tmp_path / "copy.sqlite"
    await written(path, 2)
    before = back_up(path, copy).facts
    await written(path, 5)
    after = facts_in(path)
    with restoring(copy, path) as draft:
        assert facts_in(draft) == before
        assert facts_in(path) == after, "nothing is replaced before the block has ended well"
    assert facts_in(path) == before
    (aside,) = kept_aside(path)
    assert facts_in(aside) == after


async def test_a_restore_that_fails_leaves_all_as_it_was(tmp_path: Path) -> None:
    path, copy = tmp_path / "db.sqlite", tmp_path / "copy.sqlite"
    await written(path, 2)
    back_up(path, copy)
    names = names_in(tmp_path)
    with pytest.raises(ZeroDivisionError), restoring(copy, path):
        raise ZeroDivisionError
    assert names_in(tmp_path) == names


async def test_a_database_in_use_is_not_replaced(tmp_path: Path) -> None:
    path, copy = tmp_path / "db.sqlite", tmp_path / "copy.sqlite"
    await written(path, 2)
    back_up(path, copy)
    store = open_sqlite(path)
    try:
        await store.ready()
        with pytest.raises(StatusForbids, match="stop the service"), restoring(copy, path):
            pass
        await store.ready()
    finally:
        await store.close()
    assert kept_aside(path) == []


@pytest.mark.parametrize("damage", ["none of ours", "torn", "missing"])
async def test_what_is_no_sound_backup_is_refused(tmp_path: Path, damage: str) -> None:
    path, copy = tmp_path / "db.sqlite", tmp_path / "copy.sqlite"
    await written(path, 40)
    back_up(path, copy)
    data = copy.read_bytes()
    if damage == "none of ours":
        copy.write_bytes(b"SQL" * 2000)
    elif damage == "torn":
        copy.write_bytes(data[: len(data) // 2])
    else:
        copy.unlink()
    with pytest.raises(InvalidInput), restoring(copy, path):
        pass
    assert facts_in(path) == 40


async def test_a_broken_database_can_be_replaced_and_is_kept(tmp_path: Path) -> None:
    path, copy = tmp_path / "db.sqlite", tmp_path / "copy.sqlite"
    await written(path, 2)
    back_up(path, copy)
    path.write_bytes(b"\x00" * 8192)
    with restoring(copy, path):
        pass
    assert facts_in(path) == 2
    (aside,) = kept_aside(path)
    assert aside.read_bytes() == b"\x00" * 8192
