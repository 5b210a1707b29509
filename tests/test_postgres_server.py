"""The tests' own PostgreSQL: that it comes, goes, and keeps what it must."""

import asyncio
import os
import pwd
import shutil
from pathlib import Path

import asyncpg
import pytest

from tests.postgres_server import Installation, PostgresServer, bundled, chosen, running_postgres


async def number(url: str, query: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        value = await connection.fetchval(query)
        assert isinstance(value, int)
        return value
    finally:
        await connection.close()


async def test_each_database_is_its_own_and_a_template_is_copied(postgres: PostgresServer) -> None:
    template = postgres.create_database()
    postgres.sql("CREATE TABLE notes AS SELECT 7 AS number", template)
    with postgres.fresh_database(template) as url, postgres.fresh_database() as empty:
        assert await number(url, "SELECT number FROM notes") == 7
        assert await number(empty, "SELECT count(*) FROM pg_tables WHERE tablename = 'notes'") == 0
    postgres.drop_database(template)


def test_it_is_one_that_the_service_must_run_on(postgres: PostgresServer) -> None:
    (row,) = postgres.sql("SHOW server_version_num")
    assert int(row[0]) // 10_000 == chosen().version >= 15


def test_what_was_committed_outlives_kill_and_stop_over_tcp() -> None:
    with running_postgres(tcp=True) as server:
        name = server.create_database()
        server.sql("CREATE TABLE notes (number int)", name)
        for end in (server.kill, server.stop):
            server.sql("INSERT INTO notes VALUES (1)", name)
            end()
            with pytest.raises(ConnectionRefusedError):
                asyncio.run(number(server.url(name), "SELECT 1"))
            server.start()
        assert asyncio.run(number(server.url(name), "SELECT count(*) FROM notes")) == 2
        folder = server.folder
    assert not folder.exists()


def test_nobody_runs_it_for_root_even_from_a_folder_only_root_can_reach(tmp_path: Path) -> None:
    source = bundled().programs.parent
    shutil.copytree(source, tmp_path / source.parent.name / source.name)
    libraries = source.parent.parent / f"{source.parent.name}.libs"
    if libraries.exists():
        shutil.copytree(libraries, tmp_path / libraries.name)
    tmp_path.chmod(0o700)
    hidden = Installation(bundled().version, tmp_path / source.parent.name / source.name / "bin")
    whose = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
    with running_postgres(hidden) as server:
        assert server.folder.stat().st_uid == whose
        assert server.sql("SELECT 1") == [["1"]]
