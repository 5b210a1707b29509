"""Checkpoints see what nothing in the database can: streams that vanished, were cut back or
written anew by somebody who has all of it in their hands; and they see to themselves (M30)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from roadcall_payments.checkpoint import (
    SignedCheckpoint,
    StreamHead,
    draw_up,
    encode_checkpoint,
    statement,
)
from roadcall_payments.checkpoint_files.keys import FileCheckpointKeys
from roadcall_payments.commit import stream_of
from roadcall_payments.domain.errors import BrokenInvariant, InvalidInput
from roadcall_payments.journal import Head
from tests.builders import NOON
from tests.workflows.checkpointed import (
    Checkpointed,
    cut_back,
    delete_stream,
    heads_in,
    more_of,
    open_falsified,
    rewrite_stream,
    signed_in,
    three_checkpoints,
)

# --- somebody with the whole database ----------------------------------------------------------


async def test_a_vanished_stream_is_named(books: Checkpointed) -> None:
    stream = stream_of("payment", books.world.back_office_payment)
    await books.make()
    delete_stream(books.path, stream)
    assert await books.faults() == [f"{stream}: it vanished: checkpoint 1 signed it at seq 6"]


async def test_a_stream_of_several_checkpoints_is_told_of_once(books: Checkpointed) -> None:
    stream, _ = await three_checkpoints(books)
    delete_stream(books.path, stream)
    assert await books.faults() == [f"{stream}: it vanished: checkpoint 1 signed it at seq 9"]


async def test_a_stream_that_was_cut_back_is_named(books: Checkpointed) -> None:
    stream = stream_of("payment", books.world.open_payment)
    await books.make()
    cut_back(books.path, stream, 4)
    assert await books.faults() == [
        f"{stream}: it was cut back: checkpoint 1 signed it at seq 5, but its journal ends at seq 4"
    ]


async def test_a_history_written_anew_with_fitting_hashes_is_named(books: Checkpointed) -> None:
    stream = stream_of("payment", books.world.open_payment)
    await books.make()
    rewrite_stream(books.path, stream, b"acct_1TowTruck", b"acct_thief")
    was = {one.stream: one.head.hash for one in signed_in(books, 1).heads}[stream]
    async with books.store() as store:
        now = (await heads_in(store))[stream].hash
    assert await books.faults() == [
        f"{stream} seq 5: its history was rewritten: its hash is {now}, "
        f"but checkpoint 1 signed {was}"
    ]


async def test_a_rewritten_stream_that_grew_since_is_still_found(books: Checkpointed) -> None:
    stream = stream_of("payment", books.world.open_payment)
    await books.make()
    rewrite_stream(books.path, stream, b"acct_1TowTruck", b"acct_thief")
    async with books.store() as store:
        await more_of(store, stream)
    (fault,) = await books.faults()
    assert fault.startswith(f"{stream} seq 5: its history was rewritten")


async def test_a_database_from_an_older_backup_is_behind_its_checkpoints(
    books: Checkpointed,
) -> None:
    backup = shutil.copy(books.path, books.path.with_suffix(".backup"))
    first, second = await three_checkpoints(books)
    shutil.copy(backup, books.path)
    faults = await books.faults()
    assert sorted(fault.partition(":")[0] for fault in faults) == sorted([first, second])
    assert all("it was cut back" in fault for fault in faults)


async def test_an_entry_missing_in_the_middle_is_named(books: Checkpointed) -> None:
    stream, _ = await three_checkpoints(books)
    head = {one.stream: one.head for one in signed_in(books, 1).heads}[stream]
    db = open_falsified(books.path)
    with db:
        for table in ("postings", "journal"):
            db.execute(f"DELETE FROM {table} WHERE stream = ? AND seq = ?", (stream, head.seq))
    db.close()
    async with books.store() as store:
        assert (await books.process(store).hold()).faults == (
            f"{stream} seq {head.seq}: checkpoint 1 signed this entry, and it is missing",
        )


async def test_a_forged_stream_is_left_out_and_told_of_and_the_others_are_signed(
    books: Checkpointed,
) -> None:
    forged, other = (
        stream_of("payment", one) for one in (books.world.open_payment, books.world.driver_payment)
    )
    await books.make()
    rewrite_stream(books.path, forged, b"acct_1TowTruck", b"acct_thief")
    async with books.store() as store:
        await more_of(store, forged)
        await more_of(store, other)
        with pytest.raises(BrokenInvariant, match=r"1 streams contradict .* was rewritten"):
            await books.process(store).make_or_raise()
        # And again, for as long as it is so.
        again = await books.process(store).make()
    assert [one.stream for one in signed_in(books, 2).heads] == [other]
    assert again.checkpoints == ()
    assert [fault.partition(" ")[0] for fault in again.faults] == [forged]


# --- somebody with the whole directory ---------------------------------------------------------


async def test_a_removed_checkpoint_shows(books: Checkpointed) -> None:
    await three_checkpoints(books)
    books.file(2).unlink()
    assert await books.faults() == ["checkpoint 2: it was removed"]
    books.file(1).unlink()
    assert await books.faults() == ["checkpoints 1 to 2: they were removed"]


async def test_a_removed_end_shows_in_the_copy_of_the_newest(books: Checkpointed) -> None:
    await three_checkpoints(books)
    books.file(3).unlink()
    assert await books.faults() == ["checkpoint 3: it was removed"]


async def test_a_removed_copy_shows(books: Checkpointed) -> None:
    await three_checkpoints(books)
    books.newest_copy.unlink()
    (fault,) = await books.faults()
    assert "copy of the newest is missing or was altered" in fault


Replaced = Callable[[bytes], bytes]


@pytest.mark.parametrize(
    ("alter", "words"),
    [
        (lambda data: data.replace(b",6,", b",5,"), "it was altered: its heads do not give"),
        (lambda data: data.replace(b'"at":"20', b'"at":"19'), "its signature is not of our key"),
        (lambda data: data + b"\n", "it was altered"),
        (lambda data: data[: len(data) // 2], "it was altered"),
        (lambda data: b"", "it was altered"),
    ],
    ids=["a head", "the time", "a line break", "half of it", "nothing left"],
)
async def test_an_altered_checkpoint_shows(
    books: Checkpointed, alter: Replaced, words: str
) -> None:
    await three_checkpoints(books)
    whole = books.file(1).read_bytes()
    assert alter(whole) != whole
    overwrite(books.file(1), alter(whole))
    (fault,) = await books.faults()
    assert fault.startswith(f"checkpoint 1: {words}")


async def test_a_checkpoint_of_another_key_shows_and_its_heads_accuse_nobody(
    books: Checkpointed, tmp_path: Path
) -> None:
    await three_checkpoints(books)
    forger = FileCheckpointKeys(tmp_path / "forger.pem", makes_key=True)
    heads = [StreamHead("payment/never-was", Head(1, "a" * 64))]
    checkpoint, ordered = draw_up(signed_in(books, 1).checkpoint, NOON, heads)
    forged = SignedCheckpoint(checkpoint, ordered, await forger.sign(statement(checkpoint)))
    overwrite(books.file(2), encode_checkpoint(forged))
    assert await books.faults() == [
        "checkpoint 2: its signature is not of our key: it was altered, or signed with another"
    ]


async def test_a_checkpoint_in_the_place_of_another_shows(books: Checkpointed) -> None:
    await three_checkpoints(books)
    overwrite(books.file(2), books.file(1).read_bytes())
    assert await books.faults() == ["checkpoint 2: it was replaced by checkpoint 1"]


async def test_checkpoints_of_two_logs_do_not_pass_for_one(books: Checkpointed) -> None:
    """Both are of our key, so only the chain tells: an older database's log, put in between."""
    await three_checkpoints(books)
    kept = {number: books.file(number).read_bytes() for number in (1, 2, 3)}
    shutil.rmtree(books.directory)
    await books.make()
    for number in (2, 3):
        overwrite(books.file(number), kept[number])
    assert "checkpoint 2: it does not follow the checkpoint before it" in await books.faults()


async def test_a_planted_number_far_away_is_judged_in_no_time(books: Checkpointed) -> None:
    await three_checkpoints(books)
    overwrite(books.file(9_999_999_999), b"{}")
    faults = await books.faults()
    assert faults[0] == "checkpoints 4 to 9999999998: they were removed"
    assert faults[1].startswith("checkpoint 9999999999: it was altered")


@pytest.mark.parametrize("lost", [1, 3], ids=["the first", "the last"])
async def test_a_log_that_is_not_whole_takes_no_more(books: Checkpointed, lost: int) -> None:
    stream, _ = await three_checkpoints(books)
    async with books.store() as store:
        process = books.process(store)
        await process.make()
        await more_of(store, stream)
        books.file(lost).unlink()
        # Neither from a new process, nor from one that has read the log when it was whole.
        for one in (books.process(store), process):
            with pytest.raises(BrokenInvariant, match=f"checkpoint {lost}: it was removed"):
                await one.make()
    assert not books.file(4).exists()


async def test_a_process_knows_its_last_checkpoint_again(books: Checkpointed) -> None:
    stream, _ = await three_checkpoints(books)
    async with books.store() as store:
        process = books.process(store)
        await process.make()
        # Another log of our own key, as long as ours.
        shutil.rmtree(books.directory)
        for _ in range(3):
            await more_of(store, stream)
            await books.process(store).make()
        with pytest.raises(BrokenInvariant, match="checkpoint 3: it is not the one that was made"):
            await process.make()


async def test_a_lost_key_is_not_replaced_in_silence(books: Checkpointed) -> None:
    stream, _ = await three_checkpoints(books)
    books.key_file.unlink()
    async with books.store() as store:
        await more_of(store, stream)
        for attempt in (books.process(store).make, books.process(store).hold):
            with pytest.raises(InvalidInput) as refused:
                await attempt()
            assert refused.value.field == "ROADCALL_CHECKPOINT_KEY_FILE"
    assert not books.key_file.exists()


def overwrite(file: Path, data: bytes) -> None:
    """Root may write a read-only file, others not: it is replaced, as an attacker would."""
    file.unlink(missing_ok=True)
    file.write_bytes(data)
