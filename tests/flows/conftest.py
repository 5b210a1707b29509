"""One stack a module: starting processes is what takes long, payments are cheap."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.flows.databases import Database, PostgresDatabase, sqlite_in
from tests.flows.stack import Stack, running_stack
from tests.postgres_server import PostgresServer


@pytest.fixture(scope="module")
def database_kind() -> str:
    """What the module's stack keeps its data in; a module overrides it, with ``params`` for both.

    Both where processes race or die: there the stores differ most. The rest takes turns.
    """
    return "sqlite"


@pytest.fixture(scope="module")
def stack_settings() -> dict[str, str]:
    """Settings of the module's stack; a module overrides it."""
    return {}


@pytest.fixture(scope="module")
def stack(
    request: pytest.FixtureRequest,
    database_kind: str,
    stack_settings: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("stack")
    with (
        a_database(database_kind, directory, request) as database,
        running_stack(directory, database, **stack_settings) as running,
    ):
        yield running


@contextmanager
def a_database(kind: str, directory: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    if kind == "sqlite":
        yield sqlite_in(directory)
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = server.create_database()
    try:
        yield PostgresDatabase(server, name)
    finally:
        server.drop_database(name)


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    """For tests that kill processes or move clocks."""
    with running_stack(tmp_path) as running:
        yield running


@pytest.fixture(autouse=True)
def no_faults_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "stack" in request.fixturenames:
        request.getfixturevalue("stack").no_faults()
