"""Stripe's webhooks: the hot path, plain Starlette, raw bytes, no schema.

The signature is checked over the bytes as they came, so nothing may parse them before.
"""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from roadcall_payments.api.problems import http_problem, problem_of, respond
from roadcall_payments.api.request_body import read_bounded
from roadcall_payments.api.wiring import Service, record_of
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
    """An ASGI application of its own: what is wrapped around a mere function costs more than it."""

    def __init__(self, inbox: WebhookInbox) -> None:
        self._inbox = inbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        taken = await self._take(Request(scope, receive))
        if isinstance(taken, Response):
            await taken(scope, receive, send)
            return
        body = msgspec.json.encode(taken)
        length = str(len(body)).encode("ascii")
        headers = [(b"content-length", length), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _take(self, request: Request) -> Taken | Response:
        """Taken (200) once the event is kept (M19); else the problem: 400 for what Stripe never
        signed; 500: send again."""
        record = record_of(request)
        if request.method != "POST":
            problem = http_problem(405, "It knows POST.", record.id)
            return respond(problem, {"Allow": "POST"})
        try:
            body = await read_bounded(request, BODY_BYTES_MAX)
            signature = request.headers.get("stripe-signature", "")[:SIGNATURE_LENGTH_MAX]
            event_id = await self._inbox.take(body, signature)
        except HTTPException as unreadable:
            error = InvalidInput("body", unreadable.detail, code="bad_event")
            return respond(problem_of(error, record.id))
        except InvalidInput as forged:
            return respond(problem_of(forged, record.id))
        except TransientError as away:
            # Stripe delivers again whatever we answer but 2xx; the design says 500 (M19).
            problem = problem_of(away, record.id).model_copy(update={"status": 500})
            return respond(problem)
        return Taken(True, event_id)


def webhook_route(service: Service) -> Route:
    return Route(PATH, StripeWebhook(service.webhook_inbox))
