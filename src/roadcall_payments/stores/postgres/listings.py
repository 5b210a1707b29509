"""A book's lines in the order of time, and what refs list: each one consistent look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roadcall_payments.ports import BookLine, LineQuery, Page
from roadcall_payments.stores.listings import (
    LINE_COLUMNS,
    line_conditions,
    listed_bounds,
    page_of_lines,
    page_of_listed,
)
from roadcall_payments.stores.rows import Value

if TYPE_CHECKING:
    from roadcall_payments.stores.postgres.connection import Connection


def lines_statement(query: LineQuery) -> tuple[str, list[Value]]:
    conditions: list[str] = []
    values: list[Value] = []
    for text, given in line_conditions(query):
        for value in given:
            values.append(value)
            text = text.replace("?", f"${len(values)}", 1)
        conditions.append(text)
    values.append(query.limit + 1)
    statement = (
        f"SELECT {LINE_COLUMNS} FROM postings p"  # noqa: S608  # constants only
        " JOIN journal j ON j.stream = p.stream AND j.seq = p.seq"
        f" WHERE {' AND '.join(conditions)}"
        f" ORDER BY j.at, p.stream, p.seq, p.line LIMIT ${len(values)}"
    )
    return statement, values


async def read_lines(connection: Connection, query: LineQuery) -> Page[BookLine]:
    statement, values = lines_statement(query)
    rows = await connection.fetch(statement, *values)
    return page_of_lines([tuple(row) for row in rows], query.limit)


async def read_listed(
    connection: Connection, prefix: str, cursor: str | None, limit: int
) -> Page[str]:
    first, before = listed_bounds(prefix, cursor)
    rows = await connection.fetch(
        "SELECT key, stream FROM refs WHERE key >= $1 AND key < $2 ORDER BY key DESC LIMIT $3",
        first,
        before,
        limit + 1,
    )
    return page_of_listed([tuple(row) for row in rows], limit)
