"""The contracts' own modules speak with ``assert`` too; one database serves all of them."""

import pytest

from tests.contracts.postgres_database import emptied
from tests.postgres_server import PostgresServer

pytest.register_assert_rewrite(
    "tests.contracts.store_contract_commits",
    "tests.contracts.store_contract_pairs",
    "tests.contracts.store_contract_queries",
    "tests.contracts.store_contract_work",
    "tests.contracts.store_contract_model",
    "tests.contracts.store_contract_rows",
    "tests.contracts.store_contract_unique",
)


@pytest.fixture(scope="session")
def one_database(postgres: PostgresServer) -> str:
    """The address of a database that the tests use one after the other."""
    return postgres.url(postgres.create_database())


@pytest.fixture
async def url(one_database: str) -> str:
    """The address of a database at the present schema, without a row."""
    await emptied(one_database)
    return one_database
