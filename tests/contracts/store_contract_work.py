"""What every Store promises about the worker's lists: leases, order, dead letters (M27).

A store's test module subclasses ``WorkContract`` and provides the fixture ``store``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

import pytest
from msgspec.structs import replace

from roadcall_payments.commit import (
    Commit,
    Committed,
    InboxEvent,
    InboxInsert,
    InboxStatus,
    InboxUpdate,
    NoticeInsert,
    StreamWrite,
)
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.ports import Claim, DeadLetter, Queue, QueueAge, Store
from tests.builders import NOON, anomaly, commit_of, minutes, new_payment_write, next_write, scored

LEASE_S = 60


async def claimed(
    store: Store, queue: Queue, *, now: datetime = NOON, worker: str = "w1", limit: int = 100
) -> Sequence[Claim]:
    return await store.claim(queue, now=now, lease_s=LEASE_S, limit=limit, worker=worker)


async def keys(store: Store, queue: Queue, *, now: datetime = NOON) -> list[str]:
    return [claim.key for claim in await claimed(store, queue, now=now)]


async def written(store: Store, *writes: StreamWrite) -> None:
    assert await store.commit([commit_of(write) for write in writes]) == [Committed()] * len(writes)


async def ages(store: Store) -> dict[Queue, QueueAge]:
    return {age.queue: age for age in await store.queue_ages()}


def waiting_event(event_id: str, due_at: datetime) -> Commit:
    event = InboxEvent(event_id, "t", "platform", NOON, b"{}", InboxStatus.WAITING)
    return Commit(inbox=InboxInsert(event, due_at))


class WorkContract:
    # --- leases --------------------------------------------------------------------------------

    async def test_due_work_is_leased_oldest_first(self, store: Store) -> None:
        due = [NOON - minutes(1), NOON - minutes(5), NOON, NOON + minutes(1), None]
        writes = [new_payment_write(due_at=at) for at in due]
        await written(store, *writes)
        first = await claimed(store, Queue.ATTENTION, limit=2)
        assert [(claim.key, claim.due_at) for claim in first] == [
            (writes[1].stream, due[1]),
            (writes[0].stream, due[0]),
        ]
        assert [claim.attempts for claim in first] == [0, 0]
        assert {claim.leased_until for claim in first} == {NOON + minutes(1)}
        assert await keys(store, Queue.ATTENTION) == [writes[2].stream]
        assert await keys(store, Queue.ATTENTION) == []

    async def test_nobody_else_is_given_leased_work(self, store: Store) -> None:
        await written(store, *[new_payment_write(due_at=NOON) for _ in range(30)])
        given = await asyncio.gather(
            *[claimed(store, Queue.ATTENTION, worker=f"w{n}", limit=7) for n in range(8)]
        )
        got = [claim.key for claims in given for claim in claims]
        assert len(got) == len(set(got)) == 30

    async def test_a_lease_that_ran_out_is_given_on_and_spent(self, store: Store) -> None:
        write = new_payment_write(due_at=NOON)
        await written(store, write)
        (slow,) = await claimed(store, Queue.ATTENTION)
        assert await keys(store, Queue.ATTENTION, now=NOON + minutes(1) / 2) == []
        (fast,) = await claimed(store, Queue.ATTENTION, now=NOON + minutes(1), worker="w2")
        assert fast.lease != slow.lease
        # The crash of the first worker was a try.
        assert fast.attempts == 1

        await store.finish(slow)
        await store.postpone(slow, due_at=NOON, reason="late")
        await store.park(slow, now=NOON, reason="late")
        assert (await ages(store))[Queue.ATTENTION].waiting == 1
        assert await keys(store, Queue.ATTENTION, now=NOON + minutes(1)) == []
        await store.finish(fast)
        assert (await ages(store))[Queue.ATTENTION].waiting == 0

    async def test_a_commit_spends_the_claim(self, store: Store) -> None:
        write = new_payment_write(due_at=NOON)
        await written(store, write)
        (claim,) = await claimed(store, Queue.ATTENTION)
        await written(store, next_write(write, scored(), due_at=NOON + minutes(9)))
        await store.finish(claim)
        assert await keys(store, Queue.ATTENTION, now=NOON + minutes(8)) == []
        assert await keys(store, Queue.ATTENTION, now=NOON + minutes(9)) == [write.stream]

    async def test_a_commit_without_a_due_time_takes_the_stream_off(self, store: Store) -> None:
        write = new_payment_write(due_at=NOON)
        await written(store, write)
        await written(store, next_write(write, scored()))
        assert await keys(store, Queue.ATTENTION) == []

    async def test_the_last_write_of_a_batch_says_when(self, store: Store) -> None:
        first = new_payment_write(due_at=NOON)
        second = next_write(first, scored())
        third = next_write(second, anomaly(), due_at=NOON + minutes(3))
        other = new_payment_write()
        other_later = next_write(other, scored(), due_at=NOON)
        other_last = next_write(other_later, anomaly())
        await written(store, first, second, third, other, other_later, other_last)
        assert await keys(store, Queue.ATTENTION) == []
        assert await keys(store, Queue.ATTENTION, now=NOON + minutes(3)) == [first.stream]

    async def test_postponed_work_counts_its_attempts(self, store: Store) -> None:
        await store.commit([waiting_event("evt_1", NOON)])
        for attempt in range(3):
            now = NOON + minutes(attempt)
            (claim,) = await claimed(store, Queue.INBOX, now=now)
            assert claim.attempts == attempt
            await store.postpone(claim, due_at=now + minutes(1), reason="Stripe is down")
            assert await keys(store, Queue.INBOX, now=now) == []

    # --- dead letters --------------------------------------------------------------------------

    async def test_a_dead_letter_waits_for_a_person(self, store: Store) -> None:
        await store.commit([waiting_event("evt_1", NOON), waiting_event("evt_2", NOON)])
        first, second = await claimed(store, Queue.INBOX)
        await store.postpone(first, due_at=NOON, reason="once more")
        (first,) = await claimed(store, Queue.INBOX)
        await store.park(second, now=NOON + minutes(1), reason="cannot be read")
        await store.park(first, now=NOON + minutes(2), reason="nor this")
        letters = [
            DeadLetter(Queue.INBOX, second.key, 1, NOON + minutes(1), "cannot be read"),
            DeadLetter(Queue.INBOX, first.key, 2, NOON + minutes(2), "nor this"),
        ]
        assert list(await store.dead_letters()) == letters
        assert list(await store.dead_letters(Queue.INBOX)) == letters
        assert list(await store.dead_letters(Queue.OUTBOX)) == []
        assert await keys(store, Queue.INBOX, now=NOON + minutes(999)) == []
        assert (await ages(store))[Queue.INBOX] == QueueAge(Queue.INBOX, 0, 2, None)

        later = NOON + minutes(30)
        assert await store.redrive(Queue.INBOX, first.key, now=later)
        assert not await store.redrive(Queue.INBOX, first.key, now=later)
        assert not await store.redrive(Queue.INBOX, "nobody", now=later)
        assert not await store.redrive(Queue.OUTBOX, second.key, now=later)
        (again,) = await claimed(store, Queue.INBOX, now=later)
        assert (again.key, again.attempts, again.due_at) == (first.key, 0, later)
        assert [letter.key for letter in await store.dead_letters()] == [second.key]

    async def test_a_commit_revives_a_parked_stream(self, store: Store) -> None:
        write = new_payment_write(due_at=NOON)
        await written(store, write)
        (claim,) = await claimed(store, Queue.ATTENTION)
        await store.park(claim, now=NOON, reason="gave up")
        await written(store, next_write(write, scored(), due_at=NOON))
        (again,) = await claimed(store, Queue.ATTENTION)
        assert again.attempts == 0
        assert list(await store.dead_letters()) == []

    # --- the outbox ----------------------------------------------------------------------------

    async def test_a_stream_is_published_from_its_first_entry(self, store: Store) -> None:
        write = new_payment_write()
        await written(store, write)
        (claim,) = await claimed(store, Queue.OUTBOX)
        assert (claim.key, claim.published_seq, claim.due_at) == (write.stream, 0, NOON)
        await store.finish(claim, published_seq=1)
        assert await keys(store, Queue.OUTBOX, now=NOON + minutes(99)) == []

        # A row that comes back begins where the stream stood.
        await written(store, next_write(write, scored(), anomaly(), at=NOON + minutes(3)))
        (claim,) = await claimed(store, Queue.OUTBOX, now=NOON + minutes(3))
        assert (claim.published_seq, claim.due_at) == (1, NOON + minutes(3))

    async def test_entries_added_meanwhile_stay_listed(self, store: Store) -> None:
        write = new_payment_write()
        await written(store, write)
        (claim,) = await claimed(store, Queue.OUTBOX)
        second = next_write(write, scored(), at=NOON + minutes(1))
        third = next_write(second, anomaly(), at=NOON + minutes(2))
        await written(store, second, third)
        # The stream is being published: nobody else gets it, so that its order is kept.
        assert await keys(store, Queue.OUTBOX, now=NOON + minutes(1) / 2) == []

        await store.finish(claim, published_seq=2)
        (again,) = await claimed(store, Queue.OUTBOX, now=NOON + minutes(5))
        assert (again.published_seq, again.attempts) == (2, 0)
        # It has waited since the first entry that is not out.
        assert again.due_at == NOON + minutes(2)
        await store.finish(again, published_seq=3)
        assert (await ages(store))[Queue.OUTBOX].waiting == 0

    async def test_a_postponed_stream_keeps_what_is_out(self, store: Store) -> None:
        write = new_payment_write()
        await written(store, write, next_write(write, scored(), anomaly()))
        (claim,) = await claimed(store, Queue.OUTBOX)
        await store.postpone(claim, due_at=NOON + minutes(1), reason="bus", published_seq=2)
        (claim,) = await claimed(store, Queue.OUTBOX, now=NOON + minutes(1))
        assert (claim.published_seq, claim.attempts) == (2, 1)
        await store.postpone(claim, due_at=NOON + minutes(2), reason="bus")
        (claim,) = await claimed(store, Queue.OUTBOX, now=NOON + minutes(2))
        assert (claim.published_seq, claim.attempts) == (2, 2)

    async def test_a_commit_does_not_hurry_a_postponed_stream(self, store: Store) -> None:
        write = new_payment_write()
        await written(store, write)
        (claim,) = await claimed(store, Queue.OUTBOX)
        await store.postpone(claim, due_at=NOON + minutes(5), reason="the bus is down")
        await written(store, next_write(write, scored()))
        assert await keys(store, Queue.OUTBOX, now=NOON + minutes(4)) == []
        (claim,) = await claimed(store, Queue.OUTBOX, now=NOON + minutes(5))
        assert (claim.published_seq, claim.attempts) == (0, 1)

    async def test_a_dead_letter_parks_its_stream(self, store: Store) -> None:
        write, other = new_payment_write(), new_payment_write()
        await written(store, write, other)
        first = next(c for c in await claimed(store, Queue.OUTBOX) if c.key == write.stream)
        await store.park(first, now=NOON, reason="refused by the bus")
        await written(store, next_write(write, scored()))
        assert write.stream not in await keys(store, Queue.OUTBOX, now=NOON + minutes(99))
        assert await store.redrive(Queue.OUTBOX, write.stream, now=NOON)
        (again,) = await claimed(store, Queue.OUTBOX, now=NOON)
        assert (again.key, again.published_seq) == (write.stream, 0)

    async def test_the_relay_says_how_far_it_came(self, store: Store) -> None:
        await written(store, new_payment_write())
        (claim,) = await claimed(store, Queue.OUTBOX)
        with pytest.raises(BrokenInvariant):
            await store.finish(claim)

    async def test_publishing_while_others_append_loses_and_turns_nothing(
        self, store: Store
    ) -> None:
        write = new_payment_write()
        await written(store, write)
        appended = 30

        async def append() -> None:
            last = write
            for n in range(appended):
                last = next_write(last, anomaly(f"a{n}"))
                await written(store, last)

        published: list[int] = []

        async def relay(worker: str) -> None:
            while len(published) < appended + 1:
                for claim in await claimed(store, Queue.OUTBOX, worker=worker, now=NOON):
                    entries = await store.journal(claim.key, claim.published_seq, 4)
                    published.extend(entry.seq for entry in entries)
                    await store.finish(claim, published_seq=entries[-1].seq)

        await asyncio.wait_for(asyncio.gather(append(), relay("w1"), relay("w2")), 30)
        assert published == list(range(1, appended + 2))

    # --- inbox and notices ---------------------------------------------------------------------

    async def test_only_waiting_events_are_listed(self, store: Store) -> None:
        taken = InboxEvent("evt_0", "t", "platform", NOON, b"{}", InboxStatus.KEPT)
        await store.commit([Commit(inbox=InboxInsert(taken)), waiting_event("evt_1", NOON)])
        (claim,) = await claimed(store, Queue.INBOX)
        assert claim.key == "evt_1"
        again = InboxUpdate("evt_1", InboxStatus.WAITING, "down", 3, None, NOON + minutes(1))
        await store.commit([Commit(inbox=again)])
        await store.finish(claim)
        (claim,) = await claimed(store, Queue.INBOX, now=NOON + minutes(1))
        assert claim.attempts == 3
        done = InboxUpdate("evt_1", InboxStatus.REVIEW, "gave up", 4, None)
        await store.commit([Commit(inbox=done)])
        assert await keys(store, Queue.INBOX, now=NOON + minutes(99)) == []
        retried = InboxUpdate("evt_1", InboxStatus.WAITING, "retried", 0, None, NOON)
        await store.commit([Commit(inbox=retried)])
        assert await keys(store, Queue.INBOX) == ["evt_1"]

    async def test_a_notice_is_sent_once(self, store: Store) -> None:
        write = new_payment_write()
        notice = NoticeInsert("n1", write.stream, "sms", "ve_1", "paid", "{}", NOON)
        await store.commit([replace(commit_of(write), notices=(notice,))])
        (claim,) = await claimed(store, Queue.NOTICES)
        assert claim.key == "n1"
        await store.finish(claim)
        again = replace(commit_of(next_write(write, scored())), notices=(notice,))
        assert await store.commit([again]) == [Committed()]
        assert await keys(store, Queue.NOTICES) == []

    async def test_ages_tell_every_queue(self, store: Store) -> None:
        empty = [QueueAge(queue, 0, 0, None) for queue in Queue]
        assert list(await store.queue_ages()) == empty
        await written(store, new_payment_write(at=NOON - minutes(7), due_at=NOON + minutes(2)))
        await store.commit([waiting_event("evt_1", NOON), waiting_event("evt_2", NOON)])
        await store.park((await claimed(store, Queue.INBOX, limit=1))[0], now=NOON, reason="r")
        assert list(await store.queue_ages()) == [
            QueueAge(Queue.OUTBOX, 1, 0, NOON - minutes(7)),
            QueueAge(Queue.ATTENTION, 1, 0, NOON + minutes(2)),
            QueueAge(Queue.INBOX, 1, 1, NOON),
            QueueAge(Queue.NOTICES, 0, 0, None),
        ]
