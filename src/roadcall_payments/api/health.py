"""Is it alive, is it ready: for load balancers and people, without a token."""

from __future__ import annotations

from typing import Literal

import structlog
from fastapi import APIRouter, Response
from pydantic import Field

from roadcall_payments.api.schemas import View, with_example
from roadcall_payments.api.wiring import Service, Wired
from roadcall_payments.domain.errors import RoadcallError

router = APIRouter(tags=["operations"])
_log = structlog.get_logger()


class Alive(View):
    model_config = with_example({"status": "alive"})

    status: Literal["alive"]


class Check(View):
    """No more than a code: anybody may ask. The logs say the rest."""

    ok: bool
    code: str | None = Field(description="What is wrong; null when nothing is.")


_WELL = Check(ok=True, code=None)


class Ready(View):
    """`movementsPaused` is said, and does not make the service unready: it takes requests."""

    model_config = with_example(
        {
            "status": "ready",
            "movementsPaused": False,
            "checks": {
                "store": {"ok": True, "code": None},
                "stripeCredentials": {"ok": True, "code": None},
            },
        }
    )

    status: Literal["ready", "not_ready"]
    movements_paused: bool | None = Field(description="Null while the database does not say.")
    checks: dict[str, Check]


@router.get("/health/live", operation_id="getLiveness", summary="Is the process alive?")
async def live() -> Alive:
    """200 as long as the process answers at all."""
    return Alive(status="alive")


@router.get(
    "/health/ready",
    operation_id="getReadiness",
    summary="Can it take requests?",
    responses={503: {"model": Ready, "description": "Not ready; `checks` say why."}},
)
async def ready(service: Wired, response: Response) -> Ready:
    """The database answers, and Stripe's credentials are known."""
    store, paused = await _store(service)
    checks = {"store": store, "stripeCredentials": await _credentials(service)}
    well = all(check.ok for check in checks.values())
    response.status_code = 200 if well else 503
    return Ready(status="ready" if well else "not_ready", movements_paused=paused, checks=checks)


async def _store(service: Service) -> tuple[Check, bool | None]:
    try:
        await service.store.ready()
        movements = await service.movements_switch.state()
    except RoadcallError as broken:
        return _unwell("store", broken), None
    return _WELL, movements is not None and not movements.flow


async def _credentials(service: Service) -> Check:
    try:
        await service.gateway.identity()
    except RoadcallError as broken:
        return _unwell("stripe_credentials", broken)
    return _WELL


def _unwell(part: str, broken: RoadcallError) -> Check:
    _log.warning("not_ready", part=part, code=broken.code, reason=broken.message)
    return Check(ok=False, code=broken.code)
