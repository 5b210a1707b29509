"""The log of checkpoints: one file each in a directory, never rewritten."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from roadcall_payments.domain.errors import TransientError

T = TypeVar("T")

NEWEST_COPY = "newest.json"
_NAME = re.compile(r"checkpoint-(\d{10})\.json")
_READ_ONLY = 0o444


class FileCheckpointLog:
    """The ``CheckpointLog`` in ``directory``, which several processes and machines may share."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, number: int) -> Path:
        return self.directory / f"checkpoint-{number:010}.json"

    async def append(self, number: int, document: bytes) -> bool:
        return await self._reached(lambda: self._append(number, document))

    async def numbers(self) -> Sequence[int]:
        return await self._reached(self._numbers)

    async def read(self, number: int) -> bytes | None:
        return await self._reached(lambda: _read(self.path(number)))

    async def newest_copy(self) -> bytes | None:
        return await self._reached(lambda: _read(self.directory / NEWEST_COPY))

    def _append(self, number: int, document: bytes) -> bool:
        self.directory.mkdir(parents=True, exist_ok=True)
        draft = self._draft(document)
        try:
            # A link, unlike a rename, never replaces: of two processes one gets the number.
            os.link(draft, self.path(number))
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        _sync_directory(self.directory)
        self._draft(document).replace(self.directory / NEWEST_COPY)
        _sync_directory(self.directory)
        return True

    def _draft(self, document: bytes) -> Path:
        """A file that nobody knows of, on disk in full before it gets its name."""
        draft = self.directory / f".draft-{secrets.token_hex(8)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _READ_ONLY)
        with os.fdopen(descriptor, "wb") as file:
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
        return draft

    def _numbers(self) -> list[int]:
        try:
            names = [entry.name for entry in self.directory.iterdir()]
        except FileNotFoundError:
            return []
        return sorted(int(match[1]) for name in names if (match := _NAME.fullmatch(name)))

    async def _reached(self, step: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(step)
        except OSError as error:
            raise TransientError(
                f"The checkpoints in {self.directory} cannot be reached: {error}. They are in "
                "ROADCALL_CHECKPOINT_DIR."
            ) from error


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
