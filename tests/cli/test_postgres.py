"""The operator's commands on PostgreSQL: the same words, another database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from roadcall_payments.stores.postgres import open_postgres
from tests.cli.conftest import Typed
from tests.postgres_server import PASSWORD, PostgresServer
from tests.workflows.stories import Storyteller, World


@pytest.fixture(scope="module")
def told(postgres: PostgresServer) -> Iterator[tuple[str, World]]:
    """A database's address, and what was written there."""

    async def written(url: str) -> World:
        store = await open_postgres(url)
        try:
            return await Storyteller(store).world()
        finally:
            await store.close()

    with postgres.fresh_database() as url:
        yield url, asyncio.run(written(url))


@pytest.fixture
def world(told: tuple[str, World], monkeypatch: pytest.MonkeyPatch, typed: Typed) -> World:
    url, world = told
    monkeypatch.setenv("DATABASE_URL", url)
    return world


@pytest.fixture
def empty(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, typed: Typed) -> Iterator[str]:
    """An empty database's address, and the environment's."""
    with postgres.fresh_database() as url:
        monkeypatch.setenv("DATABASE_URL", url)
        yield url


def test_a_payment_is_told_found_and_verified(typed: Typed, world: World) -> None:
    told = typed("timeline", world.driver_payment)
    assert told.exit_code == 0, told.output
    assert "Completed: " in told.stdout
    assert world.vendor in typed("find", world.vendor).stdout
    assert typed("verify").stdout.startswith("Clean: ")
    assert typed("checkpoint").exit_code == 0
    held = json.loads(typed("verify", "--json").stdout)
    assert (held["checkpoints"], held["faults"]) == (1, [])


def test_movements_are_held_and_let_go(typed: Typed, world: World) -> None:
    assert typed("pause", "an incident").exit_code == 0
    assert typed("resume").exit_code == 0


def test_lists_that_are_empty_say_so(typed: Typed, world: World) -> None:
    assert typed("inbox", "list").stdout == "No event is in status review.\n"
    assert typed("dead-letters", "list").stdout == "No dead letters.\n"


def test_the_doctor_looks_at_the_database(typed: Typed, world: World) -> None:
    """The tests' own server trades durability for speed, and lets everybody be its superuser."""
    checks = {check["name"]: check for check in json.loads(typed("doctor", "--json").stdout)}
    assert checks["database"]["finding"] == "ok"
    assert ", PostgreSQL " in checks["database"]["detail"]
    assert checks["durability"]["finding"] == "wrong"
    assert "fsync" in checks["durability"]["remedy"]
    assert checks["role"]["finding"] == "note"
    assert checks["connections"]["finding"] == checks["transactions"]["finding"] == "ok"


@pytest.mark.parametrize(
    "words",
    [("verify",), ("doctor",), ("doctor", "--json"), ("settings",), ("settings", "--json")],
    ids=" ".join,
)
def test_no_command_shows_the_password(typed: Typed, world: World, words: tuple[str, ...]) -> None:
    shown = typed(*words)
    assert shown.stdout
    assert PASSWORD not in shown.output


@pytest.mark.parametrize(
    "words", [("verify",), ("timeline", "0195ffff"), ("pause", "why"), ("doctor",)], ids=" ".join
)
def test_an_empty_database_is_refused_and_stays_empty(
    typed: Typed, empty: str, postgres: PostgresServer, words: tuple[str, ...]
) -> None:
    refused = typed(*words)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "Run: roadcall-payments migrate" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    name = urlsplit(empty).path.removeprefix("/")
    assert postgres.sql("SELECT 1 FROM pg_tables WHERE schemaname = 'public'", name) == []


def test_migrate_makes_the_schema_and_is_done_when_it_is_there(typed: Typed, empty: str) -> None:
    for _ in range(2):
        migrated = typed("migrate")
        assert migrated.exit_code == 0, migrated.output
        assert "has this version's schema" in migrated.stdout
    assert typed("verify").exit_code == 0


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"postgresql://ann:{PASSWORD}@127.0.0.1:1/pay", "pay at 127.0.0.1:1: "),
        (f"postgresql://ann:{PASSWORD}@/nobody?host=SOCKET", "does not exist"),
        (f"postgresql://ann:{PASSWORD}#x@127.0.0.1/pay", "percent-encoded"),
    ],
)
def test_a_database_that_cannot_be_reached_is_one_sentence_without_the_password(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, postgres: PostgresServer, url: str, reason: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url.replace("SOCKET", str(postgres.folder)))
    for words in (("verify",), ("migrate",), ("worker",)):
        refused = typed(*words)
        assert refused.exit_code == 1, refused.output
        assert refused.stdout == ""
        assert reason in refused.stderr
        assert "Traceback" not in refused.stderr
        assert PASSWORD not in refused.stderr
