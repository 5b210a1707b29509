"""Webhook deliveries: ours, signed by hand, and what the service made of Stripe's."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from tests.flows.stack import WEBHOOK_SECRET, Reply, Stack, call, wait_for

PATH = "/payments/webhooks/stripe"
Object = dict[str, object]


def signature(body: bytes, secret: str = WEBHOOK_SECRET, *, at: int | None = None) -> str:
    """Stripe's header, written from its documentation: HMAC-SHA256 over time, dot and body."""
    timestamp = int(time.time()) if at is None else at
    signed = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, sha256).hexdigest()
    return f"t={timestamp},v1={signed}"


def deliver(stack: Stack, body: bytes, header: str | None) -> Reply:
    """Post these bytes as a webhook; without the header where it is None."""
    headers = {} if header is None else {"Stripe-Signature": header}
    return call("POST", stack.service.url + PATH, headers=headers, raw=body)


def deliver_signed(
    stack: Stack, event: Mapping[str, object], secret: str = WEBHOOK_SECRET
) -> Reply:
    body = json.dumps(event).encode()
    return deliver(stack, body, signature(body, secret))


@dataclass(frozen=True, slots=True)
class Kept:
    """A row of the inbox."""

    event_id: str
    type: str
    status: str
    reason: str | None
    stream: str | None
    body: bytes


def inbox(stack: Stack) -> dict[str, Kept]:
    rows = stack.database.query("SELECT event_id, type, status, reason, stream, body FROM inbox")
    return {str(row[0]): Kept(*row) for row in rows}


def wait_in_inbox(stack: Stack, event_ids: Sequence[str]) -> list[Kept]:
    """The rows of these events, once all are there."""

    def all_there() -> list[Kept] | None:
        rows = inbox(stack)
        return [rows[one] for one in event_ids] if rows.keys() >= set(event_ids) else None

    return wait_for(f"{event_ids} in the inbox", all_there)


def events_about(stack: Stack, object_id: str, *, account: str | None = None) -> list[Object]:
    """Stripe's events whose object this is, oldest first."""
    headers = {} if account is None else {"Stripe-Account": account}
    listed = stack.form("GET", "/v1/events?limit=100", **headers).body["data"]
    assert isinstance(listed, list)
    return [event for event in reversed(listed) if object_of(event).get("id") == object_id]


def object_of(event: Mapping[str, object]) -> Object:
    data = event["data"]
    assert isinstance(data, dict)
    found = data["object"]
    assert isinstance(found, dict)
    return found


def wait_delivered(stack: Stack) -> None:
    """Until Stripe has nothing left to deliver."""

    def none_pending() -> bool | None:
        reply = stack.stripe("GET", "/_sandbox/deliveries?state=pending")
        return True if reply.body["deliveries"] == [] else None

    wait_for("the last delivery", none_pending)


def deliveries_of(stack: Stack, event_id: str) -> list[Object]:
    found = stack.stripe("GET", f"/_sandbox/deliveries?event={event_id}").body["deliveries"]
    assert isinstance(found, list)
    return found


def published_so_far(stack: Stack, status: str) -> int:
    """How many events that bring a payment to ``status`` the bus has carried, by its meter, once
    it has carried all that is committed."""
    waiting = "SELECT COUNT(*) FROM work WHERE queue = 'outbox'"
    wait_for("an empty outbox", lambda: stack.database.query(waiting) == [(0,)])
    page = call("GET", stack.service.url + "/metrics").body["_raw"]
    assert isinstance(page, str)
    wanted = f'roadcall_payments_total{{status="{status}"}} '
    return sum(
        int(float(line.removeprefix(wanted)))
        for line in page.splitlines()
        if line.startswith(wanted)
    )
