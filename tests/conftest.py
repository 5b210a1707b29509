"""What holds for every test: it stays on this machine, and a failure can be repeated."""

import io
import logging
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from roadcall_payments.telemetry import configure_logging
from tests import loopback_only
from tests.postgres_server import PostgresServer, running_postgres

TESTS = Path(__file__).parent

# A plain mistake shows in these within seconds.
FAST_FIRST = ("domain", "ledger", "workflows")
# Then what takes longest, longest first, so that what is short fills the end: two workers that
# take file after file end together.
LONGEST = (
    "simulation",
    "flows/test_restore.py",
    "flows/test_operations.py",
    "flows/test_crashes.py",
    "cli/test_processes.py",
    "flows/test_database_outages.py",
    "chaos",
    "contracts/test_postgres_store.py",
    "flows",
)

# Here tests start processes. A start is seconds of processor time: what a minute holds on a quiet
# machine may take several on a busy one.
PROCESSES = (
    "flows",
    "cli",
    "live",
    "docs",
    "sandbox",
    "contracts",
    "test_benchmarks.py",
    "test_postgres_server.py",
)
PROCESSES_TIMEOUT_S = 480

# Where Linux has a file system in memory. A test's files need not outlive the machine: no fsync
# waits for a disk there.
MEMORY = Path("/dev/shm")  # noqa: S108  # pytest makes a private directory in it
# All that a run writes is a tenth of it.
MEMORY_BYTES_MIN = 2 * 1024**3

if "ROADCALL_TEST_LIVE" not in os.environ:  # set by `make test-live` alone
    loopback_only.install()

settings.register_profile(
    "suite",
    derandomize=True,  # the same code is judged by the same examples, whoever runs them
    print_blob=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],  # two shared cores make slow no fault
)
# Every run looks elsewhere; a failure prints the blob that repeats it.
settings.register_profile(
    "thorough", settings.get_profile("suite"), derandomize=False, max_examples=2_000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


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


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Where log lines go for the length of a test."""
    root, hooks = logging.root.handlers[:], (sys.excepthook, threading.excepthook)
    level = logging.root.level
    stream = io.StringIO()
    configure_logging("DEBUG", stream)
    yield stream
    structlog.reset_defaults()
    logging.root.handlers[:] = root
    logging.root.setLevel(level)
    logging.captureWarnings(False)
    sys.excepthook, threading.excepthook = hooks


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL a session; a test takes a database of its own from it."""
    with running_postgres() as server:
        yield server


def pytest_configure() -> None:
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES_MIN:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_turn)
    for item in items:
        path = item.path.relative_to(TESTS)
        if any(map(path.is_relative_to, PROCESSES)) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(PROCESSES_TIMEOUT_S))


def _turn(item: pytest.Item) -> int:
    path = item.path.relative_to(TESTS)
    for turn, place in enumerate((*FAST_FIRST, *LONGEST)):
        if path.is_relative_to(place):
            return turn
    return len(FAST_FIRST) + len(LONGEST)
