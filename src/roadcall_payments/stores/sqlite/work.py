"""The worker's lists: claims under leases, their ends, dead letters (M27)."""

from __future__ import annotations

import sqlite3
import uuid
from datetime import datetime, timedelta

from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.ports import Claim, DeadLetter, Queue, QueueAge
from roadcall_payments.stores.instants import from_micros, maybe_instant, to_micros

_DUE = (
    "queue = ? AND parked_at IS NULL AND due_at <= ?"
    " AND (leased_until IS NULL OR leased_until <= ?)"
)


def something_is_due(db: sqlite3.Connection, queue: Queue, now: datetime) -> bool:
    at = to_micros(now)
    row = db.execute(
        f"SELECT 1 FROM work WHERE {_DUE} LIMIT 1",  # noqa: S608  # constant columns
        (queue.value, at, at),
    ).fetchone()
    return row is not None


def claim_due(
    db: sqlite3.Connection,
    queue: Queue,
    *,
    now: datetime,
    lease_s: int,
    limit: int,
    worker: str,
) -> list[Claim]:
    """A piece whose lease has run out counts one attempt more: its worker crashed or hung."""
    at, lease = to_micros(now), f"{worker}:{uuid.uuid4().hex}"
    until = now + timedelta(seconds=lease_s)
    rows = db.execute(
        "UPDATE work SET attempts = attempts + (lease IS NOT NULL), lease = ?, leased_until = ?"  # noqa: S608  # constants only
        f" WHERE queue = ? AND key IN (SELECT key FROM work WHERE {_DUE}"
        " ORDER BY due_at, key LIMIT ?)"
        " RETURNING due_at, key, attempts, published_seq",
        (lease, to_micros(until), queue.value, queue.value, at, at, limit),
    ).fetchall()
    return [
        Claim(queue, key, attempts, from_micros(due_at), lease, until, published_seq)
        for due_at, key, attempts, published_seq in sorted(rows)
    ]


def finish(db: sqlite3.Connection, claim: Claim, published_seq: int | None) -> None:
    held = (claim.queue.value, claim.key, claim.lease)
    if claim.queue is not Queue.OUTBOX:
        db.execute("DELETE FROM work WHERE queue = ? AND key = ? AND lease = ?", held)
        return
    if published_seq is None:
        raise BrokenInvariant("The relay says up to which entry it has published.")
    gone = db.execute(
        "DELETE FROM work WHERE queue = ? AND key = ? AND lease = ?"
        " AND (SELECT seq FROM streams WHERE stream = key) <= ?",
        (*held, published_seq),
    )
    if gone.rowcount == 0:
        # What is left waits since its first entry was written.
        db.execute(
            "UPDATE work SET published_seq = ?1, attempts = 0, lease = NULL, leased_until = NULL,"
            " due_at = (SELECT at FROM journal WHERE stream = key AND seq = ?1 + 1)"
            " WHERE queue = ?2 AND key = ?3 AND lease = ?4",
            (published_seq, *held),
        )


def postpone(
    db: sqlite3.Connection,
    claim: Claim,
    *,
    due_at: datetime,
    reason: str,
    published_seq: int | None,
) -> None:
    db.execute(
        "UPDATE work SET due_at = ?, attempts = attempts + 1, reason = ?,"
        " published_seq = coalesce(?, published_seq), lease = NULL, leased_until = NULL"
        " WHERE queue = ? AND key = ? AND lease = ?",
        (to_micros(due_at), reason, published_seq, claim.queue.value, claim.key, claim.lease),
    )


def park(db: sqlite3.Connection, claim: Claim, *, now: datetime, reason: str) -> None:
    db.execute(
        "UPDATE work SET parked_at = ?, reason = ?, attempts = attempts + 1,"
        " lease = NULL, leased_until = NULL"
        " WHERE queue = ? AND key = ? AND lease = ?",
        (to_micros(now), reason, claim.queue.value, claim.key, claim.lease),
    )


def redrive(db: sqlite3.Connection, queue: Queue, key: str, now: datetime) -> bool:
    done = db.execute(
        "UPDATE work SET parked_at = NULL, reason = NULL, attempts = 0, due_at = ?"
        " WHERE queue = ? AND key = ? AND parked_at IS NOT NULL",
        (to_micros(now), queue.value, key),
    )
    return done.rowcount == 1


def notice_sent(db: sqlite3.Connection, notice_id: str, at: datetime, provider_id: str) -> None:
    db.execute(
        "UPDATE notices SET sent_at = ?, provider_id = ? WHERE id = ?",
        (to_micros(at), provider_id, notice_id),
    )


def read_dead_letters(db: sqlite3.Connection, queue: Queue | None) -> list[DeadLetter]:
    """Oldest first."""
    wanted = [one.value for one in Queue] if queue is None else [queue.value]
    rows = db.execute(
        "SELECT queue, key, attempts, parked_at, reason FROM work WHERE parked_at IS NOT NULL"
        " ORDER BY parked_at, queue, key"
    )
    return [
        DeadLetter(Queue(of), key, attempts, from_micros(parked_at), reason or "")
        for of, key, attempts, parked_at, reason in rows
        if of in wanted
    ]


def read_queue_ages(db: sqlite3.Connection) -> list[QueueAge]:
    rows = db.execute(
        "SELECT queue, count(*) FILTER (WHERE parked_at IS NULL), count(parked_at),"
        " min(due_at) FILTER (WHERE parked_at IS NULL) FROM work GROUP BY queue"
    )
    found = {
        queue: QueueAge(Queue(queue), waiting, parked, maybe_instant(oldest))
        for queue, waiting, parked, oldest in rows
    }
    return [found.get(queue.value, QueueAge(queue, 0, 0, None)) for queue in Queue]
