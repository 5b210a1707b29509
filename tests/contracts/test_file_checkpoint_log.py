"""The log of checkpoints in files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from roadcall_payments.checkpoint_files.log import FileCheckpointLog
from roadcall_payments.domain.errors import TransientError
from roadcall_payments.ports import CheckpointLog
from tests.contracts.checkpoint_log_contract import CheckpointLogContract


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "made" / "when needed"


@pytest.fixture
def log(directory: Path) -> CheckpointLog:
    return FileCheckpointLog(directory)


@pytest.fixture
def other(directory: Path) -> CheckpointLog:
    """Another process, as far as files can tell."""
    return FileCheckpointLog(directory)


class TestFileCheckpointLog(CheckpointLogContract):
    async def test_no_draft_is_left_and_nothing_is_writable(
        self, log: CheckpointLog, directory: Path
    ) -> None:
        await log.append(1, b"first")
        await log.append(1, b"second")
        await log.append(2, b"third")
        assert writable(directory) == {
            "checkpoint-0000000001.json": False,
            "checkpoint-0000000002.json": False,
            "newest.json": False,
        }

    async def test_a_draft_of_a_crashed_process_is_no_checkpoint(
        self, log: CheckpointLog, directory: Path
    ) -> None:
        await log.append(1, b"first")
        shutil.copy(directory / "newest.json", directory / ".draft-0123456789abcdef")
        (directory / "notes.txt").write_text("from an operator")
        assert list(await log.numbers()) == [1]
        assert await log.append(2, b"second")

    async def test_a_place_that_cannot_be_reached_may_be_later(self, tmp_path: Path) -> None:
        (tmp_path / "occupied").write_text("a file")
        log = FileCheckpointLog(tmp_path / "occupied")
        for step in (log.append(1, b"first"), log.numbers(), log.read(1), log.newest_copy()):
            with pytest.raises(TransientError, match="ROADCALL_CHECKPOINT_DIR"):
                await step


def writable(directory: Path) -> dict[str, bool]:
    return {file.name: bool(file.stat().st_mode & 0o222) for file in directory.iterdir()}
