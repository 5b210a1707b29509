"""What in a stream's rows beside the journal disagrees with its state and entries."""

from __future__ import annotations

import sqlite3

import msgspec

from roadcall_payments.commit import State, decode_state
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.payment import Payment
from roadcall_payments.journal import JournalEntry
from roadcall_payments.ledger.posting_rules import RULES_VERSION, postings
from roadcall_payments.ports import Queue
from roadcall_payments.stores.sqlite.queries import read_journal
from roadcall_payments.stores.sqlite.rows import PAYMENT_COLUMNS, payment_row

_PAGE = 1000


def stream_faults(db: sqlite3.Connection, stream: str) -> list[str]:
    """In words, each naming its row; empty when all agree. Reads one snapshot."""
    db.execute("BEGIN")
    try:
        return _faults(db, stream)
    finally:
        db.execute("ROLLBACK")


def orphan_faults(db: sqlite3.Connection) -> list[str]:
    """Rows of streams that have no row in streams; each names its table and stream."""
    owned = {
        "journal": "stream",
        "postings": "stream",
        "payments": "'payment/' || id",
        "refs": "stream",
        "texts": "stream",
    }
    return [
        f"{table} {stream}: belongs to a stream that has no row in streams"
        for table, owner in owned.items()
        for (stream,) in db.execute(
            f"SELECT {owner} FROM {table} EXCEPT SELECT stream FROM streams"  # noqa: S608  # constants only
        )
    ]


def _faults(db: sqlite3.Connection, stream: str) -> list[str]:
    row = db.execute("SELECT seq, hash, state FROM streams WHERE stream = ?", (stream,)).fetchone()
    if row is None:
        return [f"{stream}: no row in streams"]
    seq, digest, encoded = row
    faults = _journal_faults(db, stream, seq, digest)
    faults += _outbox_faults(db, stream, seq)
    try:
        state = decode_state(stream, encoded)
    except (msgspec.ValidationError, msgspec.DecodeError, KeyError) as error:
        return [*faults, f"streams {stream}: the state cannot be read: {error}"]
    return faults + _projection_faults(db, stream, state)


def _journal_faults(
    db: sqlite3.Connection, stream: str, head_seq: int, head_hash: str
) -> list[str]:
    faults: list[str] = []
    count, last_hash = 0, ""
    while entries := read_journal(db, stream, count, _PAGE):
        for entry in entries:
            faults += _posting_faults(entry)
        count, last_hash = entries[-1].seq, entries[-1].hash
    if (count, last_hash) != (head_seq, head_hash):
        faults.append(f"streams {stream}: head is {head_seq}, the journal ends at {count}")
    strays = db.execute(
        "SELECT count(*) FROM postings p WHERE p.stream = ? AND NOT EXISTS"
        " (SELECT 1 FROM journal j WHERE j.stream = p.stream AND j.seq = p.seq)",
        (stream,),
    ).fetchone()[0]
    if strays:
        faults.append(f"postings {stream}: {strays} belong to no entry")
    return faults


def _posting_faults(entry: JournalEntry) -> list[str]:
    where = f"postings {entry.stream} seq {entry.seq}"
    if entry.rules_version != RULES_VERSION:
        return []
    try:
        expected = postings(entry.fact)
    except (BrokenInvariant, msgspec.ValidationError, msgspec.DecodeError) as error:
        return [f"{where}: the entry cannot be posted again: {error}"]
    if expected == entry.postings:
        return []
    return [f"{where}: stored {entry.postings}, the rules say {expected}"]


def _outbox_faults(db: sqlite3.Connection, stream: str, head_seq: int) -> list[str]:
    row = db.execute(
        "SELECT published_seq FROM work WHERE queue = ? AND key = ?",
        (Queue.OUTBOX.value, stream),
    ).fetchone()
    if row is None or 0 <= row[0] <= head_seq:
        return []
    return [f"work outbox {stream}: published up to {row[0]}, the stream ends at {head_seq}"]


def _projection_faults(db: sqlite3.Connection, stream: str, state: State) -> list[str]:
    if not isinstance(state, Payment):
        return []
    expected = payment_row(state)
    stored = db.execute(
        f"SELECT {PAYMENT_COLUMNS} FROM payments WHERE id = ?",  # noqa: S608  # constant columns
        (stream.partition("/")[2],),
    ).fetchone()
    if stored is None:
        return [f"payments {stream}: the row is missing"]
    return [
        f"payments {stream}: {column} is {found!r}, the state says {said!r}"
        for column, found, said in zip(PAYMENT_COLUMNS.split(", "), stored, expected, strict=True)
        if found != said
    ]
