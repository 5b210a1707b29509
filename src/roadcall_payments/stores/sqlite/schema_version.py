"""Which schema this code speaks, and how an older file is brought up to it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from roadcall_payments.domain.errors import StoreUnavailable
from roadcall_payments.stores.sqlite.connection import begin, connect_writer

VERSIONS = ("0001", "0002")
"""All that this code knows, in order; the last is the one it speaks."""

# A migration of a large file may take this long; a second process waits for the first.
_MIGRATION_SECONDS_MAX = 600.0


def migrate(path: Path) -> None:
    """Bring the file to this code's schema, or leave it when it is there already.

    The lock of the one write transaction keeps a second process out; a migration that fails
    leaves the file as it was. Raises StoreUnavailable for a file that a newer version wrote.
    """
    db = connect_writer(path)
    try:
        if not _is_current(db, path):
            _upgrade(db, path)
    finally:
        db.close()


def _is_current(db: sqlite3.Connection, path: Path) -> bool:
    exists = db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'alembic_version'").fetchone()
    if not exists:
        return False
    row = db.execute("SELECT version_num FROM alembic_version").fetchone()
    if row is not None and row[0] not in VERSIONS:
        raise StoreUnavailable(
            f"{path} has schema {row[0]}, which this version does not know; it knows up to"
            f" {VERSIONS[-1]}. Run the version that wrote it, or a newer one."
        )
    return row is not None and row[0] == VERSIONS[-1]


def _upgrade(db: sqlite3.Connection, path: Path) -> None:
    # An up-to-date service never pays for these imports (0.4 s).
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.pool import StaticPool

    config = Config()
    config.set_main_option("script_location", "roadcall_payments.stores.schema:sqlite")
    engine = create_engine("sqlite://", creator=lambda: db, poolclass=StaticPool)
    # Connecting ends with a rollback of its own: the transaction can begin only behind it.
    with engine.connect() as connection:
        begin(db, seconds_max=_MIGRATION_SECONDS_MAX)
        if not _is_current(db, path):
            config.attributes["connection"] = connection
            command.upgrade(config, VERSIONS[-1])
    if db.in_transaction:
        raise StoreUnavailable(f"The migration of {path} did not end; nothing was changed.")
