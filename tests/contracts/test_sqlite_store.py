"""SQLite under the contract of every store."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from roadcall_payments.ports import Store
from tests.contracts.store_contract_commits import CommitContract
from tests.contracts.store_contract_lines import LinesContract
from tests.contracts.store_contract_model import ModelContract
from tests.contracts.store_contract_pairs import PairContract
from tests.contracts.store_contract_queries import FreshStore, QueryContract
from tests.contracts.store_contract_unique import UniqueContract
from tests.contracts.store_contract_work import WorkContract
from tests.new_sqlite import open_new_sqlite


@pytest.fixture(scope="session")
def fresh_store(
    tmp_path_factory: pytest.TempPathFactory,
) -> FreshStore:
    """Opens a new, empty store each time."""
    folder = tmp_path_factory.mktemp("sqlite")
    numbers = itertools.count()

    @asynccontextmanager
    async def opened() -> AsyncIterator[Store]:
        path = folder / f"{next(numbers)}" / "payments.db"
        store = open_new_sqlite(path)
        try:
            yield store
        finally:
            await store.close()
            shutil.rmtree(path.parent)

    return opened


@pytest.fixture
async def store(
    fresh_store: FreshStore,
) -> AsyncIterator[Store]:
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
