"""Where the state outlives the process: nowhere, or one SQLite file."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Row:
    """One record as stored. `body` None removes it.

    `sequence` is the record's own and the key: it grows with creation, so that new rows go to the
    end of the file's tree and come back in order.
    """

    sequence: int
    kind: str
    body: bytes | None


class Storage(Protocol):
    def load(self) -> Iterable[Row]:
        """Everything stored, in order of creation."""
        ...

    def commit(self, rows: Sequence[Row]) -> None:
        """Write all rows or none; durable when it returns."""
        ...

    def close(self) -> None: ...


class MemoryStorage:
    """Keeps nothing: the sandbox's own memory is the state."""

    def load(self) -> Iterable[Row]:
        return ()

    def commit(self, rows: Sequence[Row]) -> None:
        return None

    def close(self) -> None:
        return None


class StorageError(Exception):
    """The state file cannot be used; the message says what to do."""


_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    sequence INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    body BLOB NOT NULL
)
"""


class SqliteStorage:
    """One file, in WAL mode with full synchronisation: a commit survives a kill and a power cut.

    `commit` may run on another thread than the one that opened it, one call at a time.
    """

    def __init__(self, path: str) -> None:
        try:
            self._connection = _opened(path)
        except sqlite3.Error as error:
            raise StorageError(
                f"cannot use {path} as the state file ({error}); is another sandbox running on it?"
            ) from error

    def load(self) -> Iterable[Row]:
        cursor = self._connection.execute(
            "SELECT sequence, kind, body FROM records ORDER BY sequence"
        )
        for sequence, kind, body in cursor:
            yield Row(sequence, kind, body)

    def commit(self, rows: Sequence[Row]) -> None:
        kept = [(row.sequence, row.kind, row.body) for row in rows if row.body is not None]
        removed = [(row.sequence,) for row in rows if row.body is None]
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", kept)
            connection.executemany("DELETE FROM records WHERE sequence = ?", removed)
            connection.execute("COMMIT")
        except sqlite3.Error:
            connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        self._connection.close()


def _opened(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=0.5)
    try:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_SCHEMA)
        connection.execute("COMMIT")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
