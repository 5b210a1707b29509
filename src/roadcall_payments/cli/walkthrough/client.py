"""The API as its callers use it: HTTP, JSON, a bearer token for each role."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import aiohttp

from roadcall_payments.cli.service import Failed
from roadcall_payments.domain.people import Role

T = TypeVar("T")

Json = dict[str, "JsonPart"]
JsonPart = str | int | bool | None | list["JsonPart"] | Json

PATIENCE_S = 30
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class ApiClient:
    http: aiohttp.ClientSession
    base: str
    tokens: Mapping[Role, str]

    async def get(self, role: Role, path: str) -> Json:
        return await self._call(role, "GET", path, None)

    async def post(self, role: Role, path: str, body: Json | None = None) -> Json:
        return await self._call(role, "POST", path, body)

    async def put(self, role: Role, path: str, body: Json) -> Json:
        return await self._call(role, "PUT", path, body)

    async def _call(self, role: Role, method: str, path: str, body: Json | None) -> Json:
        headers = {"Authorization": f"Bearer {self.tokens[role]}"}
        async with self.http.request(
            method, f"{self.base}{path}", json=body, headers=headers
        ) as answer:
            document: Json = await answer.json(content_type=None)
            if answer.status >= 400:
                detail = document.get("detail") or document
                raise Failed(f"{method} {path} was answered {answer.status}: {detail}")
            return document


@dataclass(frozen=True, slots=True)
class SandboxClient:
    """What the walk-through does as Stripe's customer: make a connected account."""

    http: aiohttp.ClientSession
    base: str
    api_key: str

    async def create_express_account(self, email: str) -> str:
        form = {
            "type": "express",
            "country": "US",
            "email": email,
            "capabilities[transfers][requested]": "true",
        }
        auth = {"Authorization": f"Bearer {self.api_key}"}
        async with self.http.post(f"{self.base}/v1/accounts", data=form, headers=auth) as answer:
            account: Json = await answer.json()
            if answer.status >= 400:
                raise Failed(f"The sandbox refused to make an account: {account}")
        account_id = text_in(account, "id")
        async with self.http.post(
            f"{self.base}/_sandbox/accounts/{account_id}/onboard", json={}
        ) as answer:
            if answer.status >= 400:
                raise Failed(f"The sandbox refused to onboard {account_id}.")
        return account_id


def text_in(document: Json, name: str) -> str:
    value = document[name]
    if not isinstance(value, str):
        raise Failed(f"The service answered {name}: {value!r}, which is no text.")
    return value


async def until(what: str, look: Callable[[], Awaitable[T | None]]) -> T:
    """Look again and again until there is something. Raises Failed, naming ``what``."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while True:
        found = await look()
        if found is not None:
            return found
        if asyncio.get_running_loop().time() > deadline:
            raise Failed(f"Waited {PATIENCE_S} s in vain: {what}.")
        await asyncio.sleep(POLL_S)
