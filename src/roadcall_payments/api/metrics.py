"""Prometheus metrics: free for this machine's own scraper, with a token for any other."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from roadcall_payments.api import documented
from roadcall_payments.api.access import Action, require_role
from roadcall_payments.api.guarded_route import gate_of
from roadcall_payments.api.loopback import is_loopback
from roadcall_payments.api.wiring import Wired, record_of
from roadcall_payments.telemetry import (
    QUEUE_OLDEST_SECONDS,
    QUEUE_PARKED,
    QUEUE_WAITING,
    metrics_page,
)

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
    now = service.clock.now()
    for age in await service.store.queue_ages():
        oldest_s = (now - age.oldest_due_at).total_seconds() if age.oldest_due_at else 0
        QUEUE_WAITING.labels(age.queue.value).set(age.waiting)
        QUEUE_PARKED.labels(age.queue.value).set(age.parked)
        QUEUE_OLDEST_SECONDS.labels(age.queue.value).set(max(oldest_s, 0))
    page, content_type = metrics_page()
    return Response(page, headers={"Content-Type": content_type})
