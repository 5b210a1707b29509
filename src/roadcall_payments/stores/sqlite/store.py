"""The ``Store`` on one SQLite file, which several processes may share."""

from __future__ import annotations

import asyncio
import sqlite3
import types
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar, cast

from roadcall_payments.commit import (
    Commit,
    CommitResult,
    IdempotencyRecord,
    InboxEvent,
    InboxStatus,
)
from roadcall_payments.domain.errors import StoreUnavailable
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
from roadcall_payments.stores.lane import Lane, LaneMaker, Submits
from roadcall_payments.stores.sqlite import listings, queries, work
from roadcall_payments.stores.sqlite.connection import BUSY_SECONDS_MAX, Connecting
from roadcall_payments.stores.sqlite.counters import Counted, RequestCounters
from roadcall_payments.stores.sqlite.faults import orphan_faults, stream_faults
from roadcall_payments.stores.sqlite.prepared import prepare
from roadcall_payments.stores.sqlite.reader import Reader, ReadJob
from roadcall_payments.stores.sqlite.schema_version import migrate
from roadcall_payments.stores.sqlite.writer import GroupWriter, WriteJob

T = TypeVar("T")

WAITING_MAX = 10_000
BATCH_MAX = 256
# Their statements hold up the event loop, for some 0.1 ms a commit.
WRITTEN_AT_ONCE_MAX = 64


def open_sqlite(path: Path, *, busy_seconds_max: float = BUSY_SECONDS_MAX) -> SqliteStore:
    """Open or create the file, at this code's schema.

    ``busy_seconds_max``: how long a write waits for other processes before StoreUnavailable.
    Raises StoreUnavailable when it cannot be opened, or when a newer version wrote it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # It holds names and addresses: for the service's own user. SQLite's side files follow.
        path.touch(mode=0o600)
        migrate(path)
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailable(f"{path} cannot be opened: {error}") from error
    return SqliteStore(path, busy_seconds_max)


class SqliteStore:
    """Commits are written, and rows by their key are read, in the event loop's own turn. One thread
    makes what was written durable, one reads what may take its time.

    Belongs to one event loop at a time. ``close`` drains.
    """

    def __init__(
        self,
        path: Path,
        busy_seconds_max: float,
        lanes: LaneMaker = Lane,
        connecting: Connecting | None = None,
    ) -> None:
        connecting = connecting or Connecting()
        writer = GroupWriter(path, busy_seconds_max, connecting)
        scans, self._lookups = Reader(path, connecting), Reader(path, connecting)
        self._closed = False
        counters = RequestCounters(path.with_name(path.name + "-requests"))
        self._writes: Submits[WriteJob, object] = lanes(
            "store-writer",
            writer.work,
            first=writer.write,
            waiting_max=WAITING_MAX,
            batch_max=WRITTEN_AT_ONCE_MAX,
            at_end=writer.close,
        )
        self._scans: Submits[ReadJob, object] = lanes(
            "store-scans",
            scans.work,
            waiting_max=WAITING_MAX,
            batch_max=BATCH_MAX,
            at_end=scans.close,
        )
        self._counts: Submits[Counted, int] = lanes(
            "store-counters",
            counters.work,
            waiting_max=WAITING_MAX,
            batch_max=BATCH_MAX,
            at_end=counters.close,
        )

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitResult]:
        """See ``Store``. A commit that the database refuses as broken raises once the others
        of the batch are settled."""
        answers = self._writes.submit_all([prepare(commit) for commit in batch])
        if len(answers) == 1:
            return [cast(CommitResult, await answers[0])]
        settled = await asyncio.gather(*answers, return_exceptions=True)
        for answer in settled:
            if isinstance(answer, BaseException):
                raise answer
        return cast(list[CommitResult], settled)

    # streams

    async def load(self, stream: str) -> Loaded | None:
        return await self._look_up(lambda db: queries.read_stream(db, stream))

    async def load_all(self, streams: Sequence[str]) -> Mapping[str, Loaded]:
        return await self._look_up(lambda db: queries.read_some_streams(db, streams))

    async def journal(
        self, stream: str, after_seq: int = 0, limit: int = 1000
    ) -> Sequence[JournalEntry]:
        return await self._look_up(lambda db: queries.read_journal(db, stream, after_seq, limit))

    async def resolve(self, ref_key: str) -> str | None:
        return await self._look_up(lambda db: queries.read_ref(db, ref_key))

    async def streams(self, after: str = "", limit: int = 500) -> Sequence[Stored]:
        return await self._scan(lambda db: queries.read_streams(db, after, limit))

    # queries

    async def payments(self, query: PaymentQuery) -> Page[Payment]:
        return await self._scan(lambda db: queries.read_payments(db, query))

    async def transfer_queue(self, currency: str | None = None, limit: int = 1) -> Sequence[str]:
        return await self._scan(lambda db: queries.read_transfer_queue(db, currency, limit))

    async def payment_faults(self, stream: str) -> Sequence[str]:
        return await self._scan(lambda db: stream_faults(db, stream))

    async def orphans(self) -> Sequence[str]:
        return await self._scan(orphan_faults)

    async def vendor_was_paid(self, vendor_id: str) -> bool:
        return await self._look_up(lambda db: queries.read_vendor_was_paid(db, vendor_id))

    async def balances(self, book: str | None = None) -> Sequence[Posting]:
        return await self._scan(lambda db: queries.read_balances(db, book))

    async def lines(self, query: LineQuery) -> Page[BookLine]:
        return await self._scan(lambda db: listings.read_lines(db, query))

    async def listed(self, prefix: str, cursor: str | None, limit: int) -> Page[str]:
        return await self._scan(lambda db: listings.read_listed(db, prefix, cursor, limit))

    async def texts(self, ids: Sequence[str]) -> dict[str, str]:
        return await self._look_up(lambda db: queries.read_texts(db, ids))

    async def text_digests(self, ids: Sequence[str]) -> dict[str, str]:
        return await self._look_up(lambda db: queries.read_text_digests(db, ids))

    async def idempotency(self, scope: str, key: str) -> IdempotencyRecord | None:
        return await self._look_up(lambda db: queries.read_idempotency(db, scope, key))

    async def inbox_event(self, event_id: str) -> InboxEvent | None:
        return await self._look_up(lambda db: queries.read_inbox_event(db, event_id))

    async def inbox_events(
        self, status: InboxStatus | None, cursor: str | None, limit: int
    ) -> Page[InboxEvent]:
        return await self._scan(lambda db: queries.read_inbox(db, status, cursor, limit))

    async def notice(self, notice_id: str) -> Notice | None:
        return await self._look_up(lambda db: queries.read_notice(db, notice_id))

    # the worker's lists

    async def claim(
        self, queue: Queue, *, now: datetime, lease_s: int, limit: int, worker: str
    ) -> Sequence[Claim]:
        # An idle worker asks often: it takes the write lock only when there is something.
        if not await self._look_up(lambda db: work.something_is_due(db, queue, now)):
            return ()
        return await self._write(
            lambda db: work.claim_due(
                db, queue, now=now, lease_s=lease_s, limit=limit, worker=worker
            )
        )

    async def finish(self, claim: Claim, *, published_seq: int | None = None) -> None:
        await self._write(lambda db: work.finish(db, claim, published_seq))

    async def postpone(
        self, claim: Claim, *, due_at: datetime, reason: str, published_seq: int | None = None
    ) -> None:
        await self._write(
            lambda db: work.postpone(
                db, claim, due_at=due_at, reason=reason, published_seq=published_seq
            )
        )

    async def park(self, claim: Claim, *, now: datetime, reason: str) -> None:
        await self._write(lambda db: work.park(db, claim, now=now, reason=reason))

    async def dead_letters(self, queue: Queue | None = None) -> Sequence[DeadLetter]:
        return await self._scan(lambda db: work.read_dead_letters(db, queue))

    async def redrive(self, queue: Queue, key: str, *, now: datetime) -> bool:
        return await self._write(lambda db: work.redrive(db, queue, key, now))

    async def notice_sent(self, notice_id: str, *, at: datetime, provider_id: str) -> None:
        await self._write(lambda db: work.notice_sent(db, notice_id, at, provider_id))

    async def queue_ages(self) -> Sequence[QueueAge]:
        return await self._scan(work.read_queue_ages)

    # limits

    async def count_request(self, caller: str, window: int) -> int:
        return await self._counts.submit((caller, window))

    # life

    async def ready(self) -> None:
        """A real, durable write of one row, and a read on each reading thread."""
        await self._write(
            lambda db: (
                db.execute(
                    "INSERT INTO probe (id, written) VALUES (1, 1)"
                    " ON CONFLICT (id) DO UPDATE SET written = written + 1"
                ).rowcount
            )
        )
        for read in (self._look_up, self._scan):
            await read(lambda db: db.execute("SELECT written FROM probe").fetchone())

    async def close(self) -> None:
        self._closed = True
        self._lookups.close()
        for lane in (self._writes, self._scans, self._counts):
            await lane.close()

    async def _look_up(self, job: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise StoreUnavailable("The store is closed.")
        try:
            return self._lookups.look(job)
        finally:
            # Whoever asks again and again leaves turns to others.
            await _next_turn()

    async def _scan(self, job: Callable[[sqlite3.Connection], T]) -> T:
        return cast(T, await self._scans.submit(job))

    async def _write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        return cast(T, await self._writes.submit(job))


@types.coroutine
def _next_turn() -> Generator[None, None, None]:
    """``asyncio.sleep(0)``, without what a delay would need: look-ups are many."""
    yield
