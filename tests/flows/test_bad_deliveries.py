"""What Stripe never signed, and what is no event although it did: 400, and nothing written."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable

import pytest

from tests.flows.deliveries import Object, deliver, signature
from tests.flows.stack import Stack

EVENT: Object = {
    "id": "evt_made_up",
    "object": "event",
    "type": "payment_intent.succeeded",
    "livemode": False,
    "created": 1_790_000_000,
    "data": {"object": {"id": "pi_made_up", "object": "payment_intent"}},
}


# Where the worker notes, in its own time, how far it has compared Stripe's events.
OWN_NOTES = dict.fromkeys(("journal", "streams", "texts"), "stream") | {"work": "key"}


def rows(stack: Stack) -> dict[str, int]:
    """How many rows each table of the database has, without the worker's own notes."""
    counted = {}
    for table in stack.database.tables():
        column = OWN_NOTES.get(table)
        others = f" WHERE {column} NOT LIKE 'control/%'" if column else ""
        counted[table] = stack.database.query(f"SELECT COUNT(*) FROM {table}{others}")[0][0]
    return counted


def event_bytes(**changed: object) -> bytes:
    return json.dumps({**EVENT, **changed}).encode()


def nested(depth: int) -> bytes:
    """An event in whose object a list is nested that deep."""
    deep = b"[" * depth + b"]" * depth
    return event_bytes().replace(b'"pi_made_up"', b'"pi_made_up", "metadata": ' + deep)


FORGED: dict[str, Callable[[], tuple[bytes, str | None]]] = {
    "no header": lambda: (event_bytes(), None),
    "an empty header": lambda: (event_bytes(), ""),
    "a header of noise": lambda: (event_bytes(), "v1=,,=t,t=="),
    "a secret of nobody's": lambda: (event_bytes(), signature(event_bytes(), "whsec_nobody")),
    "another body": lambda: (event_bytes(id="evt_2"), signature(event_bytes())),
    "signed 301 seconds ago": lambda: (event_bytes(), signed_at(int(time.time()) - 302)),
    "signed an hour ahead": lambda: (event_bytes(), signed_at(int(time.time()) + 3_600)),
    "two times": lambda: (event_bytes(), f"t={int(time.time())},{signature(event_bytes())}"),
    "only the old scheme": lambda: (event_bytes(), signature(event_bytes()).replace("v1", "v0")),
    "a megabyte of noise": lambda: (os.urandom(1 << 20), signature(b"")),
    "nothing at all": lambda: (b"", None),
}
NO_EVENTS: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "no UTF-8": lambda: event_bytes().replace(b"evt_made_up", b"evt_\xff\xfe"),
    "no JSON": lambda: event_bytes()[:-1],
    "null": lambda: b"null",
    "a list": lambda: b"[]",
    "an object of nothing": lambda: b"{}",
    "another object": lambda: event_bytes(object="charge"),
    "no data": lambda: event_bytes(data={}),
    "an id that is a number": lambda: event_bytes(id=7),
    "an empty id": lambda: event_bytes(id=""),
    "an id with a quotation mark": lambda: event_bytes(id='evt_"'),
    "an id with NUL": lambda: event_bytes(id="evt_\0"),
    "an id with a lone surrogate": lambda: event_bytes(id="evt_\ud800"),
    "an id without end": lambda: event_bytes(id="evt_" + "x" * 10_000),
    "a time that is none": lambda: event_bytes(created=10**18),
    "a time before all time": lambda: event_bytes(created=-(10**18)),
    "nested for ever": lambda: nested(100_000),
    "a megabyte of noise": lambda: os.urandom(1 << 20),
    "a megabyte of event": lambda: event_bytes(padding="x" * (1 << 20)),
}


def signed_at(timestamp: int) -> str:
    return signature(event_bytes(), at=timestamp)


@pytest.mark.parametrize("forged", FORGED)
def test_what_stripe_did_not_sign_is_refused_and_nothing_is_written(
    stack: Stack, forged: str
) -> None:
    body, header = FORGED[forged]()
    before = rows(stack)
    refused = deliver(stack, body, header)
    assert refused.status == 400, refused
    assert refused.body["code"] in ("bad_signature", "bad_event")
    assert refused.body["detail"]
    assert rows(stack) == before


@pytest.mark.parametrize("body", NO_EVENTS)
def test_what_is_no_event_is_refused_although_it_is_signed(stack: Stack, body: str) -> None:
    raw = NO_EVENTS[body]()
    before = rows(stack)
    refused = deliver(stack, raw, signature(raw))
    assert refused.status == 400, refused
    assert refused.body["code"] == "bad_event"
    assert rows(stack) == before
