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
from roadcall_payments.stores.instants import to_micros
from roadcall_payments.stores.postgres.queries import read_idempotency, read_inbox_event
from roadcall_payments.stores.rows import (
    Prepared,
    Row,
    idempotency_row,
    inbox_row,
    notice_row,
)

if TYPE_CHECKING:
    import asyncpg

    from roadcall_payments.stores.postgres.connection import Connection

Rows = Mapping[str, Sequence[Row]]
"""The rows of each part of the statement, in the order of their keys."""


class Job(msgspec.Struct, frozen=True):
    """A commit on its way, with all that it may collide on."""

    prepared: Prepared
    keys: Sequence[str]


def job_of(prepared: Prepared) -> Job:
    return Job(prepared, _keys(prepared.commit))


def _keys(commit: Commit) -> Sequence[str]:
    keys = [write.stream for write in commit.streams]
    keys += [f"ref {ref.key}" for ref in commit.refs_added]
    keys += [f"ref {key}" for key in commit.refs_removed]
    if commit.inbox is not None:
        keys.append(f"inbox {inbox_id(commit.inbox)}")
    if commit.idempotency is not None:
        keys.append("key " + " ".join(idempotency_key(commit.idempotency)))
    keys += [f"notice {notice.id}" for notice in commit.notices]
    return keys


def rows_of(batch: Sequence[Prepared], standing: Standing | None = None) -> Rows:
    """Without a ``standing`` as if all fits; with one, for what was judged to win there."""
    rows: defaultdict[str, list[Row]] = defaultdict(list)
    for prepared in batch:
        commit = prepared.commit
        rows["journal_added"] += prepared.journal
        rows["postings_added"] += prepared.postings
        _add_streams(rows, prepared)
        _add_refs(rows, commit, standing)
        if commit.inbox is not None:
            _add_inbox(rows, commit.inbox)
        match commit.idempotency:
            case IdempotencyOpened(record):
                rows["keys_opened"].append(idempotency_row(record))
            case IdempotencyAnswered(scope, key, status, seq):
                rows["keys_answered"].append((scope, key, status, seq))
        rows["texts_added"] += [(t.id, t.stream, t.body, t.salt) for t in commit.texts]
        rows["notices_added"] += [notice_row(notice) for notice in commit.notices]
    for of_part in rows.values():
        of_part.sort(key=_key_columns)
    return rows


# No table's key is told apart by less than this; of an entry or its lines one place is given.
_key_columns = itemgetter(0, 1)


def _add_streams(rows: defaultdict[str, list[Row]], prepared: Prepared) -> None:
    payments = iter(prepared.payments)
    for write, row in zip(prepared.commit.streams, prepared.streams, strict=True):
        stream, _, seq, digest, encoded = row
        first = write.entries[0]
        searched: Row = (None, None, None, None)
        if isinstance(write.state, Payment):
            *fixed, status, flagged, on_review, queue_key = next(payments)
            searched = (status, flagged, on_review, queue_key)
            if write.expected_seq == 0:
                rows["payments_opened"].append(tuple(fixed))
        if write.expected_seq == 0:
            rows["streams_opened"].append((*row, *searched))
        else:
            place = (stream, write.expected_seq, first.prev_hash)
            rows["streams_moved"].append((*place, seq, digest, encoded, *searched))
        # A new row begins where the stream stood: what came before is published.
        rows["outbox_listed"].append((stream, to_micros(first.at), write.expected_seq, seq))
        if write.due_at is not None or write.expected_seq:
            _add_work(rows, Queue.ATTENTION, write.stream, write.due_at)


def _add_refs(rows: defaultdict[str, list[Row]], commit: Commit, standing: Standing | None) -> None:
    added = {ref.key: ref.stream for ref in commit.refs_added}
    own = [write.stream for write in commit.streams]
    for key, stream in added.items():
        holder = standing.refs.get(key) if standing else None
        if holder is not None and holder != stream:
            rows["refs_moved"].append((key, holder, stream))
        else:
            rows["refs_added"].append((key, stream))
    rows["refs_freed"] += [
        (key, stream) for key in commit.refs_removed if key not in added for stream in own
    ]


def _add_inbox(rows: defaultdict[str, list[Row]], inbox: InboxInsert | InboxUpdate) -> None:
    match inbox:
        case InboxInsert(event, due_at):
            rows["inbox_taken"].append(inbox_row(event))
            if event.status is InboxStatus.WAITING and due_at is not None:
                _add_work(rows, Queue.INBOX, event.event_id, due_at, event.attempts)
        case InboxUpdate(event_id, status, reason, attempts, stream, due_at):
            rows["inbox_told"].append((event_id, status.value, reason, attempts, stream))
            due = due_at if status is InboxStatus.WAITING else None
            _add_work(rows, Queue.INBOX, event_id, due, attempts)


def _add_work(
    rows: defaultdict[str, list[Row]],
    queue: Queue,
    key: str,
    due_at: datetime | None,
    attempts: int = 0,
) -> None:
    if due_at is None:
        rows["work_done"].append((queue.value, key))
    else:
        rows["work_listed"].append((queue.value, key, to_micros(due_at), attempts))


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
