"""Copies of the file: taken while the service runs, put back while it does not."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from roadcall_payments.domain.errors import InvalidInput, StatusForbids, StoreUnavailable
from roadcall_payments.stores.instants import from_micros
from roadcall_payments.stores.sqlite.connection import BUSY_SECONDS_MAX, is_busy

_OWNER_ONLY = 0o600
_SIDE_FILES = ("-wal", "-shm", "-journal", "-requests", "-requests-wal", "-requests-shm")


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy holds; ``newest_at`` is its last fact's time, None without any."""

    path: Path
    size_bytes: int
    facts: int
    newest_at: datetime | None


def back_up(database: Path, target: Path) -> Copied:
    """Copy the database as it stands at one moment, also while others write to it.

    The copy is checked, durable and whole before it gets its name, and replaces nothing. Raises
    InvalidInput for a target that is there already, StoreUnavailable when copying fails.
    """
    if target.exists():
        raise InvalidInput("FILE", f"{target} is there already: a backup replaces nothing.")
    try:
        with _draft_beside(target) as draft:
            _copy(database, draft)
            copied = _examined(draft, target)
            os.link(draft, target)
        _sync(target.parent)
    except (sqlite3.Error, OSError) as failure:
        raise StoreUnavailable(f"{database} could not be copied to {target}: {failure}") from None
    return copied


@contextmanager
def restoring(backup: Path, database: Path) -> Iterator[Path]:
    """A copy of the backup to prepare; it becomes the database when the block ends well.

    The database that was there is kept beside it. Raises StatusForbids while a process has it
    open, InvalidInput for a backup that is none, StoreUnavailable when a file cannot be written.
    """
    if not backup.is_file():
        raise InvalidInput("FILE", f"{backup} is no file.")
    database.parent.mkdir(parents=True, exist_ok=True)
    with _draft_beside(database) as draft:
        try:
            _copy(backup, draft)
            _examined(draft, database)
        except sqlite3.Error as broken:
            raise InvalidInput("FILE", f"{backup} is no sound backup: {broken}") from None
        yield draft
        try:
            _set_aside(database)
            draft.replace(database)
            _sync(database.parent)
        except OSError as failure:
            raise StoreUnavailable(f"{database} could not be written: {failure}") from None


def kept_aside(database: Path) -> list[Path]:
    """The databases that restores have replaced."""
    return sorted(database.parent.glob(f"{database.name}.replaced-*"))


def _copy(source: Path, target: Path) -> None:
    with (
        contextlib.closing(
            sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)
        ) as db,
        contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        # In one step, so that no writer makes it begin again; under WAL it holds nobody up.
        db.backup(copy)
        # One file: its own log folded in, none beside it.
        copy.execute("PRAGMA journal_mode=DELETE")
    with target.open("rb") as file:
        os.fsync(file.fileno())


def _examined(copy: Path, name: Path) -> Copied:
    with contextlib.closing(sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro", uri=True)) as db:
        (verdict,) = db.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(str(verdict))
        facts, newest = db.execute("SELECT count(*), max(at) FROM journal").fetchone()
    newest_at = from_micros(newest) if newest is not None else None
    return Copied(name, copy.stat().st_size, facts, newest_at)


def _set_aside(database: Path) -> None:
    """Keep the database that is there under another name; it takes that nobody has it open."""
    if not database.exists():
        return
    with contextlib.closing(sqlite3.connect(database, timeout=BUSY_SECONDS_MAX)) as db:
        try:
            # Leaving WAL folds its log into the file, and is refused while another has it open.
            db.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.OperationalError as error:
            if is_busy(error):
                raise StatusForbids(
                    f"{database} is open in another process: stop the service first."
                ) from None
            raise StoreUnavailable(f"{database} could not be set aside: {error}") from None
        except sqlite3.DatabaseError:
            # It is broken, which may be why a backup is restored: it is kept as it is.
            pass
    number = len(kept_aside(database)) + 1
    database.rename(database.with_name(f"{database.name}.replaced-{number}"))
    for side in _SIDE_FILES:
        database.with_name(database.name + side).unlink(missing_ok=True)


@contextmanager
def _draft_beside(path: Path) -> Iterator[Path]:
    """An empty file for its owner alone, gone afterwards unless it got another name."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY))
        yield draft
    finally:
        for side in ("", *_SIDE_FILES):
            draft.with_name(draft.name + side).unlink(missing_ok=True)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
