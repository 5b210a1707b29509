"""PostgreSQL when something breaks: poison, overload, lost lines, restarts, SIGKILL."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import asyncpg
import pytest
from msgspec.structs import replace

from roadcall_payments.commit import (
    Commit,
    CommitResult,
    Committed,
    CommitUnknown,
    Conflict,
    InboxEvent,
    InboxInsert,
    InboxStatus,
    InboxUpdate,
    TextWrite,
    Unique,
)
from roadcall_payments.domain.errors import BrokenInvariant, StoreUnavailable
from roadcall_payments.ports import Queue, Store
from roadcall_payments.stores.postgres import PostgresStore, open_postgres
from roadcall_payments.stores.postgres.store import WAITING_MAX
from tests.builders import NOON, anomaly, commit_of, new_payment_write, next_write
from tests.contracts.crash_look import crash_and_look
from tests.contracts.crash_writer import rows_of, whole_commit
from tests.contracts.cutting_proxy import cutting_proxy
from tests.contracts.store_contract_rows import inbox_taken, key_opened
from tests.postgres_server import PostgresServer, running_postgres

ROOT = Path(__file__).parents[2]
T = TypeVar("T")

# A store that waits so shortly may refuse on a busy machine what it would do on a quiet one.
IMPATIENT_S = 1.0
# What is not waited for without end has ended by then, on any machine.
END_S = 60.0


async def once_it_can(call: Callable[[], Awaitable[T]]) -> T:
    """The answer of an impatient store, once it has one again."""
    deadline = time.monotonic() + END_S
    while True:
        try:
            return await call()
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise


async def once_committed(store: Store, commit: Commit) -> CommitResult:
    """What an impatient store says of the commit, once it knows."""
    deadline = time.monotonic() + END_S
    while True:
        (result,) = await once_it_can(lambda: store.commit([commit]))
        if not isinstance(result, CommitUnknown) or time.monotonic() > deadline:
            return result


@pytest.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    opened = await open_postgres(url, wait_seconds_max=30)
    yield opened
    await opened.close()


# --- poison and overload -------------------------------------------------------------------------


def poisoned(kind: str) -> Commit:
    """Commits that only the database finds out."""
    write = new_payment_write(event_id="used-before-1")
    match kind:
        case "event id of another stream":
            return commit_of(write)
        case "text id used before":
            return Commit(texts=(TextWrite("text-used", write.stream, "b", "00"),))
        case "lone surrogate":
            return Commit(texts=(TextWrite("t", write.stream, "my words \ud800", "00"),))
        case "lone surrogate in a key":
            event = InboxEvent("\udfff", "t", "platform", NOON, b"", InboxStatus.KEPT)
            return Commit(inbox=InboxInsert(event))
        case "NUL in a text":
            return Commit(texts=(TextWrite("t", write.stream, "a\x00b", "00"),))
    event = InboxEvent("evt_huge", "t", "platform", NOON, b"", InboxStatus.KEPT, attempts=2**70)
    return Commit(inbox=InboxInsert(event))


@pytest.mark.parametrize(
    "kind",
    [
        "event id of another stream",
        "text id used before",
        "lone surrogate",
        "lone surrogate in a key",
        "NUL in a text",
        "number too large",
    ],
)
async def test_a_poison_commit_fails_alone(store: Store, kind: str) -> None:
    used = commit_of(new_payment_write(event_id="used-before-1"))
    text = TextWrite("text-used", used.streams[0].stream, "a", "00")
    await store.commit([used, Commit(texts=(text,))])
    private = TextWrite("text-of-another", "payment/x", "someone's own words", "00")
    before = replace(whole_commit("before"), texts=(*whole_commit("before").texts, private))
    with pytest.raises(BrokenInvariant) as refused:
        await store.commit([before, poisoned(kind), whole_commit("after")])
    assert "words" not in str(refused.value)
    assert all(await rows_of(store, "before"))
    assert all(await rows_of(store, "after"))


async def test_closing_finishes_what_was_handed_in(store: Store) -> None:
    tasks = [asyncio.create_task(store.commit([whole_commit(f"n{n}")])) for n in range(300)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*tasks) == [[Committed()]] * 300
    with pytest.raises(StoreUnavailable):
        await store.load("payment/n1-a")


async def test_a_caller_that_goes_away_spoils_nothing(store: Store) -> None:
    gone, stays = (asyncio.create_task(store.commit([whole_commit(n)])) for n in ("gone", "stays"))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == [Committed()]
    present = await rows_of(store, "gone")
    assert all(present) or not any(present)


async def test_too_much_at_once_is_refused_not_hoarded(store: Store) -> None:
    commits = [Commit() for _ in range(WAITING_MAX + 1)]
    with pytest.raises(StoreUnavailable, match="overloaded"):
        await store.commit(commits)
    assert len(await store.commit(commits[1:])) == WAITING_MAX


async def test_a_table_that_is_held_is_not_waited_for_without_end(url: str) -> None:
    store = await open_postgres(url, wait_seconds_max=IMPATIENT_S)
    other = await asyncpg.connect(url)
    held = other.transaction()
    await held.start()
    await other.execute("LOCK TABLE journal IN EXCLUSIVE MODE")
    with pytest.raises(StoreUnavailable):
        await store.commit([whole_commit("held")])
    await held.rollback()
    await other.close()
    assert not any(await once_it_can(lambda: rows_of(store, "held")))
    assert await once_committed(store, whole_commit("held")) == Committed()
    await store.close()


# --- the answer to a commit is lost (M24) --------------------------------------------------------


@pytest.mark.parametrize("times", [1, 3])
async def test_a_lost_answer_is_found_out(url: str, times: int) -> None:
    """Of what is durable nothing is said to conflict with itself, and nothing is written twice."""
    waiting = Commit(inbox=inbox_taken("evt_waits", InboxStatus.WAITING))
    async with cutting_proxy(url) as proxy:
        store = await open_postgres(proxy.url)
        assert await store.commit([waiting]) == [Committed()]
        proxy.cut_answers, proxy.to = times, b"evt_of_the_lost"
        commits = [
            whole_commit("lost"),
            Commit(inbox=inbox_taken("evt_of_the_lost")),
            Commit(inbox=InboxUpdate("evt_waits", InboxStatus.APPLIED, None, 1, "payment/x")),
            Commit(idempotency=key_opened("key of the lost")),
        ]
        assert await store.commit(commits) == [Committed()] * 4
        assert proxy.cut_answers == 0
        assert all(await rows_of(store, "lost"))
        assert len(await store.journal("payment/lost-a")) == 1
        rival = replace(commits[1], inbox=inbox_taken("evt_of_the_lost"))
        assert await store.commit([rival]) == [Conflict(Unique.INBOX, "evt_of_the_lost")]
        await store.close()


async def test_what_cannot_be_found_out_is_unknown_not_guessed(url: str) -> None:
    async with cutting_proxy(url) as proxy:
        store = await open_postgres(proxy.url, wait_seconds_max=IMPATIENT_S)
        await store.ready()
        proxy.cut_answers, proxy.to, proxy.refuses_after_cut = 1, b"evt_lost", True
        (result,) = await store.commit([whole_commit("lost")])
        assert isinstance(result, CommitUnknown)
        # A commit that was never sent is known not to be there.
        with pytest.raises(StoreUnavailable):
            await store.commit([whole_commit("later")])
        proxy.refuses = False
        assert await once_committed(store, whole_commit("lost")) == Committed()
        assert await once_committed(store, whole_commit("later")) == Committed()
        assert len(await once_it_can(lambda: store.journal("payment/lost-a"))) == 1
        await store.close()


async def test_a_network_that_swallows_what_is_sent_is_given_up(url: str) -> None:
    async with cutting_proxy(url) as proxy:
        store = await open_postgres(
            proxy.url, wait_seconds_max=IMPATIENT_S, answer_seconds_max=IMPATIENT_S
        )
        write = new_payment_write()
        assert await once_committed(store, commit_of(write)) == Committed()
        await once_it_can(lambda: store.load(write.stream))
        proxy.frozen = True
        begun = time.monotonic()
        answers = await asyncio.gather(
            store.commit([whole_commit("x")]),
            store.load(write.stream),
            store.claim(Queue.OUTBOX, now=NOON, lease_s=60, limit=1, worker="w"),
            store.count_request("us_1", 1),
            return_exceptions=True,
        )
        assert [type(answer) for answer in answers[1:]] == [StoreUnavailable] * 3
        assert isinstance(answers[0], list)
        assert isinstance(answers[0][0], CommitUnknown)
        assert time.monotonic() - begun < END_S
        proxy.frozen = False
        assert await once_committed(store, whole_commit("x")) == Committed()
        assert await once_it_can(lambda: store.load(write.stream)) is not None
        await store.close()


async def test_a_rival_in_the_meantime_is_a_conflict(url: str) -> None:
    """The answer is lost and so was the race: somebody else's entry stands in the place."""
    first = new_payment_write()
    theirs, mine = next_write(first, anomaly("theirs")), next_write(first, anomaly("mine"))
    rival = await open_postgres(url)
    async with cutting_proxy(url) as proxy:
        store = await open_postgres(proxy.url)
        await store.commit([commit_of(first)])
        assert await rival.commit([commit_of(theirs)]) == [Committed()]
        proxy.cut_answers, proxy.to = 1, mine.entries[0].event_id.encode()
        assert await store.commit([commit_of(mine)]) == [Conflict(Unique.STREAM, first.stream)]
        assert proxy.cut_answers == 0
        await store.close()
    await rival.close()


async def test_lines_that_are_cut_all_the_time_lose_and_double_nothing(url: str) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    store = await open_postgres(url)
    axe = await asyncpg.connect(url)
    names = [f"n{n}" for n in range(400)]
    source = iter(names)
    written: list[str] = []

    async def write() -> None:
        for name in source:
            while (result := (await store.commit([whole_commit(name)]))[0]) != Committed():
                # Where no line lasts long enough for an answer, it says so.
                assert isinstance(result, CommitUnknown), f"seed {seed}"
            written.append(name)

    async def cut(writing: asyncio.Future[list[None]]) -> int:
        cuts = 0
        while not writing.done():
            await asyncio.sleep(chance.random() * 0.2)
            cuts += await axe.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            # A machine on which a line takes longer to open than it lasts would write nothing.
            before = len(written)
            while len(written) == before and not writing.done():  # noqa: ASYNC110  # two ends
                await asyncio.sleep(0.01)
        return cuts

    writing = asyncio.gather(*[write() for _ in range(8)])
    cuts = await cut(writing)
    await writing
    assert cuts > 0
    for name in names:
        assert all(await rows_of(store, name)), f"seed {seed}: {name}"
    assert await store.orphans() == []
    await axe.close()
    await store.close()


# --- the server goes and comes back --------------------------------------------------------------


@pytest.fixture(scope="module")
def mortal() -> Iterator[PostgresServer]:
    """A server that may be stopped."""
    with running_postgres() as running:
        yield running


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
async def test_a_restart_loses_nothing_and_is_waited_for(
    mortal: PostgresServer, how: signal.Signals
) -> None:
    store = await open_postgres(mortal.url(mortal.create_database()), wait_seconds_max=60)
    names = [f"n{n}" for n in range(600)]
    source = iter(names)
    results: list[CommitResult] = []
    under_way = asyncio.Event()

    async def write() -> None:
        for name in source:
            results.extend(await store.commit([whole_commit(name)]))
            if len(results) > 50:
                under_way.set()

    writing = asyncio.gather(*[write() for _ in range(8)])
    await under_way.wait()
    await asyncio.to_thread(mortal.stop, how)
    await asyncio.to_thread(mortal.start)
    await writing
    assert results == [Committed()] * len(names)
    for name in names:
        assert all(await rows_of(store, name)), name
    await store.close()


async def test_a_server_that_stays_away_is_not_waited_for_without_end(
    mortal: PostgresServer,
) -> None:
    url = mortal.url(mortal.create_database())
    store = await open_postgres(url, wait_seconds_max=IMPATIENT_S)
    write = new_payment_write(due_at=NOON)
    await store.commit([commit_of(write)])
    (claim,) = await store.claim(Queue.ATTENTION, now=NOON, lease_s=60, limit=1, worker="w")
    mortal.stop()
    begun = time.monotonic()
    calls = [
        store.commit([whole_commit("x")]),
        store.load(write.stream),
        store.balances(),
        store.finish(claim),
        store.count_request("us_1", 1),
        store.ready(),
    ]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable] * len(calls)
    assert time.monotonic() - begun < END_S
    with pytest.raises(StoreUnavailable):
        await open_postgres(url)

    mortal.start()
    await once_it_can(store.ready)
    assert await once_committed(store, whole_commit("x")) == Committed()
    await once_it_can(lambda: store.finish(claim))
    await store.close()


async def test_an_acknowledged_commit_survives_the_servers_crash(mortal: PostgresServer) -> None:
    store = await open_postgres(mortal.url(mortal.create_database()), wait_seconds_max=60)
    for name in ("one", "two"):
        assert await store.commit([whole_commit(name)]) == [Committed()]
    mortal.kill()
    mortal.start()
    assert all(await rows_of(store, "one"))
    assert all(await rows_of(store, "two"))
    await store.close()


# --- a process dies ------------------------------------------------------------------------------


def test_a_crash_loses_nothing_acknowledged_and_leaves_nothing_half(url: str) -> None:
    crash_and_look(url, crashes=2)
