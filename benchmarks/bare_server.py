"""A server that takes the same webhooks and does almost nothing: what the rest costs.

``python -m benchmarks.bare_server rows`` checks the signature, reads the event and writes the rows
that the service writes, with the service's own statement and a group commit like its own, but from
constants: no look-up, no decision, no books, no seal, no metrics, no log line. ``answers`` drops
the body and answers. Both run on the service's own HTTP server. Environment: DATABASE_URL,
STRIPE_WEBHOOK_SECRET, PORT.
"""

from __future__ import annotations

import asyncio
import gc
import hmac
import os
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from operator import itemgetter
from typing import Any

import asyncpg
import msgspec

from benchmarks.identifiers import ACCOUNT
from benchmarks.prepared import completion
from benchmarks.stripe_events import AMOUNT
from roadcall_payments.api.server import http_server
from roadcall_payments.stores.postgres.statement import write_statement
from roadcall_payments.stores.rows import Row

Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# As many as the service has.
_WRITERS = 2
_OLDEST_S = 300
_ENTRY, _STATE = completion()
_HEAD: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"2")],
}
_BODY: Message = {"type": "http.response.body", "body": b"{}"}


class _Intent(msgspec.Struct):
    metadata: dict[str, str]
    latest_charge: str


class _Data(msgspec.Struct):
    object: _Intent


class _Event(msgspec.Struct):
    id: str
    type: str
    data: _Data


_Taken = tuple[str, _Event, bytes, asyncio.Future[None]]

_read = msgspec.json.Decoder(_Event).decode


async def answers(scope: Message, receive: Receive, send: Send) -> None:
    await _body(receive)
    await send(_HEAD)
    await send(_BODY)


class Rows:
    """The application that writes. What arrives while both connections are busy goes together."""

    def __init__(self, database_url: str, secret: bytes) -> None:
        self._database_url = database_url
        self._secret = secret
        self._free: list[asyncpg.Connection[asyncpg.Record]] = []
        self._running: set[asyncio.Task[None]] = set()
        self._waiting: list[_Taken] = []
        self._starts = False
        self._prev_hash = ""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if scope["method"] == "POST":
            self._check(scope["headers"], body)
            await self._written(_read(body), body)
        await send(_HEAD)
        await send(_BODY)

    def _check(self, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        given = next(value for name, value in headers if name == b"stripe-signature")
        parts = dict(part.split(b"=", 1) for part in given.split(b","))
        own = hmac.digest(self._secret, parts[b"t"] + b"." + body, "sha256").hex()
        if not hmac.compare_digest(own.encode(), parts[b"v1"]):
            raise ValueError("the signature does not hold")
        if time.time() - int(parts[b"t"]) > _OLDEST_S:
            raise ValueError("the event is too old")

    async def _written(self, event: _Event, body: bytes) -> None:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        stream = f"payment/{event.data.object.metadata['paymentId']}"
        self._waiting.append((stream, event, body, done))
        if not self._starts:
            self._starts = True
            loop.call_soon(self._start)
        await done

    def _start(self) -> None:
        self._starts = False
        if self._waiting and len(self._running) < _WRITERS:
            task = asyncio.get_running_loop().create_task(self._write(self._waiting))
            self._running.add(task)
            task.add_done_callback(self._ended)
            self._waiting = []

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._start()

    async def _write(self, batch: list[_Taken]) -> None:
        connection = self._free.pop() if self._free else await self._connected()
        text, arguments = write_statement(_rows(batch, self._prev_hash))
        try:
            await connection.fetchval(text, *arguments)
        except asyncpg.PostgresError as refused:
            for *_, done in batch:
                done.set_exception(refused)
        else:
            for *_, done in batch:
                done.set_result(None)
        self._free.append(connection)

    async def _connected(self) -> asyncpg.Connection[asyncpg.Record]:
        connection = await asyncpg.connect(
            self._database_url,
            server_settings={"jit": "off"},
            max_cached_statement_lifetime=0,
            max_cacheable_statement_size=0,
        )
        # Prepared payments are copies of one, and so are their hashes.
        self._prev_hash = await connection.fetchval("SELECT hash FROM streams LIMIT 1")
        return connection


def _rows(batch: list[_Taken], prev_hash: str) -> Mapping[str, list[Row]]:
    batch.sort(key=itemgetter(0))
    at = time.time_ns() // 1_000
    rows: defaultdict[str, list[Row]] = defaultdict(list)
    for stream, event, body, _ in batch:
        rows["streams_written"].append(
            (
                *(stream, 5, prev_hash, 6, _ENTRY.hash, _STATE),
                *("completed", False, False, None, at),
                *(f"01900006-0000-7000-9000-{stream[-12:]}", _ENTRY.type, at, _ENTRY.actor),
                *(_ENTRY.data, _ENTRY.rules_version, _ENTRY.hash),
            )
        )
        charge = f"stripe:{ACCOUNT}:test:{event.data.object.latest_charge}"
        rows["refs_added"].append((charge, stream))
        rows["inbox_taken"].append(
            (event.id, event.type, "platform", at, body, "applied", None, 0, stream)
        )
        rows["postings_added"] += (
            (stream, 6, 0, ACCOUNT, "stripe_clearing", "usd", AMOUNT),
            (stream, 6, 1, ACCOUNT, "vendor_payable:v_example", "usd", -AMOUNT),
        )
    rows["refs_added"].sort(key=itemgetter(0))
    rows["inbox_taken"].sort(key=itemgetter(0))
    return rows


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message["body"]
    while message["more_body"]:
        message = await receive()
        body += message["body"]
    return body


def main(kind: str) -> None:
    application: Any = answers
    if kind == "rows":
        secret = os.environ["STRIPE_WEBHOOK_SECRET"].encode()
        application = Rows(os.environ["DATABASE_URL"], secret)
    # A round makes little garbage in circles; the service, which runs for good, looks for it.
    gc.freeze()
    gc.disable()
    http_server(application, "127.0.0.1", int(os.environ["PORT"])).run()


if __name__ == "__main__":
    main(sys.argv[1])
