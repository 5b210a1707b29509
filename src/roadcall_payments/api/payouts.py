"""Payouts: asked for, taken back while pending, listed; the balance, and what a payout carried."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from roadcall_payments.api import access, documented
from roadcall_payments.api.access import Action
from roadcall_payments.api.guarded_route import GuardedRoute
from roadcall_payments.api.idempotency import Idempotency
from roadcall_payments.api.payments import PageQuery
from roadcall_payments.api.payout_views import (
    PAYOUT_ID,
    PayoutPage,
    PayoutView,
    RemittanceView,
    VendorBalanceView,
    balance_view,
    payout_view,
    remittance_view,
)
from roadcall_payments.api.problems import headers_of, problem_of, respond
from roadcall_payments.api.schemas import (
    ID_PATTERN,
    AmountCents,
    Currency,
    RequestBody,
    json_response,
    with_example,
)
from roadcall_payments.api.vendors import VendorId
from roadcall_payments.api.wiring import Caller, Service, Wired, record_of
from roadcall_payments.domain.errors import (
    CredentialsRejected,
    PayoutRefused,
    RoadcallError,
    StatusForbids,
)
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payout import Payout
from roadcall_payments.domain.people import Actor
from roadcall_payments.workflows.payouts import PayoutAnswer

router = APIRouter(route_class=GuardedRoute, tags=["payouts"])

PayoutId = Annotated[
    str,
    Path(
        alias="payoutId",
        pattern=ID_PATTERN,
        description="The payout's id; Stripe's where it was made at Stripe.",
        examples=[PAYOUT_ID],
    ),
]


class PayoutBody(RequestBody):
    model_config = with_example({"amountCents": 12500, "currency": "usd"})

    amount_cents: AmountCents
    currency: Currency


_NO_PAYOUT = documented.missing("There is no payout po_1.")
_NO_VENDOR = documented.missing("There is no vendor v_7.")
_UNKNOWN = "Outcome not known yet: it settles by itself. Do not ask for another one."


@router.post(
    "/vendors/{vendorId}/payouts",
    operation_id="requestPayout",
    summary="Pay a vendor's balance out",
    status_code=201,
    response_model=PayoutView,
    responses={
        **documented.decides(
            documented.invalid("amountCents", "Input should be greater than or equal to 1"),
            _NO_VENDOR,
            "amount_not_carried",
            documented.invalid(
                "amountCents", "A payout in usd is at least 1000.", code="below_minimum"
            ),
            "payout_failed",
            documented.refused(
                "9900 usd (minor units) is available to the vendor's account at present: ask for "
                "less, or wait for what is pending.",
                code="payout_exceeds_balance",
            ),
            documented.refused(
                "Vendor v_7 has no connected account: nothing can be paid out.",
                code="no_connected_account",
            ),
            documented.refused(
                "Stripe makes no payouts from the vendor's account at present: its owner has to "
                "give what is due, or name another bank account.",
                code="payouts_disabled",
            ),
            "account_taken",
            "connect_disabled",
            "movements_paused",
            "held_after_restore",
            *documented.STRIPE,
        ),
        202: {"model": PayoutView, "description": _UNKNOWN},
    },
)
async def request_payout(
    request: Request,
    vendor_id: VendorId,
    body: PayoutBody,
    service: Wired,
    caller: Caller,
    idem: Idempotency,
) -> Response:
    """From the vendor's Stripe balance to its bank. Send an `Idempotency-Key`, so that a repeat is
    the same payout. One that Stripe or the bank refused is over: a new try is a new payout."""
    amount = Money(body.amount_cents, body.currency)
    answer = await service.payouts.request(caller, vendor_id, amount, idem)
    return _answered(request, caller, answer)


@router.get(
    "/vendors/{vendorId}/payouts",
    operation_id="listPayouts",
    summary="List a vendor's payouts",
    responses=documented.reads(
        documented.invalid("limit", "Input should be less than or equal to 100"), _NO_VENDOR
    ),
)
async def list_payouts(
    vendor_id: VendorId, query: Annotated[PageQuery, Query()], service: Wired, caller: Caller
) -> PayoutPage:
    """Those that Stripe's schedule or dashboard made included."""
    access.require_vendor(caller, Action.READ_PAYOUT, vendor_id)
    page = await service.payout_statement.payouts(vendor_id, query.cursor, query.limit)
    items = [payout_view(one, caller) for one in page.items]
    return PayoutPage(items=items, next_cursor=page.next_cursor)


@router.get(
    "/vendors/{vendorId}/balance",
    operation_id="getVendorBalance",
    summary="Read a vendor's balance",
    responses=documented.reads(_NO_VENDOR, "account_taken", *documented.STRIPE),
)
async def balance(vendor_id: VendorId, service: Wired, caller: Caller) -> VendorBalanceView:
    """Available, pending, and on its way to the bank, with the day it should arrive."""
    access.require_vendor(caller, Action.READ_PAYOUT, vendor_id)
    return balance_view(await service.payout_statement.balance(vendor_id), caller)


@router.get(
    "/payouts/{payoutId}",
    operation_id="getPayout",
    summary="Read a payout",
    responses=documented.reads(_NO_PAYOUT),
)
async def get(payout_id: PayoutId, service: Wired, caller: Caller) -> PayoutView:
    """Where it stands; of a failed one, why."""
    return payout_view(await _payout_for(service, caller, payout_id), caller)


@router.get(
    "/payouts/{payoutId}/remittance",
    operation_id="getRemittance",
    summary="Read which jobs a payout carried",
    responses=documented.reads(_NO_PAYOUT, *documented.STRIPE),
)
async def remittance(payout_id: PayoutId, service: Wired, caller: Caller) -> RemittanceView:
    """Of a payout that Stripe's schedule made, as Stripe says; of any other first in, first out."""
    payout = await _payout_for(service, caller, payout_id)
    return remittance_view(await service.payout_statement.advice(payout), caller)


@router.post(
    "/payouts/{payoutId}/cancel",
    operation_id="cancelPayout",
    summary="Take a pending payout back",
    response_model=PayoutView,
    responses={
        **documented.decides(
            _NO_PAYOUT,
            documented.refused("A payout that is in_transit cannot be cancelled."),
            documented.refused(
                "Whether Stripe has this payout is not known yet: it settles by itself. Ask again.",
                code="payout_outcome_unknown",
            ),
            documented.refused(
                "Stripe's schedule made this payout, and Stripe cancels none of those.",
                code="automatic_payout",
            ),
            documented.refused("This payout is being cancelled already.", code="cancel_under_way"),
            documented.refused(
                "It was too late: the payout is in_transit.", code="payout_not_cancelled"
            ),
            *documented.STRIPE,
        ),
        202: {"model": PayoutView, "description": _UNKNOWN},
    },
)
async def cancel(
    request: Request, payout_id: PayoutId, service: Wired, caller: Caller, idem: Idempotency
) -> Response:
    """The money stays in the Stripe balance. Not held by the pause: it keeps money from moving."""
    answer = await service.payouts.cancel(caller, payout_id, idem)
    return _answered(request, caller, answer)


async def _payout_for(service: Service, caller: Actor, payout_id: str) -> Payout:
    """The payout, if it is any of the caller's business. Raises NotFound."""
    payout = await service.payout_statement.owned(await service.payouts.get(payout_id))
    access.require_payout(caller, Action.READ_PAYOUT, payout.vendor_id, payout_id)
    return payout


def _answered(request: Request, caller: Actor, answer: PayoutAnswer) -> Response:
    """The payout with the answer's own status; what Stripe refused is a problem (M34)."""
    payout = answer.payout
    headers = {"Location": f"/payouts/{payout.id}"} if answer.status == 201 else {}
    if answer.repeated:
        headers["Idempotency-Replayed"] = "true"
    refusal = _refusal(payout, answer.status)
    if refusal is not None:
        problem = problem_of(refusal, record_of(request).id)
        return respond(problem, headers | headers_of(refusal))
    return json_response(payout_view(payout, caller), answer.status, headers)


def _refusal(payout: Payout, status: int) -> RoadcallError | None:
    if status == 400:
        message = payout.failure_message or "Stripe refused the payout."
        return PayoutRefused(message, stripe_code=payout.failure_code or "unknown")
    if status == 409:
        return StatusForbids(
            f"It was too late: the payout is {payout.status}.", code="payout_not_cancelled"
        )
    if status == 503:
        return CredentialsRejected(
            "Stripe rejects the service's credentials. The payout stays as it is and goes on by "
            "itself once an operator has renewed them."
        )
    return None
