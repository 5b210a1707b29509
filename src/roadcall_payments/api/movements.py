"""The switch that holds every outgoing movement."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field

from roadcall_payments.api import documented
from roadcall_payments.api.guarded_route import GuardedRoute
from roadcall_payments.api.schemas import EXAMPLE_AT, Instant, RequestBody, Text, View, with_example
from roadcall_payments.api.wiring import Caller, Wired
from roadcall_payments.domain.movements import Movements

router = APIRouter(route_class=GuardedRoute, tags=["operations"])


class PauseBody(RequestBody):
    model_config = with_example({"reason": "Stripe reports an incident."})

    reason: Text


class MovementsView(View):
    model_config = with_example(
        {
            "paused": True,
            "by": "admin:maria",
            "reason": "Stripe reports an incident.",
            "updatedAt": EXAMPLE_AT,
            "heldAfterRestore": False,
        }
    )

    paused: bool
    by: str | None = Field(description="Who switched last; null while nobody ever did.")
    reason: str
    updated_at: Instant | None
    held_after_restore: bool = Field(
        description="The database was restored; an operator brings its books up to date first."
    )


def movements_view(movements: Movements | None) -> MovementsView:
    if movements is None:
        return MovementsView(
            paused=False, by=None, reason="", updated_at=None, held_after_restore=False
        )
    touched = bool(movements.by) or movements.hold is not None
    return MovementsView(
        paused=movements.paused,
        by=movements.by or None,
        reason=movements.reason,
        updated_at=movements.updated_at if touched else None,
        held_after_restore=movements.hold is not None,
    )


@router.get(
    "/movements",
    operation_id="getMovements",
    summary="Read the pause switch",
    responses=documented.reads(),
)
async def state(service: Wired, _caller: Caller) -> MovementsView:
    """While paused, nothing is sent to Stripe that moves money; webhooks are still taken."""
    return movements_view(await service.movements_switch.state())


@router.post(
    "/movements/pause",
    operation_id="pauseMovements",
    summary="Hold every outgoing movement",
    responses=documented.writes(documented.invalid("reason", "Field required")),
)
async def pause(body: PauseBody, service: Wired, caller: Caller) -> MovementsView:
    """What is under way at Stripe finishes; nothing new starts, in any process."""
    return movements_view(await service.movements_switch.pause(caller, body.reason))


@router.post(
    "/movements/resume",
    operation_id="resumeMovements",
    summary="Let movements go again",
    responses=documented.writes(),
)
async def resume(service: Wired, caller: Caller) -> MovementsView:
    """The worker takes up what waited."""
    return movements_view(await service.movements_switch.resume(caller))
