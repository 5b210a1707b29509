"""The one statement that writes a batch: an INSERT, UPDATE or DELETE of many rows for each table.

It carries its own proof: rows that must have been found (a stream's head, an event that waits) are
counted, and the statement fails as a whole unless each was. Nothing is half written, and what it
wrote stands on what its snapshot and its row locks saw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from roadcall_payments.stores.rows import (
    IDEMPOTENCY_COLUMNS,
    INBOX_COLUMNS,
    JOURNAL_COLUMNS,
    NOTICE_COLUMNS,
    Row,
    Value,
)


@dataclass(frozen=True, slots=True)
class Part:
    """What is done to one table. ``{rows}`` stands for the rows, each with ``types`` for columns.

    ``all_found``: every row must be written, or none of the batch may be.
    """

    name: str
    types: tuple[str, ...]
    sql: str
    all_found: bool = False


def _insert(name: str, table: str, columns: str, types: str, tail: str = "") -> Part:
    sql = f"INSERT INTO {table} ({columns}) SELECT * FROM {{rows}} AS given {tail}"  # noqa: S608  # constants only
    return Part(name, tuple(types.split()), sql)


# Those that never change; the others stand beside the state.
_PAYMENT_COLUMNS = "id, company_id, vendor_id, driver_id, incident_id, payer_type"

# Every process meets the tables in one order (PostgreSQL's: those that are counted, as listed, then
# the others from the end) and each table's rows in the order of their keys, so that no two can wait
# for each other.
PARTS: tuple[Part, ...] = (
    Part(
        "streams_moved",
        ("text", "bigint", "text", "bigint", "text", "bytea", "text", "boolean", "boolean"),
        "UPDATE streams SET seq = given.seq, hash = given.hash, state = given.state,"
        " status = given.status, flagged = given.flagged, on_review = given.on_review"
        " FROM {rows} AS given"
        " (stream, expected_seq, prev_hash, seq, hash, state, status, flagged, on_review)"
        " WHERE streams.stream = given.stream AND streams.seq = given.expected_seq"
        " AND streams.hash = given.prev_hash",
        all_found=True,
    ),
    # Whoever holds a ref may add it again.
    Part(
        "refs_added",
        ("text", "text"),
        "INSERT INTO refs (key, stream) SELECT * FROM {rows} AS given"
        " ON CONFLICT (key) DO UPDATE SET stream = excluded.stream"
        " WHERE refs.stream = excluded.stream",
        all_found=True,
    ),
    Part(
        "refs_moved",
        ("text", "text", "text"),
        "UPDATE refs SET stream = given.to_stream"
        " FROM {rows} AS given (key, from_stream, to_stream)"
        " WHERE refs.key = given.key AND refs.stream = given.from_stream",
        all_found=True,
    ),
    Part(
        "inbox_told",
        ("text", "text", "text", "integer", "text"),
        "UPDATE inbox SET status = given.status, reason = given.reason,"
        " attempts = given.attempts, stream = given.stream"
        " FROM {rows} AS given (event_id, status, reason, attempts, stream)"
        " WHERE inbox.event_id = given.event_id AND inbox.status IN ('waiting', 'review')",
        all_found=True,
    ),
    _insert("streams_opened", "streams",
            "stream, kind, seq, hash, state, status, flagged, on_review",
            "text text bigint text bytea text boolean boolean"),
    Part(
        "refs_freed",
        ("text", "text"),
        "DELETE FROM refs USING {rows} AS given (key, stream)"
        " WHERE refs.key = given.key AND refs.stream = given.stream",
    ),
    _insert("inbox_taken", "inbox", INBOX_COLUMNS,
            "text text text bigint bytea text text integer text"),
    _insert("keys_opened", "idempotency", IDEMPOTENCY_COLUMNS,
            "text text text text bigint integer bigint"),
    Part(
        "keys_answered",
        ("text", "text", "integer", "bigint"),
        "UPDATE idempotency SET status = given.status, seq = given.seq"
        " FROM {rows} AS given (scope, key, status, seq)"
        " WHERE idempotency.scope = given.scope AND idempotency.key = given.key",
    ),
    _insert("journal_added", "journal", JOURNAL_COLUMNS,
            "text bigint text text bigint text bytea integer text text"),
    _insert("postings_added", "postings",
            "stream, seq, line, book, account, currency, amount_cents",
            "text bigint integer text text text bigint"),
    _insert("payments_opened", "payments", _PAYMENT_COLUMNS, "text text text text text text"),
    _insert("texts_added", "texts", "id, stream, body, salt", "text text text text"),
    _insert("notices_added", "notices", NOTICE_COLUMNS,
            "text text text text text text bigint",
            "ON CONFLICT (id) DO NOTHING RETURNING id, due_at"),
    # A stream that is on the relay's list keeps its place, its lease and its dead letter.
    Part(
        "outbox_listed",
        ("text", "bigint", "bigint", "bigint"),
        "INSERT INTO work (queue, key, due_at, attempts, published_seq, head_seq)"
        " SELECT 'outbox', key, due_at, 0, published_seq, head_seq"
        " FROM {rows} AS given (key, due_at, published_seq, head_seq)"
        " ON CONFLICT (queue, key) DO UPDATE SET head_seq = excluded.head_seq",
    ),
    # A commit is a new beginning: whoever held the piece finds its claim spent.
    Part(
        "work_listed",
        ("text", "text", "bigint", "integer"),
        "INSERT INTO work (queue, key, due_at, attempts, published_seq, head_seq)"
        " SELECT queue, key, due_at, attempts, 0, 0"
        " FROM {rows} AS given (queue, key, due_at, attempts)"
        " ON CONFLICT (queue, key) DO UPDATE SET due_at = excluded.due_at,"
        " attempts = excluded.attempts, lease = NULL, leased_until = NULL, parked_at = NULL,"
        " reason = NULL",
    ),
    Part(
        "work_done",
        ("text", "text"),
        "DELETE FROM work USING {rows} AS given (queue, key)"
        " WHERE work.queue = given.queue AND work.key = given.key",
    ),
)  # fmt: skip

# Only notices that are new are put on the list.
_NOTICES_LISTED = (
    "notices_listed AS (INSERT INTO work (queue, key, due_at, attempts, published_seq, head_seq)"
    " SELECT 'notices', id, due_at, 0, 0, 0 FROM notices_added)"
)


def write_statement(rows: Mapping[str, Sequence[Row]]) -> tuple[str, list[Sequence[Value]]]:
    """The statement for the parts that have rows, and its arguments: a column each."""
    named = [part for part in PARTS if rows.get(part.name)]
    arguments = [column for part in named for column in zip(*rows[part.name], strict=True)]
    return _text(tuple(part.name for part in named)), list(arguments)


@lru_cache(maxsize=256)
def _text(names: tuple[str, ...]) -> str:
    queries: list[str] = []
    checks: list[str] = []
    number = 1
    for part in PARTS:
        if part.name not in names:
            continue
        columns = ", ".join(f"${number + n}::{kind}[]" for n, kind in enumerate(part.types))
        query = part.sql.format(rows=f"unnest({columns})")
        if part.all_found:
            query += " RETURNING 1"
            checks.append(f"(SELECT count(*) FROM {part.name}) = cardinality(${number})")  # noqa: S608  # constants only
        queries.append(f"{part.name} AS ({query})")
        if part.name == "notices_added":
            queries.append(_NOTICES_LISTED)
        number += len(part.types)
    proof = f"CASE WHEN {' AND '.join(checks)} THEN true ELSE refuse_batch() END" if checks else "1"
    return f"WITH {', '.join(queries)} SELECT {proof}"
