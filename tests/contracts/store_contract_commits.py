"""What every Store promises about writing (M11, M14, M23, M24, M31).

A store's test module subclasses ``CommitContract`` and provides the fixture ``store``.
"""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass, replace

import pytest

from roadcall_payments.commit import (
    Commit,
    Committed,
    Conflict,
    IdempotencyAnswered,
    IdempotencyOpened,
    IdempotencyRecord,
    InboxEvent,
    InboxInsert,
    InboxStatus,
    InboxUpdate,
    NoticeInsert,
    RefAdded,
    StreamWrite,
    TextWrite,
    Unique,
    job_ref,
    stripe_ref,
)
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.journal import chain_breaks
from roadcall_payments.ports import Claim, Queue, Store
from tests.builders import (
    NOON,
    anomaly,
    commit_of,
    head_after,
    minutes,
    new_id,
    new_payment_write,
    next_write,
    payment_of,
    payment_write,
    scored,
    stray_money,
)


def inbox_taken(event_id: str, status: InboxStatus = InboxStatus.APPLIED) -> InboxInsert:
    event = InboxEvent(
        event_id=event_id,
        type="payment_intent.succeeded",
        origin="platform",
        received_at=NOON,
        body=b'{"id": "\x00\xff not even text"}',
        status=status,
        reason="stripe_unavailable" if status is InboxStatus.WAITING else None,
        stream="payment/of_the_event",
    )
    return InboxInsert(event, NOON + minutes(1) if status is InboxStatus.WAITING else None)


def key_opened(key: str, scope: str = "us_1 POST /payments") -> IdempotencyOpened:
    return IdempotencyOpened(IdempotencyRecord(scope, key, "digest", "payment/keyed", NOON))


def notice_for(stream: str, notice_id: str) -> NoticeInsert:
    return NoticeInsert(
        notice_id, stream, "email", "ve_1", "payment_completed", '{"amount": 1}', NOON
    )


@dataclass(frozen=True)
class Laden:
    """A commit with a row of every kind."""

    first: StreamWrite
    second: StreamWrite
    ref: str
    event_id: str
    key: str
    text_id: str
    notice_id: str
    commit: Commit


def laden() -> Laden:
    name = new_id()
    first, second = new_payment_write(due_at=NOON), new_payment_write(due_at=NOON)
    commit = Commit(
        streams=(first, second),
        refs_added=(RefAdded(f"ref-{name}", first.stream),),
        inbox=inbox_taken(f"evt_{name}"),
        idempotency=key_opened(f"key-{name}"),
        texts=(TextWrite(f"text-{name}", first.stream, "torn tyre", "00ff"),),
        notices=(notice_for(first.stream, f"notice-{name}"),),
    )
    return Laden(
        first,
        second,
        f"ref-{name}",
        f"evt_{name}",
        f"key-{name}",
        f"text-{name}",
        f"notice-{name}",
        commit,
    )


SCOPE = "us_1 POST /payments"


async def rows_present(store: Store, rows: Laden) -> list[bool]:
    """For each row of a laden commit whether it is there."""
    queued = {(claim.queue, claim.key) for claim in await everything_due(store)}
    streams = [rows.first.stream, rows.second.stream]
    work = [(queue, key) for queue in (Queue.OUTBOX, Queue.ATTENTION) for key in streams]
    work.append((Queue.NOTICES, rows.notice_id))
    return [
        *[await store.load(write.stream) is not None for write in (rows.first, rows.second)],
        *[bool(await store.journal(write.stream)) for write in (rows.first, rows.second)],
        await store.resolve(rows.ref) is not None,
        await store.inbox_event(rows.event_id) is not None,
        await store.idempotency(SCOPE, rows.key) is not None,
        rows.text_id in await store.texts([rows.text_id]),
        await store.notice(rows.notice_id) is not None,
        *[piece in queued for piece in work],
    ]


async def everything_due(store: Store) -> list[Claim]:
    """Claims all that is due, with leases that have run out at once."""
    later = NOON + minutes(60 * 24 * 365)
    return [
        claim
        for queue in Queue
        for claim in await store.claim(queue, now=later, lease_s=0, limit=1000, worker="looker")
    ]


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

    async def test_what_is_unknown_is_none(self, store: Store) -> None:
        assert await store.load("payment/nobody") is None
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

    # --- refs (M11, M14) -----------------------------------------------------------------------

    async def test_a_ref_is_unique_while_held(self, store: Store) -> None:
        job = job_ref("in_1", "ve_1")
        holder, other = new_payment_write(), new_payment_write()
        taken = replace(commit_of(holder), refs_added=(RefAdded(job, holder.stream),))
        refused = replace(commit_of(other), refs_added=(RefAdded(job, other.stream),))
        assert await store.commit([taken]) == [Committed()]
        assert await store.commit([refused]) == [Conflict(Unique.REF, job)]
        assert await store.resolve(job) == holder.stream

        again = next_write(holder, scored())
        kept = replace(commit_of(again), refs_added=(RefAdded(job, holder.stream),))
        assert await store.commit([kept]) == [Committed()]

        freed = replace(commit_of(next_write(again, anomaly())), refs_removed=(job,))
        assert await store.commit([freed, refused]) == [Committed(), Committed()]
        assert await store.resolve(job) == other.stream

    async def test_only_the_holder_frees_a_ref(self, store: Store) -> None:
        holder, stranger = new_payment_write(), new_payment_write()
        ref = stripe_ref("acct_1", False, "pi_1")
        await store.commit([replace(commit_of(holder), refs_added=(RefAdded(ref, holder.stream),))])
        by_stranger = replace(commit_of(stranger), refs_removed=(ref, "never held"))
        assert await store.commit([by_stranger]) == [Committed()]
        assert await store.resolve(ref) == holder.stream

    async def test_a_ref_moves_between_streams_of_one_commit(self, store: Store) -> None:
        old, new = new_payment_write(), new_payment_write()
        await store.commit([replace(commit_of(old), refs_added=(RefAdded("job", old.stream),))])
        moved = Commit(
            streams=(next_write(old, anomaly()), new),
            refs_removed=("job",),
            refs_added=(RefAdded("job", new.stream),),
        )
        assert await store.commit([moved]) == [Committed()]
        assert await store.resolve("job") == new.stream

    # --- inbox ---------------------------------------------------------------------------------

    async def test_an_event_is_taken_once(self, store: Store) -> None:
        taken = Commit(inbox=inbox_taken("evt_1"))
        assert await store.commit([taken]) == [Committed()]
        assert await store.commit([taken]) == [Conflict(Unique.INBOX, "evt_1")]

    async def test_a_waiting_event_gets_its_fate_once(self, store: Store) -> None:
        await store.commit([Commit(inbox=inbox_taken("evt_1", InboxStatus.WAITING))])
        applied = InboxUpdate("evt_1", InboxStatus.APPLIED, None, 2, "payment/1")
        assert await store.commit([Commit(inbox=applied)]) == [Committed()]
        event = await store.inbox_event("evt_1")
        assert event is not None
        expected = inbox_taken("evt_1", InboxStatus.APPLIED).event
        assert event == dataclasses.replace(expected, attempts=2, stream="payment/1")
        lost = Conflict(Unique.INBOX, "evt_1")
        assert await store.commit([Commit(inbox=applied)]) == [lost]

    async def test_a_person_may_retry_an_event_on_review(self, store: Store) -> None:
        await store.commit([Commit(inbox=inbox_taken("evt_1", InboxStatus.REVIEW))])
        retried = InboxUpdate("evt_1", InboxStatus.WAITING, "retried", 0, None, NOON)
        assert await store.commit([Commit(inbox=retried)]) == [Committed()]

    async def test_an_unknown_event_has_no_fate(self, store: Store) -> None:
        update = InboxUpdate("evt_0", InboxStatus.APPLIED, None, 1, None)
        assert await store.commit([Commit(inbox=update)]) == [Conflict(Unique.INBOX, "evt_0")]

    # --- idempotency keys (M31) ----------------------------------------------------------------

    async def test_a_key_is_opened_once_and_answered(self, store: Store) -> None:
        opened = key_opened("key-1")
        assert await store.commit([Commit(idempotency=opened)]) == [Committed()]
        lost = Conflict(Unique.IDEMPOTENCY, "key-1")
        rival = replace(opened, record=replace(opened.record, digest="other"))
        assert await store.commit([Commit(idempotency=rival)]) == [lost]

        answered = IdempotencyAnswered(SCOPE, "key-1", 201, 3)
        assert await store.commit([Commit(idempotency=answered)]) == [Committed()]
        assert await store.idempotency(SCOPE, "key-1") == replace(opened.record, status=201, seq=3)

    async def test_another_scope_has_keys_of_its_own(self, store: Store) -> None:
        here, there = key_opened("key-1", "us_1 POST /a"), key_opened("key-1", "us_2 POST /a")
        results = await store.commit([Commit(idempotency=here), Commit(idempotency=there)])
        assert results == [Committed()] * 2

    async def test_a_key_may_open_with_its_answer(self, store: Store) -> None:
        record = replace(key_opened("key-1").record, status=201, seq=1)
        await store.commit([Commit(idempotency=IdempotencyOpened(record))])
        assert await store.idempotency(SCOPE, "key-1") == record

    # --- notices -------------------------------------------------------------------------------

    async def test_a_notice_is_stored_once(self, store: Store) -> None:
        write = new_payment_write()
        once = replace(commit_of(write), notices=(notice_for(write.stream, "n1"),))
        second = next_write(write, scored())
        other = replace(notice_for(write.stream, "n1"), recipient="somebody else")
        again = replace(commit_of(second), notices=(other, notice_for(write.stream, "n2")))
        assert await store.commit([once]) == [Committed()]
        assert await store.commit([again]) == [Committed()]
        notice = await store.notice("n1")
        assert notice is not None
        assert notice.insert.recipient == "ve_1"
        assert await store.notice("n2") is not None

    async def test_a_notice_that_was_sent_says_so(self, store: Store) -> None:
        write = new_payment_write()
        await store.commit([replace(commit_of(write), notices=(notice_for(write.stream, "n1"),))])
        await store.notice_sent("n1", at=NOON + minutes(2), provider_id="smtp-7")
        notice = await store.notice("n1")
        assert notice is not None
        assert (notice.sent_at, notice.provider_id) == (NOON + minutes(2), "smtp-7")

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


def rival_of(rows: Laden, lost: str) -> tuple[Commit, Conflict]:
    """Who takes one of the rows before, and what the laden commit must then hear."""
    match lost:
        case "first stream" | "second stream":
            mine = rows.first if lost == "first stream" else rows.second
            theirs = new_payment_write(payment_of(mine.state).id, due_at=NOON)
            return commit_of(theirs), Conflict(Unique.STREAM, mine.stream)
        case "ref":
            theirs = new_payment_write()
            ref = RefAdded(rows.ref, theirs.stream)
            return replace(commit_of(theirs), refs_added=(ref,)), Conflict(Unique.REF, rows.ref)
        case "inbox insert" | "inbox update":
            return Commit(inbox=inbox_taken(rows.event_id)), Conflict(Unique.INBOX, rows.event_id)
        case "key":
            return Commit(idempotency=key_opened(rows.key)), Conflict(Unique.IDEMPOTENCY, rows.key)
    raise ValueError(lost)


def rows_of_rival(rows: Laden, rival: Commit) -> list[bool]:
    """Which of the laden commit's rows the rival has put there itself."""
    streams = {write.stream for write in rival.streams}
    first, second = rows.first.stream in streams, rows.second.stream in streams
    return [
        *[first, second],
        *[first, second],
        bool(rival.refs_added),
        rival.inbox is not None,
        rival.idempotency is not None,
        False,
        False,
        *[first, second],
        *[first, second],
        False,
    ]
