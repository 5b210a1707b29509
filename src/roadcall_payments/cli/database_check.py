"""The doctor's look at the database itself: is it there, sound, and with room to work in?"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

from roadcall_payments.cli.finding import Check, Finding
from roadcall_payments.config import Settings
from roadcall_payments.domain.errors import RoadcallError
from roadcall_payments.ports import Store

DISK_FREE_MIN_BYTES = 1 << 30
# Vacuum cannot clear, and a migration cannot pass, what an older transaction may still see.
TRANSACTION_AGE_MAX = timedelta(minutes=5)
CONNECTIONS_USED_PERCENT_MAX = 80
NETWORK_TIMEOUT_S = 5

_LOOK = """
    SELECT current_setting('server_version'),
        (SELECT version_num FROM alembic_version),
        pg_database_size(current_database()),
        (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
        current_setting('max_connections')::int,
        current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on',
        (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
        (SELECT extract(epoch FROM now() - min(xact_start))::int FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid())
"""


async def database_checks(store: Store, settings: Settings) -> AsyncIterator[Check]:
    """Whether it can be written, then what its kind has to be asked."""
    try:
        await store.ready()
    except RoadcallError as broken:
        remedy = "Is its disk full or read-only, is its server up? Requests answer 503 meanwhile."
        yield Check("database", Finding.WRONG, broken.message, remedy)
        return
    if settings.postgres_url is None:
        for check in _sqlite(settings):
            yield check
        return
    for check in await _postgres(settings.postgres_url, settings.database_place):
        yield check


def _sqlite(settings: Settings) -> Iterator[Check]:
    path = settings.sqlite_path
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        schema = db.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        mode = db.execute("PRAGMA journal_mode").fetchone()[0]
    size = path.stat().st_size // 1024
    yield Check("database", Finding.OK, f"{path}, schema {schema}, {mode} mode, {size:,} KiB")
    free = shutil.disk_usage(path.parent).free
    detail = f"{free // (1 << 20):,} MiB free beside the database"
    if free < DISK_FREE_MIN_BYTES:
        yield Check("disk", Finding.WRONG, detail, "Make room: without it no payment moves.")
    else:
        yield Check("disk", Finding.OK, detail)


async def _postgres(url: str, place: str) -> list[Check]:
    # On SQLite nobody pays for these imports.
    import asyncpg
    from asyncpg.connect_utils import SessionAttribute

    try:
        connection = await asyncpg.connect(
            url,
            timeout=NETWORK_TIMEOUT_S,
            command_timeout=NETWORK_TIMEOUT_S,
            target_session_attrs=SessionAttribute.primary,
        )
        try:
            (row,) = await connection.fetch(_LOOK)
        finally:
            await connection.close(timeout=NETWORK_TIMEOUT_S)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as broken:
        detail = f"{place}: {str(broken) or 'no answer'}"
        return [Check("database", Finding.WRONG, detail, "See the server's log.")]
    version, schema, size, used, most, durable, superuser, oldest_s = row
    detail = f"{place}, PostgreSQL {version.split()[0]}, schema {schema}, {size >> 10:,} KiB"
    return [
        Check("database", Finding.OK, detail),
        _durability(durable),
        _connections(used, most),
        _transactions(oldest_s or 0),
        _role(superuser),
    ]


def _durability(durable: bool) -> Check:
    if durable:
        return Check("durability", Finding.OK, "a commit is on the disk before it is answered")
    remedy = "Set fsync and full_page_writes to on: a crash of its machine could undo payments."
    return Check("durability", Finding.WRONG, "fsync or full_page_writes is off", remedy)


def _connections(used: int, most: int) -> Check:
    detail = f"{used} of {most} connections in use"
    if used * 100 > most * CONNECTIONS_USED_PERCENT_MAX:
        remedy = "Raise max_connections: a process takes up to eight (docs/postgresql.md)."
        return Check("connections", Finding.NOTE, detail, remedy)
    return Check("connections", Finding.OK, detail)


def _transactions(oldest_s: int) -> Check:
    if oldest_s > TRANSACTION_AGE_MAX.total_seconds():
        detail = f"the oldest transaction has been open for {oldest_s // 60} min"
        remedy = "See pg_stat_activity: it holds up vacuum and migrations."
        return Check("transactions", Finding.NOTE, detail, remedy)
    return Check("transactions", Finding.OK, "none has been open for long")


def _role(superuser: bool) -> Check:
    if superuser:
        remedy = "Give the service a role of its own: docs/postgresql.md."
        return Check("role", Finding.NOTE, "the service is a superuser of the server", remedy)
    return Check("role", Finding.OK, "an ordinary one")
