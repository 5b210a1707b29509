"""The server: what it has taken it answers, also when it is told to stop; in one piece."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from roadcall_payments.api.one_write import GatheringTransport
from tests.api.harness import running_app


class Wire(asyncio.Transport):
    """A connection that remembers each write."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


async def test_what_is_written_in_one_turn_leaves_in_one_piece() -> None:
    wire = Wire()
    gathering = GatheringTransport(wire, asyncio.get_running_loop())
    gathering.write(b"head ")
    gathering.writelines([b"and ", b"body"])
    assert wire.written == []
    await asyncio.sleep(0)
    gathering.write(b"the next")
    await asyncio.sleep(0)
    assert wire.written == [b"head and body", b"the next"]


async def test_what_was_written_leaves_before_the_connection_is_closed() -> None:
    wire = Wire()
    gathering = GatheringTransport(wire, asyncio.get_running_loop())
    gathering.write(b"the last")
    gathering.close()
    gathering.write(b"too late")
    await asyncio.sleep(0)
    assert wire.written == [b"the last"]
    assert gathering.is_closing()


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
