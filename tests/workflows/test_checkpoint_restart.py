"""M18, M30: a database that went back is known by what was signed, and a release begins anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from roadcall_payments.commit import stream_of
from roadcall_payments.domain.errors import BrokenInvariant
from tests.workflows.checkpointed import Checkpointed, more_of, signed_in, three_checkpoints


@pytest.fixture
async def went_back(books: Checkpointed, tmp_path: Path) -> Checkpointed:
    """Three checkpoints, over a database as it was before the first of them."""
    earlier = tmp_path / "earlier.sqlite"
    shutil.copy(books.path, earlier)
    await three_checkpoints(books)
    shutil.copy(earlier, books.path)
    return books


async def test_a_database_that_is_as_new_as_its_checkpoints_is_not_behind(
    books: Checkpointed,
) -> None:
    async with books.store() as store:
        assert await books.process(store).ahead() is None
    await three_checkpoints(books)
    async with books.store() as store:
        assert await books.process(store).ahead() is None


async def test_one_that_went_back_is_behind_since_the_last_checkpoint_that_holds(
    went_back: Checkpointed,
) -> None:
    async with went_back.store() as store:
        ahead = await went_back.process(store).ahead()
    assert ahead is not None
    assert "cut back" in ahead.fault
    assert ahead.sound_at == signed_in(went_back, 1).checkpoint.at


async def test_an_empty_database_beside_checkpoints_lacks_everything(
    books: Checkpointed, tmp_path: Path
) -> None:
    await three_checkpoints(books)
    books.path.unlink()
    async with books.store() as store:
        ahead = await books.process(store).ahead()
    assert ahead is not None
    assert ahead.sound_at is None


async def test_after_a_restart_the_books_are_held_against_what_was_signed_since(
    went_back: Checkpointed,
) -> None:
    assert len(await went_back.faults()) > 0
    async with went_back.store() as store:
        process = went_back.process(store)
        with pytest.raises(BrokenInvariant):
            await process.make_or_raise()
        await process.restart()
        assert await process.ahead() is None
        assert (await process.make()).checkpoints == ()
        # Another process learns it from the log.
        assert (await went_back.process(store).make()).faults == ()
    assert await went_back.faults() == []
    restart = signed_in(went_back, 4)
    assert restart.checkpoint.restart
    assert not signed_in(went_back, 3).checkpoint.restart


async def test_what_is_falsified_after_a_restart_still_shows(went_back: Checkpointed) -> None:
    async with went_back.store() as store:
        await went_back.process(store).restart()
        stream = stream_of("payment", went_back.world.open_payment)
        await more_of(store, stream)
        await went_back.process(store).make()
    earlier = went_back.path.with_name("earlier.sqlite")
    shutil.copy(earlier, went_back.path)
    assert any(stream in fault for fault in await went_back.faults())
