"""Where checkpoints are kept, and who signs them: nothing of it is in the database (M30)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from roadcall_payments.checkpoint import StreamHead
from roadcall_payments.journal import Head


class CheckpointLog(Protocol):
    """Documents by number, counted from 1: append-only. Raises TransientError when it cannot be
    reached."""

    async def append(self, number: int, document: bytes) -> bool:
        """Durably and whole, or not at all. False when the number is taken, by whatever process."""
        ...

    async def numbers(self) -> Sequence[int]:
        """What is there, ascending."""
        ...

    async def read(self, number: int) -> bytes | None: ...
    async def newest_copy(self) -> bytes | None:
        """A second copy of the newest document, kept apart, so that a removed end shows. After a
        crash, or a race of two processes, it may be an older one."""
        ...


class CheckpointKeys(Protocol):
    """Raises InvalidInput, naming the setting, where there is no usable key."""

    async def sign(self, statement: bytes) -> bytes: ...
    async def made(self, signature: bytes, statement: bytes) -> bool:
        """Whether one of the keys, today's or a retired one, signed this."""
        ...


@dataclass(frozen=True, slots=True)
class LastSigned:
    """The head of a stream in the newest checkpoint that names it."""

    number: int
    head: Head


class HeadIndex(Protocol):
    """What checkpoints said last of each stream. Each process builds its own and shows it to
    nobody: who could write in it could keep a stream out of the next checkpoint."""

    async def add(self, number: int, heads: Sequence[StreamHead]) -> None: ...
    async def find(self, streams: Sequence[str]) -> Mapping[str, LastSigned]: ...
    async def clear(self) -> None:
        """The database was restored: what was signed of its streams before holds no more."""
        ...
