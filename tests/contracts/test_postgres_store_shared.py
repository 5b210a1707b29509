"""Several processes on one PostgreSQL: no deadlock, no lost entry, no piece of work given twice."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from msgspec.structs import replace

from roadcall_payments.commit import Commit, Committed, Conflict, InboxInsert, RefAdded, Unique
from roadcall_payments.journal import Head, chain_breaks
from roadcall_payments.ports import Queue, Store
from roadcall_payments.stores.postgres import PostgresStore, open_postgres
from tests.builders import (
    NOON,
    anomaly,
    commit_of,
    minutes,
    new_payment_write,
    next_write,
    payment_of,
    payment_write,
)
from tests.contracts.store_contract_rows import inbox_taken, key_opened

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def stores(url: str) -> AsyncIterator[list[PostgresStore]]:
    """Two stores share a database as two processes do."""
    opened = [await open_postgres(url) for _ in range(2)]
    yield opened
    for store in opened:
        await store.close()


async def deadlocks(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SELECT pg_stat_clear_snapshot()")
        found: int = await connection.fetchval(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
    finally:
        await connection.close()
    return found


async def appended(store: Store, streams: list[str], note: str) -> None:
    """Put an entry behind each of the streams, in one commit, however often others are quicker."""
    while True:
        writes = []
        for stream in streams:
            loaded = await store.load(stream)
            assert loaded is not None
            writes.append(payment_write(payment_of(loaded.state), loaded.head, [anomaly(note)]))
        (result,) = await store.commit([commit_of(*writes)])
        if result == Committed():
            return
        assert isinstance(result, Conflict)
        assert result.unique is Unique.STREAM


async def test_writers_of_two_processes_on_the_same_streams_all_get_in(
    stores: list[PostgresStore], url: str
) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    before = await deadlocks(url)
    first = [new_payment_write() for _ in range(6)]
    await stores[0].commit([commit_of(write) for write in first])
    names = [write.stream for write in first]
    asked: list[tuple[list[str], str]] = [
        (chance.sample(names, chance.choice([1, 2, 3])), f"note {n}") for n in range(160)
    ]
    source = iter(asked)

    async def write(store: Store) -> None:
        for streams, note in source:
            await appended(store, streams, note)

    await asyncio.wait_for(
        asyncio.gather(*[write(store) for store in stores for _ in range(6)]), 90
    )

    for stream in names:
        entries = await stores[0].journal(stream)
        notes = [note for streams, note in asked if stream in streams]
        loaded = await stores[1].load(stream)
        assert loaded is not None
        assert chain_breaks(entries) == [], f"seed {seed}"
        assert sorted(payment_of(loaded.state).anomalies) == sorted(notes), f"seed {seed}"
        assert loaded.head == Head(len(notes) + 1, entries[-1].hash), f"seed {seed}"
        assert await stores[0].payment_faults(stream) == []
    assert await deadlocks(url) == before, f"seed {seed}"


async def test_batches_that_meet_in_other_orders_do_not_lock_each_other(
    stores: list[PostgresStore], url: str
) -> None:
    """Each process writes the same new streams, refs, events and keys, in an order of its own."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    before = await deadlocks(url)
    for turn in range(30):
        ids = [f"p{turn}-{n}" for n in range(12)]

        def commits(who: str, ids: list[str] = ids) -> list[Commit]:
            made = []
            for own_id in chance.sample(ids, len(ids)):
                write = new_payment_write(own_id, event_id=f"{own_id} by {who}", due_at=NOON)
                made.append(
                    Commit(
                        streams=(write,),
                        refs_added=(RefAdded(f"ref of {own_id}", write.stream),),
                        inbox=inbox_taken(f"evt_{own_id}"),
                        idempotency=key_opened(f"key of {own_id}"),
                    )
                )
            return made

        batches = [commits("a"), commits("b")]
        results = await asyncio.gather(
            *[store.commit(batch) for store, batch in zip(stores, batches, strict=True)]
        )
        winners = [
            commit.streams[0].stream
            for batch, answers in zip(batches, results, strict=True)
            for commit, answer in zip(batch, answers, strict=True)
            if answer == Committed()
        ]
        assert sorted(winners) == sorted(f"payment/{own_id}" for own_id in ids), f"seed {seed}"
        lost = {answer.unique for answers in results for answer in answers if answer != Committed()}  # type: ignore[union-attr]  # a connection that holds is never unknown
        assert lost <= {Unique.INBOX}, f"seed {seed}"
    assert await deadlocks(url) == before, f"seed {seed}"


async def test_an_event_delivered_to_two_processes_is_taken_once(
    stores: list[PostgresStore],
) -> None:
    for n in range(40):
        taken = Commit(inbox=inbox_taken(f"evt_{n}"))
        results = await asyncio.gather(*[store.commit([taken]) for store in stores])
        assert sorted(map(str, (result for (result,) in results))) == sorted(
            map(str, (Committed(), Conflict(Unique.INBOX, f"evt_{n}")))
        )


async def test_midnight_between_two_months_lets_nobody_take_a_place_twice(
    stores: list[PostgresStore], url: str
) -> None:
    """M26: one writer's clock says October, the other's November; the keys are the same."""
    october = datetime(2026, 10, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    moments = (october, october + timedelta(microseconds=1))
    first = new_payment_write()
    await stores[0].commit([commit_of(first)])
    rivals = [next_write(first, anomaly(f"{at:%B}"), at=at) for at in moments]
    events = [
        Commit(inbox=InboxInsert(replace(inbox_taken("evt_1").event, received_at=at)))
        for at in moments
    ]
    for pair, unique in ((list(map(commit_of, rivals)), "stream"), (events, "inbox")):
        results = await asyncio.gather(
            *[store.commit([commit]) for store, commit in zip(stores, pair, strict=True)]
        )
        lost = [result for (result,) in results if isinstance(result, Conflict)]
        assert [conflict.unique for conflict in lost] == [unique]

    connection = await asyncpg.connect(url)
    partitioned = await connection.fetch("SELECT partrelid::regclass FROM pg_partitioned_table")
    await connection.close()
    assert partitioned == []


# --- the worker's lists --------------------------------------------------------------------------


async def test_two_workers_are_never_given_the_same_piece(stores: list[PostgresStore]) -> None:
    writes = [new_payment_write(due_at=NOON) for _ in range(120)]
    await stores[0].commit([commit_of(write) for write in writes])

    async def work_off(store: Store, worker: str) -> list[str]:
        done: list[str] = []
        while claims := await store.claim(
            Queue.ATTENTION, now=NOON, lease_s=60, limit=7, worker=worker
        ):
            for claim in claims:
                done.append(claim.key)
                await store.finish(claim)
        return done

    given = await asyncio.gather(*[work_off(store, f"w{n}") for n, store in enumerate(stores * 3)])
    done = [key for keys in given for key in keys]
    assert sorted(done) == sorted(write.stream for write in writes)


async def test_what_is_appended_while_another_process_publishes_goes_out_in_order(
    stores: list[PostgresStore],
) -> None:
    """Of a stream whose row is being taken off while an entry comes in, nothing stays behind."""
    writer, relay = stores
    last = [new_payment_write() for _ in range(4)]
    await writer.commit([commit_of(write) for write in last])
    published: dict[str, list[int]] = {write.stream: [] for write in last}
    total = 25

    async def append(n: int) -> None:
        for turn in range(total):
            last[n] = next_write(last[n], anomaly(f"a{turn}"))
            assert await writer.commit([commit_of(last[n])]) == [Committed()]

    async def publish() -> None:
        while any(len(seqs) < total + 1 for seqs in published.values()):
            for claim in await relay.claim(
                Queue.OUTBOX, now=NOON + minutes(1), lease_s=60, limit=4, worker="w"
            ):
                entries = await relay.journal(claim.key, claim.published_seq)
                published[claim.key] += [entry.seq for entry in entries]
                await relay.finish(claim, published_seq=entries[-1].seq)

    await asyncio.wait_for(asyncio.gather(publish(), *[append(n) for n in range(4)]), 60)
    assert all(seqs == list(range(1, total + 2)) for seqs in published.values()), published
    assert {age.queue: age.waiting for age in await writer.queue_ages()}[Queue.OUTBOX] == 0


async def test_a_stream_that_grows_while_it_is_taken_off_stays_listed(
    stores: list[PostgresStore], url: str
) -> None:
    """The relay ends its claim while the commit of one more entry is under way, held up behind
    its write to the outbox: it must not decide on what stood before."""
    writer, relay = stores
    first = new_payment_write()
    await writer.commit([commit_of(first)])
    (claim,) = await relay.claim(Queue.OUTBOX, now=NOON, lease_s=60, limit=1, worker="w")
    other, watcher = await asyncpg.connect(url), await asyncpg.connect(url)
    holding = other.transaction()
    await holding.start()
    second = next_write(first, anomaly())
    await other.execute(
        "INSERT INTO journal VALUES ('payment/other', 1, $1, 'T', 1, 'a', '', 1, 'p', 'h')",
        second.entries[0].event_id,
    )

    async def waiting_for_locks(count: int, unless: asyncio.Future[None] | None = None) -> None:
        while not (unless and unless.done()) and count > await watcher.fetchval(  # noqa: ASYNC110  # only the server knows
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ):
            await asyncio.sleep(0.01)

    adding = asyncio.create_task(writer.commit([commit_of(second)]))
    await waiting_for_locks(1)
    ending = asyncio.create_task(relay.finish(claim, published_seq=1))
    await waiting_for_locks(2, unless=ending)
    await holding.rollback()
    assert await adding == [Committed()]
    await ending
    for connection in (other, watcher):
        await connection.close()

    (again,) = await relay.claim(Queue.OUTBOX, now=NOON, lease_s=60, limit=1, worker="w")
    assert (again.key, again.published_seq) == (first.stream, 1)


WORKER_THAT_DIES = """
import asyncio, sys
from roadcall_payments.ports import Queue
from roadcall_payments.stores.postgres import open_postgres
from tests.builders import NOON

async def main():
    store = await open_postgres(sys.argv[1])
    claims = await store.claim(Queue.OUTBOX, now=NOON, lease_s=60, limit=9, worker="dies")
    print(len(claims), flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_a_dead_workers_lease_expires(stores: list[PostgresStore], url: str) -> None:
    write = new_payment_write()
    await stores[0].commit([commit_of(write)])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER_THAT_DIES, url, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"1\n"
    process.kill()
    await process.wait()

    async def claimed(after_s: int) -> list[str]:
        now = NOON + timedelta(seconds=after_s)
        claims = await stores[1].claim(Queue.OUTBOX, now=now, lease_s=60, limit=9, worker="lives")
        return [claim.key for claim in claims]

    assert await claimed(59) == []
    assert await claimed(60) == [write.stream]


async def test_requests_are_counted_together(stores: list[PostgresStore]) -> None:
    counts = await asyncio.gather(
        *[store.count_request("us_1", 7) for store in stores for _ in range(20)]
    )
    assert sorted(counts) == list(range(1, 41))
