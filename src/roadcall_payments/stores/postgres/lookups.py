"""Rows by their keys, for all coroutines that ask at once: one statement, each key once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from roadcall_payments.stores.lane import Submission
from roadcall_payments.stores.postgres.connection import Connections
from roadcall_payments.stores.postgres.lane import Lane

if TYPE_CHECKING:
    from roadcall_payments.stores.postgres.connection import Connection

KeyT = TypeVar("KeyT", bound=Hashable)
FoundT = TypeVar("FoundT")

_AT_ONCE = 2


class Lookups(Generic[KeyT, FoundT]):
    """One kind of row. What is not there is None."""

    def __init__(
        self,
        connections: Connections,
        read: Callable[[Connection, Sequence[KeyT]], Awaitable[Mapping[KeyT, FoundT]]],
        *,
        batch_max: int,
        seconds_max: float,
        waiting_max: int,
    ) -> None:
        self._connections = connections
        self._seconds_max = seconds_max
        self._read = read
        self._lane: Lane[Sequence[KeyT], Mapping[KeyT, FoundT]] = Lane(
            self._work, at_once=_AT_ONCE, batch_max=batch_max, waiting_max=waiting_max
        )

    async def find(self, key: KeyT) -> FoundT | None:
        return (await self._lane.submit((key,))).get(key)

    async def find_all(self, keys: Sequence[KeyT]) -> Mapping[KeyT, FoundT]:
        """Those that are there, and perhaps what others asked for at the same time."""
        return await self._lane.submit(keys)

    async def close(self) -> None:
        await self._lane.close()

    async def _work(
        self, batch: Sequence[Submission[Sequence[KeyT], Mapping[KeyT, FoundT]]]
    ) -> None:
        keys = list({key for one in batch for key in one.job})
        found = await self._connections.run(
            lambda connection: self._read(connection, keys), seconds_max=self._seconds_max
        )
        for one in batch:
            one.answer = found
