"""Two streams in one commit, through the write path: both or neither, whoever comes in between.

A store's test module subclasses ``PairContract`` and provides the fixture ``store``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from roadcall_payments.clock import SystemClock, SystemIds
from roadcall_payments.commit import (
    Commit,
    CommitResult,
    InboxEvent,
    InboxInsert,
    InboxStatus,
    Unique,
    stream_of,
)
from roadcall_payments.domain import debt
from roadcall_payments.domain import debt_events as d
from roadcall_payments.domain import events as e
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.people import WORKER
from roadcall_payments.domain.stripe_objects import StripeIdentity
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.ports import Store
from roadcall_payments.workflows.write_path import (
    AlreadyTaken,
    Opens,
    WritePath,
    Written,
    WrittenPair,
)
from tests.builders import NOON, anomaly, new_id, payment_created

RIVALS = 8
VENDOR = stream_of("vendor", "ve_1")

PLATFORM = StripeIdentity("acct_p", False)

Facts = tuple[Sequence[e.Fact], Sequence[e.Fact]]


class Interrupted:
    """A store before whose next commit somebody else comes in."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.before_commit: Callable[[], Awaitable[object]] | None = None

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitResult]:
        interrupt, self.before_commit = self.before_commit, None
        if interrupt is not None:
            await interrupt()
        return await self._store.commit(batch)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def write_path(store: Store | Interrupted) -> WritePath:
    clock = SystemClock()
    return WritePath(store, clock, SystemIds(clock))  # type: ignore[arg-type] # it passes on the rest


async def created(store: Store) -> str:
    """A payment's stream, and the one vendor's, both begun."""
    payment_id = new_id()
    stream = stream_of("payment", payment_id)
    path = write_path(store)

    def begin(_payment: Payment | None, vendor: Vendor | None) -> Facts:
        registered = e.VendorRegistered("ve_1", None, "en_US", None, "us_1")
        begun = payment_created(payment_id, incident_id=payment_id)
        return (begun,), () if vendor else (registered,)

    _: WrittenPair[Payment, Vendor]
    _ = await path.write_pair(stream, VENDOR, begin, actor=WORKER)
    return stream


def next_number(payment: Payment | None, vendor: Vendor | None) -> Facts:
    """Take the vendor's next number for the payment: two that took one would both have read it."""
    assert payment is not None
    assert vendor is not None
    number = str(int((vendor.stripe_account or "acct_0").removeprefix("acct_")) + 1)
    return (anomaly(number),), (e.VendorChanged(f"acct_{number}", "en_US", None, "us_1"),)


def usd(cents: int) -> Money:
    return Money(cents, "usd")


async def heads(store: Store, *streams: str) -> list[int]:
    loaded = [await store.load(stream) for stream in streams]
    return [one.head.seq if one else 0 for one in loaded]


def taken_event() -> InboxInsert:
    return InboxInsert(
        InboxEvent("evt_1", "transfer.created", "platform", NOON, b"{}", InboxStatus.APPLIED)
    )


class PairContract:
    async def test_both_streams_are_written_with_what_stands_beside_them(
        self, store: Store
    ) -> None:
        stream = await created(store)
        written: WrittenPair[Payment, Vendor] = await write_path(store).write_pair(
            stream,
            VENDOR,
            next_number,
            actor=WORKER,
            inbox=taken_event(),
            opens=Opens("us_1 POST", "key", "digest", 200),
        )
        assert written.own.state.anomalies == ("1",)
        assert written.beside is not None
        assert written.beside.stripe_account == "acct_1"
        assert await heads(store, stream, VENDOR) == [2, 2]
        assert await store.inbox_event("evt_1") is not None
        record = await store.idempotency("us_1 POST", "key")
        assert record is not None
        assert (record.stream, record.seq) == (stream, 2)

    async def test_rivals_for_one_stream_each_decide_on_what_the_others_left(
        self, store: Store
    ) -> None:
        streams = [await created(store) for _ in range(RIVALS)]

        async def take(stream: str) -> str:
            written: WrittenPair[Payment, Vendor] = await write_path(store).write_pair(
                stream, VENDOR, next_number, actor=WORKER
            )
            return written.own.state.anomalies[0]

        taken = await asyncio.gather(*(take(stream) for stream in streams))
        assert sorted(taken, key=int) == [str(n) for n in range(1, RIVALS + 1)]
        assert await heads(store, VENDOR, *streams) == [RIVALS + 1, *[2] * RIVALS]

    async def test_m22_transfers_that_start_at_once_never_reserve_one_debt_twice(
        self, store: Store
    ) -> None:
        streams = [await created(store) for _ in range(RIVALS)]
        owed = [
            d.VendorDebtIncurred(
                "ve_1", f"re_{n}", d.DebtCause.REFUND, "pay_1", "in_1", usd(1_500), "acct_p", False
            )
            for n in range(2)
        ]
        await write_path(store).write(VENDOR, lambda _: owed, actor=WORKER)

        async def start(stream: str) -> None:
            def decide(payment: Payment | None, vendor: Vendor | None) -> Facts:
                assert vendor is not None
                terms = debt.SetOffTerms(5_000)
                taken = debt.set_off(vendor.debts, usd(2_000), PLATFORM, terms)
                facts = debt.reserve(vendor.debts, taken, stream, stream)
                return (anomaly(f"less_by_{taken.amount.amount_cents}"),), facts

            _: WrittenPair[Payment, Vendor] = await write_path(store).write_pair(
                stream, VENDOR, decide, actor=WORKER
            )

        await asyncio.gather(*(start(stream) for stream in streams))
        loaded = await store.load(VENDOR)
        assert loaded is not None
        assert isinstance(loaded.state, Vendor)
        debts = loaded.state.debts
        assert [one.reserved_cents for one in debts.owed] == [1_500, 1_500]
        assert sorted(one.amount.amount_cents for one in debts.reservations) == [1_000] * 3
        # Whoever came too late transfers the whole, and writes nothing of the vendor's.
        assert loaded.head.seq == 1 + len(owed) + 3

    @pytest.mark.parametrize("contended", ["own", "beside"])
    async def test_a_conflict_on_either_loses_both_and_is_decided_again(
        self, store: Store, contended: str
    ) -> None:
        stream = await created(store)
        interrupted = Interrupted(store)
        seen: list[tuple[int, str | None]] = []

        async def come_in_between() -> None:
            if contended == "own":
                await write_path(store).write(stream, lambda _: (anomaly("rival"),), actor=WORKER)
            else:
                change = e.VendorChanged("acct_7", "en_US", None, "us_2")
                await write_path(store).write(VENDOR, lambda _: (change,), actor=WORKER)

        def decide(payment: Payment | None, vendor: Vendor | None) -> Facts:
            assert payment is not None
            assert vendor is not None
            seen.append((len(payment.anomalies), vendor.stripe_account))
            return next_number(payment, vendor)

        interrupted.before_commit = come_in_between
        _: WrittenPair[Payment, Vendor] = await write_path(interrupted).write_pair(
            stream, VENDOR, decide, actor=WORKER
        )
        if contended == "own":
            assert seen == [(0, None), (1, None)]
            assert await heads(store, stream, VENDOR) == [3, 2]
        else:
            assert seen == [(0, None), (0, "acct_7")]
            assert await heads(store, stream, VENDOR) == [2, 3]

    async def test_a_repeat_of_an_event_writes_neither(self, store: Store) -> None:
        stream = await created(store)
        await write_path(store).write_inbox_alone(taken_event())
        with pytest.raises(AlreadyTaken) as taken:
            _: WrittenPair[Payment, Vendor] = await write_path(store).write_pair(
                stream, VENDOR, next_number, actor=WORKER, inbox=taken_event()
            )
        assert taken.value.unique is Unique.INBOX
        assert await heads(store, stream, VENDOR) == [1, 1]

    async def test_a_stream_that_nothing_is_decided_for_is_not_written(self, store: Store) -> None:
        stream = await created(store)

        def alone(_: Payment | None, vendor: Vendor | None) -> Facts:
            assert vendor is None
            return (anomaly("alone"),), ()

        nobody = stream_of("vendor", "ve_nobody")
        written: WrittenPair[Payment, Vendor] = await write_path(store).write_pair(
            stream, nobody, alone, actor=WORKER
        )
        assert isinstance(written.own, Written)
        assert written.beside is None
        assert await heads(store, stream, nobody) == [2, 0]
        nothing: WrittenPair[Payment, Vendor] = await write_path(store).write_pair(
            stream, VENDOR, lambda _payment, _vendor: ((), ()), actor=WORKER
        )
        assert nothing.own.facts == nothing.facts_beside == ()
        assert await heads(store, stream, VENDOR) == [2, 1]
