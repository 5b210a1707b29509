"""The server: what it has taken it answers, also when it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from tests.api.harness import running_app


async def test_a_stopping_server_answers_what_it_has_taken() -> None:
    taken, may_answer = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        taken.set()
        await may_answer.wait()
        await PlainTextResponse("answered")(scope, receive, send)

    async def answer_once_it_stops(port: int) -> None:
        with contextlib.suppress(OSError):
            while True:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
        may_answer.set()

    async with aiohttp.ClientSession() as session:
        async with running_app(slow) as base:
            request = asyncio.create_task(_text(session, base))
            await taken.wait()
            watching = asyncio.create_task(answer_once_it_stops(int(base.rpartition(":")[2])))
        assert await request == "answered"
        await watching


async def _text(session: aiohttp.ClientSession, address: str) -> str:
    async with session.get(address) as answer:
        return await answer.text()
