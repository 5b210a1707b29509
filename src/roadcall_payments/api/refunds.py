"""Refunds: asked for, approved by somebody else, sent once, read."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from roadcall_payments.api import access, documented
from roadcall_payments.api.access import Action
from roadcall_payments.api.guarded_route import GuardedRoute
from roadcall_payments.api.idempotency import Idempotency
from roadcall_payments.api.payment_views import view
from roadcall_payments.api.payments import PageQuery, PaymentId, payment_for
from roadcall_payments.api.problems import headers_of, problem_of, respond
from roadcall_payments.api.refund_views import RefundList, RefundPage, RefundView, refund_view
from roadcall_payments.api.schemas import (
    ID_PATTERN,
    REFUND_ID,
    AmountCents,
    Note,
    RequestBody,
    Text,
    json_response,
    with_example,
)
from roadcall_payments.api.wiring import Caller, Service, Wired, record_of
from roadcall_payments.domain.errors import CredentialsRejected, RefundRefused, RoadcallError
from roadcall_payments.domain.events import RefundReason
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.people import Actor
from roadcall_payments.domain.refund import Refund, RefundStatus
from roadcall_payments.domain.refunding import refund_of
from roadcall_payments.workflows.idempotency import Answer
from roadcall_payments.workflows.refunds import NewRefund

router = APIRouter(route_class=GuardedRoute, tags=["refunds"])

RefundId = Annotated[
    str,
    Path(
        alias="refundId",
        pattern=ID_PATTERN,
        description="The refund's id.",
        examples=[REFUND_ID],
    ),
]


class RefundBody(RequestBody):
    model_config = with_example(
        {
            "amountCents": 6000,
            "reason": "requested_by_customer",
            "note": "The mileage was billed twice.",
        }
    )

    amount_cents: AmountCents | None = Field(
        None, description="Minor units of the payment's currency. Left out: all that is left."
    )
    reason: Literal["duplicate", "fraudulent", "requested_by_customer"] = Field(
        "requested_by_customer",
        description="Stripe's own; `fraudulent` also blocks the card at Stripe.",
    )
    note: Note | None = None


class RejectRefundBody(RequestBody):
    model_config = with_example({"reason": "The invoice is right."})

    reason: Text | None = None


def _forbidden_refund(detail: str, *, code: str | None = None) -> documented.Example:
    return documented.forbidden(
        detail, "completed", code=code, awaiting=None, stripePaymentIntentId="pi_3Pgf3nLkdIwHu7ix"
    )


_TOO_MUCH = _forbidden_refund(
    "Of this payment 6000 usd (minor units) can still be given back; the rest is refunded, or "
    "asked for.",
    code="refund_exceeds_payment",
)
_NO_REFUND = documented.missing("There is no refund r_1.")


@router.post(
    "/payments/{paymentId}/refunds",
    operation_id="requestRefund",
    summary="Ask for a refund",
    status_code=201,
    response_model=RefundView,
    responses=documented.decides(
        documented.invalid("amountCents", "Input should be greater than or equal to 1"),
        "amount_not_carried",
        documented.forbidden("A payment that is processing cannot be refunded.", "processing"),
        _TOO_MUCH,
        "disputed",
        "not_refundable",
        "too_many_refunds",
    ),
)
async def request_refund(
    request: Request,
    payment_id: PaymentId,
    service: Wired,
    caller: Caller,
    idem: Idempotency,
    body: RefundBody | None = None,
) -> Response:
    """It reserves the amount; no money moves before somebody else approved it. The answer shows
    the plan: what everybody gets and bears. Send an `Idempotency-Key`, so that a repeat is the
    same refund: two equal requests under two keys, or under none, are two refunds."""
    await payment_for(service, caller, Action.REQUEST_REFUND, payment_id)
    asked = body or RefundBody()
    new = NewRefund(asked.amount_cents, RefundReason(asked.reason), asked.note)
    answer = await service.refunds.request(caller, payment_id, new, idem)
    return await _answered(request, service, caller, answer, answer.payment.refunds[-1])


@router.get(
    "/payments/{paymentId}/refunds",
    operation_id="listRefunds",
    summary="List a payment's refunds",
    responses=documented.reads("not_found"),
)
async def list_refunds(payment_id: PaymentId, service: Wired, caller: Caller) -> RefundList:
    """Those made at Stripe included."""
    payment = await payment_for(service, caller, Action.READ_REFUND, payment_id)
    return RefundList(items=await _views(service, caller, payment, payment.refunds))


@router.get(
    "/refunds/pending",
    operation_id="listPendingRefunds",
    summary="List refunds that wait for approval",
    responses=documented.reads(
        documented.invalid("limit", "Input should be less than or equal to 100")
    ),
)
async def list_pending(
    query: Annotated[PageQuery, Query()], service: Wired, caller: Caller
) -> RefundPage:
    """Each with its plan. `limit` counts payments: one may have several refunds."""
    page = await service.refunds.waiting(query.cursor, query.limit)
    items: list[RefundView] = []
    for payment in page.items:
        asked = [one for one in payment.refunds if one.status is RefundStatus.REQUESTED]
        items += await _views(service, caller, payment, asked)
    return RefundPage(items=items, next_cursor=page.next_cursor)


@router.get(
    "/refunds/{refundId}",
    operation_id="getRefund",
    summary="Read a refund",
    responses=documented.reads(_NO_REFUND),
)
async def get(refund_id: RefundId, service: Wired, caller: Caller) -> RefundView:
    """Where it stands, and until it is decided the plan of what it will do."""
    payment, refund = await _refund_for(service, caller, Action.READ_REFUND, refund_id)
    return (await _views(service, caller, payment, [refund]))[0]


@router.post(
    "/refunds/{refundId}/approve",
    operation_id="approveRefund",
    summary="Approve a refund, and send it",
    response_model=RefundView,
    responses={
        **documented.decides(
            _NO_REFUND,
            "refund_failed",
            _forbidden_refund("A refund that is rejected cannot be approved."),
            _TOO_MUCH,
            "disputed",
            "settlement_under_way",
            "stripe_account_changed",
            "movements_paused",
            "held_after_restore",
            *documented.STRIPE,
        ),
        202: {
            "model": RefundView,
            "description": "Outcome not known yet: the refund stays `submitted` and settles by "
            "itself. Do not ask for another one.",
        },
    },
)
async def approve(
    request: Request, refund_id: RefundId, service: Wired, caller: Caller, idem: Idempotency
) -> Response:
    """Nobody approves what they asked for. A refund that Stripe or the bank refused is over: a new
    try is a new refund."""
    payment, _ = await _refund_for(service, caller, Action.DECIDE_REFUND, refund_id)
    record_of(request).payment_id = payment.id
    answer = await service.refunds.approve(caller, refund_id, idem)
    return await _answered(request, service, caller, answer, refund_of(answer.payment, refund_id))


@router.post(
    "/refunds/{refundId}/reject",
    operation_id="rejectRefund",
    summary="Reject a refund",
    response_model=RefundView,
    responses=documented.decides(
        _NO_REFUND, _forbidden_refund("A refund that is succeeded cannot be rejected.")
    ),
)
async def reject(
    request: Request,
    refund_id: RefundId,
    service: Wired,
    caller: Caller,
    idem: Idempotency,
    body: RejectRefundBody | None = None,
) -> Response:
    """It frees what it had reserved."""
    payment, _ = await _refund_for(service, caller, Action.DECIDE_REFUND, refund_id)
    record_of(request).payment_id = payment.id
    reason = body.reason if body else None
    answer = await service.refunds.reject(caller, refund_id, reason, idem)
    return await _answered(request, service, caller, answer, refund_of(answer.payment, refund_id))


async def _refund_for(
    service: Service, caller: Actor, action: Action, refund_id: str
) -> tuple[Payment, Refund]:
    """The refund with its payment, if this action of the caller's may reach it. Raises NotFound."""
    payment = await service.refunds.find(refund_id)
    access.require_refund(caller, action, payment, refund_id)
    return payment, refund_of(payment, refund_id)


async def _views(
    service: Service, caller: Actor, payment: Payment, refunds: tuple[Refund, ...] | list[Refund]
) -> list[RefundView]:
    texts = await service.queries.texts(payment)
    return [
        refund_view(payment, one, await service.refunds.plan(payment, one), texts, caller)
        for one in refunds
    ]


async def _answered(
    request: Request, service: Service, caller: Actor, answer: Answer, refund: Refund
) -> Response:
    """The refund with the answer's own status; what Stripe refused is a problem (M34)."""
    payment, record = answer.payment, record_of(request)
    record.payment_id = payment.id
    headers = {"Location": f"/refunds/{refund.id}"} if answer.status == 201 else {}
    if answer.repeated:
        headers["Idempotency-Replayed"] = "true"
    refusal = _refusal(refund, answer.status)
    if refusal is not None:
        current = view(payment, await service.queries.texts(payment), caller)
        problem = problem_of(refusal, record.id).model_copy(update={"payment": current})
        return respond(problem, headers | headers_of(refusal))
    shown = (await _views(service, caller, payment, [refund]))[0]
    return json_response(shown, answer.status, headers)


def _refusal(refund: Refund, status: int) -> RoadcallError | None:
    if status == 400 and refund.failure is not None:
        return RefundRefused(refund.failure.message, stripe_code=refund.failure.code)
    if status == 503:
        return CredentialsRejected(
            "Stripe rejects the service's credentials. The refund stays submitted and goes on by "
            "itself once an operator has renewed them."
        )
    return None
