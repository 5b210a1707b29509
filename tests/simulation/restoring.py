"""A world whose database is lost, and restored from a backup that is hours older (M18).

People go home when it is lost: what they were told since the backup is worth nothing. The restored
service starts held; an operator repairs its drift until Stripe and the books agree, does at
Stripe's dashboard what the repair asks for, and releases it. Then work goes on.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Final, TypeVar

from roadcall_payments.bootstrap import Service
from roadcall_payments.domain.errors import RoadcallError
from roadcall_payments.stores.instants import from_micros
from roadcall_payments.workflows.drift_repair import DriftReport
from tests.simulation.audit.lost import LostSpan
from tests.simulation.history import (
    Stories,
    arrivals,
    close_what_is_left,
    come_to_rest,
    vendors_of,
)
from tests.simulation.machines import NoAnswer
from tests.simulation.teller import ADMIN
from tests.simulation.world import World

T = TypeVar("T")

CALL_TIMEOUT_S: Final = 3_600.0
REPAIRS_MAX: Final = 200
HOUR_S: Final = 3_600.0


class NeverRepaired(Exception):
    """Drift repair finds the same problems again and again."""


def tell_with_restore(world: World, payments: int, stories: Stories) -> LostSpan:
    """``payments`` jobs, half of them before the database is lost. Raises NeverQuiet and
    NeverRepaired."""
    with world.defect.during():
        history = _Restored(world, payments, stories)
        world.live(history.told())
        world.stop_faults()
        come_to_rest(world)
        world.live(close_what_is_left(world))
        come_to_rest(world)
        return history.lost


class _Restored:
    def __init__(self, world: World, payments: int, stories: Stories) -> None:
        self._world = world
        self._payments = payments
        self._stories = stories
        self._backup = sqlite3.connect(":memory:")
        self.lost = LostSpan(world.now(), world.now())

    async def told(self) -> None:
        world, half = self._world, self._payments // 2
        vendors = await vendors_of(world)
        world.desk.begin_faults(world.faults)
        before = world.begin(arrivals(world, range(half), vendors, self._stories))
        while len(world.asked.jobs) < half // 2:  # noqa: ASYNC110  # it costs nothing
            await asyncio.sleep(10)
        since = world.now()
        world.database.backup(self._backup)
        await asyncio.sleep(world.random.uniform(60, 6 * HOUR_S))
        before.cancel()
        await self._restore(since)
        await self._repair()
        await arrivals(world, range(half, self._payments), vendors, self._stories)

    async def _restore(self, since: datetime) -> None:
        world = self._world
        for machine in world.machines:
            machine.stop()
        while world.network.held:  # noqa: ASYNC110  # what left a dead machine still arrives
            await asyncio.sleep(1)
        await asyncio.sleep(world.random.uniform(60, HOUR_S))
        self._backup.backup(world.database)
        self._backup.close()
        self.lost = LostSpan(since, world.now())
        self._forget(since)
        books_end = self._newest_fact()
        for machine in world.machines:
            machine.start()
        await self._until_done(
            lambda service: service.movements_switch.hold(ADMIN, "restored", books_end)
        )

    def _forget(self, since: datetime) -> None:
        """What was told and published after the backup binds nobody."""
        world = self._world
        heads = dict(world.database.execute("SELECT stream, seq FROM streams").fetchall())
        published = world.consumers.published
        published[:] = [event for event in published if event.seq <= heads.get(event.stream, 0)]
        for job in world.asked.jobs:
            job.commands[:] = [one for one in job.commands if one.at < since]
            job.payment_ids[:] = [one for one in job.payment_ids if f"payment/{one}" in heads]

    def _newest_fact(self) -> datetime:
        newest = self._world.database.execute("SELECT max(at) FROM journal").fetchone()[0]
        return from_micros(newest)

    async def _repair(self) -> None:
        """Until it passes: what it asks a person to do at Stripe is done between two repairs."""
        report = await self._until_done(lambda service: service.drift_repair.repair(ADMIN))
        for _ in range(REPAIRS_MAX):
            if report.passed:
                break
            self._do_as_told(report)
            await asyncio.sleep(600)
            report = await self._until_done(lambda service: service.drift_repair.repair(ADMIN))
        else:
            raise NeverRepaired("; ".join(line.words for line in report.problems))
        await self._until_done(lambda service: service.movements_switch.release(ADMIN))
        # A pause may be older than the backup, and its end lost.
        await self._until_done(lambda service: service.movements_switch.resume(ADMIN))

    def _do_as_told(self, report: DriftReport) -> None:
        for line in report.problems:
            if "cancel it there" in line.words:
                self._world.desk.post(f"/v1/payment_intents/{line.object_id}/cancel", {})

    async def _until_done(self, act: Callable[[Service], Coroutine[object, object, T]]) -> T:
        while True:
            try:
                return await self._world.any_process().call(act, CALL_TIMEOUT_S)
            except (NoAnswer, RoadcallError):
                await asyncio.sleep(60)
