"""The OpenAPI document, and the page that shows it without reaching for the network."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from importlib import resources
from importlib.metadata import version
from typing import Any, Final, cast

import fastapi_offline
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from roadcall_payments.api import documented, webhooks
from roadcall_payments.api.access import RIGHTS, ROUTES
from roadcall_payments.api.problems import Problem
from roadcall_payments.api.schemas import nulls_restored

TITLE: Final = "Roadcall Payments"
VERSION: Final = version("roadcall-payments")

_DESCRIPTION: Final = """\
Payments for roadside assistance: a driver pays by card, or a back office pays the vendor.

**Amounts** are integers in minor units of their currency; **times** are RFC 3339 in UTC.

**Who calls**: `Authorization: Bearer <JWT>`. The token names one role; what it may do stands at
each call. A `service` acting for a payer sends the payer's driver id as `On-Behalf-Of`.

**Repeats**: send `Idempotency-Key` with every POST that creates or moves money. The same key and
body get the first answer again, marked `Idempotency-Replayed: true`, without secrets.

**Errors** are RFC 9457 problem details. Branch on `code`. A 409 carries the `payment` as it
stands. Wait `Retry-After` seconds before trying again, where it is sent. An address or a
method that no call has answers 404 `unknown_address` or 405 `method_not_allowed`.

**202** means that Stripe has not told the outcome yet: the payment settles by itself. Read it
again; do not send another one.
"""
_TAGS: Final = [
    {"name": "payments", "description": "From creation to the money's arrival."},
    {"name": "refunds", "description": "Money back to the payer."},
    {"name": "vendors", "description": "Whom to pay."},
    {"name": "events", "description": "What others tell us."},
    {"name": "operations", "description": "For the people who run it."},
]
_ASSETS: Final = "/docs/assets"
_ELSEWHERE_NAMES: Final[Mapping[int | str, str]] = {404: "UnknownAddress", 405: "MethodNotAllowed"}

# OpenAPI as FastAPI types it; its Any cannot have a name.
Document = dict[str, Any]


def document_routes(app: FastAPI) -> list[BaseRoute]:
    """``/openapi.json``, made when first asked for, and ``/docs`` with what it needs."""
    made: asyncio.Future[bytes] | None = None

    async def document(_request: Request) -> Response:
        nonlocal made
        if made is None:
            # A second of processor time: not at every start, and not in the way of requests.
            made = asyncio.ensure_future(asyncio.to_thread(_rendered, app))
        # Whoever hangs up while it is made does not end it for the others.
        return Response(await asyncio.shield(made), media_type="application/json")

    async def page(_request: Request) -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=TITLE,
            swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{_ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{_ASSETS}/favicon.png",
            swagger_ui_parameters={"deepLinking": True, "defaultModelsExpandDepth": 0},
        )

    static = resources.files(fastapi_offline) / "static"
    return [
        Route("/openapi.json", document),
        Route("/docs", page),
        Mount(_ASSETS, StaticFiles(directory=str(static))),
    ]


def _rendered(app: FastAPI) -> bytes:
    return bytes(JSONResponse(openapi(app)).body)


def openapi(app: FastAPI) -> Document:
    """The whole document: FastAPI's, with security, problems and the webhook added."""
    made: Document = get_openapi(
        title=TITLE,
        version=VERSION,
        description=_DESCRIPTION,
        routes=app.routes,
        tags=_TAGS,
        separate_input_output_schemas=True,
    )
    components = made.setdefault("components", {})
    _add_problem(components.setdefault("schemas", {}))
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    components["responses"] = {
        _ELSEWHERE_NAMES[status]: answer for status, answer in documented.ELSEWHERE.items()
    }
    made["paths"][webhooks.PATH] = {"post": _WEBHOOK}
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            _finish(operation, (method.upper(), path))
    return cast(Document, nulls_restored(made))


def _add_problem(schemas: Document) -> None:
    schema = TypeAdapter(Problem).json_schema(
        mode="serialization", ref_template="#/components/schemas/{model}"
    )
    for name, definition in schema.pop("$defs", {}).items():
        schemas.setdefault(name, definition)
    schemas["Problem"] = schema
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)


def _finish(operation: Document, route: tuple[str, str]) -> None:
    """Security, roles in words, and 400 in place of FastAPI's own 422."""
    answers = operation["responses"]
    if "HTTPValidationError" in str(answers.get("422", "")):
        del answers["422"]
    guarded = ROUTES.get(route)
    if guarded is None:
        answers.setdefault("500", documented.INTERNAL[500])
        return
    operation["security"] = [{"bearer": []}]
    who = "; ".join(f"{role} ({reach})" for role, reach in RIGHTS[guarded.action].items())
    limit = "\n\nCounts against the small limit for sensitive calls." if guarded.sensitive else ""
    operation["description"] = f"{operation.get('description', '')}\n\n**Who:** {who}.{limit}"


_WEBHOOK: Final[Document] = {
    "tags": ["events"],
    "operationId": "takeStripeWebhook",
    "summary": "Take a webhook from Stripe",
    "description": "For Stripe alone: the raw body is checked against `Stripe-Signature`, at most "
    "256 KiB and 300 seconds old. A repeat answers the same and changes nothing. What cannot be "
    "applied yet is kept and retried; it still answers 200.",
    "parameters": [
        {
            "name": "Stripe-Signature",
            "in": "header",
            "required": True,
            "schema": {"type": "string"},
            "example": "t=1795378692,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e1",
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "description": "Stripe's event, as Stripe sends it."},
                "example": {
                    "id": "evt_1Pgf3nLkdIwHu7ix",
                    "object": "event",
                    "type": "payment_intent.succeeded",
                },
            }
        },
    },
    "responses": {
        "200": {
            "description": "Kept.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["received", "eventId"],
                        "properties": {
                            "received": {"type": "boolean"},
                            "eventId": {"type": "string"},
                        },
                    },
                    "example": {"received": True, "eventId": "evt_1Pgf3nLkdIwHu7ix"},
                }
            },
        },
        **{str(status): answer for status, answer in documented.WEBHOOK.items()},
    },
}
