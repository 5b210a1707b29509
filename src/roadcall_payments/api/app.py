"""The whole HTTP application: the webhook in front, the documented calls behind it."""

from __future__ import annotations

from collections.abc import Awaitable

from fastapi import FastAPI
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from roadcall_payments.api import (
    debts,
    document,
    events,
    health,
    inquiry,
    metrics,
    movements,
    payment_commands,
    payments,
    payouts,
    problems,
    refunds,
    reviews,
    statements,
    vendors,
)
from roadcall_payments.api.address_book import AddressBook
from roadcall_payments.api.edge import Edge
from roadcall_payments.api.guarded_route import Gate, GuardedRoute
from roadcall_payments.api.jwks import KeySource, RemoteKeys
from roadcall_payments.api.limits import LimitRules, Limits
from roadcall_payments.api.local_issuer import local_issuer
from roadcall_payments.api.request_body import StrictRequest
from roadcall_payments.api.tokens import TokenRules, TokenVerifier
from roadcall_payments.api.webhooks import StripeWebhook
from roadcall_payments.api.wiring import Service
from roadcall_payments.config import Settings

ROUTERS = (
    payments,
    payment_commands,
    inquiry,
    refunds,
    vendors,
    payouts,
    statements,
    debts,
    events,
    reviews,
    movements,
    health,
    metrics,
)


def create_app(service: Service, settings: Settings) -> ASGIApp:
    """Raises LocalIssuerExposed when the embedded issuer would be reachable from elsewhere."""
    rules = TokenRules(settings.jwt_issuer, settings.jwt_audience)
    limits = Limits(
        service.store,
        service.clock,
        LimitRules(
            caller=settings.rate_limit_per_minute,
            sensitive=settings.rate_limit_sensitive_per_minute,
            service=settings.rate_limit_service_per_minute,
        ),
    )
    verifier = TokenVerifier(key_source(settings), rules)
    gate = Gate(verifier, limits, settings.body_bytes_max)
    documented = documented_app(service, gate)
    # Its default, not a mount: a mount's pattern does not match an address with a line break.
    behind = Router(
        document.document_routes(documented), redirect_slashes=False, default=documented
    )
    return Edge(_Front(StripeWebhook(service.webhook_inbox), _Guarded(documented, behind)))


class _Front:
    """Webhooks come in bursts: they are told by their path alone, before any router looks."""

    def __init__(self, webhook: StripeWebhook, behind: ASGIApp) -> None:
        self._webhook = webhook
        self._behind = behind

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        is_webhook = scope["type"] == "http" and scope["path"] == self._webhook.path
        return (self._webhook if is_webhook else self._behind)(scope, receive, send)


class _Guarded:
    """Guarded calls go straight to their routes; all other addresses are for the routers."""

    def __init__(self, documented: FastAPI, behind: ASGIApp) -> None:
        self._documented = documented
        self._behind = behind
        routes = [route for resource in ROUTERS for route in resource.router.routes]
        self._addresses = AddressBook(one for one in routes if isinstance(one, GuardedRoute))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_http = scope["type"] == "http"
        found = self._addresses.find(scope["method"], scope["path"]) if is_http else None
        if found is None:
            await self._behind(scope, receive, send)
            return
        # What FastAPI would have left there.
        scope["app"] = self._documented
        scope["route"], scope["path_params"] = found.route, found.path_params
        response = await found.route.answer(StrictRequest(scope, receive))
        await response(scope, receive, send)


def key_source(settings: Settings) -> KeySource:
    """The issuer's published keys, or those of the embedded issuer."""
    if settings.jwks_url is not None:
        return RemoteKeys(settings.jwks_url)
    return local_issuer(settings).keys


def documented_app(service: Service, gate: Gate) -> FastAPI:
    """The calls that the OpenAPI document describes."""
    app = FastAPI(
        title=document.TITLE,
        version=document.VERSION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=True,
        exception_handlers=dict.fromkeys((*problems.TOLD, Exception), problems.told),
        redirect_slashes=False,
    )
    app.state.service = service
    app.state.gate = gate
    for resource in ROUTERS:
        app.include_router(resource.router)
    return app
