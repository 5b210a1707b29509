"""The database and what stands beside it: opened, backed up, restored, migrated.

The composition root's other half: it reaches for adapters as ``bootstrap.py`` does.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from roadcall_payments.clock import SystemClock, SystemIds
from roadcall_payments.config import Settings
from roadcall_payments.domain.errors import InvalidInput, StoreUnavailable
from roadcall_payments.domain.people import Actor
from roadcall_payments.ports import Clock, Store
from roadcall_payments.workflows.checkpoints import Checkpoints
from roadcall_payments.workflows.movements_switch import MovementsSwitch
from roadcall_payments.workflows.restore_guard import RestoreGuard
from roadcall_payments.workflows.write_path import WritePath

if TYPE_CHECKING:
    from roadcall_payments.stores.sqlite.backup import Copied


async def open_store(settings: Settings, *, migrates: bool) -> Store:
    """``migrates``: whether PostgreSQL is brought to this version's schema, if need be.

    Raises StoreUnavailable, or InvalidInput naming the setting that cannot be.
    """
    if settings.table_name is not None:
        raise InvalidInput(
            "TABLE_NAME",
            "This version keeps its data in SQLite or PostgreSQL: unset it, and set DATABASE_URL.",
        )
    if settings.postgres_url is not None:
        from roadcall_payments.stores.postgres import open_postgres

        try:
            return await open_postgres(settings.postgres_url, migrates=migrates)
        except StoreUnavailable as error:
            raise StoreUnavailable(f"{settings.database_place}: {error.message}") from error
    from roadcall_payments.stores.sqlite.store import open_sqlite

    return open_sqlite(settings.sqlite_path)


def open_checkpoints(settings: Settings, store: Store, clock: Clock) -> Checkpoints:
    """The signed checkpoints beside the database, on files of their own (M30)."""
    from roadcall_payments.checkpoint_files.head_index import ScratchHeadIndex
    from roadcall_payments.checkpoint_files.keys import FileCheckpointKeys
    from roadcall_payments.checkpoint_files.log import FileCheckpointLog

    return Checkpoints(
        store,
        FileCheckpointLog(settings.checkpoint_log_dir),
        FileCheckpointKeys(
            settings.checkpoint_key_path, makes_key=settings.checkpoint_key_file is None
        ),
        ScratchHeadIndex(),
        clock,
        timedelta(seconds=settings.checkpoint_interval_s),
    )


def back_up_database(settings: Settings, file: Path) -> Copied:
    """Copy the SQLite database to ``file``; the service may run. Raises InvalidInput for another
    database, and for a file that is there."""
    _must_be_sqlite(settings)
    from roadcall_payments.stores.sqlite.backup import back_up

    return back_up(settings.sqlite_path, file)


async def restore_database(settings: Settings, file: Path, actor: Actor) -> datetime:
    """Put a backup in the SQLite database's place, held (M18); the time at which its books end.

    Raises InvalidInput for another database and for no sound backup, StatusForbids while a
    process has the database open.
    """
    _must_be_sqlite(settings)
    from roadcall_payments.stores.sqlite.backup import restoring
    from roadcall_payments.stores.sqlite.store import open_sqlite

    clock = SystemClock(settings.clock_offset_s)
    with restoring(file, settings.sqlite_path) as draft:
        store = open_sqlite(draft)
        try:
            switch = MovementsSwitch(WritePath(store, clock, SystemIds(clock)), store)
            guard = RestoreGuard(store, open_checkpoints(settings, store, clock), switch)
            return await guard.hold(actor, f"restored from {file.name}")
        finally:
            await store.close()


def _must_be_sqlite(settings: Settings) -> None:
    for name, value in (
        ("DATABASE_URL", settings.postgres_url),
        ("TABLE_NAME", settings.table_name),
    ):
        if value is not None:
            raise InvalidInput(
                name, "Its own tools back this database up and restore it: docs/operating.md."
            )


async def migrate_database(settings: Settings) -> None:
    """Bring the database to this version's schema. Raises StoreUnavailable."""
    store = await open_store(settings, migrates=True)
    await store.close()
