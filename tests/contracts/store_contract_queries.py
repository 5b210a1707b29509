"""What every Store promises about reading: filters, order, pages, sums, consistency.

A store's test module subclasses ``QueryContract`` and provides the fixtures ``store`` and
``fresh_store``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from roadcall_payments.commit import (
    Commit,
    InboxEvent,
    InboxInsert,
    InboxStatus,
    StreamWrite,
    TextWrite,
    text_digest,
)
from roadcall_payments.domain import events as e
from roadcall_payments.domain.errors import InvalidInput
from roadcall_payments.domain.funding import waiting
from roadcall_payments.domain.funding_events import QueueReason
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.journal import Head
from roadcall_payments.ledger.posting_rules import Posting
from roadcall_payments.ports import PaymentQuery, Store
from tests.builders import (
    NOON,
    anomaly,
    commit_of,
    minutes,
    new_id,
    new_payment_write,
    next_write,
    payment_created,
    payment_of,
    payment_write,
    scored,
    stray_money,
)

FreshStore = Callable[[], AbstractAsyncContextManager[Store]]

# One property, a class of tests for each store: that its executors differ is the point.
of_every_store = settings(
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
)


async def all_pages(store: Store, query: PaymentQuery) -> list[Payment]:
    found: list[Payment] = []
    while True:
        page = await store.payments(query)
        assert len(page.items) <= query.limit
        found += page.items
        if page.next_cursor is None:
            return found
        assert len(page.items) == query.limit
        query = replace(query, cursor=page.next_cursor)


APPROVED = e.PaymentApproved((e.Approval("us_3", "admin"),), "acct_vendor")


def waits(priority: e.Priority = e.Priority.NORMAL, currency: str = "usd") -> e.TransferQueued:
    return e.TransferQueued(
        QueueReason.INSUFFICIENT_FUNDS,
        priority,
        Money(12_500, currency),
        Money(700, currency),
        "acct_vendor",
        "us_1",
    )


def inbox_event(event_id: str, minute: int, status: InboxStatus) -> InboxEvent:
    return InboxEvent(
        event_id, "transfer.created", "platform", NOON + minutes(minute), b"{}", status
    )


class QueryContract:
    # --- payments ------------------------------------------------------------------------------

    @of_every_store
    @given(
        chosen=st.lists(
            st.tuples(
                st.sampled_from(["co_1", "co_2"]),
                st.sampled_from(["ve_1", "ve_2"]),
                st.sampled_from(["dr_1", None]),
                st.sampled_from(list(e.PayerType)),
                st.sampled_from(["new", "scored", "flagged", "stray", "rejected", "queued"]),
            ),
            max_size=12,
        ),
        query=st.builds(
            PaymentQuery,
            company_id=st.sampled_from(["co_1", None]),
            vendor_id=st.sampled_from(["ve_1", None]),
            driver_id=st.sampled_from(["dr_1", None]),
            incident_id=st.sampled_from(["in_0", None]),
            status=st.sampled_from([Status.PENDING_APPROVAL, Status.REJECTED, None]),
            payer_type=st.sampled_from([e.PayerType.DRIVER_IC, None]),
            flagged=st.sampled_from([True, False, None]),
            on_review=st.sampled_from([True, False, None]),
            queued=st.sampled_from([True, False, None]),
            limit=st.integers(1, 5),
        ),
    )
    def test_filters_are_joined_and_pages_lose_nothing(
        self,
        fresh_store: FreshStore,
        chosen: list[tuple[str, str, str | None, e.PayerType, str]],
        query: PaymentQuery,
    ) -> None:
        async def run() -> None:
            async with fresh_store() as store:
                writes = [
                    payment_like(*each, incident=f"in_{n % 3}") for n, each in enumerate(chosen)
                ]
                await store.commit([commit_of(write) for write in writes])
                states = [payment_of(write.state) for write in writes]
                expected = [state for state in states if matches(state, query)]
                expected.sort(key=lambda state: state.id, reverse=True)
                assert await all_pages(store, query) == expected

        asyncio.run(run())

    @of_every_store
    @given(
        order=st.permutations(range(9)),
        limit=st.integers(1, 10),
        early=st.integers(0, 9),
    )
    def test_a_walk_is_stable_while_others_insert(
        self, fresh_store: FreshStore, order: Sequence[int], limit: int, early: int
    ) -> None:
        """What is there when the walk begins comes once, whatever comes in meanwhile."""
        ids = [new_id() for _ in order]

        async def run() -> None:
            async with fresh_store() as store:
                before = [ids[n] for n in order[:early]]
                later = [ids[n] for n in order[early:]]
                await store.commit([commit_of(new_payment_write(one)) for one in before])
                seen: list[str] = []
                cursor: str | None = None
                while True:
                    page = await store.payments(PaymentQuery(limit=limit, cursor=cursor))
                    seen += [payment.id for payment in page.items]
                    cursor = page.next_cursor
                    if cursor is None:
                        break
                    if later:
                        await store.commit([commit_of(new_payment_write(later.pop()))])
                assert set(before) <= set(seen)
                assert seen == sorted(set(seen), reverse=True)

        asyncio.run(run())

    @pytest.mark.parametrize(
        ("fact", "query"),
        [
            (scored(flagged=True), PaymentQuery(flagged=True)),
            (stray_money(), PaymentQuery(on_review=True)),
            (e.PaymentRejected("us_1", None), PaymentQuery(status=Status.REJECTED)),
        ],
        ids=lambda value: type(value).__name__,
    )
    async def test_a_change_of_state_is_found_at_once(
        self, store: Store, fact: e.PaymentFact, query: PaymentQuery
    ) -> None:
        write = new_payment_write()
        await store.commit([commit_of(write)])
        assert (await store.payments(query)).items == ()
        changed = next_write(write, fact)
        await store.commit([commit_of(changed)])
        assert (await store.payments(query)).items == (changed.state,)

    async def test_transfers_wait_in_the_order_in_which_they_go_out(self, store: Store) -> None:
        """By currency, priority and age; whatever ends the wait takes them off at once."""
        high, low, normal = e.Priority.HIGH, e.Priority.LOW, e.Priority.NORMAL
        asked = [("usd", normal), ("usd", low), ("cad", low), ("usd", normal), ("usd", high)]
        writes = []
        for minute, (currency, priority) in enumerate(asked):
            created = payment_created(new_id(), amount=Money(12_500, currency))
            approved = payment_write(None, Head(), [created, scored(), APPROVED])
            at = NOON + minutes(minute)
            writes.append(next_write(approved, waits(priority, currency), at=at))
            await store.commit([commit_of(approved)])
            await store.commit([commit_of(writes[-1])])
        ids = [payment_of(write.state).id for write in writes]
        queue = waiting(await store.transfer_queue(limit=10))
        assert [one.payment_id for one in queue] == [ids[n] for n in (2, 4, 0, 3, 1)]
        assert [one.place for one in queue] == [1, 1, 2, 3, 4]
        assert [one.since for one in queue if one.currency == "cad"] == [NOON + minutes(2)]
        (first,) = waiting(await store.transfer_queue("usd"))
        assert first.payment_id == ids[4]

        await store.commit([commit_of(next_write(writes[4], e.PaymentCancelled("us_1", None)))])
        dollars = waiting(await store.transfer_queue("usd", 10))
        assert [one.payment_id for one in dollars] == [ids[n] for n in (0, 3, 1)]
        assert await store.transfer_queue("eur") == []
        assert await store.payment_faults(writes[0].stream) == []

    @pytest.mark.parametrize("cursor", ["", "x", "é", "AAAA", "bm90IG91cnM", "=" * 9, "\ud800"])
    async def test_a_foreign_cursor_is_refused(self, store: Store, cursor: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            await store.payments(PaymentQuery(cursor=cursor))
        assert refused.value.field == "cursor"
        with pytest.raises(InvalidInput):
            await store.inbox_events(None, cursor, 10)

    async def test_a_cursor_of_another_list_is_refused(self, store: Store) -> None:
        await store.commit([commit_of(new_payment_write()) for _ in range(2)])
        cursor = (await store.payments(PaymentQuery(limit=1))).next_cursor
        assert cursor is not None
        with pytest.raises(InvalidInput):
            await store.inbox_events(None, cursor, 10)
        for spoiled in (cursor[:-1], cursor + "A", cursor[::-1]):
            with pytest.raises(InvalidInput):
                await store.payments(PaymentQuery(cursor=spoiled))

    async def test_a_vendor_counts_as_paid_once_a_payment_completed(self, store: Store) -> None:
        write = new_payment_write(vendor_id="ve_7")
        await store.commit([commit_of(write)])
        assert not await store.vendor_was_paid("ve_7")
        paid = replace(payment_of(write.state), status=Status.COMPLETED)
        after = structs.replace(next_write(write, anomaly()), state=paid)
        await store.commit([commit_of(after)])
        assert await store.vendor_was_paid("ve_7")
        assert not await store.vendor_was_paid("ve_8")

    # --- books ---------------------------------------------------------------------------------

    async def test_balances_sum_per_book_account_and_currency(self, store: Store) -> None:
        assert await store.balances() == []
        other = replace(stray_money(1, "ch_2"), account="acct_v", amount=Money(3, "jpy"))
        first = new_payment_write()
        second = next_write(first, stray_money(700), stray_money(50, "ch_1"), other)
        await store.commit([commit_of(first), commit_of(second)])
        assert list(await store.balances()) == [
            Posting("acct_platform", "stripe_clearing", "usd", 750),
            Posting("acct_platform", "suspense:stray", "usd", -750),
            Posting("acct_v", "stripe_clearing", "jpy", 3),
            Posting("acct_v", "suspense:stray", "jpy", -3),
        ]
        assert {line.currency for line in await store.balances("acct_v")} == {"jpy"}
        assert await store.balances("nobody") == []

        back = next_write(second, stray_money(-750, "ch_3"))
        await store.commit([commit_of(back)])
        assert {line.book for line in await store.balances()} == {"acct_v"}

    # --- streams and texts -----------------------------------------------------------------------

    async def test_streams_come_in_the_order_of_their_names(self, store: Store) -> None:
        writes = [new_payment_write(due_at=NOON if n % 2 else None) for n in range(5)]
        await store.commit([commit_of(write) for write in reversed(writes)])
        first = await store.streams(limit=3)
        rest = await store.streams(after=first[-1].stream, limit=3)
        assert len(first) == 3
        stored = [*first, *rest]
        assert [one.stream for one in stored] == [write.stream for write in writes]
        assert [one.due_at for one in stored] == [write.due_at for write in writes]
        assert [one.head for one in stored] == [Head(1, write.entries[0].hash) for write in writes]

    async def test_a_sound_stream_has_no_faults(self, store: Store) -> None:
        write = new_payment_write(due_at=NOON)
        after = next_write(write, scored(), stray_money())
        await store.commit([commit_of(write), commit_of(after)])
        assert await store.payment_faults(write.stream) == []
        assert await store.orphans() == []

    async def test_texts_are_digested_with_their_salt(self, store: Store) -> None:
        write = new_payment_write()
        texts = (
            TextWrite("t1", write.stream, "Reifen geplatzt ✓ 🛞", "0a"),
            TextWrite("t2", write.stream, "", "0b"),
        )
        await store.commit([structs.replace(commit_of(write), texts=texts)])
        ids = ["t1", "t2", "t3"]
        assert await store.texts(ids) == {"t1": texts[0].body, "t2": ""}
        assert await store.text_digests(ids) == {
            text.id: text_digest(text.salt, text.body) for text in texts
        }

    # --- inbox ---------------------------------------------------------------------------------

    @of_every_store
    @given(
        events=st.lists(
            st.tuples(st.integers(0, 3), st.sampled_from(list(InboxStatus))), max_size=12
        ),
        status=st.sampled_from([None, *InboxStatus]),
        limit=st.integers(1, 5),
    )
    def test_the_inbox_is_read_newest_first(
        self,
        fresh_store: FreshStore,
        events: list[tuple[int, InboxStatus]],
        status: InboxStatus | None,
        limit: int,
    ) -> None:
        async def run() -> None:
            async with fresh_store() as store:
                taken = [
                    inbox_event(f"evt_{n}", minute, own) for n, (minute, own) in enumerate(events)
                ]
                await store.commit([Commit(inbox=InboxInsert(event)) for event in taken])
                found: list[InboxEvent] = []
                cursor: str | None = None
                while True:
                    page = await store.inbox_events(status, cursor, limit)
                    assert len(page.items) <= limit
                    found += page.items
                    cursor = page.next_cursor
                    if cursor is None:
                        break
                expected = [event for event in taken if status in (None, event.status)]
                assert sorted(found, key=lambda one: one.event_id) == sorted(
                    expected, key=lambda one: one.event_id
                )
                times = [event.received_at for event in found]
                assert times == sorted(times, reverse=True)

        asyncio.run(run())

    # --- limits --------------------------------------------------------------------------------

    async def test_requests_are_counted_per_caller_and_window(self, store: Store) -> None:
        counts = await asyncio.gather(*[store.count_request("us_1", 7) for _ in range(20)])
        assert sorted(counts) == list(range(1, 21))
        assert await store.count_request("us_2", 7) == 1
        assert await store.count_request("us_1", 8) == 1
        assert await store.count_request("us_1", 7) == 21
        assert await store.count_request("us_1", 9) == 1

    async def test_an_open_store_is_ready(self, store: Store) -> None:
        await store.ready()
        await store.ready()


def payment_like(
    company: str,
    vendor: str,
    driver: str | None,
    payer_type: e.PayerType,
    story: str,
    *,
    incident: str,
) -> StreamWrite:
    created = payment_created(
        new_id(),
        company_id=company,
        vendor_id=vendor,
        driver_id=driver,
        payer_type=payer_type,
        incident_id=incident,
    )
    facts: dict[str, list[e.PaymentFact]] = {
        "new": [],
        "scored": [scored()],
        "flagged": [scored(flagged=True)],
        "stray": [scored(), stray_money()],
        "rejected": [scored(), e.PaymentRejected("us_1", None)],
        "queued": [scored(), APPROVED, waits()],
    }
    return payment_write(None, Head(), [created, *facts[story]])


def matches(payment: Payment, query: PaymentQuery) -> bool:
    pairs = [
        (query.company_id, payment.company_id),
        (query.vendor_id, payment.vendor_id),
        (query.driver_id, payment.driver_id),
        (query.incident_id, payment.incident_id),
        (query.status, payment.status),
        (query.payer_type, payment.payer_type),
        (query.flagged, payment.flagged),
        (query.on_review, payment.on_review),
        (query.queued, payment.queued),
    ]
    return all(wanted is None or wanted == own for wanted, own in pairs)
