"""Events in: a job's completion, delivered in EventBridge's envelope, creates its payment."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from roadcall_payments.api import access, documented
from roadcall_payments.api.access import Action
from roadcall_payments.api.guarded_route import GuardedRoute
from roadcall_payments.api.payments import NEW_PAYMENT_EXAMPLE, NewPaymentBody
from roadcall_payments.api.schemas import (
    EXAMPLE_AT,
    PAYMENT_ID,
    Id,
    RequestBody,
    View,
    with_example,
)
from roadcall_payments.api.wiring import Caller, Wired, record_of

router = APIRouter(route_class=GuardedRoute, tags=["events"])


class EventBody(RequestBody):
    """EventBridge's envelope; only its `id`, `detail-type` and `detail` are looked at."""

    model_config = with_example(
        {
            "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
            "detail-type": "WorkCompleted",
            "source": "roadcall.dispatch",
            "time": EXAMPLE_AT,
            "detail": NEW_PAYMENT_EXAMPLE,
        }
    )

    id: Id
    detail_type: Literal["WorkCompleted"] = Field(alias="detail-type")
    source: str = Field(min_length=1, max_length=256)
    time: str = Field(min_length=1, max_length=64)
    detail: NewPaymentBody
    version: str | None = Field(None, max_length=16)
    account: str | None = Field(None, max_length=64)
    region: str | None = Field(None, max_length=64)
    resources: list[Annotated[str, Field(max_length=2_048)]] | None = Field(None, max_length=20)
    replay_name: str | None = Field(None, alias="replay-name", max_length=256)


class EventTaken(View):
    model_config = with_example(
        {
            "received": True,
            "eventId": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
            "paymentId": PAYMENT_ID,
        }
    )

    received: Literal[True]
    event_id: str
    payment_id: str | None = Field(
        description="Null when the event, or the job's payment, was there already."
    )


@router.post(
    "/events",
    operation_id="deliverEvent",
    summary="Deliver a WorkCompleted event",
    responses=documented.writes(
        documented.invalid("detail-type", "Input should be 'WorkCompleted'"), "amount_not_carried"
    ),
)
async def deliver(request: Request, body: EventBody, service: Wired, caller: Caller) -> EventTaken:
    """Creates the job's payment once, however often the event comes: once per event and once per
    incident and vendor."""
    company_id = access.require_company(caller, Action.TAKE_EVENT, body.detail.company_id)
    payment = await service.intake.work_completed(
        f"{company_id}/{body.id}", await request.body(), body.detail.payment(company_id)
    )
    if payment is not None:
        record_of(request).payment_id = payment.id
    return EventTaken(received=True, event_id=body.id, payment_id=payment.id if payment else None)
