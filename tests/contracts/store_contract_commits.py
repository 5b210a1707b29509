"""What every Store promises about writing: all or nothing, proved conflicts (M23, M24).

A store's test module subclasses ``CommitContract`` and provides the fixture ``store``.
"""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from roadcall_payments.commit import (
    Committed,
    Conflict,
    IdempotencyOpened,
    InboxInsert,
    InboxStatus,
    InboxUpdate,
    RefAdded,
    Unique,
)
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.journal import chain_breaks
from roadcall_payments.ports import Store
from tests.builders import (
    anomaly,
    commit_of,
    head_after,
    new_payment_write,
    next_write,
    payment_of,
    payment_write,
    scored,
    stray_money,
)
from tests.contracts.store_contract_rows import SCOPE, laden, rival_of, rows_of_rival, rows_present


class CommitContract:
    async def test_a_commit_is_stored_whole(self, store: Store) -> None:
        rows = laden()
        assert await store.commit([rows.commit]) == [Committed()]
        assert all(await rows_present(store, rows))

        loaded = await store.load(rows.first.stream)
        assert loaded is not None
        assert loaded.state == rows.first.state
        assert loaded.head == head_after(rows.first)
        assert tuple(await store.journal(rows.first.stream)) == rows.first.entries
        assert await store.resolve(rows.ref) == rows.first.stream
        assert isinstance(rows.commit.inbox, InboxInsert)
        assert await store.inbox_event(rows.event_id) == rows.commit.inbox.event
        assert isinstance(rows.commit.idempotency, IdempotencyOpened)
        assert await store.idempotency(SCOPE, rows.key) == rows.commit.idempotency.record
        assert await store.texts([rows.text_id, "unknown"]) == {rows.text_id: "torn tyre"}
        notice = await store.notice(rows.notice_id)
        assert notice is not None
        assert notice.insert == rows.commit.notices[0]
        assert (notice.sent_at, notice.provider_id) == (None, None)

    async def test_several_streams_are_loaded_at_one_look(self, store: Store) -> None:
        rows = laden()
        await store.commit([rows.commit])
        own = [write.stream for write in rows.commit.streams]
        found = await store.load_all([*own, "payment/nobody"])
        assert {stream: found.get(stream) for stream in own} == {
            stream: await store.load(stream) for stream in own
        }
        assert "payment/nobody" not in found

    async def test_what_is_unknown_is_none(self, store: Store) -> None:
        assert await store.load("payment/nobody") is None
        assert not await store.load_all(["payment/nobody"])
        assert not await store.load_all([])
        assert await store.journal("payment/nobody") == []
        assert await store.resolve("nobody") is None
        assert await store.inbox_event("nobody") is None
        assert await store.idempotency("nobody", "nobody") is None
        assert await store.notice("nobody") is None
        assert await store.texts([]) == {}

    async def test_an_empty_batch_writes_nothing(self, store: Store) -> None:
        assert list(await store.commit([])) == []

    async def test_postings_come_back_with_their_entries(self, store: Store) -> None:
        first = new_payment_write()
        second = next_write(first, scored(), stray_money(), anomaly(), stray_money(5, "ch_other"))
        assert await store.commit([commit_of(first), commit_of(second)]) == [Committed()] * 2
        assert tuple(await store.journal(first.stream)) == (*first.entries, *second.entries)
        assert chain_breaks(await store.journal(first.stream)) == []

    async def test_the_journal_is_read_in_pages(self, store: Store) -> None:
        first = new_payment_write()
        second = next_write(first, *[anomaly(f"a{n}") for n in range(6)])
        await store.commit([commit_of(first), commit_of(second)])
        assert [entry.seq for entry in await store.journal(first.stream, 2, 3)] == [3, 4, 5]
        assert [entry.seq for entry in await store.journal(first.stream, 5)] == [6, 7]
        assert await store.journal(first.stream, 7) == []

    # --- all or nothing (M23) ------------------------------------------------------------------

    @pytest.mark.parametrize(
        "lost", ["first stream", "second stream", "ref", "inbox insert", "inbox update", "key"]
    )
    async def test_a_commit_that_loses_one_row_leaves_none(self, store: Store, lost: str) -> None:
        rows, neighbour_before, neighbour_after = laden(), laden(), laden()
        commit = rows.commit
        rival, expected = rival_of(rows, lost)
        if lost == "inbox update":
            commit = replace(
                commit,
                inbox=InboxUpdate(rows.event_id, InboxStatus.APPLIED, None, 1, rows.first.stream),
            )
        assert await store.commit([rival]) == [Committed()]

        results = await store.commit([neighbour_before.commit, commit, neighbour_after.commit])

        assert results == [Committed(), expected, Committed()]
        assert all(await rows_present(store, neighbour_before))
        assert all(await rows_present(store, neighbour_after))
        there = [
            present
            for present, of_rival in zip(
                await rows_present(store, rows), rows_of_rival(rows, rival), strict=True
            )
            if not of_rival
        ]
        assert not any(there)

    @pytest.mark.parametrize(
        "lost", ["first stream", "second stream", "ref", "inbox insert", "key"]
    )
    async def test_of_two_in_one_batch_the_first_wins(self, store: Store, lost: str) -> None:
        rows = laden()
        rival, expected = rival_of(rows, lost)
        neighbour = laden()
        results = await store.commit([rival, rows.commit, neighbour.commit])
        assert results == [Committed(), expected, Committed()]
        assert await store.notice(rows.notice_id) is None
        assert all(await rows_present(store, neighbour))

    async def test_a_true_follower_in_the_same_batch_is_applied(self, store: Store) -> None:
        first = new_payment_write()
        second = next_write(first, scored())
        third = next_write(second, anomaly())
        results = await store.commit([commit_of(write) for write in (first, second, third)])
        assert results == [Committed()] * 3
        loaded = await store.load(first.stream)
        assert loaded is not None
        assert (loaded.head, loaded.state) == (head_after(third), third.state)

    async def test_who_follows_a_loser_loses_too(self, store: Store) -> None:
        first, other = new_payment_write(), new_payment_write()
        taken = RefAdded("job", other.stream)
        loser = next_write(first, anomaly())
        follower = next_write(loser, anomaly("follows the loser"))
        results = await store.commit(
            [
                replace(commit_of(other), refs_added=(taken,)),
                commit_of(first),
                replace(commit_of(loser), refs_added=(RefAdded("job", first.stream),)),
                commit_of(follower),
            ]
        )
        lost = [Conflict(Unique.REF, "job"), Conflict(Unique.STREAM, first.stream)]
        assert results == [Committed(), Committed(), *lost]
        assert tuple(await store.journal(first.stream)) == first.entries

    async def test_a_broken_chain_fails_alone(self, store: Store) -> None:
        first = new_payment_write()
        assert await store.commit([commit_of(first)]) == [Committed()]
        other_head = replace(head_after(first), hash="f" * 64)
        forged = payment_write(payment_of(first.state), other_head, [anomaly()])
        before, after = laden(), laden()
        with pytest.raises(BrokenInvariant):
            await store.commit([before.commit, commit_of(forged), after.commit])
        assert all(await rows_present(store, before))
        assert all(await rows_present(store, after))
        assert tuple(await store.journal(first.stream)) == first.entries

    # --- conflicts are proved (M24) --------------------------------------------------------------

    async def test_repeating_ones_own_commit_is_committed(self, store: Store) -> None:
        rows = laden()
        assert await store.commit([rows.commit]) == [Committed()]
        assert await store.commit([rows.commit, rows.commit]) == [Committed()] * 2
        assert len(await store.journal(rows.first.stream)) == 1

        # Still so when the streams have moved on since.
        later = next_write(rows.first, scored())
        assert await store.commit([commit_of(later)]) == [Committed()]
        assert await store.commit([rows.commit]) == [Committed()]
        loaded = await store.load(rows.first.stream)
        assert loaded is not None
        assert (loaded.head, loaded.state) == (head_after(later), later.state)

    async def test_a_repeat_in_one_batch_is_written_once(self, store: Store) -> None:
        rows = laden()
        assert await store.commit([rows.commit, rows.commit]) == [Committed()] * 2
        assert len(await store.journal(rows.first.stream)) == 1

    async def test_the_same_facts_under_other_event_ids_conflict(self, store: Store) -> None:
        first = new_payment_write()
        await store.commit([commit_of(first)])
        mine, theirs = next_write(first, scored()), next_write(first, scored())
        assert await store.commit([commit_of(theirs)]) == [Committed()]
        lost = Conflict(Unique.STREAM, first.stream)
        assert await store.commit([commit_of(mine)]) == [lost]

    async def test_half_a_repeat_is_a_conflict(self, store: Store) -> None:
        ours, theirs = new_payment_write(), new_payment_write()
        await store.commit([commit_of(ours), commit_of(theirs)])
        mine = next_write(ours, scored())
        rival = next_write(theirs, anomaly())
        await store.commit([commit_of(mine), commit_of(rival)])
        both = commit_of(mine, next_write(theirs, scored()))
        (result,) = await store.commit([both])
        assert isinstance(result, Conflict)
        assert result.unique is Unique.STREAM

    # --- contention ----------------------------------------------------------------------------

    async def test_of_200_writers_one_wins_each_place(self, store: Store) -> None:
        first = new_payment_write()
        await store.commit([commit_of(first)])
        writes = [next_write(first, anomaly(f"by {n}")) for n in range(200)]
        outcomes = await asyncio.gather(*[store.commit([commit_of(write)]) for write in writes])
        lost = Conflict(Unique.STREAM, first.stream)
        results = [result for (result,) in outcomes]
        assert results.count(Committed()) == 1
        assert results.count(lost) == 199
        winner = writes[results.index(Committed())]
        assert tuple(await store.journal(first.stream)) == (*first.entries, *winner.entries)

    async def test_writers_who_decide_again_all_get_in(self, store: Store) -> None:
        first = new_payment_write()
        await store.commit([commit_of(first)])

        async def append(name: str) -> None:
            while True:
                loaded = await store.load(first.stream)
                assert loaded is not None
                write = payment_write(payment_of(loaded.state), loaded.head, [anomaly(name)])
                (result,) = await store.commit([commit_of(write)])
                if result == Committed():
                    return
                assert result == Conflict(Unique.STREAM, first.stream)

        await asyncio.gather(*[append(f"by {n}") for n in range(20)])
        entries = await store.journal(first.stream)
        assert len(entries) == 21
        assert chain_breaks(entries) == []
        loaded = await store.load(first.stream)
        assert loaded is not None
        assert sorted(payment_of(loaded.state).anomalies) == sorted(f"by {n}" for n in range(20))
