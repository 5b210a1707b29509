"""Connections to the file, and the transaction that several processes take turns for."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from roadcall_payments.domain.errors import BrokenInvariant, RoadcallError, StoreUnavailable

BUSY_SECONDS_MAX = 5.0
"""How long a writer waits for another process's transaction before it says StoreUnavailable."""

_STATEMENTS_CACHED = 512
_TURN_SECONDS = 0.001

_PRAGMAS = (
    # fsync at every commit; on macOS only F_FULLFSYNC reaches the disk itself.
    "PRAGMA synchronous=FULL",
    "PRAGMA fullfsync=ON",
    "PRAGMA checkpoint_fullfsync=ON",
    "PRAGMA foreign_keys=ON",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cache_size=-32768",
    "PRAGMA wal_autocheckpoint=4000",
    "PRAGMA journal_size_limit=67108864",
)

# An INSERT of many rows keeps each page that it changes, in case it fails: from 64 KB on in a file,
# unless told otherwise. Readers sort and compare whole tables: theirs stay files.
_UNDO_IN_MEMORY = "PRAGMA temp_store=MEMORY"


def connect_writer(path: Path) -> sqlite3.Connection:
    """A connection that writes; it waits for others in ``begin``, not inside SQLite."""
    db = _connect(path, timeout_s=0)
    try:
        # Of processes that meet a new file, one switches it.
        _in_turn(db, "PRAGMA journal_mode=WAL", BUSY_SECONDS_MAX)
        for pragma in (*_PRAGMAS, _UNDO_IN_MEMORY):
            db.execute(pragma)
    except (sqlite3.Error, StoreUnavailable):
        db.close()
        raise
    return db


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write. Under WAL it waits for nobody, but for a crash's repair."""
    db = _connect(path, timeout_s=BUSY_SECONDS_MAX)
    try:
        for pragma in ("PRAGMA query_only=ON", *_PRAGMAS):
            db.execute(pragma)
    except sqlite3.Error:
        db.close()
        raise
    return db


@dataclass(frozen=True, slots=True)
class Connecting:
    """How a store opens its file: a connection for each thread, unless lanes without threads can
    share one (simulations)."""

    writer: Callable[[Path], sqlite3.Connection] = connect_writer
    reader: Callable[[Path], sqlite3.Connection] = connect_reader


def begin(db: sqlite3.Connection, *, seconds_max: float) -> None:
    """Take the write lock. Raises StoreUnavailable when others hold it for too long."""
    _in_turn(db, "BEGIN IMMEDIATE", seconds_max)


def begin_at_once(db: sqlite3.Connection) -> None:
    """Take the write lock, or raise at once that it is busy."""
    db.execute("BEGIN IMMEDIATE")


def _in_turn(db: sqlite3.Connection, statement: str, seconds_max: float) -> None:
    """Ask again every millisecond or so: SQLite's own handler backs off to 100 ms, and a process
    that writes all the time would hardly ever be met between two of its transactions."""
    deadline = time.monotonic() + seconds_max
    while True:
        try:
            db.execute(statement)
            return
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
            if time.monotonic() > deadline:
                raise StoreUnavailable(
                    f"Another process held the database for {seconds_max:g} s.", retry_after_s=1
                ) from error
        time.sleep(_TURN_SECONDS * (0.5 + random.random()))


def is_busy(error: sqlite3.Error) -> bool:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def classified(error: Exception) -> RoadcallError:
    """Our own error for what the database said: its trouble is transient, bad data is final."""
    if isinstance(error, RoadcallError):
        return error
    final = (
        sqlite3.IntegrityError,
        sqlite3.DataError,
        sqlite3.InterfaceError,
        sqlite3.ProgrammingError,
    )
    if isinstance(error, sqlite3.Error) and not isinstance(error, final):
        return StoreUnavailable(f"The database failed: {error}")
    return BrokenInvariant(f"Data that cannot be stored or read: {error}")


def _connect(path: Path, *, timeout_s: float) -> sqlite3.Connection:
    return sqlite3.connect(
        path,
        timeout=timeout_s,
        isolation_level=None,
        # Threads take turns with a connection, and never use it at once.
        check_same_thread=False,
        cached_statements=_STATEMENTS_CACHED,
    )
