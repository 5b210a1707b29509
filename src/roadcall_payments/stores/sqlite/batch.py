"""One batch of commits, inside one transaction: read what stands, judge, write the winners.

Each kind of row is read and written by one statement for the whole batch: a statement costs the
interpreter more than a row costs SQLite.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from roadcall_payments.commit import (
    Commit,
    CommitResult,
    Committed,
    IdempotencyAnswered,
    IdempotencyOpened,
    InboxInsert,
    InboxStatus,
    InboxUpdate,
    NoticeInsert,
)
from roadcall_payments.journal import Head
from roadcall_payments.ports import Queue
from roadcall_payments.stores.arbitration import (
    Standing,
    accept,
    idempotency_key,
    inbox_id,
    judge,
)
from roadcall_payments.stores.instants import to_micros
from roadcall_payments.stores.rows import (
    IDEMPOTENCY_COLUMNS,
    INBOX_COLUMNS,
    JOURNAL_COLUMNS,
    NOTICE_COLUMNS,
    PAYMENT_COLUMNS,
    Row,
    flattened,
    idempotency_row,
    inbox_row,
    notice_row,
)
from roadcall_payments.stores.sqlite.prepared import Prepared

# Of other numbers, as many statements as it takes.
_ROWS_AT_ONCE = (*range(1, 17), 32, 64)
_json = msgspec.json.Encoder()


class _Insert:
    """An INSERT of many rows at once, prepared for the numbers that a batch mostly has."""

    def __init__(self, into: str, columns: str, on_conflict: str = "") -> None:
        row = "(" + ", ".join("?" * len(columns.split(","))) + ")"
        self._statements = {
            size: f"INSERT INTO {into} ({columns}) VALUES {', '.join([row] * size)} {on_conflict}"  # noqa: S608  # constants only
            for size in _ROWS_AT_ONCE
        }

    def run(self, db: sqlite3.Connection, rows: Sequence[Row]) -> None:
        if len(rows) == 1:
            db.execute(self._statements[1], rows[0])
            return
        start = 0
        while left := len(rows) - start:
            size = _ROWS_AT_ONCE[bisect_right(_ROWS_AT_ONCE, left) - 1]
            db.execute(self._statements[size], flattened(rows[start : start + size]))
            start += size


_JOURNAL = _Insert("journal", JOURNAL_COLUMNS)
_POSTINGS = _Insert("postings", "stream, seq, line, book, account, currency, amount_cents")
_STREAMS = _Insert(
    "streams",
    "stream, kind, seq, hash, state",
    "ON CONFLICT (stream) DO UPDATE"
    " SET seq = excluded.seq, hash = excluded.hash, state = excluded.state",
)
# The WHERE spares the indexes when nothing that is searched for has changed.
_PAYMENTS = _Insert(
    "payments",
    PAYMENT_COLUMNS,
    "ON CONFLICT (id) DO UPDATE"
    " SET status = excluded.status, flagged = excluded.flagged, on_review = excluded.on_review,"
    " queue_key = excluded.queue_key"
    " WHERE (status, flagged, on_review, queue_key)"
    " IS NOT (excluded.status, excluded.flagged, excluded.on_review, excluded.queue_key)",
)
_REFS = _Insert("refs", "key, stream", "ON CONFLICT (key) DO UPDATE SET stream = excluded.stream")
_INBOX = _Insert("inbox", INBOX_COLUMNS)
_IDEMPOTENCY = _Insert("idempotency", IDEMPOTENCY_COLUMNS)
_TEXTS = _Insert("texts", "id, stream, body, salt")
_NOTICES = _Insert("notices", NOTICE_COLUMNS)
# A stream that is on the relay's list keeps its place, its lease and its dead letter.
_OUTBOX = _Insert(
    "work", "queue, key, due_at, attempts, published_seq", "ON CONFLICT (queue, key) DO NOTHING"
)
# A commit is a new beginning: whoever held the piece finds its claim spent.
_WORK = _Insert(
    "work",
    "queue, key, due_at, attempts, published_seq",
    "ON CONFLICT (queue, key) DO UPDATE SET due_at = excluded.due_at,"
    " attempts = excluded.attempts, lease = NULL, leased_until = NULL, parked_at = NULL,"
    " reason = NULL",
)


def write_batch(db: sqlite3.Connection, batch: Sequence[Prepared]) -> list[CommitResult]:
    """Write what wins; the transaction is the caller's. One result each, in order."""
    standing = _read_standing(db, [prepared.commit for prepared in batch])
    refs_before = dict(standing.refs)
    results: list[CommitResult] = []
    winners: list[Prepared] = []
    for prepared in batch:
        result = judge(prepared.commit, standing)
        if result is None:
            accept(prepared.commit, standing)
            winners.append(prepared)
            result = Committed()
        results.append(result)
    if winners:
        notices_due = _write_rows(db, winners)
        _write_refs(db, refs_before, standing.refs)
        _write_work(db, [winner.commit for winner in winners], notices_due)
    return results


def _read_standing(db: sqlite3.Connection, commits: Sequence[Commit]) -> Standing:
    streams = {write.stream for commit in commits for write in commit.streams}
    refs = {ref.key for commit in commits for ref in commit.refs_added}
    refs.update(key for commit in commits for key in commit.refs_removed)
    inbox = {inbox_id(commit.inbox) for commit in commits if commit.inbox}
    opened = [
        idempotency_key(commit.idempotency)
        for commit in commits
        if isinstance(commit.idempotency, IdempotencyOpened)
    ]

    def read_event_ids(stream: str, first: int, last: int) -> Mapping[int, str]:
        return dict(
            db.execute(
                "SELECT seq, event_id FROM journal WHERE stream = ? AND seq BETWEEN ? AND ?",
                (stream, first, last),
            )
        )

    return Standing(
        heads={
            stream: Head(seq, digest)
            for stream, seq, digest in _named(
                db,
                "SELECT stream, seq, hash FROM streams WHERE stream",
                streams,
            )
        },
        refs=dict(
            _named(
                db,
                "SELECT key, stream FROM refs WHERE key",
                refs,
            )
        ),
        inbox={
            event_id: InboxStatus(status)
            for event_id, status in _named(
                db,
                "SELECT event_id, status FROM inbox WHERE event_id",
                inbox,
            )
        },
        idempotency={
            (scope, key)
            for scope, key in opened
            if db.execute(
                "SELECT 1 FROM idempotency WHERE scope = ? AND key = ?", (scope, key)
            ).fetchone()
        },
        read_event_ids=read_event_ids,
    )


def _named(db: sqlite3.Connection, where: str, names: Iterable[str]) -> sqlite3.Cursor | tuple[()]:
    """The rows whose column, with which ``where`` ends, is one of ``names``."""
    sought = list(names)
    if not sought:
        return ()
    if len(sought) == 1:
        # A list costs three times what the one row does.
        return db.execute(f"{where} = ?", sought)
    return db.execute(
        f"{where} IN (SELECT value FROM json_each(?))",  # noqa: S608  # callers give constants
        (_json.encode(sought).decode(),),
    )


def _write_rows(db: sqlite3.Connection, winners: Sequence[Prepared]) -> list[NoticeInsert]:
    """Everything but refs and work; the notices that are new."""
    _JOURNAL.run(db, [row for winner in winners for row in winner.journal])
    _POSTINGS.run(db, [row for winner in winners for row in winner.postings])
    _STREAMS.run(db, [row for winner in winners for row in winner.streams])
    _PAYMENTS.run(db, [row for winner in winners for row in winner.payments])
    commits = [winner.commit for winner in winners]
    _INBOX.run(db, [inbox_row(c.inbox.event) for c in commits if isinstance(c.inbox, InboxInsert)])
    opened = [c.idempotency for c in commits if isinstance(c.idempotency, IdempotencyOpened)]
    _IDEMPOTENCY.run(db, [idempotency_row(one.record) for one in opened])
    _TEXTS.run(db, [(t.id, t.stream, t.body, t.salt) for c in commits for t in c.texts])
    for commit in commits:
        if isinstance(commit.inbox, InboxUpdate):
            _update_inbox(db, commit.inbox)
        if isinstance(commit.idempotency, IdempotencyAnswered):
            _answer_idempotency(db, commit.idempotency)
    return _write_notices(db, [notice for commit in commits for notice in commit.notices])


def _update_inbox(db: sqlite3.Connection, update: InboxUpdate) -> None:
    db.execute(
        "UPDATE inbox SET status = ?, reason = ?, attempts = ?, stream = ? WHERE event_id = ?",
        (update.status.value, update.reason, update.attempts, update.stream, update.event_id),
    )


def _answer_idempotency(db: sqlite3.Connection, answered: IdempotencyAnswered) -> None:
    db.execute(
        "UPDATE idempotency SET status = ?, seq = ? WHERE scope = ? AND key = ?",
        (answered.status, answered.seq, answered.scope, answered.key),
    )


def _write_notices(db: sqlite3.Connection, notices: Sequence[NoticeInsert]) -> list[NoticeInsert]:
    first_of_id = {notice.id: notice for notice in reversed(notices)}
    known = {row[0] for row in _named(db, "SELECT id FROM notices WHERE id", first_of_id)}
    new = [notice for own_id, notice in first_of_id.items() if own_id not in known]
    _NOTICES.run(db, [notice_row(notice) for notice in new])
    return new


def _write_refs(
    db: sqlite3.Connection, before: Mapping[str, str], after: Mapping[str, str]
) -> None:
    freed = before.keys() - after.keys()
    if freed:
        _named(db, "DELETE FROM refs WHERE key", freed)
    _REFS.run(db, [(key, stream) for key, stream in after.items() if before.get(key) != stream])


def _write_work(
    db: sqlite3.Connection, commits: Sequence[Commit], notices: Sequence[NoticeInsert]
) -> None:
    writes = [write for commit in commits for write in commit.streams]
    # A new row begins where the stream stood: what came before is published.
    _OUTBOX.run(
        db,
        [
            (
                Queue.OUTBOX.value,
                write.stream,
                to_micros(write.entries[0].at),
                0,
                write.expected_seq,
            )
            for write in writes
        ],
    )
    pieces: dict[tuple[Queue, str], Row | None] = {}
    for write in writes:
        pieces[Queue.ATTENTION, write.stream] = _piece(Queue.ATTENTION, write.stream, write.due_at)
    for commit in commits:
        match commit.inbox:
            case InboxInsert(event=event, due_at=due_at):
                own_id, status, attempts = event.event_id, event.status, event.attempts
            case InboxUpdate(own_id, status, _, attempts, _, due_at):
                pass
            case _:
                continue
        due = due_at if status is InboxStatus.WAITING else None
        pieces[Queue.INBOX, own_id] = _piece(Queue.INBOX, own_id, due, attempts)
    for notice in notices:
        pieces[Queue.NOTICES, notice.id] = _piece(Queue.NOTICES, notice.id, notice.due_at)
    _WORK.run(db, [row for row in pieces.values() if row is not None])
    for queue in (Queue.ATTENTION, Queue.INBOX):
        done = [key for (of, key), row in pieces.items() if of is queue and row is None]
        _named(db, f"DELETE FROM work WHERE queue = '{queue.value}' AND key", done)  # noqa: S608  # constants only


def _piece(queue: Queue, key: str, due_at: datetime | None, attempts: int = 0) -> Row | None:
    return None if due_at is None else (queue.value, key, to_micros(due_at), attempts, 0)
