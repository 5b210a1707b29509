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
)


@dataclass(frozen=True, slots=True)
class Query:
    """What is done to one table with the rows of one part. ``{rows}`` stands for these.

    ``must_find``: how many it has to write, or none of the batch may be; ``{array}`` is the rows'
    parameter.
    """

    name: str
    part: str
    sql: str
    must_find: str | None = None


def _insert(name: str, table: str, columns: str, tail: str = "") -> Query:
    return Query(name, name, f"INSERT INTO {table} ({columns}) SELECT * FROM {{rows}} {tail}")  # noqa: S608  # constants only


def _found(name: str, sql: str) -> Query:
    return Query(name, name, sql, must_find="cardinality({array})")


def _of_streams(name: str, sql: str, must_find: str | None = None) -> Query:
    return Query(name, "streams_written", sql, must_find)


# Those that never change; the others stand beside the state.
_PAYMENT_COLUMNS = "id, company_id, vendor_id, driver_id, incident_id, payer_type"
_WORK_COLUMNS = "queue, key, due_at, attempts, published_seq, head_seq"
# A commit is a new beginning: whoever held the piece finds its claim spent.
_BEGUN_ANEW = (
    "ON CONFLICT (queue, key) DO UPDATE SET due_at = excluded.due_at,"
    " attempts = excluded.attempts, lease = NULL, leased_until = NULL, parked_at = NULL,"
    " reason = NULL"
)

# Every process meets the tables in one order (PostgreSQL's: those that are counted, as listed, then
# the others from the end) and each table's rows in the order of their keys, so that no two can wait
# for each other. Of the list of work: 'attention', 'inbox', 'outbox', 'notices'.
QUERIES: tuple[Query, ...] = (
    _of_streams(
        "streams_moved",
        "UPDATE streams SET seq = given.seq, hash = given.hash, state = given.state,"
        " status = given.status, flagged = given.flagged, on_review = given.on_review,"
        " queue_key = given.queue_key"
        " FROM {rows} AS given"
        " WHERE streams.stream = given.stream AND streams.seq = given.expected_seq"
        " AND streams.hash = given.prev_hash",
        must_find="(SELECT count(*) FROM {rows} WHERE expected_seq > 0)",
    ),
    # Whoever holds a ref may add it again.
    _found(
        "refs_added",
        "INSERT INTO refs (key, stream) SELECT * FROM {rows}"
        " ON CONFLICT (key) DO UPDATE SET stream = excluded.stream"
        " WHERE refs.stream = excluded.stream",
    ),
    _found(
        "refs_moved",
        "UPDATE refs SET stream = given.to_stream"
        " FROM {rows} AS given"
        " WHERE refs.key = given.key AND refs.stream = given.from_stream",
    ),
    _found(
        "inbox_told",
        "UPDATE inbox SET status = given.status, reason = given.reason,"
        " attempts = given.attempts, stream = given.stream"
        " FROM {rows} AS given"
        " WHERE inbox.event_id = given.event_id AND inbox.status IN ('waiting', 'review')",
    ),
    _of_streams(
        "streams_opened",
        "INSERT INTO streams"
        " (stream, kind, seq, hash, state, status, flagged, on_review, queue_key)"
        " SELECT stream, split_part(stream, '/', 1), seq, hash, state,"
        " status, flagged, on_review, queue_key"
        " FROM {rows} WHERE expected_seq = 0",
    ),
    Query(
        "refs_freed",
        "refs_freed",
        "DELETE FROM refs USING {rows} AS given"
        " WHERE refs.key = given.key AND refs.stream = given.stream",
    ),
    _insert("inbox_taken", "inbox", INBOX_COLUMNS),
    _insert("keys_opened", "idempotency", IDEMPOTENCY_COLUMNS),
    Query(
        "keys_answered",
        "keys_answered",
        "UPDATE idempotency SET status = given.status, seq = given.seq"
        " FROM {rows} AS given"
        " WHERE idempotency.scope = given.scope AND idempotency.key = given.key",
    ),
    _insert("journal_added", "journal", JOURNAL_COLUMNS),
    _of_streams(
        "first_entries",
        f"INSERT INTO journal ({JOURNAL_COLUMNS})"  # noqa: S608  # constants only
        " SELECT stream, expected_seq + 1, event_id, type, at, actor, data, rules_version,"
        " prev_hash, entry_hash FROM {rows}",
    ),
    _insert("postings_added", "postings",
            "stream, seq, line, book, account, currency, amount_cents"),
    _insert("payments_opened", "payments", _PAYMENT_COLUMNS),
    _insert("texts_added", "texts", "id, stream, body, salt"),
    _insert("notices_added", "notices", NOTICE_COLUMNS,
            "ON CONFLICT (id) DO NOTHING RETURNING id, due_at"),
    # A stream that is on the relay's list keeps its place, its lease and its dead letter. A new row
    # begins where the stream stood: what came before is published.
    _of_streams(
        "outbox_listed",
        f"INSERT INTO work ({_WORK_COLUMNS})"  # noqa: S608  # constants only
        " SELECT 'outbox', stream, at, 0, expected_seq, seq FROM {rows}"
        " ON CONFLICT (queue, key) DO UPDATE SET head_seq = excluded.head_seq",
    ),
    Query(
        "work_listed",
        "work_listed",
        f"INSERT INTO work ({_WORK_COLUMNS})"  # noqa: S608  # constants only
        f" SELECT queue, key, due_at, attempts, 0, 0 FROM {{rows}} {_BEGUN_ANEW}",
    ),
    _of_streams(
        "attention_listed",
        f"INSERT INTO work ({_WORK_COLUMNS})"  # noqa: S608  # constants only
        f" SELECT 'attention', stream, due_at, 0, 0, 0 FROM {{rows}} WHERE due_at IS NOT NULL"
        f" {_BEGUN_ANEW}",
    ),
    Query(
        "work_done",
        "work_done",
        "DELETE FROM work USING {rows} AS given"
        " WHERE work.queue = given.queue AND work.key = given.key",
    ),
    _of_streams(
        "attention_done",
        "DELETE FROM work USING {rows} AS given"
        " WHERE work.queue = 'attention' AND work.key = given.stream AND given.due_at IS NULL",
    ),
)  # fmt: skip

PARTS = tuple(dict.fromkeys(query.part for query in QUERIES))
"""Each with rows of its own, and a type in the database that names their columns: ``row_type``."""

# Only notices that are new are put on the list.
_NOTICES_LISTED = (
    f"notices_listed AS (INSERT INTO work ({_WORK_COLUMNS})"  # noqa: S608  # constants only
    " SELECT 'notices', id, due_at, 0, 0, 0 FROM notices_added)"
)


def row_type(part: str) -> str:
    """Its name (``stores/schema``). A type's columns never change: others take another part."""
    return f"{part}_row"


def write_statement(rows: Mapping[str, Sequence[Row]]) -> tuple[str, list[Sequence[Row]]]:
    """The statement for the parts that have rows, and its arguments: each one's rows."""
    named = tuple(part for part in PARTS if rows.get(part))
    return _text(named), [rows[part] for part in named]


@lru_cache(maxsize=256)
def _text(named: tuple[str, ...]) -> str:
    arrays = {part: f"${number}" for number, part in enumerate(named, start=1)}
    queries = [
        f"{part}_rows AS (SELECT * FROM unnest({array}::{row_type(part)}[]))"  # noqa: S608  # constants only
        for part, array in arrays.items()
    ]
    checks: list[str] = []
    for query in QUERIES:
        if query.part not in arrays:
            continue
        rows, array = f"{query.part}_rows", arrays[query.part]
        sql = query.sql.format(rows=rows)
        if query.must_find:
            sql += " RETURNING 1"
            count = query.must_find.format(rows=rows, array=array)
            checks.append(f"(SELECT count(*) FROM {query.name}) = {count}")  # noqa: S608  # constants only
        queries.append(f"{query.name} AS ({sql})")
        if query.name == "notices_added":
            queries.append(_NOTICES_LISTED)
    proof = f"CASE WHEN {' AND '.join(checks)} THEN true ELSE refuse_batch() END" if checks else "1"
    return f"WITH {', '.join(queries)} SELECT {proof}"
