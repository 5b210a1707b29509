"""A Stripe that answers at once and remembers nothing: what it costs is not what is measured.

Run as ``python -m benchmarks.stripe_stub``; it prints its address. It knows the few calls that
the measured systems make: creating a PaymentIntent, and reading an account, a charge, a method.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from typing import cast
from urllib.parse import parse_qsl

import uvloop

from benchmarks.identifiers import ACCOUNT, stripe_id

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_KEY = re.compile(rb"idempotency-key: *(\S+)", re.IGNORECASE)


class _Stripe(asyncio.Protocol):
    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            found = _LENGTH.search(head)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self._received) < whole:
                return
            body, self._received = self._received[end + 4 : whole], self._received[whole:]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        assert self._transport is not None
        method, target, _ = head.split(b" ", 2)
        key = _KEY.search(head)
        path = target.decode().partition("?")[0]
        if method == b"POST":
            told = _payment_intent(body, key[1].decode() if key else "")
        else:
            told = _read(path)
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nRequest-Id: req_Bench01\r\n"
            + f"Content-Length: {len(told)}\r\n\r\n".encode()
            + told
        )


def _payment_intent(body: bytes, key: str) -> bytes:
    params = dict(parse_qsl(body.decode()))
    digest = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()
    intent = f"pi_{digest[:24]}"
    metadata = {name[9:-1]: value for name, value in params.items() if name.startswith("metadata[")}
    text = json.dumps(
        {
            "id": intent,
            "object": "payment_intent",
            "amount": int(params["amount"]),
            "currency": params["currency"],
            "client_secret": f"{intent}_secret_{'c' * 25}",
            "created": 1_790_000_000,
            "livemode": False,
            "metadata": metadata,
            "status": "requires_payment_method",
            **_REST,
        }
    )
    return text.encode()


# The other fields that Stripe sends: a client has to read over them.
_REST: dict[str, object] = {
    "amount_capturable": 0,
    "amount_details": {"tip": {}},
    "amount_received": 0,
    "application": None,
    "application_fee_amount": None,
    "automatic_payment_methods": {"allow_redirects": "never", "enabled": True},
    "canceled_at": None,
    "cancellation_reason": None,
    "capture_method": "automatic_async",
    "confirmation_method": "automatic",
    "customer": None,
    "description": None,
    "last_payment_error": None,
    "latest_charge": None,
    "next_action": None,
    "on_behalf_of": None,
    "payment_method": None,
    "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
    "payment_method_types": ["card", "link"],
    "processing": None,
    "receipt_email": None,
    "review": None,
    "setup_future_usage": None,
    "shipping": None,
    "source": None,
    "statement_descriptor": None,
    "transfer_data": None,
}


def _read(path: str) -> bytes:
    kind, _, own_id = path.removeprefix("/v1/").partition("/")
    created = 1_790_000_000
    objects: dict[str, dict[str, object]] = {
        "account": {"id": ACCOUNT, "object": "account", "type": "standard", "country": "US"},
        "accounts": {"id": own_id, "object": "account", "type": "standard", "country": "US"},
        "payment_methods": {
            "id": own_id,
            "object": "payment_method",
            "type": "card",
            "billing_details": {},
            "card": {},
            "customer": None,
        },
        "charges": {
            "id": own_id,
            "object": "charge",
            "amount": 12_500,
            "amount_captured": 12_500,
            "amount_refunded": 0,
            "balance_transaction": None,
            "captured": True,
            "currency": "usd",
            "disputed": False,
            "paid": True,
            "payment_intent": None,
            "payment_method": stripe_id("pm", 0),
            "refunded": False,
            "status": "succeeded",
        },
    }
    found = objects.get(kind, {"id": own_id, "object": kind.removesuffix("s")})
    return json.dumps({"created": created, "livemode": False, "metadata": {}, **found}).encode()


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Stripe, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"http://{host}:{port}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve())
