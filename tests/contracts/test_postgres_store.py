"""PostgreSQL under the contract of every store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from roadcall_payments.ports import Store
from roadcall_payments.stores.postgres import open_postgres
from tests.contracts.store_contract_commits import CommitContract
from tests.contracts.store_contract_model import ModelContract
from tests.contracts.store_contract_queries import FreshStore, QueryContract
from tests.contracts.store_contract_unique import UniqueContract
from tests.contracts.store_contract_work import WorkContract
from tests.postgres_server import PostgresServer, running_postgres


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    with running_postgres() as running:
        yield running


@pytest.fixture(scope="session")
def fresh_store(server: PostgresServer) -> FreshStore:
    """Opens a new store on an empty database each time: emptied, for that is the quickest."""
    url = server.url(server.create_database())

    @asynccontextmanager
    async def opened() -> AsyncIterator[Store]:
        store = await open_postgres(url)
        try:
            await empty(url)
            yield store
        finally:
            await store.close()

    return opened


async def empty(url: str) -> None:
    """Take all rows out. The role of a replica sees past the triggers that forbid it."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetchval(
            "SELECT string_agg(relname, ', ') FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'"
        )
        await connection.execute(f"SET session_replication_role = replica; TRUNCATE {tables}")
    finally:
        await connection.close()


@pytest.fixture
async def store(fresh_store: FreshStore) -> AsyncIterator[Store]:
    async with fresh_store() as opened:
        yield opened


class TestCommits(CommitContract):
    pass


class TestUnique(UniqueContract):
    pass


class TestQueries(QueryContract):
    pass


class TestWork(WorkContract):
    pass


class TestModel(ModelContract):
    pass
