"""Millions of payments stored: the template's rows, copied by PostgreSQL itself.

Python would take an hour to make what the server makes in minutes. Indexes and keys are taken away
first and made again at the end, as one does before any large load.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import asyncpg

from benchmarks.identifiers import DIGEST_MARK, NUMBER_MARK
from benchmarks.prepared import LIVE_AT_ONCE, TemplateTable, Value

_AT_ONCE = 2
_SECONDS_MAX = 7_200
_SETTINGS = {
    # What a crash would lose here is filled again.
    "synchronous_commit": "off",
    "maintenance_work_mem": "1GB",
    "max_parallel_maintenance_workers": "1",
}


async def store(url: str, tables: Sequence[TemplateTable], first: int, count: int) -> None:
    """Add payments ``first`` to ``first + count`` to a database that has none of them."""
    names = [table.name for table in tables]
    db = await asyncpg.connect(url)
    try:
        taken, made = await _indexes(db, names)
        types = {name: await _types(db, name) for name in names}
        for statement in taken:
            await db.execute(statement)
    finally:
        await db.close()
    copying = [_copying(table, types[table.name], first, count) for table in tables]
    await _all(url, copying)
    print(f"  {count:,} payments copied; indexes follow", flush=True)
    await _all(url, [(statement, ()) for statement in made])


async def _all(url: str, statements: Sequence[tuple[str, Sequence[Value]]]) -> None:
    left = iter(statements)

    async def work() -> None:
        db = await asyncpg.connect(url, server_settings=_SETTINGS)
        try:
            for text, values in left:
                await db.execute(text, *values, timeout=_SECONDS_MAX)
        finally:
            await db.close()

    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))


async def _indexes(
    db: asyncpg.Connection[asyncpg.Record], names: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The statements that take all keys and indexes of the tables away, and that make them."""
    keys = await db.fetch(
        "SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid)"
        " FROM pg_constraint WHERE conrelid::regclass::text = ANY($1) AND contype IN ('p', 'u')",
        names,
    )
    others = await db.fetch(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid::regclass::text = ANY($1) AND NOT EXISTS ("
        "SELECT FROM pg_constraint WHERE conindid = indexrelid)",
        names,
    )
    taken = [f"ALTER TABLE {table} DROP CONSTRAINT {key}" for table, key, _ in keys]
    taken += [f"DROP INDEX {name}" for name, _ in others]
    made = [f"ALTER TABLE {table} ADD CONSTRAINT {key} {what}" for table, key, what in keys]
    return taken, [*made, *(what for _, what in others)]


async def _types(db: asyncpg.Connection[asyncpg.Record], table: str) -> dict[str, str]:
    rows = await db.fetch(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = $1::text::regclass AND attnum > 0",
        table,
    )
    return {name: kind for name, kind in rows}  # noqa: C416  # a Record is no tuple of two


def _copying(
    table: TemplateTable, types: dict[str, str], first: int, count: int
) -> tuple[str, list[Value]]:
    values: list[Value] = [first, first + count - 1, LIVE_AT_ONCE]
    rows = [", ".join(_copied(row, table.columns, types, values)) for row in table.rows]
    numbers = (
        "SELECT lpad(number::text, 12, '0') AS digits, left(md5('pi' || number), 24) AS digest"
        " FROM generate_series(block, least(block + $3 - 1, $2)) AS number"
    )
    made = " UNION ALL ".join(f"(SELECT {row} FROM ({numbers}) AS named)" for row in rows)  # noqa: S608  # parameters only
    text = (
        f"INSERT INTO {table.name} ({', '.join(table.columns)}) SELECT made.*"  # noqa: S608  # names of our schema
        " FROM generate_series($1::bigint, $2::bigint, $3::bigint) AS block"
        f" CROSS JOIN LATERAL ({made}) AS made"
    )
    return text, values


def _copied(
    row: Sequence[Value], columns: Sequence[str], types: dict[str, str], values: list[Value]
) -> Iterator[str]:
    """What each value becomes for the payment of a number, as ``prepared`` does it."""
    for column, value in zip(columns, row, strict=True):
        kind = types[column]
        marked = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        if not isinstance(marked, str) or not (NUMBER_MARK in marked or DIGEST_MARK in marked):
            values.append(value)
            yield f"${len(values)}::{kind}"
            continue
        values.append(marked)
        text = f"${len(values)}::text"
        if NUMBER_MARK in marked:
            text = f"replace({text}, '{NUMBER_MARK}', digits)"
        if DIGEST_MARK in marked:
            text = f"replace({text}, '{DIGEST_MARK}', digest)"
        yield f"convert_to({text}, 'UTF8')" if isinstance(value, bytes) else text
