"""The service's database as its operator has it: where it is, and a look into it from outside."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Protocol

import asyncpg

from tests.new_sqlite import write_new_sqlite
from tests.postgres_server import PostgresServer

Rows = list[tuple]  # type: ignore[type-arg]  # the SQL names its columns
Parameter = str | int | float | None


class Database(Protocol):
    """``settings``: what tells the service where it is."""

    @property
    def settings(self) -> Mapping[str, str]: ...

    def query(self, sql: str, *parameters: Parameter) -> Rows:
        """Rows read from outside; ``?`` in the SQL stands for a parameter."""
        ...

    def tables(self) -> list[str]: ...

    def unwritable(self) -> AbstractContextManager[None]:
        """Nothing can be written meanwhile, as with a stuck disk."""
        ...


class SqliteFile:
    settings: Mapping[str, str] = {}

    def __init__(self, path: Path) -> None:
        self._path = path

    def query(self, sql: str, *parameters: Parameter) -> Rows:
        with closing(sqlite3.connect(self._path, timeout=30)) as database:
            return database.execute(sql, parameters).fetchall()

    def tables(self) -> list[str]:
        found = self.query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        return [str(name) for (name,) in found]

    @contextmanager
    def unwritable(self) -> Iterator[None]:
        with closing(sqlite3.connect(self._path, isolation_level=None, timeout=30)) as database:
            database.execute("BEGIN IMMEDIATE")
            yield
            database.execute("ROLLBACK")


def sqlite_in(directory: Path) -> SqliteFile:
    """A new file, where the service keeps everything else of a stack's."""
    path = directory / "data" / "roadcall.sqlite"
    if not path.exists():
        write_new_sqlite(path)
    return SqliteFile(path)


class PostgresDatabase:
    """One of a running server's databases."""

    def __init__(self, server: PostgresServer, name: str) -> None:
        self.server = server
        self.name = name
        self._url = server.url(name, over_tcp=False)
        self.settings = {"DATABASE_URL": server.url(name)}

    def query(self, sql: str, *parameters: Parameter) -> Rows:
        async def queried() -> Rows:
            connection = await asyncpg.connect(self._url)
            try:
                return [tuple(row) for row in await connection.fetch(numbered, *parameters)]
            finally:
                await connection.close()

        first, *rest = sql.split("?")
        numbered = first + "".join(f"${number}{part}" for number, part in enumerate(rest, 1))
        return asyncio.run(queried())

    def tables(self) -> list[str]:
        found = self.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        return [str(name) for (name,) in found]

    @contextmanager
    def unwritable(self) -> Iterator[None]:
        with asyncio.Runner() as runner:
            connection = runner.run(asyncpg.connect(self._url))
            runner.run(connection.execute("BEGIN"))
            runner.run(connection.execute("LOCK TABLE journal IN EXCLUSIVE MODE"))
            yield
            runner.run(connection.close())
