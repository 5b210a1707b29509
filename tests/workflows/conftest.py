"""A written world to falsify, with its checkpoints; and an office to run payments in."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.workflows.checkpointed import Checkpointed
from tests.workflows.office import Office, open_office
from tests.workflows.stories import World, write_world
from tests.workflows.town import Town, open_town


@pytest.fixture(scope="session")
def checkpointed_world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, World]:
    path = tmp_path_factory.mktemp("world") / "world.sqlite"
    return path, asyncio.run(write_world(path))


@pytest.fixture
def books(checkpointed_world: tuple[Path, World], tmp_path: Path) -> Checkpointed:
    path, world = checkpointed_world
    return Checkpointed(Path(shutil.copy(path, tmp_path / "copy.sqlite")), world)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        yield opened


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with open_town(tmp_path) as opened:
        yield opened
