"""A written world, and its checkpoints, for every test that falsifies them."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.workflows.checkpointed import Checkpointed
from tests.workflows.stories import World, write_world


@pytest.fixture(scope="session")
def checkpointed_world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, World]:
    path = tmp_path_factory.mktemp("world") / "world.sqlite"
    return path, asyncio.run(write_world(path))


@pytest.fixture
def books(checkpointed_world: tuple[Path, World], tmp_path: Path) -> Checkpointed:
    path, world = checkpointed_world
    return Checkpointed(Path(shutil.copy(path, tmp_path / "copy.sqlite")), world)
