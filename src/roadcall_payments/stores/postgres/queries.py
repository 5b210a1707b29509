"""What is read: each function is one consistent look, one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from roadcall_payments.stores.postgres.connection import Connection

_PAYMENTS, _INBOX = "payments", "inbox"


# by key, for many at once


async def read_heads_and_states(
    connection: Connection, streams: Sequence[str]
) -> Mapping[str, Loaded]:
    rows = await connection.fetch(
        "SELECT stream, seq, hash, state FROM streams WHERE stream = ANY($1::text[])", streams
    )
    return {
        stream: Loaded(Head(seq, digest), decode_state(stream, state))
        for stream, seq, digest, state in rows
    }


async def read_refs(connection: Connection, keys: Sequence[str]) -> Mapping[str, str]:
    rows = await connection.fetch("SELECT key, stream FROM refs WHERE key = ANY($1::text[])", keys)
    return {key: stream for key, stream in rows}  # noqa: C416  # a Record is no tuple of two


async def read_inbox_events(
    connection: Connection, event_ids: Sequence[str]
) -> Mapping[str, InboxEvent]:
    rows = await connection.fetch(
        f"SELECT {INBOX_COLUMNS} FROM inbox WHERE event_id = ANY($1::text[])",  # noqa: S608  # constant columns
        event_ids,
    )
    return {row["event_id"]: inbox_event(tuple(row)) for row in rows}


async def read_inbox_event(connection: Connection, event_id: str) -> InboxEvent | None:
    return (await read_inbox_events(connection, [event_id])).get(event_id)


async def read_texts(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    rows = await connection.fetch("SELECT id, body FROM texts WHERE id = ANY($1::text[])", ids)
    return {row["id"]: row["body"] for row in rows}


async def read_text_digests(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    rows = await connection.fetch(
        "SELECT id, salt, body FROM texts WHERE id = ANY($1::text[])", ids
    )
    return {own_id: text_digest(salt, body) for own_id, salt, body in rows}


async def read_idempotency_records(
    connection: Connection, keys: Sequence[tuple[str, str]]
) -> Mapping[tuple[str, str], IdempotencyRecord]:
    rows = await connection.fetch(
        f"SELECT {IDEMPOTENCY_COLUMNS} FROM idempotency"  # noqa: S608  # constant columns
        " JOIN unnest($1::text[], $2::text[]) AS asked (scope, key) USING (scope, key)",
        *zip(*keys, strict=True),
    )
    return {(row["scope"], row["key"]): idempotency_record(tuple(row)) for row in rows}


async def read_idempotency(
    connection: Connection, scope: str, key: str
) -> IdempotencyRecord | None:
    return (await read_idempotency_records(connection, [(scope, key)])).get((scope, key))


async def read_notice(connection: Connection, notice_id: str) -> Notice | None:
    row = await connection.fetchrow(
        f"SELECT {NOTICE_COLUMNS}, sent_at, provider_id FROM notices WHERE id = $1",  # noqa: S608  # constant columns
        notice_id,
    )
    return None if row is None else notice(tuple(row))


# streams


Stretch = tuple[str, int, int]
"""(stream, after seq, at most so many entries)"""


async def read_journals(
    connection: Connection, stretches: Sequence[Stretch]
) -> Mapping[Stretch, list[JournalEntry]]:
    rows = await connection.fetch(
        f"SELECT asked.place, {JOURNAL_COLUMNS}, books, accounts, currencies, amounts"  # noqa: S608  # constants only
        " FROM unnest($1::text[], $2::bigint[], $3::bigint[]) WITH ORDINALITY"
        " AS asked (of_stream, after_seq, count, place)"
        " CROSS JOIN LATERAL (SELECT * FROM journal WHERE stream = asked.of_stream"
        " AND seq > asked.after_seq ORDER BY seq LIMIT asked.count) AS entry"
        " CROSS JOIN LATERAL (SELECT array_agg(book ORDER BY line) AS books,"
        " array_agg(account ORDER BY line) AS accounts,"
        " array_agg(currency ORDER BY line) AS currencies,"
        " array_agg(amount_cents ORDER BY line) AS amounts"
        " FROM postings WHERE stream = entry.stream AND seq = entry.seq) AS lines"
        " ORDER BY place, seq",
        *zip(*stretches, strict=True),
    )
    found: dict[Stretch, list[JournalEntry]] = {}
    for place, *columns, books, accounts, currencies, amounts in rows:
        lines = zip(books or (), accounts or (), currencies or (), amounts or (), strict=True)
        entry = journal_entry(tuple(columns), [Posting(*line) for line in lines])
        found.setdefault(stretches[place - 1], []).append(entry)
    return found


async def read_journal(
    connection: Connection, stream: str, after_seq: int, limit: int
) -> list[JournalEntry]:
    stretch = (stream, after_seq, limit)
    return (await read_journals(connection, [stretch])).get(stretch, [])


async def read_streams(connection: Connection, after: str, limit: int) -> list[Stored]:
    rows = await connection.fetch(
        "SELECT s.stream, s.seq, s.hash, s.state, w.due_at FROM streams s"
        " LEFT JOIN work w ON w.queue = $1 AND w.key = s.stream"
        " WHERE s.stream > $2 ORDER BY s.stream LIMIT $3",
        Queue.ATTENTION.value,
        after,
        limit,
    )
    return [
        Stored(stream, Head(seq, digest), state, maybe_instant(due_at))
        for stream, seq, digest, state, due_at in rows
    ]


# lists


def payments_statement(query: PaymentQuery) -> tuple[str, list[Value]]:
    """The statement for these filters and its arguments: each has an index that serves it."""
    wanted: dict[str, Value] = {
        "p.company_id": query.company_id,
        "p.vendor_id": query.vendor_id,
        "p.driver_id": query.driver_id,
        "p.incident_id": query.incident_id,
        "s.status": query.status,
        "p.payer_type": query.payer_type,
    }
    asked = [(column, value) for column, value in wanted.items() if value is not None]
    conditions = [f"{column} = ${number}" for number, (column, _) in enumerate(asked, start=1)]
    values: list[Value] = [value for _, value in asked]
    for column, flag in (("s.flagged", query.flagged), ("s.on_review", query.on_review)):
        if flag is not None:
            conditions.append(column if flag else f"NOT {column}")
    if query.queued:
        # What waits is approved: that index has the order too.
        conditions += ["s.queue_key IS NOT NULL", "s.status = 'approved'"]
    elif query.queued is not None:
        conditions.append("s.queue_key IS NULL")
    # The partial indexes are used by queries that repeat their WHERE.
    is_open = query.queued or query.status not in (None, Status.COMPLETED)
    if is_open:
        conditions.append("s.status <> 'completed'")
    # Few payments are open, flagged or on review: those are walked, unless somebody's own are.
    whose = query.vendor_id or query.driver_id or query.incident_id
    by_status = (is_open or query.flagged or query.on_review) and not whose
    order = "s.stream" if by_status else "p.id"
    joined = "p.id = substr(s.stream, 9)" if by_status else "s.stream = 'payment/' || p.id"
    if query.cursor is not None:
        (own_id,) = read_cursor(_PAYMENTS, query.cursor)
        position = str(own_id)
        values.append(stream_of("payment", position) if by_status else position)
        conditions.append(f"{order} < ${len(values)}")
    values.append(query.limit + 1)
    where = " AND ".join(conditions) or "TRUE"
    text = (
        f"SELECT p.id, s.state FROM payments p JOIN streams s ON {joined}"  # noqa: S608  # constants only
        f" WHERE {where} ORDER BY {order} DESC LIMIT ${len(values)}"
    )
    return text, values


async def read_payments(connection: Connection, query: PaymentQuery) -> Page[Payment]:
    text, values = payments_statement(query)
    rows = await connection.fetch(text, *values)
    page = rows[: query.limit]
    cursor = make_cursor(_PAYMENTS, page[-1]["id"]) if len(rows) > query.limit else None
    return Page(tuple(_payment(own_id, state) for own_id, state in page), cursor)


async def read_transfer_queue(
    connection: Connection, currency: str | None, limit: int
) -> list[str]:
    if currency is None:
        text, values = "queue_key IS NOT NULL", []
    else:
        text, values = "queue_key BETWEEN $2 AND $3", [*queue_bounds(currency)]
    rows = await connection.fetch(
        f"SELECT queue_key FROM streams WHERE {text} ORDER BY queue_key LIMIT $1",  # noqa: S608  # constants only
        limit,
        *values,
    )
    return [row[0] for row in rows]


def _payment(own_id: str, state: bytes) -> Payment:
    decoded = decode_state(stream_of("payment", own_id), state)
    if not isinstance(decoded, Payment):
        raise TypeError(f"The state of payment {own_id} is a {type(decoded).__name__}.")
    return decoded


async def read_vendor_was_paid(connection: Connection, vendor_id: str) -> bool:
    found = await connection.fetchval(
        "SELECT 1 FROM payments p JOIN streams s ON s.stream = 'payment/' || p.id"
        " WHERE p.vendor_id = $1 AND s.status = 'completed' ORDER BY p.id LIMIT 1",
        vendor_id,
    )
    return found is not None


async def read_balances(connection: Connection, book: str | None) -> list[Posting]:
    where, values = ("WHERE book = $1", [book]) if book is not None else ("", [])
    rows = await connection.fetch(
        "SELECT book, account, currency, sum(amount_cents)::bigint FROM postings"  # noqa: S608  # constants only
        f" {where} GROUP BY book, account, currency HAVING sum(amount_cents) <> 0"
        " ORDER BY book, account, currency",
        *values,
    )
    return [Posting(*row) for row in rows]


def inbox_statement(
    status: InboxStatus | None, cursor: str | None, limit: int
) -> tuple[str, list[Value]]:
    conditions: list[str] = []
    values: list[Value] = []
    if status is not None:
        values.append(status.value)
        conditions.append("status = $1")
    if status in (InboxStatus.WAITING, InboxStatus.REVIEW):
        # The partial index is used by a query that repeats its WHERE.
        conditions.append("status IN ('waiting', 'review')")
    if cursor is not None:
        received_at, event_id = read_cursor(_INBOX, cursor)
        values += [int(received_at), str(event_id)]
        conditions.append(f"(received_at, event_id) < (${len(values) - 1}, ${len(values)})")
    values.append(limit + 1)
    where = " AND ".join(conditions) or "TRUE"
    text = (
        f"SELECT {INBOX_COLUMNS} FROM inbox WHERE {where}"  # noqa: S608  # constants only
        f" ORDER BY received_at DESC, event_id DESC LIMIT ${len(values)}"
    )
    return text, values


async def read_inbox(
    connection: Connection, status: InboxStatus | None, cursor: str | None, limit: int
) -> Page[InboxEvent]:
    text, values = inbox_statement(status, cursor, limit)
    rows = await connection.fetch(text, *values)
    events = tuple(inbox_event(tuple(row)) for row in rows[:limit])
    if len(rows) <= limit:
        return Page(events, None)
    last = events[-1]
    return Page(events, make_cursor(_INBOX, to_micros(last.received_at), last.event_id))
