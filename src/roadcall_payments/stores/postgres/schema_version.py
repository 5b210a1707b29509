"""Which schema this code speaks, and how an older database is brought up to it while in use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from roadcall_payments.domain.errors import StoreUnavailable
from roadcall_payments.stores.postgres.connection import CONNECT_SECONDS_MAX, FAILED

VERSIONS = ("0001", "0002", "0003", "0004")
"""All that this code knows, in order; the last is the one it speaks."""

SERVER_VERSION_MIN = 15

# A migration of a large database may take this long; a second process waits for the first.
_MIGRATION_SECONDS_MAX = 600.0
# A change that waits for a table holds up everybody behind it: it gives way and tries again.
_LOCK_WAIT = "2s"
_TRIES = 30
_PAUSE_SECONDS = 0.2
# "roadcall" as a number: whoever holds it migrates.
_MIGRATING = 0x726F616463616C6C


async def migrate(url: str) -> None:
    """Bring the database to this code's schema, or leave it when it is there already.

    Raises StoreUnavailable for a server or database that cannot be used, with what to do, and
    for one that a newer version wrote.
    """
    async with _connected(url) as connection:
        if not await _is_current(connection):
            await _upgrade_once(connection, url)


async def must_be_current(url: str) -> None:
    """Change nothing. Raises StoreUnavailable, with what to do, unless the database can be used
    as it is."""
    async with _connected(url) as connection:
        if not await _is_current(connection):
            raise StoreUnavailable(
                f"The database has not this version's schema, {VERSIONS[-1]}."
                " Run: roadcall-payments migrate"
            )


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(
        url, timeout=CONNECT_SECONDS_MAX, target_session_attrs=SessionAttribute.primary
    )
    try:
        _must_be_usable(connection)
        yield connection
    finally:
        await connection.close(timeout=CONNECT_SECONDS_MAX)


def _must_be_usable(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    server = connection.get_server_version()
    if server.major < SERVER_VERSION_MIN:
        raise StoreUnavailable(
            f"This is PostgreSQL {server.major}; {SERVER_VERSION_MIN} or newer is needed."
        )
    encoding = connection.get_settings().server_encoding
    if encoding != "UTF8":
        raise StoreUnavailable(
            f"The database is encoded in {encoding}. Create one with ENCODING 'UTF8'."
        )


async def _is_current(connection: asyncpg.Connection[asyncpg.Record]) -> bool:
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return False
    version = await connection.fetchval("SELECT version_num FROM alembic_version")
    if version is not None and version not in VERSIONS:
        raise StoreUnavailable(
            f"The database has schema {version}, which this version does not know; it knows up to"
            f" {VERSIONS[-1]}. Run the version that wrote it, or a newer one."
        )
    return bool(version == VERSIONS[-1])


async def _upgrade_once(connection: asyncpg.Connection[asyncpg.Record], url: str) -> None:
    """Of the processes that start at once one migrates; the others find it done.

    They ask for the lock again and again: who waits inside a statement holds a snapshot, and
    CREATE INDEX CONCURRENTLY would wait for that in turn.
    """
    deadline = asyncio.get_running_loop().time() + _MIGRATION_SECONDS_MAX
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _MIGRATING):
        if asyncio.get_running_loop().time() > deadline:
            raise StoreUnavailable("Another process has been migrating the database for too long.")
        await asyncio.sleep(_PAUSE_SECONDS)
    for _ in range(_TRIES):
        if await _is_current(connection):
            return
        try:
            await _upgrade(url)
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(_PAUSE_SECONDS)
        except asyncpg.InsufficientPrivilegeError as error:
            raise StoreUnavailable(
                f"This role may not change the schema ({error}). As the role that owns the"
                " database, run: roadcall-payments migrate"
            ) from error
    raise StoreUnavailable(
        "The migration could not lock its tables: something holds them (see pg_stat_activity for"
        " old transactions). Nothing is half done; start again once they have ended."
    )


async def _upgrade(url: str) -> None:
    # An up-to-date service never pays for these imports (0.4 s).
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import Connection
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    config = Config()
    config.set_main_option("script_location", "roadcall_payments.stores.schema:postgres")

    def run(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, VERSIONS[-1])

    async def connect() -> asyncpg.Connection[asyncpg.Record]:
        made = await asyncpg.connect(
            url, timeout=CONNECT_SECONDS_MAX, target_session_attrs=SessionAttribute.primary
        )
        await made.execute(f"SET lock_timeout = '{_LOCK_WAIT}'")
        return made

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(run)
    except DBAPIError as error:
        # SQLAlchemy wraps the driver's error twice.
        cause = error.orig.__cause__ if error.orig else None
        raise (cause if isinstance(cause, FAILED) else error) from error
    finally:
        await engine.dispose()
