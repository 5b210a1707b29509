"""What holds for every test: it stays on this machine, and a failure can be repeated."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests import loopback_only
from tests.postgres_server import PostgresServer, running_postgres

TESTS = Path(__file__).parent

# From milliseconds to minutes; a folder not named here comes before the last.
FAST_FIRST = ("domain", "ledger", "workflows", "contracts", "sandbox", "adapters")
SLOWEST = "simulation"

if "ROADCALL_TEST_LIVE" not in os.environ:  # set by `make test-live` alone
    loopback_only.install()

settings.register_profile(
    "ci",
    derandomize=False,  # every run looks elsewhere; a failure prints the blob that repeats it
    print_blob=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],  # two shared cores make slow no fault
)
settings.register_profile("thorough", settings.get_profile("ci"), max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(autouse=True)
def stays_on_this_machine() -> Iterator[None]:
    """Fail the test that tried to connect elsewhere, even where its code swallowed the error."""
    loopback_only.attempts.clear()
    yield
    if loopback_only.attempts:
        pytest.fail(f"the test tried to leave this machine: {loopback_only.attempts}")


@pytest.fixture(autouse=True)
def the_log_as_it_was() -> Iterator[None]:
    """Undo what a command that ran in this process said of the log: its level would hide lines."""
    configured = structlog.get_config()
    yield
    structlog.configure(**configured)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL a session; a test takes a database of its own from it."""
    with running_postgres() as server:
        yield server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The fast tests first, so that a plain mistake shows in seconds."""
    items.sort(key=_slowness)


def _slowness(item: pytest.Item) -> int:
    folder = item.path.relative_to(TESTS).parts[0]
    if folder == SLOWEST:
        return len(FAST_FIRST) + 1
    return FAST_FIRST.index(folder) if folder in FAST_FIRST else len(FAST_FIRST)
