"""The real store, as a process of the world meets it: it fails, stalls, and loses answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from roadcall_payments.commit import Commit, CommitResult, CommitUnknown
from roadcall_payments.domain.errors import StoreUnavailable
from roadcall_payments.stores.sqlite.store import SqliteStore
from tests.simulation.faults import Faults, Kind

WRITES: Final = frozenset({"finish", "postpone", "park", "redrive", "claim", "notice_sent"})
SLOW_S_MAX: Final = 40.0

Method = Callable[..., Awaitable[object]]


class TroubledStore:
    """A ``Store``: every method that is not here is the real one's, with its share of trouble.

    ``wrote`` hears of each write that may have taken effect.
    """

    def __init__(self, store: SqliteStore, faults: Faults, wrote: Callable[[], None]) -> None:
        self._store = store
        self._faults = faults
        self._wrote = wrote

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitResult]:
        faults = self._faults
        if faults.strikes(Kind.COMMIT_SLOW):
            await asyncio.sleep(faults.between(0.1, SLOW_S_MAX))
        if faults.strikes(Kind.COMMIT_REFUSED):
            raise StoreUnavailable("The simulated database cannot be reached.")
        if faults.strikes(Kind.COMMIT_UNKNOWN_BEFORE):
            return [CommitUnknown("simulated: nothing was written") for _ in batch]
        results = await self._store.commit(batch)
        self._wrote()
        if faults.strikes(Kind.COMMIT_UNKNOWN_AFTER):
            return [CommitUnknown("simulated: the answer was lost") for _ in batch]
        return results

    async def close(self) -> None:
        await self._store.close()

    def __getattr__(self, name: str) -> Method:
        method: Method = getattr(self._store, name)
        troubled = self._writing(method) if name in WRITES else self._reading(method)
        setattr(self, name, troubled)
        return troubled

    def _reading(self, method: Method) -> Method:
        def read(*args: object, **named: object) -> Awaitable[object]:
            if self._faults.strikes(Kind.READ_FAILS):
                return _unreadable()
            return method(*args, **named)

        return read

    def _writing(self, method: Method) -> Method:
        async def write(*args: object, **named: object) -> object:
            before = self._faults.strikes(Kind.WRITE_FAILS)
            if before and self._faults.between(0, 1) < 0.5:
                raise StoreUnavailable("The simulated database cannot be written.")
            result = await method(*args, **named)
            self._wrote()
            if before:
                raise StoreUnavailable("The simulated database did not say whether it wrote.")
            return result

        return write


async def _unreadable() -> object:
    raise StoreUnavailable("The simulated database cannot be read.")
