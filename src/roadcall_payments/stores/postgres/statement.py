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
class Part:
    """What is done to one table. ``{rows}`` stands for the rows, of the part's own ``row_type``.

    ``all_found``: every row must be written, or none of the batch may be. ``version`` of the row
    type: a type's columns never change.
    """

    name: str
    sql: str
    all_found: bool = False
    version: int = 1

    @property
    def row_type(self) -> str:
        """The type in the database that names the columns (``stores/schema``)."""
        return f"{self.name}_row" if self.version == 1 else f"{self.name}_row_{self.version}"


def _insert(name: str, table: str, columns: str, tail: str = "", version: int = 1) -> Part:
    sql = f"INSERT INTO {table} ({columns}) SELECT * FROM {{rows}} AS given {tail}"  # noqa: S608  # constants only
    return Part(name, sql, version=version)


# Those that never change; the others stand beside the state.
_PAYMENT_COLUMNS = "id, company_id, vendor_id, driver_id, incident_id, payer_type"

# Every process meets the tables in one order (PostgreSQL's: those that are counted, as listed, then
# the others from the end) and each table's rows in the order of their keys, so that no two can wait
# for each other.
PARTS: tuple[Part, ...] = (
    Part(
        "streams_moved",
        "UPDATE streams SET seq = given.seq, hash = given.hash, state = given.state,"
        " status = given.status, flagged = given.flagged, on_review = given.on_review,"
        " queue_key = given.queue_key"
        " FROM {rows} AS given"
        " WHERE streams.stream = given.stream AND streams.seq = given.expected_seq"
        " AND streams.hash = given.prev_hash",
        all_found=True,
        version=2,
    ),
    # Whoever holds a ref may add it again.
    Part(
        "refs_added",
        "INSERT INTO refs (key, stream) SELECT * FROM {rows} AS given"
        " ON CONFLICT (key) DO UPDATE SET stream = excluded.stream"
        " WHERE refs.stream = excluded.stream",
        all_found=True,
    ),
    Part(
        "refs_moved",
        "UPDATE refs SET stream = given.to_stream"
        " FROM {rows} AS given"
        " WHERE refs.key = given.key AND refs.stream = given.from_stream",
        all_found=True,
    ),
    Part(
        "inbox_told",
        "UPDATE inbox SET status = given.status, reason = given.reason,"
        " attempts = given.attempts, stream = given.stream"
        " FROM {rows} AS given"
        " WHERE inbox.event_id = given.event_id AND inbox.status IN ('waiting', 'review')",
        all_found=True,
    ),
    _insert("streams_opened", "streams",
            "stream, kind, seq, hash, state, status, flagged, on_review, queue_key", version=2),
    Part(
        "refs_freed",
        "DELETE FROM refs USING {rows} AS given"
        " WHERE refs.key = given.key AND refs.stream = given.stream",
    ),
    _insert("inbox_taken", "inbox", INBOX_COLUMNS),
    _insert("keys_opened", "idempotency", IDEMPOTENCY_COLUMNS),
    Part(
        "keys_answered",
        "UPDATE idempotency SET status = given.status, seq = given.seq"
        " FROM {rows} AS given"
        " WHERE idempotency.scope = given.scope AND idempotency.key = given.key",
    ),
    _insert("journal_added", "journal", JOURNAL_COLUMNS),
    _insert("postings_added", "postings",
            "stream, seq, line, book, account, currency, amount_cents"),
    _insert("payments_opened", "payments", _PAYMENT_COLUMNS),
    _insert("texts_added", "texts", "id, stream, body, salt"),
    _insert("notices_added", "notices", NOTICE_COLUMNS,
            "ON CONFLICT (id) DO NOTHING RETURNING id, due_at"),
    # A stream that is on the relay's list keeps its place, its lease and its dead letter.
    Part(
        "outbox_listed",
        "INSERT INTO work (queue, key, due_at, attempts, published_seq, head_seq)"
        " SELECT 'outbox', key, due_at, 0, published_seq, head_seq"
        " FROM {rows} AS given"
        " ON CONFLICT (queue, key) DO UPDATE SET head_seq = excluded.head_seq",
    ),
    # A commit is a new beginning: whoever held the piece finds its claim spent.
    Part(
        "work_listed",
        "INSERT INTO work (queue, key, due_at, attempts, published_seq, head_seq)"
        " SELECT queue, key, due_at, attempts, 0, 0"
        " FROM {rows} AS given"
        " ON CONFLICT (queue, key) DO UPDATE SET due_at = excluded.due_at,"
        " attempts = excluded.attempts, lease = NULL, leased_until = NULL, parked_at = NULL,"
        " reason = NULL",
    ),
    Part(
        "work_done",
        "DELETE FROM work USING {rows} AS given"
        " WHERE work.queue = given.queue AND work.key = given.key",
    ),
)  # fmt: skip

# Only notices that are new are put on the list.
_NOTICES_LISTED = (
    "notices_listed AS (INSERT INTO work (queue, key, due_at, attempts, published_seq, head_seq)"
    " SELECT 'notices', id, due_at, 0, 0, 0 FROM notices_added)"
)


def write_statement(rows: Mapping[str, Sequence[Row]]) -> tuple[str, list[Sequence[Row]]]:
    """The statement for the parts that have rows, and its arguments: each one's rows."""
    named = [part for part in PARTS if rows.get(part.name)]
    return _text(tuple(part.name for part in named)), [rows[part.name] for part in named]


@lru_cache(maxsize=256)
def _text(names: tuple[str, ...]) -> str:
    queries: list[str] = []
    checks: list[str] = []
    number = 0
    for part in PARTS:
        if part.name not in names:
            continue
        number += 1
        query = part.sql.format(rows=f"unnest(${number}::{part.row_type}[])")
        if part.all_found:
            query += " RETURNING 1"
            checks.append(f"(SELECT count(*) FROM {part.name}) = cardinality(${number})")  # noqa: S608  # constants only
        queries.append(f"{part.name} AS ({query})")
        if part.name == "notices_added":
            queries.append(_NOTICES_LISTED)
    proof = f"CASE WHEN {' AND '.join(checks)} THEN true ELSE refuse_batch() END" if checks else "1"
    return f"WITH {', '.join(queries)} SELECT {proof}"
