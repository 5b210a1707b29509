"""What a worker held when the store went away comes back with the store, not with its lease."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from roadcall_payments.domain.errors import StoreUnavailable
from roadcall_payments.ports import Claim, Queue, Store
from tests.fakes.manual_clock import ManualClock
from tests.new_sqlite import open_new_sqlite
from tests.test_worker import LEASE_S, Attendant, worker_of, write_due


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_new_sqlite(tmp_path / "leases.sqlite")
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class AwayAtTheEnd:
    """The real store, but for the ends of claims while it is ``away``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.away = False

    async def postpone(self, claim: Claim, *, due_at: datetime, reason: str) -> None:
        if self.away:
            raise StoreUnavailable("It is away.")
        await self._store.postpone(claim, due_at=due_at, reason=reason)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


async def test_what_was_held_when_the_store_went_away_is_given_back_when_it_is_there_again(
    store: Store, clock: ManualClock
) -> None:
    streams = await write_due(store, count=7)
    shaky = AwayAtTheEnd(store)

    async def attend(_: Claim) -> None:
        raise StoreUnavailable("It is away.")

    worker = worker_of(shaky, clock, {Queue.ATTENTION: attend})  # type: ignore[arg-type] # the rest is the real store's
    shaky.away = True
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await worker.work(Queue.ATTENTION)
    rest = Attendant(store)
    successor = worker_of(store, clock, {Queue.ATTENTION: rest.attend})
    assert await successor.work_off() == 0
    shaky.away = False
    await worker.work(Queue.ATTENTION)
    clock.advance(LEASE_S / 2)
    await successor.work_off()
    assert sorted(rest.attended) == sorted(streams)


async def test_what_another_worker_took_over_meanwhile_is_not_given_back(
    store: Store, clock: ManualClock
) -> None:
    await write_due(store, count=1)
    shaky = AwayAtTheEnd(store)

    async def attend(_: Claim) -> None:
        raise StoreUnavailable("It is away.")

    worker = worker_of(shaky, clock, {Queue.ATTENTION: attend})  # type: ignore[arg-type] # the rest is the real store's
    shaky.away = True
    with pytest.raises(StoreUnavailable):
        await worker.work(Queue.ATTENTION)
    clock.advance(LEASE_S)
    (claim,) = await store.claim(
        Queue.ATTENTION, now=clock.now(), lease_s=LEASE_S, limit=1, worker="another"
    )
    shaky.away = False
    assert await worker.work(Queue.ATTENTION) == 0
    await store.finish(claim)
    clock.advance(LEASE_S)
    assert await worker.work(Queue.ATTENTION) == 0
