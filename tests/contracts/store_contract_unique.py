"""What every Store promises about what is unique: refs, events, keys, notices (M11, M14, M31).

A store's test module subclasses ``UniqueContract`` and provides the fixture ``store``.
"""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from roadcall_payments.commit import (
    Commit,
    Committed,
    Conflict,
    IdempotencyAnswered,
    IdempotencyOpened,
    InboxStatus,
    InboxUpdate,
    RefAdded,
    Unique,
    job_ref,
    stripe_ref,
)
from roadcall_payments.ports import Store
from tests.builders import (
    NOON,
    anomaly,
    commit_of,
    minutes,
    new_payment_write,
    next_write,
    scored,
)
from tests.contracts.store_contract_rows import SCOPE, inbox_taken, key_opened, notice_for


class UniqueContract:
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
        assert event == replace(expected, attempts=2, stream="payment/1")
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

    async def test_keys_asked_for_at_once_are_each_answered(self, store: Store) -> None:
        here, there = key_opened("key-1", "us_1 POST /a"), key_opened("key-2", "us_2 POST /a")
        await store.commit([Commit(idempotency=here), Commit(idempotency=there)])
        asked = [(scope, key) for scope in ("us_1", "us_2") for key in ("key-1", "key-2")]
        found = await asyncio.gather(
            *(store.idempotency(f"{scope} POST /a", key) for scope, key in asked)
        )
        assert found == [here.record, None, None, there.record]

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
