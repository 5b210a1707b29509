"""Stripe's webhooks: the hot path, plain ASGI, raw bytes, no schema.

The signature is checked over the bytes as they came, so nothing may parse them before.
"""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from roadcall_payments.api.problems import http_problem, problem_of, respond
from roadcall_payments.api.request_body import read_bounded
from roadcall_payments.api.request_headers import first_header
from roadcall_payments.api.wiring import record_of
from roadcall_payments.domain.errors import InvalidInput, TransientError
from roadcall_payments.workflows.webhook_inbox import WebhookInbox

PATH: Final = "/payments/webhooks/stripe"
# Stripe's largest events are a few dozen KiB.
BODY_BYTES_MAX: Final = 262_144
SIGNATURE_LENGTH_MAX: Final = 4_096


class Taken(msgspec.Struct):
    received: bool
    event_id: str = msgspec.field(name="eventId")


class StripeWebhook:
    """An ASGI application of its own, without the objects that a framework makes of a request."""

    path: Final = PATH

    def __init__(self, inbox: WebhookInbox) -> None:
        self._inbox = inbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self
        taken = await self._take(scope, receive)
        if isinstance(taken, Response):
            await taken(scope, receive, send)
            return
        body = msgspec.json.encode(taken)
        length = str(len(body)).encode("ascii")
        headers = [(b"content-length", length), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _take(self, scope: Scope, receive: Receive) -> Taken | Response:
        """Taken (200) once the event is kept (M19); else the problem: 400 for what Stripe never
        signed; 500: send again."""
        if scope["method"] != "POST":
            problem = http_problem(405, "It knows POST.", _request_id(scope))
            return respond(problem, {"Allow": "POST"})
        try:
            body = await read_bounded(
                receive, first_header(scope, b"content-length") or "", BODY_BYTES_MAX
            )
            signature = (first_header(scope, b"stripe-signature") or "")[:SIGNATURE_LENGTH_MAX]
            event_id = await self._inbox.take(body, signature)
        except HTTPException as unreadable:
            error = InvalidInput("body", unreadable.detail, code="bad_event")
            return respond(problem_of(error, _request_id(scope)))
        except InvalidInput as forged:
            return respond(problem_of(forged, _request_id(scope)))
        except TransientError as away:
            # Stripe delivers again whatever we answer but 2xx; the design says 500 (M19).
            problem = problem_of(away, _request_id(scope)).model_copy(update={"status": 500})
            return respond(problem)
        return Taken(True, event_id)


def _request_id(scope: Scope) -> str:
    return record_of(Request(scope)).id
