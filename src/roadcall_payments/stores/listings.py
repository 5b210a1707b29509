"""What the relational stores share of reading lines and listed refs: conditions, rows, pages."""

from __future__ import annotations

from collections.abc import Sequence

from roadcall_payments.ledger.posting_rules import Posting
from roadcall_payments.ports import BookLine, LineQuery, Page
from roadcall_payments.stores.cursors import make_cursor, read_cursor
from roadcall_payments.stores.instants import from_micros, to_micros
from roadcall_payments.stores.rows import Value

LINE_COLUMNS = (
    "p.book, p.account, p.currency, p.amount_cents, p.stream, p.seq, j.type, j.at, p.line"
)
_LINES, _LISTED = "lines", "listed"

LineRow = tuple[str, str, str, int, str, int, str, int, int]


def line_conditions(query: LineQuery) -> list[tuple[str, list[Value]]]:
    """Each condition with its arguments, ``?`` for each."""
    found: list[tuple[str, list[Value]]] = [("p.book = ?", [query.book])]
    if query.account is not None:
        found.append(("p.account = ?", [query.account]))
    if query.currency is not None:
        found.append(("p.currency = ?", [query.currency]))
    if query.since is not None:
        found.append(("j.at >= ?", [to_micros(query.since)]))
    if query.until is not None:
        found.append(("j.at < ?", [to_micros(query.until)]))
    if query.cursor is not None:
        position: list[Value] = list(read_cursor(_LINES, query.cursor))
        found.append(("(j.at, p.stream, p.seq, p.line) > (?, ?, ?, ?)", position))
    return found


def page_of_lines(rows: Sequence[LineRow], limit: int) -> Page[BookLine]:
    """``rows``: one more than ``limit`` where there is another page."""
    page = rows[:limit]
    items = tuple(
        BookLine(Posting(book, account, currency, cents), stream, seq, kind, from_micros(at))
        for book, account, currency, cents, stream, seq, kind, at, _ in page
    )
    if len(rows) <= limit:
        return Page(items, None)
    _, _, _, _, stream, seq, _, at, line = page[-1]
    return Page(items, make_cursor(_LINES, at, stream, seq, line))


def listed_bounds(prefix: str, cursor: str | None) -> tuple[str, str]:
    """The keys from and up to which, the second not included, refs are listed downwards."""
    if cursor is None:
        return prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1)
    (key,) = read_cursor(_LISTED, cursor)
    return prefix, str(key)


def page_of_listed(rows: Sequence[tuple[str, str]], limit: int) -> Page[str]:
    page = rows[:limit]
    cursor = make_cursor(_LISTED, page[-1][0]) if len(rows) > limit else None
    return Page(tuple(stream for _, stream in page), cursor)
