"""A running API: real server, real store, real workflows, real tokens; Stripe is in memory."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from starlette.types import ASGIApp
from yarl import URL

from roadcall_payments.api.app import create_app
from roadcall_payments.api.local_issuer import LocalIssuer
from roadcall_payments.api.server import http_server
from roadcall_payments.bootstrap import Service, join
from roadcall_payments.clock import SystemClock, SystemIds
from roadcall_payments.config import Settings
from roadcall_payments.domain.people import Actor, Role
from roadcall_payments.domain.stripe_objects import Operation, StripeEvent, StripeFailure
from roadcall_payments.ports import Clock, Refused
from tests.api.contract import Contract
from tests.fakes.gateway import GOOD_SIGNATURE, FakeGateway
from tests.fakes.money_back import CREATED
from tests.new_sqlite import open_new_sqlite

# The document as the first server sends it: it says nothing of a server's settings.
_CONTRACTS: list[Contract] = []

# A decoded JSON document; tests reach into it freely.
Json = Any

SERVICE = Actor("intake", Role.SERVICE, company_id="c_1")
OTHER_SERVICE = Actor("intake-2", Role.SERVICE, company_id="c_2")
DISPATCHER = Actor("anna", Role.DISPATCHER, company_id="c_1")
OTHER_DISPATCHER = Actor("otto", Role.DISPATCHER, company_id="c_2")
ADMIN = Actor("maria", Role.ADMIN)
AUDITOR = Actor("lee", Role.AUDITOR)
VENDOR = Actor("vera", Role.VENDOR, vendor_id="v_1")
OTHER_VENDOR = Actor("vic", Role.VENDOR, vendor_id="v_2")
DRIVER = Actor("dan", Role.DRIVER, driver_id="d_1")
OTHER_DRIVER = Actor("dora", Role.DRIVER, driver_id="d_2")


def settings_for(directory: Path, **changes: object) -> Settings:
    """Settings of a test: nothing of the environment's, limits that do not disturb."""
    calm: dict[str, object] = {
        "data_dir": directory,
        "settlement": False,
        "onboarding_return_url": "https://roadcall.example/vendors",
        "rate_limit_per_minute": 100_000,
        "rate_limit_sensitive_per_minute": 100_000,
        "rate_limit_service_per_minute": 100_000,
    }
    return Settings.model_validate(calm | changes)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: dict[str, str]
    text: str
    json: Json

    @property
    def code(self) -> str:
        """The problem's code; fails for an answer that is no problem document."""
        assert self.headers["content-type"] == "application/problem+json", self.text
        assert self.json["status"] == self.status
        return str(self.json["code"])


@dataclass(slots=True)
class Api:
    """A client of the running server, with a token for whomever it calls as."""

    base: str
    session: aiohttp.ClientSession
    issuer: LocalIssuer
    service: Service
    gateway: FakeGateway
    contract: Contract
    _numbers: list[int] = field(default_factory=lambda: [0])

    async def call(
        self,
        method: str,
        path: str,
        caller: Actor | None = None,
        body: Json = None,
        *,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        sent = dict(headers or {})
        if caller is not None:
            sent["Authorization"] = f"Bearer {self.issuer.token(caller)}"
        if raw is not None:
            sent.setdefault("Content-Type", "application/json")
        async with self.session.request(
            method,
            URL(f"{self.base}{path}", encoded=True),
            json=body,
            data=None if raw is None else io.BytesIO(raw),
            headers=sent,
        ) as answer:
            text = await answer.text()
            decoded = json.loads(text) if "json" in answer.content_type else None
            self.contract.check(method, path, answer.status, answer.content_type, decoded)
            return Reply(
                answer.status,
                {name.lower(): value for name, value in answer.headers.items()},
                text,
                decoded,
            )

    async def get(self, path: str, caller: Actor | None = None, **more: Any) -> Reply:
        return await self.call("GET", path, caller, **more)

    async def post(
        self, path: str, caller: Actor | None = None, body: Json = None, **more: Any
    ) -> Reply:
        return await self.call("POST", path, caller, body, **more)

    def new_payment(self, **changes: Json) -> dict[str, Json]:
        """A body for POST /payments, each time of another job."""
        self._numbers[0] += 1
        body: dict[str, Json] = {
            "incidentId": f"i_{self._numbers[0]}",
            "vendorId": "v_1",
            "driverId": "d_1",
            "payerType": "driver_ic",
            "amountCents": 18500,
            "currency": "usd",
            "lineItems": [
                {"kind": "tow", "quantity": 1, "unitCents": 12500, "description": "Tow"},
                {"kind": "mileage", "quantity": 20, "unitCents": 300},
            ],
        } | changes
        return {name: value for name, value in body.items() if value is not None}

    async def created(self, **changes: Json) -> Json:
        """A payment of company c_1, vendor v_1 and driver d_1, made by its service."""
        reply = await self.post("/payments", SERVICE, self.new_payment(**changes))
        assert reply.status == 201, reply.text
        return reply.json

    async def created_for_back_office(self, **changes: Json) -> Json:
        return await self.created(payerType="back_office", driverId=None, **changes)

    async def approved(self, **changes: Json) -> Json:
        payment = await self.created(**changes)
        reply = await self.post(f"/payments/{payment['id']}/approve", DISPATCHER)
        assert reply.json["status"] == "approved", reply.text
        return reply.json

    async def failed_transfer(self) -> Json:
        """A back-office payment whose transfer Stripe refused."""
        payment = await self.created_for_back_office()
        address = f"/payments/{payment['id']}"
        account = {"vendorStripeAccountId": "acct_1"}
        assert (await self.post(f"{address}/approve", DISPATCHER, account)).status == 200
        broke = StripeFailure("transfers_not_allowed", "It may not receive transfers.")
        self.gateway.script(
            Operation.CREATE_TRANSFER, Refused(broke, 400, "req_broke", replayed=False)
        )
        reply = await self.post(f"{address}/process", SERVICE)
        assert reply.code == "payment_failed", reply.text
        return reply.json["payment"]

    async def unknown_transfer(self) -> Json:
        """A back-office payment whose transfer Stripe made, and whose answer was lost."""
        payment = await self.created_for_back_office()
        address = f"/payments/{payment['id']}"
        account = {"vendorStripeAccountId": "acct_1"}
        assert (await self.post(f"{address}/approve", DISPATCHER, account)).status == 200
        self.gateway.lose_answer(Operation.CREATE_TRANSFER)
        reply = await self.post(f"{address}/process", SERVICE)
        assert reply.status == 202, reply.text
        return reply.json["payment"]

    async def waiting_event(self) -> str:
        """A webhook that cannot be applied; its id."""
        self._numbers[0] += 1
        event_id = f"evt_odd_{self._numbers[0]}"
        body = event_id.encode()
        self.gateway.events_by_body[body] = StripeEvent(
            event_id, "transfer.reversed", False, CREATED, None, "tr_odd", None, "it has no amount"
        )
        signed = {"Stripe-Signature": GOOD_SIGNATURE}
        reply = await self.post("/payments/webhooks/stripe", raw=body, headers=signed)
        assert reply.status == 200, reply.text
        return event_id

    async def completed(self, **changes: Json) -> Json:
        """A driver's payment whose card was charged."""
        payment = await self.approved(**changes)
        address = f"/payments/{payment['id']}"
        assert (await self.post(f"{address}/process", SERVICE)).status == 200
        reply = await self.post(f"{address}/confirm", DRIVER, {"paymentMethodId": "pm_card_visa"})
        assert reply.json["payment"]["status"] == "completed", reply.text
        return reply.json["payment"]

    async def refund_requested(self, **changes: Json) -> Json:
        payment = await self.completed()
        reply = await self.post(f"/payments/{payment['id']}/refunds", DISPATCHER, changes)
        assert reply.status == 201, reply.text
        return reply.json

    async def processing(self) -> Json:
        payment = await self.approved()
        reply = await self.post(f"/payments/{payment['id']}/process", SERVICE)
        assert reply.status == 200, reply.text
        return reply.json["payment"]


@contextlib.asynccontextmanager
async def running_app(app: ASGIApp) -> AsyncIterator[str]:
    """The app behind a real server on a free port; gives its base URL."""
    # With the protocol named asyncio turns Nagle off, which would cost 40 ms an answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    server = http_server(app, "127.0.0.1", listener.getsockname()[1])
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if task.done():
                await task
            await asyncio.sleep(0)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@contextlib.asynccontextmanager
async def running_api(
    directory: Path, clock: Clock | None = None, **settings: object
) -> AsyncIterator[Api]:
    chosen = settings_for(directory, **settings)
    gateway = FakeGateway()
    clock = clock or SystemClock()
    store = open_new_sqlite(chosen.sqlite_path)
    try:
        service = join(chosen, store, gateway, clock, SystemIds(clock), {})
        async with (
            running_app(create_app(service, chosen)) as base,
            aiohttp.ClientSession() as session,
        ):
            if not _CONTRACTS:
                async with session.get(f"{base}/openapi.json") as answer:
                    _CONTRACTS.append(Contract(await answer.json()))
            issuer = LocalIssuer.open(
                directory, issuer=chosen.jwt_issuer, audience=chosen.jwt_audience
            )
            yield Api(base, session, issuer, service, gateway, _CONTRACTS[0])
    finally:
        await store.close()
