"""Prometheus metrics: free for this machine's own scraper, with a token for any other."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from roadcall_payments.api import documented
from roadcall_payments.api.access import Action, require_role
from roadcall_payments.api.guarded_route import gate_of
from roadcall_payments.api.loopback import is_loopback
from roadcall_payments.api.wiring import Service, Wired, record_of
from roadcall_payments.telemetry import metrics_page

router = APIRouter(tags=["operations"])


@router.get(
    "/metrics",
    operation_id="getMetrics",
    summary="Metrics in Prometheus' text format",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        **documented.errors(
            "invalid_input",
            "unauthenticated",
            "invalid_token",
            "not_allowed",
            "too_many_requests",
            "store_unavailable",
            "issuer_unavailable",
        ),
    },
)
async def metrics(request: Request, service: Wired) -> Response:
    """From a loopback address without a token; from elsewhere as admin or auditor."""
    if request.client is None or not is_loopback(request.client.host):
        caller = await gate_of(request).identify(request)
        record_of(request).caller = caller
        require_role(caller, Action.READ_METRICS)
    return await _page(service)


def worker_app(service: Service) -> ASGIApp:
    """What a worker alone serves, on a loopback address: the same page."""

    async def page(_request: Request) -> Response:
        return await _page(service)

    return Router(routes=[Route("/metrics", page)])


async def _page(service: Service) -> Response:
    await service.measures.refresh()
    page, content_type = metrics_page()
    return Response(page, headers={"Content-Type": content_type})
