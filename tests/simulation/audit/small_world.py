"""A quiet little world for the auditor's own tests: one payment of each fate, and no fault."""

from __future__ import annotations

import asyncio
import copy
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from roadcall_payments.bootstrap import Service
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.people import Actor, Role
from roadcall_payments.ports import OutgoingEvent
from roadcall_payments.stores.sqlite.store import open_sqlite
from roadcall_payments.workflows.idempotency import Answer, IdempotencyKey
from roadcall_payments.workflows.intake import NewLineItem, NewPayment
from roadcall_payments.workflows.vendors import Contacts, VendorRecord
from roadcall_payments.workflows.verification import Verification
from stripe_sandbox import Request
from stripe_sandbox.json_types import JsonObject
from tests.simulation.asked import Asked, Command, Job
from tests.simulation.audit.our_books import OurBooks
from tests.simulation.audit.publications import Publications
from tests.simulation.audit.stripe_books import books_of
from tests.simulation.audit.violations import Violation
from tests.simulation.auditor import audit
from tests.simulation.world import World

T = TypeVar("T")

DISPATCHER = Actor("us_1", Role.DISPATCHER, "co_1")
APPROVER = Actor("us_2", Role.DISPATCHER, "co_1")
ADMIN = Actor("us_3", Role.ADMIN)
VENDOR = "ve_1"
ANSWER_WITHIN_S = 60.0
SETTLES_WITHIN_S = 60 * 86_400.0


@dataclass
class Remains:
    """What a world leaves to its auditor; a test may falsify any of it.

    ``ids``: payments by fate: card, transfer, reversed, unopened, closed, rejected.
    """

    database: Path
    state: JsonObject
    published: list[OutgoingEvent]
    asked: Asked
    ids: dict[str, str]
    strangers: frozenset[str] = field(default_factory=frozenset)

    def copied(self, directory: Path) -> Remains:
        target = directory / self.database.name
        shutil.copy(self.database, target)
        state, asked = copy.deepcopy(self.state), copy.deepcopy(self.asked)
        return Remains(target, state, list(self.published), asked, self.ids)

    async def violations(self) -> Sequence[Violation]:
        store = open_sqlite(self.database)
        try:
            stripe = books_of(self.state)
            ours = OurBooks(
                store=store,
                now=datetime.fromtimestamp(stripe.now, UTC),
                verify_faults=await Verification(store).verify(lambda _: None),
                published=Publications(self.published),
                asked=self.asked,
                strangers=self.strangers,
            )
            return await audit(stripe, ours)
        finally:
            await store.close()


def small_world(directory: Path) -> Remains:
    """Let it happen, wait until it is quiet, and keep what is left."""
    world = World("the auditor's own", frozenset())
    try:
        people = _People(world)
        world.live(people.history())
        assert world.settle(SETTLES_WITHIN_S)
        assert not world.loop.problems, world.loop.problems
        database = directory / "roadcall.sqlite"
        with closing(sqlite3.connect(database)) as file:
            world.database.backup(file)
        return Remains(
            database,
            world.stripe_state(),
            world.consumers.published,
            world.asked,
            people.ids,
        )
    finally:
        world.close()


@dataclass
class _People:
    world: World
    ids: dict[str, str] = field(default_factory=dict)
    account: str = ""

    async def history(self) -> None:
        self.account = self.world.desk.connected_account(ready=True)
        record = VendorRecord(self.account, "en-US", Contacts("Tow", None, None, None))
        await self._call(lambda service: service.vendors.put(ADMIN, VENDOR, record))
        await self._paid_by_card()
        for fate in ("transfer", "reversed"):
            await self._transferred(fate)
        await self._part_back()
        await self._closed()
        await self._unopened()
        await self._rejected()
        await self._paid_out()

    async def _paid_by_card(self) -> None:
        job = await self._approved("card", PayerType.DRIVER_IC)
        await self._told(job, "process", lambda s, k: s.payments.process(DISPATCHER, k, None))
        await self._told(
            job, "confirm", lambda s, k: s.payments.confirm(DISPATCHER, k, "pm_card_visa")
        )

    async def _transferred(self, fate: str) -> None:
        job = await self._approved(fate, PayerType.BACK_OFFICE)
        await self._told(job, "process", lambda s, k: s.payments.process(DISPATCHER, k, None))

    async def _part_back(self) -> None:
        """Somebody at Stripe's dashboard takes a part of a transfer back."""
        payment = await self._payment("reversed")
        self.world.desk.post(f"/v1/transfers/{payment.transfer}/reversals", {"amount": "500"})

    async def _closed(self) -> None:
        job = await self._approved("closed", PayerType.DRIVER_IC)
        await self._told(job, "process", lambda s, k: s.payments.process(DISPATCHER, k, None))
        await self._told(job, "cancel", lambda s, k: s.payments.cancel(DISPATCHER, k, "no show"))

    async def _unopened(self) -> None:
        job = await self._approved("unopened", PayerType.BACK_OFFICE)
        await self._told(job, "cancel", lambda s, k: s.payments.cancel(DISPATCHER, k, "no show"))

    async def _rejected(self) -> None:
        job = await self._created("rejected", PayerType.BACK_OFFICE)
        await self._told(job, "reject", lambda s, k: s.approvals.reject(APPROVER, k, None))

    async def _paid_out(self) -> None:
        headers = {
            "authorization": "Bearer sk_test_simulated_0",
            "content-type": "application/x-www-form-urlencoded",
            "stripe-account": self.account,
        }
        body = b"amount=2000&currency=usd"
        self.world.network.ask_now(Request("POST", "/v1/payouts", "", headers, body))
        await asyncio.sleep(1)

    async def _approved(self, fate: str, payer: PayerType) -> Job:
        job = await self._created(fate, payer)
        await self._told(job, "approve", lambda s, k: s.approvals.approve(APPROVER, k))
        return job

    async def _created(self, fate: str, payer: PayerType) -> Job:
        by_card = payer is PayerType.DRIVER_IC
        amount = Money(12_500, "usd")
        new = NewPayment(
            company_id="co_1",
            incident_id=f"in_{fate}",
            vendor_id=VENDOR,
            driver_id="dr_1" if by_card else None,
            payer_type=payer,
            amount=amount,
            line_items=(NewLineItem("tow", 1, 12_500),),
        )
        destination = None if by_card else self.account
        job = Job(new.incident_id, VENDOR, "co_1", payer, amount, destination)
        self.world.asked.jobs.append(job)
        key = IdempotencyKey("simulated:create", f"{fate}:create", fate)
        answer = await self._call(lambda service: service.intake.create(DISPATCHER, new, key))
        job.heard(self._command("create", key.key, answer), answer.payment.id)
        self.ids[fate] = answer.payment.id
        return job

    async def _told(
        self, job: Job, name: str, act: Callable[[Service, str], Awaitable[Answer | Payment]]
    ) -> None:
        async def acted(service: Service) -> Answer | Payment:
            return await act(service, job.payment_ids[-1])

        answer = await self._call(acted)
        if isinstance(answer, Answer):
            job.heard(self._command(name, None, answer))

    def _command(self, name: str, key: str | None, answer: Answer) -> Command:
        return Command(name, self.world.now(), key, answer.status)

    async def _payment(self, fate: str) -> Payment:
        return await self._call(lambda service: service.queries.payment(self.ids[fate]))

    async def _call(self, act: Callable[[Service], Coroutine[object, object, T]]) -> T:
        return await self.world.any_process().call(act, ANSWER_WITHIN_S)
