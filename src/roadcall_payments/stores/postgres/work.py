"""The worker's lists: claims under leases, their ends, dead letters (M27).

What touches many rows (claims, and their ends together) passes over those that another worker, or
a commit under way, has locked: it waits for nobody. Everything else here touches one row by its
key. So none of it can be part of a deadlock.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from roadcall_payments.ports import Claim, DeadLetter, Queue, QueueAge
from roadcall_payments.stores.instants import from_micros, maybe_instant, to_micros

if TYPE_CHECKING:
    from roadcall_payments.stores.postgres.connection import Connection

_HELD = "queue = $1 AND key = $2 AND lease = $3"

CLAIM = """
    WITH due AS MATERIALIZED (
        SELECT queue, key FROM work
        WHERE queue = $1 AND parked_at IS NULL AND due_at <= $2
            AND (leased_until IS NULL OR leased_until <= $2)
        ORDER BY due_at, key LIMIT $3 FOR UPDATE SKIP LOCKED
    )
    UPDATE work SET attempts = attempts + (lease IS NOT NULL)::integer, lease = $4,
        leased_until = $5
    FROM due WHERE work.queue = due.queue AND work.key = due.key
    RETURNING work.due_at, work.key, work.attempts, work.published_seq
"""

# What another transaction holds is left to be ended alone.
FINISH = """
    WITH done AS MATERIALIZED (
        SELECT work.queue, work.key FROM work
        JOIN unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
            AS ended (queue, key, lease, published_seq)
            ON work.queue = ended.queue AND work.key = ended.key AND work.lease = ended.lease
        WHERE work.head_seq <= ended.published_seq
        FOR UPDATE OF work SKIP LOCKED
    )
    DELETE FROM work USING done WHERE work.queue = done.queue AND work.key = done.key
    RETURNING work.queue, work.key
"""

End = tuple[Claim, int]
"""A claim whose work is done, and up to which entry its stream is out (0 but for the outbox)."""


async def claim_due(
    connection: Connection,
    queue: Queue,
    *,
    now: datetime,
    lease_s: int,
    limit: int,
    worker: str,
) -> list[Claim]:
    """A piece whose lease has run out counts one attempt more: its worker crashed or hung."""
    lease, until = f"{worker}:{uuid.uuid4().hex}", now + timedelta(seconds=lease_s)
    rows = await connection.fetch(
        CLAIM, queue.value, to_micros(now), limit, lease, to_micros(until)
    )
    return [
        Claim(queue, key, attempts, from_micros(due_at), lease, until, published_seq)
        for due_at, key, attempts, published_seq in sorted(map(tuple, rows))
    ]


async def finish_all(connection: Connection, ends: Sequence[End]) -> None:
    """Take off the list what is done; of a stream that has grown meanwhile note how far it is."""
    places = [
        (claim.queue.value, claim.key, claim.lease, published_seq) for claim, published_seq in ends
    ]
    gone = {
        (row["queue"], row["key"])
        for row in await connection.fetch(FINISH, *zip(*places, strict=True))
    }
    for claim, published_seq in ends:
        if (claim.queue.value, claim.key) not in gone:
            await _finish(connection, claim, published_seq)


async def _finish(connection: Connection, claim: Claim, published_seq: int) -> None:
    held = (claim.queue.value, claim.key, claim.lease, published_seq)
    # A commit that adds entries meanwhile raises head_seq on the row itself: whoever comes second
    # waits for the other and sees its row.
    gone = await connection.fetchval(
        f"DELETE FROM work WHERE {_HELD} AND head_seq <= $4 RETURNING key",  # noqa: S608  # constants only
        *held,
    )
    if gone is None:
        # What is left waits since its first entry was written.
        await connection.execute(
            "UPDATE work SET published_seq = $4, attempts = 0, lease = NULL, leased_until = NULL,"  # noqa: S608  # constants only
            " due_at = (SELECT at FROM journal WHERE stream = $2 AND seq = $4 + 1)"
            f" WHERE {_HELD} AND head_seq > $4",
            *held,
        )


async def postpone(
    connection: Connection,
    claim: Claim,
    *,
    due_at: datetime,
    reason: str,
    published_seq: int | None,
) -> None:
    await connection.execute(
        "UPDATE work SET due_at = $4, attempts = attempts + 1, reason = $5,"  # noqa: S608  # constants only
        " published_seq = coalesce($6, published_seq), lease = NULL, leased_until = NULL"
        f" WHERE {_HELD}",
        claim.queue.value,
        claim.key,
        claim.lease,
        to_micros(due_at),
        reason,
        published_seq,
    )


async def park(connection: Connection, claim: Claim, *, now: datetime, reason: str) -> None:
    await connection.execute(
        "UPDATE work SET parked_at = $4, reason = $5, attempts = attempts + 1,"  # noqa: S608  # constants only
        f" lease = NULL, leased_until = NULL WHERE {_HELD}",
        claim.queue.value,
        claim.key,
        claim.lease,
        to_micros(now),
        reason,
    )


async def redrive(connection: Connection, queue: Queue, key: str, now: datetime) -> bool:
    done = await connection.fetchval(
        "UPDATE work SET parked_at = NULL, reason = NULL, attempts = 0, due_at = $3"
        " WHERE queue = $1 AND key = $2 AND parked_at IS NOT NULL RETURNING true",
        queue.value,
        key,
        to_micros(now),
    )
    return done is not None


async def notice_sent(
    connection: Connection, notice_id: str, at: datetime, provider_id: str
) -> None:
    await connection.execute(
        "UPDATE notices SET sent_at = $2, provider_id = $3 WHERE id = $1",
        notice_id,
        to_micros(at),
        provider_id,
    )


async def read_dead_letters(connection: Connection, queue: Queue | None) -> list[DeadLetter]:
    """Oldest first."""
    wanted = [one.value for one in Queue] if queue is None else [queue.value]
    rows = await connection.fetch(
        "SELECT queue, key, attempts, parked_at, reason FROM work"
        " WHERE parked_at IS NOT NULL AND queue = ANY($1::text[]) ORDER BY parked_at, queue, key",
        wanted,
    )
    return [
        DeadLetter(Queue(of), key, attempts, from_micros(parked_at), reason or "")
        for of, key, attempts, parked_at, reason in rows
    ]


async def read_queue_ages(connection: Connection) -> list[QueueAge]:
    rows = await connection.fetch(
        "SELECT queue, count(*) FILTER (WHERE parked_at IS NULL) AS waiting,"
        " count(parked_at) AS parked, min(due_at) FILTER (WHERE parked_at IS NULL) AS oldest"
        " FROM work GROUP BY queue"
    )
    found = {
        queue: QueueAge(Queue(queue), waiting, parked, maybe_instant(oldest))
        for queue, waiting, parked, oldest in rows
    }
    return [found.get(queue.value, QueueAge(queue, 0, 0, None)) for queue in Queue]
