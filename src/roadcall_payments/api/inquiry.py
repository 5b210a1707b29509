"""Have Stripe asked, now, what became of a payment whose outcome is unknown."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from roadcall_payments.api import documented
from roadcall_payments.api.access import Action
from roadcall_payments.api.guarded_route import GuardedRoute
from roadcall_payments.api.payment_views import PAYMENT_EXAMPLE, PaymentView, view
from roadcall_payments.api.payments import PaymentId, payment_for
from roadcall_payments.api.schemas import EXAMPLE_AT, Instant, RequestBody, View, with_example
from roadcall_payments.api.wiring import Caller, Wired
from roadcall_payments.workflows.inquiry import OpenCall

router = APIRouter(route_class=GuardedRoute, tags=["operations"])

_EVIDENCE = "tr_1QK9tR2eZvKYlo2C"

StripeObjectId = Annotated[str, Field(pattern=r"^(pi|tr)_[A-Za-z0-9_]{1,252}$")]


class SettleBody(RequestBody):
    model_config = with_example({"object": _EVIDENCE})

    object: StripeObjectId | None = Field(
        None,
        description="Evidence: the PaymentIntent or transfer that you found in Stripe's dashboard. "
        "It counts only if all of it agrees with what the payment sent.",
    )


class OpenCallView(View):
    """The call that still has no answer."""

    operation: str
    idempotency_key: str
    started_at: Instant
    key_until: Instant = Field(
        description="Until then the worker may repeat it under its key, which cannot move money "
        "twice; after that it only looks."
    )
    void_after: Instant | None = Field(
        description="From when on, if Stripe goes on showing nothing, it is given up as never sent."
    )


class InquiredView(View):
    model_config = with_example(
        {
            "payment": {**PAYMENT_EXAMPLE, "status": "processing", "awaiting": "stripe"},
            "before": "processing",
            "settled": False,
            "openCall": {
                "operation": "create_transfer",
                "idempotencyKey": f"transfer_{PAYMENT_EXAMPLE['id']}",
                "startedAt": EXAMPLE_AT,
                "keyUntil": EXAMPLE_AT,
                "voidAfter": EXAMPLE_AT,
            },
        }
    )

    payment: PaymentView
    before: str = Field(description="The status before Stripe was asked.")
    settled: bool = Field(description="Whether no call of the payment is left without an answer.")
    open_call: OpenCallView | None


@router.post(
    "/payments/{paymentId}/settle",
    operation_id="settlePayment",
    summary="Ask Stripe, now, what became of a payment",
    responses=documented.writes(
        "not_found",
        documented.invalid("object", "Stripe has no tr_1QK9tR2eZvKYlo2C."),
        documented.forbidden("Nothing is unknown: the payment is completed.", "completed"),
        "stripe_account_changed",
        *documented.STRIPE,
    ),
)
async def settle(
    payment_id: PaymentId, service: Wired, caller: Caller, body: SettleBody | None = None
) -> InquiredView:
    """Sends nothing; what Stripe shows is applied, and nobody's word stands for proof. May be asked
    again at any time: each time is kept in the payment's journal, with who asked."""
    await payment_for(service, caller, Action.SETTLE, payment_id)
    evidence = body.object if body else None
    inquired = await service.inquiry.settle(caller, payment_id, evidence)
    texts = await service.queries.texts(inquired.after)
    return InquiredView(
        payment=view(inquired.after, texts, caller),
        before=inquired.before.status.value,
        settled=inquired.settled,
        open_call=_open_call(inquired.open_call),
    )


def _open_call(call: OpenCall | None) -> OpenCallView | None:
    if call is None:
        return None
    return OpenCallView(
        operation=call.operation,
        idempotency_key=call.key,
        started_at=call.started_at,
        key_until=call.key_until,
        void_after=call.void_after,
    )
