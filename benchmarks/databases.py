"""The two databases of the service, filled with prepared payments."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import asyncpg

from benchmarks.prepared import Stage, TemplateTable, template_of, write_template
from benchmarks.processes import Process, tree
from benchmarks.stored import store
from roadcall_payments.bootstrap import open_service
from roadcall_payments.config import Settings
from tests.postgres_server import PostgresServer

# The database numbers these itself.
_GIVEN = {"position"}
# Stripe's ids come in no order: within minutes webhooks touch every page of their index (0227).
_READ_AT_RANDOM = ("SET enable_seqscan = off", "SELECT count(key) FROM refs")


class Database(Protocol):
    """A database of the service."""

    @property
    def environment(self) -> dict[str, str]:
        """What tells a process to use it."""
        ...

    def fill(self, stage: Stage, first: int, count: int) -> None:
        """Add payments ``first`` to ``first + count``, then write everything out."""
        ...

    def counted(self, table: str, where: str) -> int: ...

    def server(self) -> list[Process]:
        """Its processes, where it has some of its own."""
        ...


def _settings(database: dict[str, str], data: Path) -> Settings:
    return Settings(
        data_dir=data,
        database_url=database.get("DATABASE_URL"),
    )


async def _write_template(settings: Settings, stage: Stage) -> None:
    async with open_service(settings) as service:
        await write_template(service.store, stage)


async def _make(settings: Settings) -> None:
    async with open_service(settings):
        pass


class SqliteFile:
    """A database of its own in ``folder``, with nothing in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._templates = {stage: self._template(folder / stage, stage) for stage in Stage}
        asyncio.run(_make(_settings({}, folder)))

    @property
    def environment(self) -> dict[str, str]:
        return {"ROADCALL_DATA_DIR": str(self._folder)}

    def fill(self, stage: Stage, first: int, count: int) -> None:
        numbers = range(first, first + count)
        with _opened(self._folder) as db:
            for table in self._templates[stage]:
                marks = ", ".join("?" * len(table.columns))
                db.executemany(
                    f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({marks})",  # noqa: S608
                    table.copies(numbers),
                )
            db.commit()
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def counted(self, table: str, where: str) -> int:
        with _opened(self._folder) as db:
            found = db.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()  # noqa: S608
        return int(found[0])

    def server(self) -> list[Process]:
        return []

    @staticmethod
    def _template(folder: Path, stage: Stage) -> list[TemplateTable]:
        asyncio.run(_write_template(_settings({}, folder), stage))
        found = []
        with _opened(folder) as db:
            names = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (name,) in names:
                described = db.execute(f"PRAGMA table_info({name})").fetchall()
                columns = [row[1] for row in described if row[1] not in _GIVEN]
                rows = db.execute(f"SELECT {', '.join(columns)} FROM {name}").fetchall()  # noqa: S608
                found.append(template_of(name, columns, rows))
        return [template for template in found if template]


def _opened(folder: Path) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(sqlite3.connect(folder / "roadcall.sqlite"))


class PostgresDatabase:
    """A database of its own on ``server``, with nothing in it."""

    def __init__(self, server: PostgresServer, name: str, folder: Path) -> None:
        self._server = server
        self._name = name
        self._folder = folder
        self._templates = {stage: self._template(stage) for stage in Stage}
        server.sql(f'CREATE DATABASE "{name}"')
        asyncio.run(_make(_settings(self.environment, folder)))

    @property
    def url(self) -> str:
        return self._server.url(self._name)

    @property
    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": self.url, "ROADCALL_DATA_DIR": str(self._folder)}

    def fill(self, stage: Stage, first: int, count: int) -> None:
        asyncio.run(self._fill(stage, range(first, first + count)))

    def store(self, stage: Stage, first: int, count: int) -> None:
        """The same for millions, into a database that has few, at the server's own speed."""
        asyncio.run(store(self.url, self._templates[stage], first, count))

    def tidy(self) -> None:
        """Leave nothing to the server that it would do later, while something is measured, and
        read what a service that runs has in memory."""
        asyncio.run(self._do("VACUUM (ANALYZE)", *_READ_AT_RANDOM, "CHECKPOINT"))

    async def _fill(self, stage: Stage, numbers: range) -> None:
        db = await asyncpg.connect(self.url)
        try:
            for table in self._templates[stage]:
                await db.copy_records_to_table(
                    table.name, columns=table.columns, records=table.copies(numbers), timeout=7_200
                )
        finally:
            await db.close()
        await self._do("ANALYZE", "CHECKPOINT")

    async def _do(self, *statements: str) -> None:
        db = await asyncpg.connect(self.url)
        try:
            for statement in statements:
                await db.execute(statement, timeout=7_200)
        finally:
            await db.close()

    def counted(self, table: str, where: str) -> int:
        found = self._server.sql(f"SELECT count(*) FROM {table} WHERE {where}", self._name)  # noqa: S608
        return int(found[0][0])

    def server(self) -> list[Process]:
        # The first line of the file that the server itself keeps.
        told = (self._server.folder / "data" / "postmaster.pid").read_text()
        return tree(int(told.split()[0]))

    def _template(self, stage: Stage) -> list[TemplateTable]:
        with self._server.fresh_database() as url:
            settings = _settings({"DATABASE_URL": url}, self._folder)
            asyncio.run(_write_template(settings, stage))
            return asyncio.run(_template_rows(url))


async def _template_rows(url: str) -> list[TemplateTable]:
    db = await asyncpg.connect(url)
    try:
        described = await db.fetch(
            "SELECT c.table_name, array_agg(c.column_name::text ORDER BY c.ordinal_position)"
            " FROM information_schema.columns c JOIN pg_class t ON t.oid = c.table_name::regclass"
            " WHERE c.table_schema = 'public' AND t.relkind IN ('r', 'p') AND NOT t.relispartition"
            " AND c.is_generated = 'NEVER' AND c.is_identity = 'NO' AND c.column_name <> 'position'"
            " GROUP BY c.table_name"
        )
        found = [
            template_of(name, columns, map(tuple, await db.fetch(_all_of(name, columns))))
            for name, columns in described
        ]
        return [template for template in found if template]
    finally:
        await db.close()


def _all_of(table: str, columns: Sequence[str]) -> str:
    return f'SELECT {", ".join(columns)} FROM "{table}"'  # noqa: S608
