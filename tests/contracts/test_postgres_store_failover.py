"""Fail-over to a real standby: an address with both hosts finds the new primary by itself, and
with synchronous replication nothing that was acknowledged is lost."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator

import pytest

from roadcall_payments.commit import CommitResult, Committed
from roadcall_payments.stores.postgres import open_postgres
from tests.contracts.crash_writer import rows_of, whole_commit
from tests.postgres_server import PASSWORD, USER, PostgresServer, running_postgres

STREAMS_WITHIN_S = 30


class Standby(PostgresServer):
    """A copy of ``primary`` that follows it by streaming, until it is promoted."""

    def __init__(self, primary: PostgresServer) -> None:
        self._primary = primary
        super().__init__(primary.installation, tcp=True)

    def _make_cluster(self) -> None:
        words = ["--pgdata", str(self._data), "--write-recovery-conf", "--checkpoint=fast"]
        words += ["--no-sync", "--dbname", self._primary.url("postgres")]
        subprocess.run(
            [self.installation.program("pg_basebackup"), *words],
            capture_output=True,
            cwd=self.folder,
            check=True,
            **self._identity,
        )


@pytest.fixture
def pair() -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """A primary that acknowledges what its standby has, and that standby."""
    with running_postgres(tcp=True) as primary:
        standby = Standby(primary)
        try:
            standby.start()
            primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
            primary.sql("ALTER SYSTEM SET synchronous_commit = 'remote_apply'")
            primary.sql("SELECT pg_reload_conf()")
            in_step = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
            deadline = time.monotonic() + STREAMS_WITHIN_S
            while primary.sql(in_step) != [["1"]]:
                assert time.monotonic() < deadline, "the standby does not follow"
            yield primary, standby
        finally:
            standby.close()


@pytest.mark.parametrize("first", ["primary", "standby"])
async def test_a_promoted_standby_is_found_and_nothing_acknowledged_is_lost(
    pair: tuple[PostgresServer, PostgresServer], first: str
) -> None:
    primary, standby = pair
    name = await asyncio.to_thread(primary.create_database)
    ports = [primary.port, standby.port] if first == "primary" else [standby.port, primary.port]
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    store = await open_postgres(
        f"postgresql://{USER}:{PASSWORD}@{hosts}/{name}", wait_seconds_max=60
    )
    names = [f"n{n}" for n in range(300)]
    source = iter(names)
    results: list[CommitResult] = []
    under_way = asyncio.Event()

    async def write() -> None:
        for one in source:
            results.extend(await store.commit([whole_commit(one)]))
            if len(results) > 50:
                under_way.set()

    writing = asyncio.gather(*[write() for _ in range(8)])
    await under_way.wait()
    await asyncio.to_thread(primary.kill)
    await asyncio.to_thread(standby.sql, "SELECT pg_promote()")
    await writing
    assert results == [Committed()] * len(names)
    for one in names:
        assert all(await rows_of(store, one)), one
    await store.close()
