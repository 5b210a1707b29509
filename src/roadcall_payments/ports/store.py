"""One write path, many reads, and the worker's lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

import msgspec

from roadcall_payments.commit import (
    Commit,
    CommitResult,
    IdempotencyRecord,
    InboxEvent,
    InboxStatus,
    NoticeInsert,
    State,
)
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.journal import Head, JournalEntry
from roadcall_payments.ledger.posting_rules import Posting

T = TypeVar("T")


class Loaded(msgspec.Struct, frozen=True):
    """A stream as it stands, read consistently."""

    head: Head
    state: State


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """``next_cursor`` is opaque; None on the last page."""

    items: tuple[T, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class PaymentQuery:
    """Newest first; filters are joined by AND; ``limit`` 1 to 100 (M28)."""

    company_id: str | None = None
    vendor_id: str | None = None
    driver_id: str | None = None
    incident_id: str | None = None
    status: Status | None = None
    payer_type: PayerType | None = None
    flagged: bool | None = None
    on_review: bool | None = None
    queued: bool | None = None
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class LineQuery:
    """A book's lines in the order of time; filters are joined by AND; ``limit`` 1 to 500 (M28).

    ``since`` is included, ``until`` is not.
    """

    book: str
    account: str | None = None
    currency: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    cursor: str | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class BookLine:
    """One line of the ledger, with the journal entry that it is of: ``type`` is its fact's."""

    posting: Posting
    stream: str
    seq: int
    type: str
    at: datetime


class Queue(StrEnum):
    """The worker's lists. Keys: a stream, a stream, an inbox event id, a notice id."""

    OUTBOX = "outbox"
    ATTENTION = "attention"
    INBOX = "inbox"
    NOTICES = "notices"


@dataclass(frozen=True, slots=True)
class Claim:
    """A piece of work held by one worker until ``leased_until``.

    ``attempts`` counts earlier tries. ``published_seq`` (outbox only): entries up to it are out.
    A claim is spent when its lease was taken over, or when a commit has rewritten the row.
    """

    queue: Queue
    key: str
    attempts: int
    due_at: datetime
    lease: str
    leased_until: datetime
    published_seq: int = 0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Work that is parked until a person redrives it. A dead letter parks its stream (M27).

    ``attempts`` counts every failed one, the last included.
    """

    queue: Queue
    key: str
    attempts: int
    parked_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class QueueAge:
    """``oldest_due_at``: the due time of the oldest piece that waits; None when empty."""

    queue: Queue
    waiting: int
    parked: int
    oldest_due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Notice:
    """A stored notice: what to send, and what became of it."""

    insert: NoticeInsert
    sent_at: datetime | None = None
    provider_id: str | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """One stream's row as the store keeps it, for ``verify``: encoded state and query columns."""

    stream: str
    head: Head
    state: bytes
    due_at: datetime | None


class Store(Protocol):
    """One write path, many reads. Raises StoreUnavailable when the database cannot be reached."""

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitResult]:
        """Write independent commits durably, one result each, in order.

        One commit's conflict never spoils its neighbours (M23). Concurrent callers share one
        durable write.
        """
        ...

    # streams
    async def load(self, stream: str) -> Loaded | None: ...
    async def load_all(self, streams: Sequence[str]) -> Mapping[str, Loaded]:
        """Several at one look; what is not there is absent."""
        ...

    async def journal(
        self, stream: str, after_seq: int = 0, limit: int = 1000
    ) -> Sequence[JournalEntry]: ...
    async def resolve(self, ref_key: str) -> str | None:
        """The stream that a ref leads to."""
        ...

    async def streams(self, after: str = "", limit: int = 500) -> Sequence[Stored]:
        """All streams in the order of their names, a page after ``after``, for ``verify``."""
        ...

    # queries
    async def payments(self, query: PaymentQuery) -> Page[Payment]:
        """Raises InvalidInput("cursor") for a cursor this store did not make."""
        ...

    async def transfer_queue(self, currency: str | None = None, limit: int = 1) -> Sequence[str]:
        """The keys of the transfers that wait for funds, in the order in which they go out
        (``domain/funding.py``); of one currency, or of all, currency by currency."""
        ...

    async def payment_faults(self, stream: str) -> Sequence[str]:
        """What in the stream's rows beside the journal (projection columns, postings of no entry,
        work row) disagrees with its stored state and last entry; empty when all agree. Whether
        an entry's postings are those of its fact shows ``journal``."""
        ...

    async def orphans(self) -> Sequence[str]:
        """Rows that belong to no stream, in words: what a stream that vanished leaves behind."""
        ...

    async def vendor_was_paid(self, vendor_id: str) -> bool:
        """Whether any payment to this vendor ever completed."""
        ...

    async def balances(self, book: str | None = None) -> Sequence[Posting]:
        """Sums of all postings per (book, account, currency), zeros left out, sorted."""
        ...

    async def lines(self, query: LineQuery) -> Page[BookLine]:
        """Raises InvalidInput("cursor") for a cursor this store did not make."""
        ...

    async def listed(self, prefix: str, cursor: str | None, limit: int) -> Page[str]:
        """The streams whose refs begin with ``prefix``, the last key first; ``limit`` 1 to 100.
        Raises InvalidInput("cursor")."""
        ...

    async def texts(self, ids: Sequence[str]) -> dict[str, str]:
        """Bodies of texts by id; erased and unknown ones are absent."""
        ...

    async def text_digests(self, ids: Sequence[str]) -> dict[str, str]:
        """``text_digest`` of salt and body as they are stored now, for ``verify``; erased and
        unknown texts are absent."""
        ...

    async def idempotency(self, scope: str, key: str) -> IdempotencyRecord | None: ...
    async def inbox_event(self, event_id: str) -> InboxEvent | None: ...
    async def inbox_events(
        self, status: InboxStatus | None, cursor: str | None, limit: int
    ) -> Page[InboxEvent]: ...
    async def notice(self, notice_id: str) -> Notice | None: ...

    # the worker's lists
    async def claim(
        self, queue: Queue, *, now: datetime, lease_s: int, limit: int, worker: str
    ) -> Sequence[Claim]:
        """Lease due work, oldest first; nobody else is given it until the lease ends."""
        ...

    async def finish(self, claim: Claim, *, published_seq: int | None = None) -> None:
        """Done. For the outbox: up to ``published_seq``; the stream stays listed when entries
        were added meanwhile. A spent claim changes nothing."""
        ...

    async def postpone(
        self, claim: Claim, *, due_at: datetime, reason: str, published_seq: int | None = None
    ) -> None:
        """Try again at ``due_at``, with one more attempt counted. A spent claim changes nothing."""
        ...

    async def park(self, claim: Claim, *, now: datetime, reason: str) -> None:
        """Make it a dead letter."""
        ...

    async def dead_letters(self, queue: Queue | None = None) -> Sequence[DeadLetter]: ...
    async def redrive(self, queue: Queue, key: str, *, now: datetime) -> bool:
        """Put a dead letter back, due now, attempts at zero. False when there is none."""
        ...

    async def notice_sent(self, notice_id: str, *, at: datetime, provider_id: str) -> None: ...
    async def queue_ages(self) -> Sequence[QueueAge]: ...

    # limits shared between processes (M35)
    async def count_request(self, caller: str, window: int) -> int:
        """Count one request of ``caller`` in window number ``window``; how many it now has.
        Need not be durable."""
        ...

    # life
    async def ready(self) -> None:
        """Raises StoreUnavailable, with the reason, unless reads and writes work."""
        ...

    async def close(self) -> None: ...
