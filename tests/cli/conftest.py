"""Each test has a world of its own in a data directory, and types commands at it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from roadcall_payments.cli.main import cli
from roadcall_payments.config import Settings
from tests.workflows.stories import World, write_world

Typed = Callable[..., Result]


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, World]:
    path = tmp_path_factory.mktemp("world") / "roadcall.sqlite"
    return path, asyncio.run(write_world(path))


@pytest.fixture
def world(written: tuple[Path, World], tmp_path: Path) -> World:
    """The world's database is the data directory's; it is closed and whole."""
    path, world = written
    shutil.copy(path, tmp_path / path.name)
    return world


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "roadcall.sqlite"


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Run a command as if typed, in an environment with nothing of ours but the data directory."""
    for field in Settings.model_fields.values():
        if isinstance(field.validation_alias, str):
            monkeypatch.delenv(field.validation_alias, raising=False)
    monkeypatch.setenv("ROADCALL_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ROADCALL_STRIPE_API_BASE", "http://127.0.0.1:1")

    def type_command(*words: str) -> Result:
        return CliRunner().invoke(cli, list(words), prog_name="roadcall-payments")

    return type_command
