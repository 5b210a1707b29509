"""What checkpoints said last of each stream, in a scratch file that has no name and ends with the
process: memory stays bounded, however many streams there are."""

from __future__ import annotations

import asyncio
import sqlite3
import weakref
from collections.abc import Mapping, Sequence

import msgspec

from roadcall_payments.checkpoint import StreamHead
from roadcall_payments.journal import Head
from roadcall_payments.ports import LastSigned

_json = msgspec.json.Encoder()


class ScratchHeadIndex:
    """The ``HeadIndex`` of one process. One call at a time."""

    def __init__(self) -> None:
        self._opened: sqlite3.Connection | None = None

    async def add(self, number: int, heads: Sequence[StreamHead]) -> None:
        await asyncio.to_thread(self._add, number, heads)

    async def find(self, streams: Sequence[str]) -> Mapping[str, LastSigned]:
        return await asyncio.to_thread(self._find, streams)

    async def clear(self) -> None:
        await asyncio.to_thread(self._db.execute, "DELETE FROM signed")

    @property
    def _db(self) -> sqlite3.Connection:
        # Opened when first needed: most processes make no checkpoint.
        if self._opened is None:
            self._opened = _open()
            weakref.finalize(self, self._opened.close)
        return self._opened

    def _add(self, number: int, heads: Sequence[StreamHead]) -> None:
        rows = [(one.stream, number, one.head.seq, one.head.hash) for one in heads]
        self._db.execute("BEGIN")
        self._db.executemany("INSERT OR REPLACE INTO signed VALUES (?, ?, ?, ?)", rows)
        self._db.execute("COMMIT")

    def _find(self, streams: Sequence[str]) -> dict[str, LastSigned]:
        rows = self._db.execute(
            "SELECT stream, number, seq, hash FROM signed"
            " WHERE stream IN (SELECT value FROM json_each(?))",
            (_json.encode(streams).decode(),),
        )
        return {
            stream: LastSigned(number, Head(seq, digest)) for stream, number, seq, digest in rows
        }


def _open() -> sqlite3.Connection:
    # SQLite keeps a database with an empty name in memory, and spills what grows to a file that
    # it has unlinked. Calls come one at a time, but from different threads.
    db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode=OFF")
    db.execute(
        "CREATE TABLE signed (stream TEXT PRIMARY KEY, number INTEGER, seq INTEGER, hash TEXT)"
        " WITHOUT ROWID"
    )
    return db
