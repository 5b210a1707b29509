"""PostgreSQL restarts, dies and drops connections under load: callers wait or are told 503, then
everything recovers by itself; nothing is lost, and no money moves twice.

The database and its roles are those of `docs/postgresql.md`, made by its own statements. Two
processes serve and two work: one does both.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.docs.documents import document
from tests.flows import payments
from tests.flows.books import assert_books_agree, verify
from tests.flows.databases import PostgresDatabase
from tests.flows.deliveries import inbox, wait_delivered
from tests.flows.load import Load, under_load
from tests.flows.stack import ServerProcess, Stack, running_stack, wait_for
from tests.ports import free_port
from tests.postgres_server import PostgresServer, running_postgres

OWNER = "roadcall_owner:owner-secret"
SERVICE = "roadcall_service:service-secret"
LEASE_S = 15
# A busy machine carries a payment in seconds, and each of these waits for dozens.
PATIENCE_S = 180
pytestmark = pytest.mark.timeout(600)


class TwoRoles(PostgresDatabase):
    """The database as the page has it made; the service comes as its own role, over TCP."""

    def __init__(self, server: PostgresServer) -> None:
        super().__init__(server, "payments")
        create, grant, revoke = document("docs/postgresql.md").blocks("sql")
        for statement in create.split(";\n")[:-1]:
            server.sql(statement)
        server.sql(f"SET ROLE roadcall_owner; {grant}", self.name)
        subprocess.run(
            [sys.executable, "-m", "roadcall_payments.cli.main", "migrate"],
            env={**os.environ, "DATABASE_URL": self._address(OWNER)},
            capture_output=True,
            check=True,
        )
        server.sql(f"SET ROLE roadcall_owner; {revoke}", self.name)
        self.settings = {"DATABASE_URL": self._address(SERVICE)}

    def _address(self, role: str) -> str:
        return f"postgresql://{role}@127.0.0.1:{self.server.port}/{self.name}"


@pytest.fixture(scope="module")
def database() -> Iterator[TwoRoles]:
    with running_postgres(tcp=True) as server:
        yield TwoRoles(server)


@pytest.fixture(scope="module")
def stack(database: TwoRoles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    # What a worker held when the database went is anybody's when its lease ends.
    short = {
        "ROADCALL_WORKER_LEASE_S": str(LEASE_S),
        "ROADCALL_SMTP_TIMEOUT_S": "5",
        "ROADCALL_SCORING_PATIENCE_S": "2",
    }
    with running_stack(tmp_path_factory.mktemp("outages"), database, **short) as running:
        yield running


@pytest.fixture(scope="module")
def apis(stack: Stack) -> list[ServerProcess]:
    """Both, with a worker of its own beside them."""
    port = str(free_port())
    second = stack.start_beside("api", "serve", "--no-worker", ROADCALL_PORT=port)
    stack.start_beside("worker", "worker")
    second.wait_ready("/health/ready")
    return [stack.service, second]


def stop_for(server: PostgresServer, seconds: float) -> None:
    server.stop()
    time.sleep(seconds)
    server.start()


def kill_for(server: PostgresServer, seconds: float) -> None:
    server.kill()
    time.sleep(seconds)
    server.start()


# Longer than a call waits for the database, and shorter.
OUTAGES: dict[str, Callable[[PostgresServer], None]] = {
    "stopped for long": lambda server: stop_for(server, 7),
    "killed for a moment": lambda server: kill_for(server, 1),
}


@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_is_waited_for_or_told_and_then_over(
    stack: Stack, apis: list[ServerProcess], database: TwoRoles, outage: str
) -> None:
    with under_load(stack, *apis, insist_s=PATIENCE_S) as load:
        wait_for("payments before", lambda: len(load.carried) >= 10, PATIENCE_S)
        OUTAGES[outage](database.server)
        came_back_with = len(load.carried)
        wait_for("payments after", lambda: len(load.carried) >= came_back_with + 10, PATIENCE_S)
    assert_told_what_to_do(load)
    assert load.refusals or outage != "stopped for long"
    assert_nothing_lost_nothing_twice(stack, load)


def test_connections_that_end_at_random_and_at_commit_are_not_noticed(
    stack: Stack, apis: list[ServerProcess], database: TwoRoles
) -> None:
    """The server ends a connection of the service's every few milliseconds, those that are just
    writing before all others."""
    ended: list[str] = []
    over = threading.Event()
    with under_load(stack, *apis, insist_s=PATIENCE_S) as load:
        striker = threading.Thread(target=strike, args=(database, ended, over))
        striker.start()
        try:
            wait_for("payments meanwhile", lambda: len(load.carried) >= 30, PATIENCE_S)
            wait_for("connections that ended", lambda: len(ended) >= 20, PATIENCE_S)
            # How often a look meets a write is the machine's affair: strike until it did.
            wait_for("some at a write", lambda: sum(map(writes, ended)) >= 5, PATIENCE_S)
        finally:
            over.set()
            striker.join()
    assert_told_what_to_do(load)
    assert_nothing_lost_nothing_twice(stack, load)


STRIKE = """
    SELECT pg_terminate_backend(pid), query FROM pg_stat_activity
    WHERE usename = 'roadcall_service'
    ORDER BY state = 'active' AND (query LIKE '%INSERT INTO%' OR query = 'COMMIT') DESC,
             state = 'active' DESC, random()
    LIMIT 1
"""


def writes(query: str) -> bool:
    return "INSERT INTO" in query or query == "COMMIT"


def strike(database: TwoRoles, ended: list[str], over: threading.Event) -> None:
    while not over.wait(random.uniform(0, 0.1)):
        ended += [str(query) for _, query in database.query(STRIKE)]


def assert_told_what_to_do(load: Load) -> None:
    """No answer but that of a day without faults, or a 503 that says when to come again."""
    assert set(load.statuses) <= {200, 201, 202, 409, 503}, load.statuses
    assert load.unheard == 0
    for refused in load.refusals:
        assert refused.body["code"] == "store_unavailable", refused
        assert refused.headers["content-type"].startswith("application/problem+json")
        assert int(refused.headers["retry-after"]) >= 1


def test_no_log_of_all_those_failures_holds_the_password(stack: Stack) -> None:
    logs = list(stack.directory.glob("*.log"))
    assert len(logs) >= 4
    assert any("StoreUnavailable" in log.read_text() for log in logs)
    for log in logs:
        assert "service-secret" not in log.read_text(), log.name


def assert_nothing_lost_nothing_twice(stack: Stack, load: Load) -> None:
    for payment_id in load.carried:
        stack.wait_status(payment_id, "completed", timeout_s=PATIENCE_S)
    moved = [payments.payment_of(one) for one in stack.objects("transfers")]
    moved += [
        payments.payment_of(one) for one in stack.objects("charges") if one["status"] == "succeeded"
    ]
    for payment_id in load.carried:
        assert moved.count(payment_id) == 1, payment_id
    wait_delivered(stack)
    told = stack.stripe("GET", "/_sandbox/deliveries").body["deliveries"]
    assert isinstance(told, list)
    assert {one["event"] for one in told} <= inbox(stack).keys()
    waiting = "SELECT count(*) FROM work WHERE queue IN ('outbox', 'inbox', 'notices')"
    wait_for("the last of the work", lambda: stack.database.query(waiting) == [(0,)], PATIENCE_S)
    assert_books_agree(stack)
    verify(stack)
