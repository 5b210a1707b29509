"""What is done with a payment: approve, reject, review, process, confirm, cancel, retry."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from roadcall_payments.api import access, documented
from roadcall_payments.api.access import Action
from roadcall_payments.api.answers import answered
from roadcall_payments.api.guarded_route import GuardedRoute
from roadcall_payments.api.idempotency import Idempotency
from roadcall_payments.api.payment_views import PAYMENT_EXAMPLE, PaymentView
from roadcall_payments.api.payments import PaymentId, payment_for, read_for
from roadcall_payments.api.schemas import (
    PAYMENT_ID,
    ConnectedAccountId,
    Note,
    RequestBody,
    Text,
    View,
    with_example,
)
from roadcall_payments.api.wiring import Caller, PayerHeader, Wired
from roadcall_payments.domain.events import Awaiting, Priority
from roadcall_payments.domain.payment import Payment
from roadcall_payments.workflows.idempotency import Answer

router = APIRouter(route_class=GuardedRoute, tags=["payments"])


class ApproveBody(RequestBody):
    model_config = with_example({"vendorStripeAccountId": "acct_1A2b3C4d5E6f7G8h"})

    vendor_stripe_account_id: ConnectedAccountId | None = Field(
        None, description="Whom to pay, where the vendor has no account on file (M10)."
    )


class RejectBody(RequestBody):
    model_config = with_example({"reason": "The job was billed twice."})

    reason: Text | None = None


class ReviewBody(RequestBody):
    model_config = with_example({"decision": "clear", "note": "Called the vendor."})

    decision: Literal["clear", "block"] = Field(
        description="`clear`: it may be approved. `block`: it is rejected."
    )
    note: Note | None = None


class ProcessBody(RequestBody):
    model_config = with_example({"vendorStripeAccountId": "acct_1A2b3C4d5E6f7G8h"})

    vendor_stripe_account_id: ConnectedAccountId | None = Field(
        None, description="Needed for `back_office` unless the vendor's account is on file."
    )
    priority: Literal["high", "normal", "low"] | None = Field(
        None, description="Of a transfer that waits for funds. Left out: `normal`, or as before."
    )


class ConfirmBody(RequestBody):
    model_config = with_example({"paymentMethodId": "pm_1Pgf3nLkdIwHu7ix"})

    payment_method_id: str = Field(
        pattern=r"^pm_[A-Za-z0-9_]{1,252}$", description="A Stripe PaymentMethod."
    )


class CancelBody(RequestBody):
    model_config = with_example({"reason": "duplicate"})

    reason: Literal["duplicate", "fraudulent", "requested_by_customer", "abandoned"] = Field(
        "requested_by_customer", description="Stripe's `cancellation_reason`."
    )


class MovementView(View):
    """How the movement of the money stands."""

    model_config = with_example(
        {
            "payment": {
                **PAYMENT_EXAMPLE,
                "status": "processing",
                "awaiting": "payer",
                "attempts": 1,
                "stripePaymentIntentId": "pi_3Pgf3nLkdIwHu7ix",
            },
            "stripePaymentIntentId": "pi_3Pgf3nLkdIwHu7ix",
            "stripeTransferId": None,
            "requiresAction": False,
            "clientSecret": None,
        }
    )

    payment: PaymentView
    stripe_payment_intent_id: str | None
    stripe_transfer_id: str | None
    requires_action: bool = Field(description="The payer must act, mostly 3-D Secure.")
    client_secret: str | None = Field(
        description="For the payer alone, or a `service` that acts for it with On-Behalf-Of; "
        "never in a repeated answer.",
        repr=False,
    )


class ClientSecretView(View):
    model_config = with_example(
        {
            "paymentId": PAYMENT_ID,
            "stripePaymentIntentId": "pi_3Pgf3nLkdIwHu7ix",
            "clientSecret": "pi_3Pgf3nLkdIwHu7ix_secret_example",
        }
    )

    payment_id: str
    stripe_payment_intent_id: str | None
    client_secret: str = Field(repr=False)


def _movement(view: PaymentView, payment: Payment, client_secret: str | None) -> MovementView:
    waits_for_payer = payment.awaiting is Awaiting.PAYER
    return MovementView(
        payment=view,
        stripe_payment_intent_id=payment.payment_intent,
        stripe_transfer_id=payment.transfer,
        requires_action=waits_for_payer and payment.next_action is not None,
        client_secret=client_secret,
    )


async def _moved(
    request: Request, service: Wired, caller: Caller, answer: Answer, payer_id: str | None
) -> Response:
    """M33: the secret goes to the payer, or to the service that acts for it; to nobody else."""
    payment = answer.payment
    secret = answer.client_secret if access.is_payer(caller, payment, payer_id) else None
    return await answered(
        request, service, caller, answer, lambda view: _movement(view, payment, secret)
    )


_UNKNOWN_YET: documented.Responses = {
    202: {
        "model": MovementView,
        "description": "Outcome not known yet: the payment stays `processing` and settles by "
        "itself. Do not send another one. Or, still `approved`, it waits for funds: see `queue`.",
    }
}


@router.post(
    "/payments/{paymentId}/approve",
    operation_id="approvePayment",
    summary="Approve a payment",
    response_model=PaymentView,
    responses=documented.decides(
        documented.forbidden("A payment that is completed cannot be approved.", "completed"),
        "not_scored",
        "flagged",
        "destination_mismatch",
    ),
)
async def approve(
    request: Request,
    payment_id: PaymentId,
    service: Wired,
    caller: Caller,
    idem: Idempotency,
    body: ApproveBody | None = None,
) -> Response:
    """Nobody approves what they created. A large amount needs two approvals: until the second,
    it stays `pending_approval`."""
    await payment_for(service, caller, Action.APPROVE, payment_id)
    account = body.vendor_stripe_account_id if body else None
    answer = await service.approvals.approve(caller, payment_id, account, idem)
    return await answered(request, service, caller, answer)


@router.post(
    "/payments/{paymentId}/reject",
    operation_id="rejectPayment",
    summary="Reject a payment",
    response_model=PaymentView,
    responses=documented.decides(
        documented.forbidden("A payment that is approved cannot be rejected.", "approved"),
        "held_after_restore",
    ),
)
async def reject(
    request: Request,
    payment_id: PaymentId,
    service: Wired,
    caller: Caller,
    idem: Idempotency,
    body: RejectBody | None = None,
) -> Response:
    """For good: the job may then get another payment."""
    await payment_for(service, caller, Action.REJECT, payment_id)
    reason = body.reason if body else None
    answer = await service.approvals.reject(caller, payment_id, reason, idem)
    return await answered(request, service, caller, answer)


@router.post(
    "/payments/{paymentId}/review",
    operation_id="reviewPayment",
    summary="Clear or block a flagged payment",
    response_model=PaymentView,
    responses=documented.decides(
        documented.invalid("decision", "Input should be 'clear' or 'block'"),
        documented.forbidden(
            "Only a flagged payment that waits for approval can be reviewed.", "approved"
        ),
        "held_after_restore",
    ),
)
async def review(
    request: Request,
    payment_id: PaymentId,
    body: ReviewBody,
    service: Wired,
    caller: Caller,
    idem: Idempotency,
) -> Response:
    """A flagged payment cannot be approved before somebody has looked at it (M12)."""
    await payment_for(service, caller, Action.REVIEW, payment_id)
    cleared = body.decision == "clear"
    answer = await service.approvals.review(caller, payment_id, cleared, body.note, idem)
    return await answered(request, service, caller, answer)


@router.post(
    "/payments/{paymentId}/process",
    operation_id="processPayment",
    summary="Move the money of an approved payment",
    response_model=MovementView,
    responses={
        **documented.decides(
            documented.invalid(
                "vendorStripeAccountId", "A driver's payment is not transferred to a vendor."
            ),
            "payment_failed",
            "connect_disabled",
            documented.forbidden("A payment that is completed cannot be processed.", "completed"),
            "destination_mismatch",
            "vendor_cannot_receive",
            "movements_paused",
            "held_after_restore",
            *documented.STRIPE,
        ),
        **_UNKNOWN_YET,
    },
)
async def process(
    request: Request,
    payment_id: PaymentId,
    service: Wired,
    caller: Caller,
    idem: Idempotency,
    body: ProcessBody | None = None,
    on_behalf_of: PayerHeader = None,
) -> Response:
    """`driver_ic`: opens the PaymentIntent, which the payer confirms. `back_office`: a transfer."""
    read = await read_for(service, caller, Action.PROCESS, payment_id)
    actor = access.for_payer(caller, read.payment, on_behalf_of)
    account = body.vendor_stripe_account_id if body else None
    first = Priority(body.priority) if body and body.priority else None
    answer = await service.payments.process(actor, payment_id, account, idem, first, read)
    return await _moved(request, service, caller, answer, on_behalf_of)


@router.post(
    "/payments/{paymentId}/confirm",
    operation_id="confirmPayment",
    summary="Confirm a driver's payment with a payment method",
    response_model=MovementView,
    responses={
        **documented.decides(
            documented.invalid(
                "On-Behalf-Of",
                "Name the payer you act for: send its driver id as On-Behalf-Of.",
            ),
            "payment_failed",
            documented.forbidden(
                "A payment that is approved has no PaymentIntent to confirm: process it first.",
                "approved",
            ),
            "stripe_account_changed",
            "movements_paused",
            "held_after_restore",
            *documented.STRIPE,
        ),
        **_UNKNOWN_YET,
    },
)
async def confirm(
    request: Request,
    payment_id: PaymentId,
    body: ConfirmBody,
    service: Wired,
    caller: Caller,
    idem: Idempotency,
    on_behalf_of: PayerHeader = None,
) -> Response:
    """Also another card after one was declined: it is the same PaymentIntent (M1)."""
    read = await read_for(service, caller, Action.CONFIRM, payment_id)
    payer = access.as_payer(caller, Action.CONFIRM, read.payment, on_behalf_of)
    answer = await service.payments.confirm(payer, payment_id, body.payment_method_id, idem, read)
    return await _moved(request, service, caller, answer, on_behalf_of)


@router.get(
    "/payments/{paymentId}/client-secret",
    operation_id="getClientSecret",
    summary="Fetch the PaymentIntent's client secret",
    responses=documented.reads(
        documented.invalid(
            "On-Behalf-Of", "Name the payer you act for: send its driver id as On-Behalf-Of."
        ),
        "not_found",
        documented.forbidden("A payment that is approved has nothing to confirm.", "approved"),
        *documented.STRIPE,
    ),
)
async def client_secret(
    payment_id: PaymentId, service: Wired, caller: Caller, on_behalf_of: PayerHeader = None
) -> ClientSecretView:
    """For the payer's own Stripe.js, or a `service` acting for the payer. Keep it out of logs."""
    payment = await payment_for(service, caller, Action.READ_CLIENT_SECRET, payment_id)
    access.as_payer(caller, Action.READ_CLIENT_SECRET, payment, on_behalf_of)
    secret = await service.payments.client_secret(payment_id)
    return ClientSecretView(
        payment_id=payment_id,
        stripe_payment_intent_id=payment.payment_intent,
        client_secret=secret,
    )


@router.post(
    "/payments/{paymentId}/cancel",
    operation_id="cancelPayment",
    summary="Cancel a payment",
    response_model=PaymentView,
    responses={
        **documented.decides(
            # A repeat whose first answer is not known yet tells how the payment stands.
            "payment_failed",
            documented.forbidden("A payment that is completed cannot be cancelled.", "completed"),
            "outcome_unknown",
            "not_cancelled",
            "stripe_account_changed",
            "held_after_restore",
            *documented.STRIPE,
        ),
        202: {
            "model": PaymentView,
            "description": "Stripe was asked; whether the money had come first is not known yet.",
        },
    },
)
async def cancel(
    request: Request,
    payment_id: PaymentId,
    service: Wired,
    caller: Caller,
    idem: Idempotency,
    body: CancelBody | None = None,
) -> Response:
    """With an open PaymentIntent this is a request to Stripe, which decides (M2)."""
    await payment_for(service, caller, Action.CANCEL, payment_id)
    reason = (body or CancelBody()).reason
    answer = await service.payments.cancel(caller, payment_id, reason, idem)
    return await answered(request, service, caller, answer)


@router.post(
    "/payments/{paymentId}/retry",
    operation_id="retryPayment",
    summary="Put a failed transfer back to approved",
    response_model=PaymentView,
    responses=documented.decides(
        documented.forbidden("A payment that is completed cannot be retried.", "completed")
    ),
)
async def retry(
    request: Request, payment_id: PaymentId, service: Wired, caller: Caller, idem: Idempotency
) -> Response:
    """Then process it again: what Stripe holds already is looked up first (M6)."""
    await payment_for(service, caller, Action.RETRY, payment_id)
    answer = await service.payments.retry(caller, payment_id, idem)
    return await answered(request, service, caller, answer)
