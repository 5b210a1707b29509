"""What is read: each function is one consistent look, on a reading connection."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from roadcall_payments.commit import (
    IdempotencyRecord,
    InboxEvent,
    InboxStatus,
    decode_state,
    stream_of,
    text_digest,
)
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.journal import Head, JournalEntry
from roadcall_payments.ledger.posting_rules import Posting
from roadcall_payments.ports import Loaded, Notice, Page, PaymentQuery, Queue, Stored
from roadcall_payments.stores.cursors import make_cursor, read_cursor
from roadcall_payments.stores.instants import maybe_instant, to_micros
from roadcall_payments.stores.rows import (
    IDEMPOTENCY_COLUMNS,
    INBOX_COLUMNS,
    JOURNAL_COLUMNS,
    NOTICE_COLUMNS,
    Value,
    idempotency_record,
    inbox_event,
    journal_entry,
    notice,
    queue_bounds,
)

_PAYMENTS, _INBOX = "payments", "inbox"


def read_stream(db: sqlite3.Connection, stream: str) -> Loaded | None:
    row = db.execute("SELECT seq, hash, state FROM streams WHERE stream = ?", (stream,)).fetchone()
    if row is None:
        return None
    seq, digest, state = row
    return Loaded(Head(seq, digest), decode_state(stream, state))


def read_some_streams(db: sqlite3.Connection, streams: Sequence[str]) -> dict[str, Loaded]:
    found = {stream: read_stream(db, stream) for stream in streams}
    return {stream: loaded for stream, loaded in found.items() if loaded is not None}


def read_journal(
    db: sqlite3.Connection, stream: str, after_seq: int, limit: int
) -> list[JournalEntry]:
    rows = db.execute(
        f"SELECT {JOURNAL_COLUMNS} FROM journal WHERE stream = ? AND seq > ?"  # noqa: S608  # constant columns
        " ORDER BY seq LIMIT ?",
        (stream, after_seq, limit),
    ).fetchall()
    if not rows:
        return []
    # Entries never change, so their postings may be read a moment later.
    postings: defaultdict[int, list[Posting]] = defaultdict(list)
    for seq, book, account, currency, amount_cents in db.execute(
        "SELECT seq, book, account, currency, amount_cents FROM postings"
        " WHERE stream = ? AND seq BETWEEN ? AND ? ORDER BY seq, line",
        (stream, rows[0][1], rows[-1][1]),
    ):
        postings[seq].append(Posting(book, account, currency, amount_cents))
    return [journal_entry(row, postings[row[1]]) for row in rows]


def read_ref(db: sqlite3.Connection, ref_key: str) -> str | None:
    row = db.execute("SELECT stream FROM refs WHERE key = ?", (ref_key,)).fetchone()
    return None if row is None else str(row[0])


def read_streams(db: sqlite3.Connection, after: str, limit: int) -> list[Stored]:
    rows = db.execute(
        "SELECT s.stream, s.seq, s.hash, s.state, w.due_at FROM streams s"
        " LEFT JOIN work w ON w.queue = ? AND w.key = s.stream"
        " WHERE s.stream > ? ORDER BY s.stream LIMIT ?",
        (Queue.ATTENTION.value, after, limit),
    )
    return [
        Stored(stream, Head(seq, digest), state, maybe_instant(due_at))
        for stream, seq, digest, state, due_at in rows
    ]


def read_payments(db: sqlite3.Connection, query: PaymentQuery) -> Page[Payment]:
    wanted: dict[str, Value] = {
        "p.company_id": query.company_id,
        "p.vendor_id": query.vendor_id,
        "p.driver_id": query.driver_id,
        "p.incident_id": query.incident_id,
        "p.status": query.status,
        "p.payer_type": query.payer_type,
    }
    conditions = [f"{column} = ?" for column, value in wanted.items() if value is not None]
    values = [value for value in wanted.values() if value is not None]
    # The partial indexes are used by queries that repeat their WHERE.
    if query.queued or query.status not in (None, Status.COMPLETED):
        conditions.append("p.status != 'completed'")
    for column, flag in (("p.flagged", query.flagged), ("p.on_review", query.on_review)):
        if flag is not None:
            conditions.append(f"{column} = {int(flag)}")
    if query.queued:
        # What waits is approved: that index has the order too.
        conditions += ["p.queue_key IS NOT NULL", "p.status = 'approved'"]
    elif query.queued is not None:
        conditions.append("p.queue_key IS NULL")
    if query.cursor is not None:
        conditions.append("p.id < ?")
        values.append(_text_position(query.cursor))
    where = " AND ".join(conditions) or "TRUE"
    rows = db.execute(
        "SELECT p.id, s.state FROM payments p JOIN streams s ON s.stream = 'payment/' || p.id"  # noqa: S608  # constants only
        f" WHERE {where} ORDER BY p.id DESC LIMIT ?",
        (*values, query.limit + 1),
    ).fetchall()
    page = rows[: query.limit]
    cursor = make_cursor(_PAYMENTS, page[-1][0]) if len(rows) > query.limit else None
    return Page(tuple(_payment(own_id, state) for own_id, state in page), cursor)


def read_transfer_queue(db: sqlite3.Connection, currency: str | None, limit: int) -> list[str]:
    within = "queue_key IS NOT NULL" if currency is None else "queue_key BETWEEN ? AND ?"
    bounds = () if currency is None else queue_bounds(currency)
    rows = db.execute(
        f"SELECT queue_key FROM payments WHERE {within} ORDER BY queue_key LIMIT ?",  # noqa: S608  # constants only
        (*bounds, limit),
    )
    return [key for (key,) in rows]


def _payment(own_id: str, state: bytes) -> Payment:
    decoded = decode_state(stream_of("payment", own_id), state)
    if not isinstance(decoded, Payment):
        raise TypeError(f"The state of payment {own_id} is a {type(decoded).__name__}.")
    return decoded


def _text_position(cursor: str) -> str:
    (position,) = read_cursor(_PAYMENTS, cursor)
    return str(position)


def read_vendor_was_paid(db: sqlite3.Connection, vendor_id: str) -> bool:
    row = db.execute(
        "SELECT 1 FROM payments WHERE vendor_id = ? AND status = 'completed' LIMIT 1", (vendor_id,)
    ).fetchone()
    return row is not None


def read_balances(db: sqlite3.Connection, book: str | None) -> list[Posting]:
    where, values = ("WHERE book = ?", (book,)) if book is not None else ("", ())
    rows = db.execute(
        "SELECT book, account, currency, sum(amount_cents) FROM postings"  # noqa: S608  # constants only
        f" {where} GROUP BY book, account, currency HAVING sum(amount_cents) != 0"
        " ORDER BY book, account, currency",
        values,
    )
    return [Posting(*row) for row in rows]


def read_texts(db: sqlite3.Connection, ids: Sequence[str]) -> dict[str, str]:
    return dict(
        db.execute(
            "SELECT id, body FROM texts WHERE id IN (SELECT value FROM json_each(?))",
            (msgspec.json.encode(ids).decode(),),
        )
    )


def read_text_digests(db: sqlite3.Connection, ids: Sequence[str]) -> dict[str, str]:
    rows = db.execute(
        "SELECT id, salt, body FROM texts WHERE id IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(ids).decode(),),
    )
    return {own_id: text_digest(salt, body) for own_id, salt, body in rows}


def read_idempotency(db: sqlite3.Connection, scope: str, key: str) -> IdempotencyRecord | None:
    row = db.execute(
        f"SELECT {IDEMPOTENCY_COLUMNS} FROM idempotency WHERE scope = ? AND key = ?",  # noqa: S608  # constant columns
        (scope, key),
    ).fetchone()
    return None if row is None else idempotency_record(row)


def read_inbox_event(db: sqlite3.Connection, event_id: str) -> InboxEvent | None:
    row = db.execute(
        f"SELECT {INBOX_COLUMNS} FROM inbox WHERE event_id = ?",  # noqa: S608  # constant columns
        (event_id,),
    ).fetchone()
    return None if row is None else inbox_event(row)


def read_inbox(
    db: sqlite3.Connection, status: InboxStatus | None, cursor: str | None, limit: int
) -> Page[InboxEvent]:
    conditions: list[str] = []
    values: list[Value] = []
    if status is not None:
        conditions.append("status = ?")
        values.append(status.value)
    if status in (InboxStatus.WAITING, InboxStatus.REVIEW):
        # The partial index is used by a query that repeats its WHERE.
        conditions.append("status IN ('waiting', 'review')")
    if cursor is not None:
        conditions.append("(received_at, event_id) < (?, ?)")
        values += read_cursor(_INBOX, cursor)
    where = " AND ".join(conditions) or "TRUE"
    rows = db.execute(
        f"SELECT {INBOX_COLUMNS} FROM inbox WHERE {where}"  # noqa: S608  # constants only
        " ORDER BY received_at DESC, event_id DESC LIMIT ?",
        (*values, limit + 1),
    ).fetchall()
    events = tuple(inbox_event(row) for row in rows[:limit])
    if len(rows) <= limit:
        return Page(events, None)
    last = events[-1]
    return Page(events, make_cursor(_INBOX, to_micros(last.received_at), last.event_id))


def read_notice(db: sqlite3.Connection, notice_id: str) -> Notice | None:
    row = db.execute(
        f"SELECT {NOTICE_COLUMNS}, sent_at, provider_id FROM notices WHERE id = ?",  # noqa: S608  # constant columns
        (notice_id,),
    ).fetchone()
    return None if row is None else notice(row)
