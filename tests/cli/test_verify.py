"""verify: exit status 0 on whole books, 1 and the exact row on any that were falsified."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Typed
from tests.workflows.stories import World
from tests.workflows.tampering import TAMPERINGS, Tampering, tamper


def test_whole_books_are_clean(typed: Typed, world: World) -> None:
    shown = typed("verify")
    assert (shown.exit_code, shown.stdout) == (
        0,
        "Clean: 7 streams, every hash, row and balance.\n",
    )


def test_an_empty_database_is_clean(typed: Typed, database: Path) -> None:
    database.touch()
    assert typed("verify").exit_code == 0


@pytest.mark.parametrize("tampering", TAMPERINGS, ids=lambda one: one.name)
def test_falsified_books_end_with_1_and_name_the_row(
    typed: Typed, world: World, database: Path, tampering: Tampering
) -> None:
    named = tamper(database, tampering, world)
    shown = typed("verify")
    assert shown.exit_code == 1
    assert any(all(part in line for part in named) for line in shown.stdout.splitlines())


def test_faults_for_scripts(typed: Typed, world: World, database: Path) -> None:
    tamper(database, TAMPERINGS[0], world)
    shown = typed("verify", "--json")
    assert shown.exit_code == 1
    report = json.loads(shown.stdout)
    assert report["streams"] == 7
    assert len(report["faults"]) >= 1
