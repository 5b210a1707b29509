"""PostgreSQL under the contract of every store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from roadcall_payments.ports import Store
from roadcall_payments.stores.postgres import open_postgres
from tests.contracts.postgres_database import emptied
from tests.contracts.store_contract_commits import CommitContract
from tests.contracts.store_contract_lines import LinesContract
from tests.contracts.store_contract_model import ModelContract
from tests.contracts.store_contract_pairs import PairContract
from tests.contracts.store_contract_queries import FreshStore, QueryContract
from tests.contracts.store_contract_unique import UniqueContract
from tests.contracts.store_contract_work import WorkContract


@pytest.fixture(scope="session")
def fresh_store(one_database: str) -> FreshStore:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Store]:
        await emptied(one_database)
        store = await open_postgres(one_database)
        try:
            yield store
        finally:
            await store.close()

    return opened


@pytest.fixture
async def store(fresh_store: FreshStore) -> AsyncIterator[Store]:
    async with fresh_store() as opened:
        yield opened


class TestCommits(CommitContract):
    pass


class TestPairs(PairContract):
    pass


class TestUnique(UniqueContract):
    pass


class TestQueries(QueryContract):
    pass


class TestLines(LinesContract):
    pass


class TestWork(WorkContract):
    pass


class TestModel(ModelContract):
    pass
