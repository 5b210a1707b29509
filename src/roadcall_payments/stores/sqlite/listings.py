"""A book's lines in the order of time, and what refs list: each one consistent look."""

from __future__ import annotations

import sqlite3

from roadcall_payments.ports import BookLine, LineQuery, Page
from roadcall_payments.stores.listings import (
    LINE_COLUMNS,
    line_conditions,
    listed_bounds,
    page_of_lines,
    page_of_listed,
)


def read_lines(db: sqlite3.Connection, query: LineQuery) -> Page[BookLine]:
    conditions = line_conditions(query)
    where = " AND ".join(text for text, _ in conditions)
    values = [value for _, given in conditions for value in given]
    rows = db.execute(
        f"SELECT {LINE_COLUMNS} FROM postings p"  # noqa: S608  # constants only
        " JOIN journal j ON j.stream = p.stream AND j.seq = p.seq"
        f" WHERE {where} ORDER BY j.at, p.stream, p.seq, p.line LIMIT ?",
        (*values, query.limit + 1),
    ).fetchall()
    return page_of_lines(rows, query.limit)


def read_listed(db: sqlite3.Connection, prefix: str, cursor: str | None, limit: int) -> Page[str]:
    first, before = listed_bounds(prefix, cursor)
    rows = db.execute(
        "SELECT key, stream FROM refs WHERE key >= ? AND key < ? ORDER BY key DESC LIMIT ?",
        (first, before, limit + 1),
    ).fetchall()
    return page_of_listed(rows, limit)
