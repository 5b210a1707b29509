"""Requests counted per caller and window, shared between processes (M35).

They live in a file of their own beside the database, without fsync: a crash of the machine may
forget a minute's counts, and counting never waits for a commit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from roadcall_payments.domain.errors import StoreUnavailable
from roadcall_payments.stores.lane import Submission
from roadcall_payments.stores.sqlite.connection import begin, classified

Counted = tuple[str, int]
"""(caller, window)"""

_BUSY_SECONDS_MAX = 1.0


class RequestCounters:
    """What the counting thread does with a batch. Owned by that thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._newest = 0

    def work(self, batch: Sequence[Submission[Counted, int]]) -> None:
        try:
            db = self._connected()
            begin(db, seconds_max=_BUSY_SECONDS_MAX)
            for one in batch:
                one.answer = self._count(db, *one.job)
            db.execute("COMMIT")
        except (sqlite3.Error, StoreUnavailable) as error:
            self._recover(error)
            for one in batch:
                one.answer, one.error = None, classified(error)

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _recover(self, error: Exception) -> None:
        self.close()
        # Nothing in the file is worth a repair.
        if getattr(error, "sqlite_errorcode", 0) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def _count(self, db: sqlite3.Connection, caller: str, window: int) -> int:
        if window > self._newest:
            self._newest = window
            # The window before may still be asked for by a process whose clock is behind.
            db.execute("DELETE FROM requests WHERE window < ?", (window - 1,))
        row = db.execute(
            "INSERT INTO requests (caller, window, requests) VALUES (?, ?, 1)"
            " ON CONFLICT (window, caller) DO UPDATE SET requests = requests + 1"
            " RETURNING requests",
            (caller, window),
        ).fetchone()
        return int(row[0])

    def _connected(self) -> sqlite3.Connection:
        if self._db is None:
            # Kept at once: ``_recover`` closes it, also when the file turns out to be broken.
            db = self._db = sqlite3.connect(
                self._path,
                timeout=_BUSY_SECONDS_MAX,
                isolation_level=None,
                check_same_thread=False,
            )
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=OFF")
            db.execute(
                "CREATE TABLE IF NOT EXISTS requests (window INTEGER NOT NULL,"
                " caller TEXT NOT NULL, requests INTEGER NOT NULL,"
                " PRIMARY KEY (window, caller)) STRICT, WITHOUT ROWID"
            )
        return self._db
