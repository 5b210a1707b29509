"""From a batch of commits to the rows of its statement; and what stands of all that it names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec

from roadcall_payments.commit import (
    Commit,
    IdempotencyAnswered,
    IdempotencyOpened,
    InboxInsert,
    InboxStatus,
    InboxUpdate,
    StreamWrite,
    encode_state,
)
from roadcall_payments.domain.payment import Payment
from roadcall_payments.journal import Head
from roadcall_payments.ports import Queue
from roadcall_payments.stores.arbitration import (
    Standing,
    beside_is_stored,
    idempotency_key,
    inbox_id,
)
from roadcall_payments.stores.instants import maybe_micros, to_micros
from roadcall_payments.stores.postgres.queries import read_idempotency, read_inbox_event
from roadcall_payments.stores.rows import (
    Row,
    idempotency_row,
    inbox_row,
    journal_row,
    notice_row,
    payment_fixed,
    payment_searched,
    posting_rows,
)

if TYPE_CHECKING:
    import asyncpg

    from roadcall_payments.stores.postgres.connection import Connection

Rows = Mapping[str, Sequence[Row]]
"""The rows of each part of the statement."""
_Gathered = defaultdict[str, list[Row]]


class Job(msgspec.Struct, frozen=True):
    """A commit on its way: its rows, made on the caller's own time, and the names of all that it
    may collide on."""

    commit: Commit
    rows: Rows
    keys: Sequence[str]


def job_of(commit: Commit) -> Job:
    rows: _Gathered = defaultdict(list)
    keys: list[str] = []
    for write in commit.streams:
        keys.append(write.stream)
        _add_stream(rows, write)
    if commit.refs_added or commit.refs_removed:
        _add_refs(rows, keys, commit)
    if commit.inbox is not None:
        keys.append(f"inbox {inbox_id(commit.inbox)}")
        _add_inbox(rows, commit.inbox)
    if commit.idempotency is not None:
        keys.append("key " + " ".join(idempotency_key(commit.idempotency)))
        _add_idempotency(rows, commit.idempotency)
    for text in commit.texts:
        rows["texts_added"].append((text.id, text.stream, text.body, text.salt))
    for notice in commit.notices:
        keys.append(f"notice {notice.id}")
        rows["notices_added"].append(notice_row(notice))
    return Job(commit, rows, keys)


def rows_of(batch: Sequence[Job], standing: Standing | None = None) -> Rows:
    """In the order of their keys. Without a ``standing`` as if all fits; with one, for what was
    judged to win there."""
    rows: _Gathered = defaultdict(list)
    for job in batch:
        for part, of_job in job.rows.items():
            rows[part] += of_job
    if standing is not None:
        _move_refs(rows, standing)
    for of_part in rows.values():
        of_part.sort(key=_key_columns)
    return rows


# No table's key is told apart by less than this; of an entry or its lines one place is given.
_key_columns = itemgetter(0, 1)


def _add_stream(rows: _Gathered, write: StreamWrite) -> None:
    """One row tells what becomes of the stream, its first new entry, since when the relay has it
    to publish (that entry's time), and when the worker looks at it."""
    first, last = write.entries[0], write.entries[-1]
    searched: Row = (None, None, None, None)
    if isinstance(write.state, Payment):
        searched = payment_searched(write.state)
        if write.expected_seq == 0:
            rows["payments_opened"].append(payment_fixed(write.state))
    rows["streams_written"].append(
        (
            write.stream,
            write.expected_seq,
            first.prev_hash,
            last.seq,
            last.hash,
            encode_state(write.state),
            *searched,
            maybe_micros(write.due_at),
            first.event_id,
            first.type,
            to_micros(first.at),
            first.actor,
            first.data,
            first.rules_version,
            first.hash,
        )
    )
    for entry in write.entries:
        if entry is not first:
            rows["journal_added"].append(journal_row(entry))
        if entry.postings:
            rows["postings_added"] += posting_rows(entry)


def _add_refs(rows: _Gathered, keys: list[str], commit: Commit) -> None:
    added = {ref.key: ref.stream for ref in commit.refs_added}
    for key, stream in added.items():
        keys.append(f"ref {key}")
        rows["refs_added"].append((key, stream))
    for key in commit.refs_removed:
        keys.append(f"ref {key}")
        if key not in added:
            rows["refs_freed"] += [(key, write.stream) for write in commit.streams]


def _move_refs(rows: _Gathered, standing: Standing) -> None:
    """A ref that another stream holds, and gives up in the same commit, is moved."""
    for key, stream in rows.pop("refs_added", ()):
        holder = standing.refs.get(str(key))
        if holder is None or holder == stream:
            rows["refs_added"].append((key, stream))
        else:
            rows["refs_moved"].append((key, holder, stream))


def _add_inbox(rows: _Gathered, inbox: InboxInsert | InboxUpdate) -> None:
    match inbox:
        case InboxInsert(event, due_at):
            rows["inbox_taken"].append(inbox_row(event))
            if event.status is InboxStatus.WAITING and due_at is not None:
                _list_event(rows, event.event_id, due_at, event.attempts)
        case InboxUpdate(event_id, status, reason, attempts, stream, due_at):
            rows["inbox_told"].append((event_id, status, reason, attempts, stream))
            if status is InboxStatus.WAITING and due_at is not None:
                _list_event(rows, event_id, due_at, attempts)
            else:
                rows["work_done"].append((Queue.INBOX, event_id))


def _list_event(rows: _Gathered, event_id: str, due_at: datetime, attempts: int) -> None:
    rows["work_listed"].append((Queue.INBOX, event_id, to_micros(due_at), attempts))


def _add_idempotency(rows: _Gathered, written: IdempotencyOpened | IdempotencyAnswered) -> None:
    match written:
        case IdempotencyOpened(record):
            rows["keys_opened"].append(idempotency_row(record))
        case IdempotencyAnswered(scope, key, status, seq):
            rows["keys_answered"].append((scope, key, status, seq))


async def read_standing(connection: Connection, commits: Sequence[Commit]) -> Standing:
    """Each part is read later than the one before, and another transaction may land in between:
    our own, whose answer was lost. So the heads come after all that a commit collides on besides,
    and the entries by which a repeat is told from a conflict come last (M24)."""
    streams = [write.stream for commit in commits for write in commit.streams]
    refs = [ref.key for commit in commits for ref in commit.refs_added]
    refs += [key for commit in commits for key in commit.refs_removed]
    inbox = [inbox_id(commit.inbox) for commit in commits if commit.inbox]
    opened = [
        idempotency_key(commit.idempotency)
        for commit in commits
        if isinstance(commit.idempotency, IdempotencyOpened)
    ]
    holders = await _named(
        connection, "SELECT key, stream FROM refs WHERE key = ANY($1::text[])", refs
    )
    taken = await _named(
        connection, "SELECT event_id, status FROM inbox WHERE event_id = ANY($1::text[])", inbox
    )
    keys = await _read_keys(connection, opened)
    heads = await _named(
        connection, "SELECT stream, seq, hash FROM streams WHERE stream = ANY($1::text[])", streams
    )
    event_ids = await _read_event_ids(connection, commits)
    return Standing(
        heads={row["stream"]: Head(row["seq"], row["hash"]) for row in heads},
        refs={row["key"]: row["stream"] for row in holders},
        inbox={row["event_id"]: InboxStatus(row["status"]) for row in taken},
        idempotency=keys,
        read_event_ids=lambda stream, first, last: {
            seq: event_ids[stream, seq]
            for seq in range(first, last + 1)
            if (stream, seq) in event_ids
        },
    )


async def was_own(connection: Connection, commit: Commit) -> bool:
    """Whether a commit without streams, which lost, lost to itself (M24)."""
    event = record = None
    if commit.inbox is not None:
        event = await read_inbox_event(connection, inbox_id(commit.inbox))
    if commit.idempotency is not None:
        record = await read_idempotency(connection, *idempotency_key(commit.idempotency))
    return beside_is_stored(commit, event, record)


async def _named(
    connection: Connection, query: str, names: Sequence[str]
) -> Sequence[asyncpg.Record]:
    return await connection.fetch(query, names) if names else ()


async def _read_event_ids(
    connection: Connection, commits: Sequence[Commit]
) -> dict[tuple[str, int], str]:
    places = [
        (entry.stream, entry.seq)
        for commit in commits
        for write in commit.streams
        for entry in write.entries
    ]
    if not places:
        return {}
    rows = await connection.fetch(
        "SELECT stream, seq, event_id FROM journal"
        " JOIN unnest($1::text[], $2::bigint[]) AS place (stream, seq) USING (stream, seq)",
        *zip(*places, strict=True),
    )
    return {(row["stream"], row["seq"]): row["event_id"] for row in rows}


async def _read_keys(
    connection: Connection, opened: Sequence[tuple[str, str]]
) -> set[tuple[str, str]]:
    if not opened:
        return set()
    rows = await connection.fetch(
        "SELECT scope, key FROM idempotency"
        " JOIN unnest($1::text[], $2::text[]) AS named (scope, key) USING (scope, key)",
        *zip(*opened, strict=True),
    )
    return {(row["scope"], row["key"]) for row in rows}
