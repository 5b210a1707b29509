"""What in a stream's rows beside the journal disagrees with its state and entries."""

from __future__ import annotations

import sqlite3

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


def stream_faults(db: sqlite3.Connection, stream: str) -> list[str]:
    """In words, each naming its row; empty when all agree. Reads one snapshot."""
    db.execute("BEGIN")
    try:
        return _faults(db, stream)
    finally:
        db.execute("ROLLBACK")


def orphan_faults(db: sqlite3.Connection) -> list[str]:
    """Rows of streams that have no row in streams; each names its table and stream."""
    return [
        orphan_fault(table, stream)
        for table, owner in OWNERS.items()
        for (stream,) in db.execute(
            f"SELECT {owner} FROM {table} EXCEPT SELECT stream FROM streams"  # noqa: S608  # constants only
        )
    ]


def _faults(db: sqlite3.Connection, stream: str) -> list[str]:
    row = db.execute("SELECT seq, hash, state FROM streams WHERE stream = ?", (stream,)).fetchone()
    if row is None:
        return [f"{stream}: no row in streams"]
    seq, digest, encoded = row
    faults = _journal_faults(db, stream, Head(seq, digest))
    outbox = db.execute(
        "SELECT published_seq FROM work WHERE queue = ? AND key = ?", (Queue.OUTBOX.value, stream)
    ).fetchone()
    faults += outbox_faults(stream, seq, outbox[0] if outbox else None)
    state, unreadable = readable_state(stream, encoded)
    projection = db.execute(
        f"SELECT {PAYMENT_COLUMNS} FROM payments WHERE id = ?",  # noqa: S608  # constant columns
        (stream.partition("/")[2],),
    ).fetchone()
    return faults + unreadable + projection_faults(stream, state, projection)


def _journal_faults(db: sqlite3.Connection, stream: str, head: Head) -> list[str]:
    last = db.execute(
        "SELECT seq, hash FROM journal WHERE stream = ? ORDER BY seq DESC LIMIT 1", (stream,)
    ).fetchone()
    strays = db.execute(
        "SELECT count(*) FROM postings p WHERE p.stream = ? AND NOT EXISTS"
        " (SELECT 1 FROM journal j WHERE j.stream = p.stream AND j.seq = p.seq)",
        (stream,),
    ).fetchone()[0]
    return journal_end_faults(stream, head, Head(*last) if last else Head(), strays)
