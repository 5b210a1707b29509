"""A world's database: in memory, with one connection for all of its machines.

In a world a batch of writes, and each read, is done within one turn: no two of them are ever under
way at once, and a machine dies between two turns, when nothing is half written. So there is nothing
that a file, or a second connection, could show here. What several connections and processes do to
one file is shown by the store's contract tests, kills and chaos.
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

from roadcall_payments.stores.sqlite.connection import Connecting
from roadcall_payments.stores.sqlite.schema_version import migrate

_STATEMENTS_CACHED = 512


class _Shared(sqlite3.Connection):
    """Stays open when one of its users closes it, with its process or after a failure."""

    def close(self) -> None:
        if self.in_transaction:
            self.rollback()

    def end(self) -> None:
        super().close()


class OneConnection:
    """``db`` serves looks at what is stored, copies of it and its restoring, too. Close it with
    its world."""

    def __init__(self) -> None:
        self.db = sqlite3.connect(
            ":memory:", isolation_level=None, cached_statements=_STATEMENTS_CACHED, factory=_Shared
        )
        _empty_database().backup(self.db)
        self.db.execute("PRAGMA foreign_keys=ON")

    def connecting(self) -> Connecting:
        return Connecting(writer=self._given, reader=self._given)

    def close(self) -> None:
        self.db.end()

    def _given(self, _: Path) -> sqlite3.Connection:
        return self.db


@cache
def _empty_database() -> sqlite3.Connection:
    """What the production code makes of a new file."""
    empty = sqlite3.connect(":memory:")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "empty.sqlite"
        migrate(path)
        with closing(sqlite3.connect(path)) as made:
            made.backup(empty)
    return empty
