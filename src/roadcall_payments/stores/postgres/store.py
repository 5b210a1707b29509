"""The ``Store`` on a PostgreSQL database, which many processes on many machines may share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar, cast

from roadcall_payments.commit import (
    Commit,
    CommitResult,
    IdempotencyRecord,
    InboxEvent,
    InboxStatus,
)
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.payment import Payment
from roadcall_payments.journal import JournalEntry
from roadcall_payments.ledger.posting_rules import Posting
from roadcall_payments.ports import (
    BookLine,
    Claim,
    DeadLetter,
    LineQuery,
    Loaded,
    Notice,
    Page,
    PaymentQuery,
    Queue,
    QueueAge,
    Stored,
)
from roadcall_payments.stores.lane import Submission
from roadcall_payments.stores.postgres import listings, queries, work
from roadcall_payments.stores.postgres.batch import Job, job_of
from roadcall_payments.stores.postgres.connection import (
    FAILED,
    WAIT_SECONDS_MAX,
    Connections,
    classified,
)
from roadcall_payments.stores.postgres.counters import Counted, RequestCounters
from roadcall_payments.stores.postgres.faults import orphan_faults, stream_faults
from roadcall_payments.stores.postgres.lane import Lane
from roadcall_payments.stores.postgres.lookups import KeyT, Lookups
from roadcall_payments.stores.postgres.schema_version import migrate, must_be_current
from roadcall_payments.stores.postgres.writer import GroupWriter

if TYPE_CHECKING:
    from roadcall_payments.stores.postgres.connection import Connection

T = TypeVar("T")

WAITING_MAX = 10_000
BATCH_MAX = 256

WRITERS = 2
READERS_MAX = 6
"""Connections of one process: so many, and no more, each opened when it is first needed."""

ANSWER_SECONDS_MAX = 10.0
LIST_SECONDS_MAX = 30.0
SWEEP_SECONDS_MAX = 600.0
"""How long a statement by key, a list, a sum over whole tables may take."""

# Each may bring a thousand entries.
JOURNALS_AT_ONCE = 32

# The writing statement's tables are met row by row, by their keys and in their order, whatever the
# planner thinks of their size; it is planned once.
WRITER_SETTINGS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}


async def open_postgres(
    url: str,
    *,
    migrates: bool = True,
    wait_seconds_max: float = WAIT_SECONDS_MAX,
    answer_seconds_max: float = ANSWER_SECONDS_MAX,
) -> PostgresStore:
    """Open the database at ``postgresql://...``, at this code's schema.

    ``migrates``: bring an older or empty database up to it, instead of refusing it.
    ``wait_seconds_max``: how long a call waits for a server that is gone before StoreUnavailable.
    ``answer_seconds_max``: how long for the answer of one that is there; lists take longer.
    Raises StoreUnavailable when it cannot be reached or used, with what to do, or when a newer
    version wrote it.
    """
    try:
        await (migrate(url) if migrates else must_be_current(url))
    except FAILED as error:
        raise classified(error) from error
    store = PostgresStore(url, wait_seconds_max, answer_seconds_max)
    await store.open()
    return store


class PostgresStore:
    """Commits share a statement on few connections; so do look-ups by key. Lists, claims and their
    ends have connections of their own.

    Belongs to the event loop it was opened in. ``close`` drains.
    """

    def __init__(self, url: str, wait_seconds_max: float, answer_seconds_max: float) -> None:
        self._answer_seconds_max = answer_seconds_max
        self.writing = Connections(
            url,
            size=WRITERS,
            query_seconds_max=answer_seconds_max,
            wait_seconds_max=wait_seconds_max,
            settings=WRITER_SETTINGS,
        )
        self._reading = Connections(
            url,
            size=READERS_MAX,
            query_seconds_max=SWEEP_SECONDS_MAX,
            wait_seconds_max=wait_seconds_max,
            settings={"jit": "off"},
        )
        self._commits: Lane[Job, CommitResult] = Lane(
            GroupWriter(self.writing).work,
            at_once=WRITERS,
            batch_max=BATCH_MAX,
            waiting_max=WAITING_MAX,
            keys_of=attrgetter("keys"),
        )
        self._counts: Lane[Counted, int] = Lane(
            RequestCounters(self._reading, answer_seconds_max).work,
            at_once=1,
            batch_max=BATCH_MAX,
            waiting_max=WAITING_MAX,
        )
        self._streams = self._lookups(queries.read_heads_and_states)
        self._refs = self._lookups(queries.read_refs)
        self._events = self._lookups(queries.read_inbox_events)
        self._answers = self._lookups(queries.read_idempotency_records)
        self._journals = self._lookups(queries.read_journals, batch_max=JOURNALS_AT_ONCE)
        self._ends: Lane[work.End, bool] = Lane(
            self._end, at_once=WRITERS, batch_max=BATCH_MAX, waiting_max=WAITING_MAX
        )

    async def open(self) -> None:
        await self.writing.open()
        await self._reading.open()

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitResult]:
        """See ``Store``. A commit that the database refuses as broken raises once the others
        of the batch are settled."""
        if len(batch) == 1:
            return [await self._commits.submit(job_of(batch[0]))]
        answers = self._commits.submit_all([job_of(commit) for commit in batch])
        settled = await asyncio.gather(*answers, return_exceptions=True)
        for answer in settled:
            if isinstance(answer, BaseException):
                raise answer
        return cast(list[CommitResult], settled)

    # streams

    async def load(self, stream: str) -> Loaded | None:
        return await self._streams.find(stream)

    async def load_all(self, streams: Sequence[str]) -> Mapping[str, Loaded]:
        return await self._streams.find_all(streams)

    async def journal(
        self, stream: str, after_seq: int = 0, limit: int = 1000
    ) -> Sequence[JournalEntry]:
        return await self._journals.find((stream, after_seq, limit)) or []

    async def resolve(self, ref_key: str) -> str | None:
        return await self._refs.find(ref_key)

    async def streams(self, after: str = "", limit: int = 500) -> Sequence[Stored]:
        return await self._list(lambda db: queries.read_streams(db, after, limit))

    # queries

    async def payments(self, query: PaymentQuery) -> Page[Payment]:
        return await self._list(lambda db: queries.read_payments(db, query))

    async def transfer_queue(self, currency: str | None = None, limit: int = 1) -> Sequence[str]:
        return await self._list(lambda db: queries.read_transfer_queue(db, currency, limit))

    async def payment_faults(self, stream: str) -> Sequence[str]:
        return await self._list(lambda db: stream_faults(db, stream))

    async def orphans(self) -> Sequence[str]:
        return await self._sweep(orphan_faults)

    async def vendor_was_paid(self, vendor_id: str) -> bool:
        return await self._run(lambda db: queries.read_vendor_was_paid(db, vendor_id))

    async def balances(self, book: str | None = None) -> Sequence[Posting]:
        return await self._sweep(lambda db: queries.read_balances(db, book))

    async def lines(self, query: LineQuery) -> Page[BookLine]:
        return await self._list(lambda db: listings.read_lines(db, query))

    async def listed(self, prefix: str, cursor: str | None, limit: int) -> Page[str]:
        return await self._list(lambda db: listings.read_listed(db, prefix, cursor, limit))

    async def texts(self, ids: Sequence[str]) -> dict[str, str]:
        return await self._run(lambda db: queries.read_texts(db, ids))

    async def text_digests(self, ids: Sequence[str]) -> dict[str, str]:
        return await self._run(lambda db: queries.read_text_digests(db, ids))

    async def idempotency(self, scope: str, key: str) -> IdempotencyRecord | None:
        return await self._answers.find((scope, key))

    async def inbox_event(self, event_id: str) -> InboxEvent | None:
        return await self._events.find(event_id)

    async def inbox_events(
        self, status: InboxStatus | None, cursor: str | None, limit: int
    ) -> Page[InboxEvent]:
        return await self._list(lambda db: queries.read_inbox(db, status, cursor, limit))

    async def notice(self, notice_id: str) -> Notice | None:
        return await self._run(lambda db: queries.read_notice(db, notice_id))

    # the worker's lists

    async def claim(
        self, queue: Queue, *, now: datetime, lease_s: int, limit: int, worker: str
    ) -> Sequence[Claim]:
        return await self._run(
            lambda db: work.claim_due(
                db, queue, now=now, lease_s=lease_s, limit=limit, worker=worker
            )
        )

    async def finish(self, claim: Claim, *, published_seq: int | None = None) -> None:
        if claim.queue is Queue.OUTBOX and published_seq is None:
            raise BrokenInvariant("The relay says up to which entry it has published.")
        await self._ends.submit((claim, published_seq or 0))

    async def postpone(
        self, claim: Claim, *, due_at: datetime, reason: str, published_seq: int | None = None
    ) -> None:
        await self._run(
            lambda db: work.postpone(
                db, claim, due_at=due_at, reason=reason, published_seq=published_seq
            )
        )

    async def park(self, claim: Claim, *, now: datetime, reason: str) -> None:
        await self._run(lambda db: work.park(db, claim, now=now, reason=reason))

    async def dead_letters(self, queue: Queue | None = None) -> Sequence[DeadLetter]:
        return await self._list(lambda db: work.read_dead_letters(db, queue))

    async def redrive(self, queue: Queue, key: str, *, now: datetime) -> bool:
        return await self._run(lambda db: work.redrive(db, queue, key, now))

    async def notice_sent(self, notice_id: str, *, at: datetime, provider_id: str) -> None:
        await self._run(lambda db: work.notice_sent(db, notice_id, at, provider_id))

    async def queue_ages(self) -> Sequence[QueueAge]:
        return await self._list(work.read_queue_ages)

    # limits

    async def count_request(self, caller: str, window: int) -> int:
        return await self._counts.submit((caller, window))

    # life

    async def ready(self) -> None:
        """A real, durable write of one row, and a read, each on connections of its own."""
        await self.writing.run(
            lambda db: db.execute(
                "INSERT INTO probe (id, written) VALUES (1, 1)"
                " ON CONFLICT (id) DO UPDATE SET written = probe.written + 1"
            )
        )
        await self._run(lambda db: db.fetchval("SELECT written FROM probe"))

    async def close(self) -> None:
        for lane in (
            *(self._commits, self._counts, self._ends),
            *(self._streams, self._refs, self._events, self._answers, self._journals),
        ):
            await lane.close()
        await self.writing.close()
        await self._reading.close()

    def _lookups(
        self,
        read: Callable[[Connection, Sequence[KeyT]], Awaitable[Mapping[KeyT, T]]],
        batch_max: int = BATCH_MAX,
    ) -> Lookups[KeyT, T]:
        return Lookups(
            self._reading,
            read,
            batch_max=batch_max,
            seconds_max=self._answer_seconds_max,
            waiting_max=WAITING_MAX,
        )

    async def _end(self, batch: Sequence[Submission[work.End, bool]]) -> None:
        await self._run(lambda db: work.finish_all(db, [one.job for one in batch]))
        for one in batch:
            one.answer = True

    async def _run(self, job: Callable[[Connection], Awaitable[T]]) -> T:
        return await self._reading.run(job, seconds_max=self._answer_seconds_max)

    async def _list(self, job: Callable[[Connection], Awaitable[T]]) -> T:
        return await self._reading.run(job, seconds_max=LIST_SECONDS_MAX)

    async def _sweep(self, job: Callable[[Connection], Awaitable[T]]) -> T:
        return await self._reading.run(job)
