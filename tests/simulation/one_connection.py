"""One connection to a world's database, for all of its machines.

In a world a batch of writes, and each read, is done within one turn: no two of them are ever under
way at once, so that connections of their own would only read again, after each commit of another,
the pages that they had. What several connections and processes do to one file is shown by the
store's contract tests, kills and chaos.
"""

from __future__ import annotations

import sqlite3
import tempfile
from functools import cache
from pathlib import Path

from roadcall_payments.stores.sqlite.connection import Connecting
from roadcall_payments.stores.sqlite.schema_version import migrate

_STATEMENTS_CACHED = 512
_CACHE_KIB_MAX = 262_144


class _Shared(sqlite3.Connection):
    """Stays open when one of its users closes it, with its process or after a failure."""

    def close(self) -> None:
        if self.in_transaction:
            self.rollback()

    def end(self) -> None:
        super().close()


class OneConnection:
    """``db`` serves looks at what is stored, too. Close it with its world."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(_empty_database())
        self.db = sqlite3.connect(
            path, isolation_level=None, cached_statements=_STATEMENTS_CACHED, factory=_Shared
        )
        # Nobody pulls a plug: machines die between two turns, when nothing is half written.
        self.db.execute("PRAGMA synchronous=OFF")
        self.db.execute("PRAGMA foreign_keys=ON")
        # Every page that was read or written stays at hand.
        self.db.execute(f"PRAGMA cache_size=-{_CACHE_KIB_MAX}")
        self.db.execute("PRAGMA wal_autocheckpoint=4000")

    def connecting(self) -> Connecting:
        return Connecting(writer=self._given, reader=self._given)

    def close(self) -> None:
        self.db.end()

    def _given(self, _: Path) -> sqlite3.Connection:
        return self.db


@cache
def _empty_database() -> bytes:
    """A file as the production code makes it."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "empty.sqlite"
        migrate(path)
        return path.read_bytes()
