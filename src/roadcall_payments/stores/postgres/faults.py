"""What in a stream's rows beside the journal disagrees with its state and entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roadcall_payments.journal import Head
from roadcall_payments.ports import Queue
from roadcall_payments.stores.faults import (
    OWNERS,
    journal_end_faults,
    orphan_fault,
    outbox_faults,
    projection_faults,
    readable_state,
)
from roadcall_payments.stores.rows import PAYMENT_COLUMNS

if TYPE_CHECKING:
    from roadcall_payments.stores.postgres.connection import Connection


async def stream_faults(connection: Connection, stream: str) -> list[str]:
    """In words, each naming its row; empty when all agree. Reads one snapshot."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        return await _faults(connection, stream)


async def orphan_faults(connection: Connection) -> list[str]:
    """Rows of streams that have no row in streams; each names its table and stream."""
    return [
        orphan_fault(table, row[0])
        for table, owner in OWNERS.items()
        for row in await connection.fetch(
            f"SELECT {owner} FROM {table} EXCEPT SELECT stream FROM streams"  # noqa: S608  # constants only
        )
    ]


async def _faults(connection: Connection, stream: str) -> list[str]:
    row = await connection.fetchrow(
        "SELECT seq, hash, state FROM streams WHERE stream = $1", stream
    )
    if row is None:
        return [f"{stream}: no row in streams"]
    seq, digest, encoded = row
    faults = await _journal_faults(connection, stream, Head(seq, digest))
    published_seq = await connection.fetchval(
        "SELECT published_seq FROM work WHERE queue = $1 AND key = $2", Queue.OUTBOX.value, stream
    )
    faults += outbox_faults(stream, seq, published_seq)
    state, unreadable = readable_state(stream, encoded)
    projection = await connection.fetchrow(
        f"SELECT {PAYMENT_COLUMNS} FROM payments, streams"  # noqa: S608  # constant columns
        " WHERE payments.id = $1 AND streams.stream = $2",
        stream.partition("/")[2],
        stream,
    )
    return (
        faults
        + unreadable
        + projection_faults(stream, state, tuple(projection) if projection else None)
    )


async def _journal_faults(connection: Connection, stream: str, head: Head) -> list[str]:
    last = await connection.fetchrow(
        "SELECT seq, hash FROM journal WHERE stream = $1 ORDER BY seq DESC LIMIT 1", stream
    )
    strays = await connection.fetchval(
        "SELECT count(*) FROM postings p WHERE p.stream = $1 AND NOT EXISTS"
        " (SELECT 1 FROM journal j WHERE j.stream = p.stream AND j.seq = p.seq)",
        stream,
    )
    end = Head(last["seq"], last["hash"]) if last else Head()
    return journal_end_faults(stream, head, end, strays)
