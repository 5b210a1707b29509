"""One world: machines that run the service on one database, people, a network, a Stripe.

A whole history: jobs arrive and are paid under faults; then the faults stop, and the world runs
until nothing more happens. ``history.py`` tells it; the auditor judges what is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, TypeVar, cast

from roadcall_payments.bootstrap import Service, join
from roadcall_payments.config import Settings
from roadcall_payments.domain.errors import InvalidInput, RoadcallError
from roadcall_payments.ports import Channel, Gateway, Queue, Store
from roadcall_payments.stores.instants import from_micros
from roadcall_payments.stores.lane import Submission
from roadcall_payments.stores.sqlite.connection import BUSY_SECONDS_MAX
from roadcall_payments.stores.sqlite.store import SqliteStore
from roadcall_payments.stripe_gateway.client import GatewaySettings, StripeGateway
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.webhooks import Parcel
from tests.simulation.asked import Asked
from tests.simulation.faults import Faults, Kind
from tests.simulation.lanes import AnswerT, JobT, TurnLane
from tests.simulation.machines import Machine, NoAnswer, Process, Wired
from tests.simulation.network import Network, StripeLine
from tests.simulation.one_connection import OneConnection
from tests.simulation.outward import Consumers, Mailbox
from tests.simulation.stripe_desk import StripeDesk, new_sandbox
from tests.simulation.time_and_chance import EPOCH, SeededIds
from tests.simulation.troubled_store import TroubledStore
from tests.simulation.turns import SeededLoop

T = TypeVar("T")

MACHINES = 3
POLL_S = (0.2, 4.0)
AFTER_FAILURE_S = 5.0
WEBHOOK_TIMEOUT_S = 20.0
SHIFT_S = 365 * 86_400.0
NO_FILE = Path("no file of a world")

# Leased work comes back when its lease ends; what is parked waits for a person.
_NEXT_DUE = (
    "SELECT queue, min(CASE WHEN lease IS NULL THEN due_at ELSE max(due_at, leased_until) END)"
    " FROM work WHERE parked_at IS NULL GROUP BY queue"
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What one process is joined from. ``database``: what the store keeps it in."""

    settings: Settings
    store: Store
    gateway: Gateway
    database: sqlite3.Connection


@dataclass(frozen=True, slots=True)
class Defect:
    """A wrong version of something, to prove the proof. ``parts`` sees a process's adapters
    before they are joined, ``service`` the joined service; both give back what runs instead.
    ``during`` is open for as long as the world runs, for what only a function can hold."""

    name: str
    parts: Callable[[Parts], Parts] = lambda parts: parts
    service: Callable[[Service], Service] = lambda service: service
    during: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext


SOUND = Defect("none")


@dataclass
class World:
    """``settings``: the service's, by name, where they are not the world's own. Close it."""

    seed: str
    kinds: frozenset[Kind]
    defect: Defect = SOUND
    asked: Asked = field(default_factory=Asked)
    settings: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = Random(f"{self.seed}/people")
        self.loop = SeededLoop(Random(f"{self.seed}/turns"))
        self.faults = Faults(Random(f"{self.seed}/faults"), self.kinds)
        self.consumers, self.mailbox = Consumers(self.faults), Mailbox(self.faults)
        self.sandbox = new_sandbox(self.seed, self.loop)
        way = Random(f"{self.seed}/network")
        self.network = Network(self.loop, self.sandbox, way, self.faults, self._post)
        self.desk = StripeDesk(self.sandbox, self.network)
        self._ids_random = Random(f"{self.seed}/ids")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._bell: asyncio.Future[None] | None = None
        self._settings = _settings(self.settings)
        self._stored = OneConnection()
        self.database = self._stored.db
        self.machines = [
            Machine(f"machine {number}", self.loop, self.faults, self._wire)
            for number in range(1, MACHINES + 1)
        ]
        self.begin(self._work())

    def close(self) -> None:
        for machine in self.machines:
            machine.process.crash()
        self.loop.close()
        self._stored.close()

    # --- time ---

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.loop.time())

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task of the world's own; should it fail, the world has a problem."""
        task = self.loop.create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.loop.problems.append(f"the world's own: {type(error).__name__}: {error}")

    def live(self, history: Coroutine[Any, Any, None]) -> None:
        """Let ``history`` happen. Raises what it raises."""
        self.loop.run_until_complete(history)

    def settle(self, within_s: float) -> bool:
        """Until nothing more happens by itself; False when that takes longer."""
        return self.loop.run_dry(self.loop.time() + within_s)

    # --- the machines ---

    def _wire(self, process: Process) -> Wired:
        line = StripeLine(process.machine, self.network)
        cuts: list[Callable[[], None]] = [line.cut]

        def lane(
            name: str,
            work: Callable[[Sequence[Submission[JobT, AnswerT]]], None],
            *,
            first: Callable[[Sequence[Submission[JobT, AnswerT]]], None] | None = None,
            waiting_max: int,
            batch_max: int,
            at_end: Callable[[], None],
        ) -> TurnLane[JobT, AnswerT]:
            made = TurnLane(
                name,
                work,
                first=first,
                waiting_max=waiting_max,
                batch_max=batch_max,
                at_end=at_end,
            )
            cuts.append(made.cut)
            return made

        ids = SeededIds(process.clock, self._ids_random)
        real = SqliteStore(NO_FILE, BUSY_SECONDS_MAX, lane, self._stored.connecting())
        troubled = TroubledStore(real, self.faults, self._ring)
        gateway = StripeGateway(
            self.desk,
            process.clock,
            ids,
            GatewaySettings(base_address="http://stripe.example"),
            line,
        )
        store = cast(Store, troubled)
        parts = self.defect.parts(Parts(self._settings, store, gateway, self.database))
        notifiers = dict.fromkeys(Channel, self.mailbox)
        joined = join(parts.settings, parts.store, parts.gateway, process.clock, ids, notifiers)
        joined.bus.subscribe(self.consumers.take)
        return Wired(self.defect.service(joined), lambda: [cut() for cut in cuts])

    def any_process(self) -> Process:
        return self.random.choice(self.machines).process

    async def _post(self, parcel: Parcel) -> int | None:
        """Stripe's webhook at the service's door; the status that the API would answer."""
        signature = parcel.headers["Stripe-Signature"]
        try:
            await self.any_process().call(
                lambda service: service.webhook_inbox.take(parcel.body, signature),
                WEBHOOK_TIMEOUT_S,
            )
        except NoAnswer:
            return None
        except InvalidInput:
            return 400
        except RoadcallError:
            return 500
        return 200

    # --- the workers ---

    def _ring(self) -> None:
        """Something was written: who waits for work looks now."""
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)

    async def _work(self) -> None:
        """What the workers' polling comes to: whatever is due is soon looked at by one of them,
        sometimes by two. Rests, without a timer, while nothing will ever be due."""
        while True:
            await asyncio.sleep(self.random.uniform(*POLL_S))
            self._bell = self.loop.create_future()
            due = sorted(
                (from_micros(at), Queue(name)) for name, at in self.database.execute(_NEXT_DUE)
            )
            now = self.now()
            for at, queue in due:
                if at <= now:
                    self._tend(queue)
                    if self.random.random() < 0.1:
                        self._tend(queue)
            if due and due[0][0] <= now:
                continue
            rest = self._bell
            if due:
                self.loop.call_later((due[0][0] - now).total_seconds(), self._ring)
            await rest

    def _tend(self, queue: Queue) -> None:
        idle = [
            machine.process
            for machine in self.machines
            if machine.process.awake and queue not in machine.process.tending
        ]
        if idle:
            process = self.random.choice(idle)
            process.tending.add(queue)
            self.begin(self._tended(process, queue))

    async def _tended(self, process: Process, queue: Queue) -> None:
        try:
            await process.call(lambda service: service.worker.work(queue), SHIFT_S)
        except NoAnswer:
            return
        except RoadcallError:
            await asyncio.sleep(AFTER_FAILURE_S)
        finally:
            process.tending.discard(queue)

    # --- the end ---

    @property
    def reserve_cents(self) -> int:
        """What the service never releases to transfers that wait."""
        return self._settings.transfer_terms.reserve("usd").amount_cents

    def stop_faults(self) -> None:
        self.faults.stop()
        self.desk.stop_faults()
        self.network.out_until = 0.0

    def stripe_state(self) -> JsonObject:
        """The sandbox's own books: the document of ``GET /_sandbox/state``."""
        return self.desk.control("GET", "state")

    def inspected(self, inspect: Callable[[Store], Coroutine[Any, Any, T]]) -> T:
        """What ``inspect`` finds in the database, through a store without faults."""
        connecting = self._stored.connecting()
        opened = SqliteStore(NO_FILE, BUSY_SECONDS_MAX, TurnLane, connecting)

        async def look() -> T:
            try:
                return await inspect(opened)
            finally:
                await opened.close()

        return self.loop.run_until_complete(look())

    def digest(self) -> str:
        """Of every fact: its stream, place and hash."""
        facts = hashlib.sha256()
        every = "SELECT stream, seq, hash FROM journal ORDER BY stream, seq"
        for row in self.database.execute(every):
            facts.update(repr(row).encode())
        return facts.hexdigest()

    def ends(self) -> dict[str, int]:
        """How many payments stand where."""
        rows = self.database.execute("SELECT status, count(*) FROM payments GROUP BY status")
        return {str(status): int(count) for status, count in rows}

    def open_payments(self) -> dict[str, str]:
        """By incident, the payment that has not come to an end."""
        rows = self.database.execute(
            "SELECT incident_id, id FROM payments"
            " WHERE status NOT IN ('completed', 'cancelled', 'rejected') ORDER BY id"
        )
        return dict(rows.fetchall())

    def stripe_ids(self, stream: str) -> list[str]:
        """Stripe's objects that are the stream's."""
        rows = self.database.execute("SELECT key FROM refs WHERE stream = ?", (stream,))
        return [key.rpartition(":")[2] for (key,) in rows if key.startswith("stripe:")]

    def facts(self) -> int:
        return int(self.database.execute("SELECT count(*) FROM journal").fetchone()[0])


def _settings(more: Mapping[str, object]) -> Settings:
    """Payers and approvals are given up after a day; ``more`` overrides."""
    given = {"payer_silence_days": 1, "approval_expiry_days": 1, "settlement": False, **more}
    return Settings.model_validate({"data_dir": NO_FILE, **given})
