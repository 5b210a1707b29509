"""What a checkpoint signs, and when: every head that changed, once, by whichever process (M30)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from roadcall_payments.checkpoint import (
    HEADS_MAX,
)
from roadcall_payments.checkpoint_files.log import FileCheckpointLog
from roadcall_payments.commit import stream_of
from roadcall_payments.ports import Store, Stored
from roadcall_payments.stores.sqlite.store import SqliteStore
from tests.builders import commit_of, new_payment_write
from tests.fakes.manual_clock import ManualClock
from tests.workflows.checkpointed import (
    HOUR,
    Checkpointed,
    heads_in,
    more_of,
    signed_in,
    three_checkpoints,
)

# --- what is signed ----------------------------------------------------------------------------


async def test_the_first_checkpoint_has_every_head_and_the_next_only_what_changed(
    books: Checkpointed,
) -> None:
    async with books.store() as store:
        before = await heads_in(store)
    first, second = await three_checkpoints(books)
    assert {one.stream: one.head for one in signed_in(books, 1).heads} == before
    assert [one.stream for one in signed_in(books, 2).heads] == [first]
    assert [one.stream for one in signed_in(books, 3).heads] == [second]
    assert await books.faults() == []


async def test_nothing_changed_makes_no_checkpoint(books: Checkpointed) -> None:
    async with books.store() as store:
        process = books.process(store)
        assert len((await process.make()).checkpoints) == 1
        assert (await process.make()).checkpoints == ()
        assert (await books.process(store).make()).checkpoints == ()
    assert not books.file(2).exists()


async def test_an_empty_journal_makes_none_and_holds(tmp_path: Path, books: Checkpointed) -> None:
    empty = Checkpointed(tmp_path / "empty" / "roadcall.sqlite", books.world)
    assert await empty.make() == ()
    assert not empty.directory.exists()
    assert not empty.key_file.exists()
    assert await empty.faults() == []


async def test_more_heads_than_a_checkpoint_holds_make_several(
    tmp_path: Path, books: Checkpointed
) -> None:
    many = Checkpointed(tmp_path / "many" / "roadcall.sqlite", books.world)
    async with many.store() as store:
        writes = [new_payment_write(incident_id=f"in_{n}") for n in range(HEADS_MAX + 1)]
        for start in range(0, len(writes), 1_000):
            await store.commit([commit_of(write) for write in writes[start : start + 1_000]])
        made = await many.process(store).make()
        assert [one.size for one in made.checkpoints] == [HEADS_MAX, 1]
        assert (await many.process(store).hold()).faults == ()


class SlowPages(SqliteStore):
    """Gives one stream a page; ``meanwhile`` happens once, when half of them have passed."""

    def __init__(self, path: Path, meanwhile: Callable[[Store, str], Awaitable[None]]) -> None:
        super().__init__(path, 5.0)
        self._meanwhile = meanwhile
        self._pages = 0

    async def streams(self, after: str = "", limit: int = 500) -> Sequence[Stored]:
        self._pages += 1
        if self._pages == 4:
            await self._meanwhile(self, after)
        return await super().streams(after, 1)


async def test_what_is_written_behind_the_pages_is_in_the_next_checkpoint(
    books: Checkpointed,
) -> None:
    passed: list[str] = []

    async def meanwhile(store: Store, after: str) -> None:
        """A new stream before the page, and a passed one that grows: neither can be seen now."""
        await more_of(store, after)
        first = new_payment_write("00000000-0000-7000-8000-000000000000", incident_id="in_new")
        await store.commit([commit_of(first)])
        passed.extend([after, first.stream])

    store = SlowPages(books.path, meanwhile)
    try:
        process = books.process(store)
        await process.make()
        second = await process.make()
        assert [one.size for one in second.checkpoints] == [2]
        assert {one.stream for one in signed_in(books, 2).heads} == set(passed)
        assert (await process.hold()).faults == ()
    finally:
        await store.close()


async def test_two_processes_and_a_busy_writer_leave_one_chain_that_misses_nothing(
    books: Checkpointed,
) -> None:
    streams = [
        stream_of("payment", one) for one in (books.world.driver_payment, books.world.open_payment)
    ]
    async with books.store() as store:
        processes = [books.process(store), books.process(store)]

        async def write() -> None:
            for n in range(20):
                await more_of(store, streams[n % 2])

        async def make_often(own: int) -> None:
            for _ in range(10):
                assert (await processes[own].make()).faults == ()

        await asyncio.gather(write(), make_often(0), make_often(1))
        await processes[0].make()
        held = await processes[1].hold()
        assert held.faults == ()
        last = {
            one.stream: one.head
            for number in range(1, held.count + 1)
            for one in signed_in(books, number).heads
        }
        assert last == await heads_in(store)


class Overtaken(FileCheckpointLog):
    """Just before our first append, another process makes its checkpoint."""

    def __init__(self, directory: Path, other: Callable[[], Awaitable[object]]) -> None:
        super().__init__(directory)
        self._other: Callable[[], Awaitable[object]] | None = other

    async def append(self, number: int, document: bytes) -> bool:
        other, self._other = self._other, None
        if other is not None:
            await other()
        return await super().append(number, document)


async def test_who_is_overtaken_signs_nothing_twice(books: Checkpointed) -> None:
    async with books.store() as store:
        log = Overtaken(books.directory, books.process(store).make)
        assert (await books.process(store, log).make()).checkpoints == ()
        assert (await books.process(store).hold()).count == 1


async def test_who_is_overtaken_signs_no_older_head_than_the_other(books: Checkpointed) -> None:
    stream = stream_of("payment", books.world.open_payment)
    async with books.store() as store:
        other = books.process(store)
        await other.make()
        await more_of(store, stream)

        async def other_signs_a_later_head() -> None:
            await more_of(store, stream)
            await other.make()

        log = Overtaken(books.directory, other_signs_a_later_head)
        assert (await books.process(store, log).make()).checkpoints == ()
        assert [one.head for one in signed_in(books, 2).heads] == [(await heads_in(store))[stream]]
        assert (await books.process(store).hold()).faults == ()


# --- when --------------------------------------------------------------------------------------


async def test_one_is_made_an_interval_after_the_last_whoever_made_it(
    books: Checkpointed,
) -> None:
    clock = ManualClock()
    books.clock = clock
    hour = HOUR.total_seconds()
    stream = stream_of("payment", books.world.open_payment)
    async with books.store() as store:
        process = books.process(store)
        assert await process.attend() == hour
        clock.advance(hour / 4)
        await more_of(store, stream)
        # Also after a restart, and in another worker.
        assert await process.attend() == await books.process(store).attend() == hour * 3 / 4
        assert not books.file(2).exists()
        clock.advance(hour * 3 / 4)
        assert await process.attend() == hour
        assert books.file(2).exists()


async def test_a_clock_that_was_set_back_silences_nobody_for_long(books: Checkpointed) -> None:
    clock = ManualClock()
    books.clock = clock
    async with books.store() as store:
        await books.process(store).make()
        clock.advance(-10 * HOUR.total_seconds())
        assert await books.process(store).attend() == HOUR.total_seconds()
