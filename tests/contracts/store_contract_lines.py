"""What every Store promises of a book's lines and of what refs list: order, bounds, pages.

A store's test module subclasses ``LinesContract`` and provides the fixture ``store``.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from roadcall_payments.commit import Commit, RefAdded
from roadcall_payments.domain.errors import InvalidInput
from roadcall_payments.ports import BookLine, LineQuery, Store
from tests.builders import NOON, commit_of, minutes, new_payment_write, next_write, stray_money

BOOK = "acct_platform"


async def all_lines(store: Store, query: LineQuery) -> list[BookLine]:
    found: list[BookLine] = []
    while True:
        page = await store.lines(query)
        assert len(page.items) <= query.limit
        found += page.items
        if page.next_cursor is None:
            return found
        assert len(page.items) == query.limit
        query = replace(query, cursor=page.next_cursor)


async def write_book(store: Store) -> list[int]:
    """Stray money of 1, 2, ... cents a minute apart, in three streams; the minutes' amounts."""
    streams = [new_payment_write(at=NOON) for _ in range(3)]
    for written in streams:
        await store.commit([commit_of(written)])
    for minute in range(1, 10):
        last = streams[minute % 3]
        fact = stray_money(minute, f"ch_{minute}")
        streams[minute % 3] = next_write(last, fact, at=NOON + minutes(minute))
        await store.commit([commit_of(streams[minute % 3])])
    return list(range(1, 10))


class LinesContract:
    async def test_a_books_lines_come_in_the_order_of_time(self, store: Store) -> None:
        amounts = await write_book(store)
        lines = await all_lines(store, LineQuery(BOOK, account="suspense:stray", limit=4))
        assert [-line.posting.amount_cents for line in lines] == amounts
        assert [line.at for line in lines] == [NOON + minutes(one) for one in amounts]
        assert {line.type for line in lines} == {"StrayMoneyObserved"}
        first = lines[0]
        (entry,) = await store.journal(first.stream, first.seq - 1, 1)
        assert first.posting in entry.postings

    async def test_filters_of_lines_are_joined_and_since_is_included(self, store: Store) -> None:
        await write_book(store)
        both = await all_lines(store, LineQuery(BOOK, limit=3))
        assert len(both) == 18
        assert sum(line.posting.amount_cents for line in both) == 0
        query = LineQuery(BOOK, account="suspense:stray", limit=2)
        some = replace(query, since=NOON + minutes(3), until=NOON + minutes(6))
        assert [-line.posting.amount_cents for line in await all_lines(store, some)] == [3, 4, 5]
        assert await all_lines(store, replace(query, currency="jpy")) == []
        assert len(await all_lines(store, replace(query, currency="usd"))) == 9
        assert await all_lines(store, replace(query, book="acct_other")) == []

    async def test_lines_of_one_instant_are_told_apart_by_the_cursor(self, store: Store) -> None:
        for _ in range(5):
            written = new_payment_write(at=NOON)
            await store.commit([commit_of(written)])
            await store.commit([commit_of(next_write(written, stray_money(), at=NOON))])
        lines = await all_lines(store, LineQuery(BOOK, limit=1))
        assert len(lines) == len(set(lines)) == 10
        assert lines == await all_lines(store, LineQuery(BOOK, limit=100))

    async def test_refs_are_listed_by_prefix_the_last_key_first(self, store: Store) -> None:
        streams = [new_payment_write(at=NOON) for _ in range(5)]
        for number, written in enumerate(streams):
            key = f"listed:a:{number:03d}" if number < 4 else "listed:b:000"
            refs = (RefAdded(key, written.stream),)
            await store.commit([Commit(streams=(written,), refs_added=refs)])
        names = [written.stream for written in streams]
        page = await store.listed("listed:a:", None, 3)
        assert page.items == (names[3], names[2], names[1])
        rest = await store.listed("listed:a:", page.next_cursor, 3)
        assert (rest.items, rest.next_cursor) == ((names[0],), None)
        assert (await store.listed("listed:b:", None, 3)).items == (names[4],)
        assert (await store.listed("listed:", None, 1)).items == (names[4],)
        assert (await store.listed("nothing:", None, 1)).items == ()

    async def test_another_lists_cursor_is_refused(self, store: Store) -> None:
        await write_book(store)
        page = await store.lines(LineQuery(BOOK, limit=1))
        with pytest.raises(InvalidInput):
            await store.listed("listed:", page.next_cursor, 1)
        with pytest.raises(InvalidInput):
            await store.lines(LineQuery(BOOK, cursor="bm90aGluZw"))
