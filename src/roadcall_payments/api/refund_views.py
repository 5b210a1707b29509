"""A refund as callers see it, with the plan of what approving it will do."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from roadcall_payments.api.access import OUTSIDERS
from roadcall_payments.api.payment_views import Texts
from roadcall_payments.api.schemas import (
    EXAMPLE_AT,
    PAYMENT_ID,
    REFUND_ID,
    Instant,
    View,
    with_example,
)
from roadcall_payments.domain.fact_parts import TextRef
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.people import Actor
from roadcall_payments.domain.refund import Refund
from roadcall_payments.domain.refund_plan import RefundPlan

RefundStatusName = Literal["requested", "approved", "submitted", "succeeded", "failed", "rejected"]


class RefundFailureView(View):
    code: str = Field(description="Stripe's error code or failure reason, or ours.")
    message: str


class RefundPlanView(View):
    """What approving it will do; minor units of the payment's currency."""

    payer_gets_cents: int
    reversed_from_vendor_cents: int = Field(
        description="Taken back from the vendor's Stripe balance, after the refund succeeded."
    )
    stripe_fee_returned_cents: int = Field(description="Always 0: Stripe keeps its fee.")
    platform_fee_returned_cents: int
    vendor_balance_after_cents: int = Field(
        description="What we owe the vendor then; negative where the vendor owes us."
    )
    vendor_debt_cents: int = Field(
        description="What of this refund the vendor will owe, because no reversal can take it "
        "back: later transfers set it off."
    )


REFUND_EXAMPLE: dict[str, JsonValue] = {
    "id": REFUND_ID,
    "paymentId": PAYMENT_ID,
    "status": "requested",
    "amountCents": 6000,
    "currency": "usd",
    "reason": "requested_by_customer",
    "note": "The mileage was billed twice.",
    "rejectionReason": None,
    "requestedBy": "dispatcher:anna",
    "decidedBy": None,
    "madeAtStripe": False,
    "outcomeKnown": True,
    "stripeStatus": None,
    "stripeRefundId": None,
    "failure": None,
    "plan": {
        "payerGetsCents": 6000,
        "reversedFromVendorCents": 0,
        "stripeFeeReturnedCents": 0,
        "platformFeeReturnedCents": 0,
        "vendorBalanceAfterCents": 12500,
        "vendorDebtCents": 0,
    },
    "requestedAt": EXAMPLE_AT,
    "updatedAt": EXAMPLE_AT,
}


class RefundView(View):
    """A refund of a payment. `requestedBy`, `decidedBy`, `note`, `rejectionReason` and `plan` are
    null for vendors and drivers."""

    model_config = with_example(REFUND_EXAMPLE)

    id: str = Field(description="Ours; Stripe's own (`re_...`) where it was made at Stripe.")
    payment_id: str
    status: RefundStatusName
    amount_cents: int = Field(description="Minor units of the currency.")
    currency: str
    reason: str | None
    note: str | None
    rejection_reason: str | None
    requested_by: str | None
    decided_by: str | None
    made_at_stripe: bool = Field(description="In Stripe's dashboard, say; booked from there.")
    outcome_known: bool = Field(
        description="False while we do not know whether Stripe has it; it settles by itself."
    )
    stripe_status: str | None = Field(
        description="Stripe's own status while it is under way there: `pending`, `requires_action`."
    )
    stripe_refund_id: str | None
    failure: RefundFailureView | None
    plan: RefundPlanView | None = Field(description="Until it is decided.")
    requested_at: Instant
    updated_at: Instant


class RefundList(View):
    """All refunds of one payment, oldest first."""

    model_config = with_example({"items": [REFUND_EXAMPLE]})

    items: list[RefundView]


class RefundPage(View):
    """Refunds that wait for approval. A page may be empty and yet not the last: `nextCursor` is
    null on the last one."""

    model_config = with_example({"items": [REFUND_EXAMPLE], "nextCursor": None})

    items: list[RefundView]
    next_cursor: str | None


def refund_view(
    payment: Payment, refund: Refund, plan: RefundPlan | None, texts: Texts, caller: Actor
) -> RefundView:
    """The refund as ``caller`` may see it; ``texts`` are the payment's erasable texts by id."""
    inside = caller.role not in OUTSIDERS

    def text(ref: TextRef | None) -> str | None:
        return texts.get(ref.id) if ref and inside else None

    failure = refund.failure
    return RefundView.model_validate(
        {
            "id": refund.id,
            "payment_id": payment.id,
            "status": refund.status.value,
            "amount_cents": refund.amount.amount_cents,
            "currency": refund.amount.currency,
            "reason": refund.reason,
            "note": text(refund.note),
            "rejection_reason": text(refund.rejection),
            "requested_by": refund.requested_by if inside else None,
            "decided_by": refund.decided_by if inside else None,
            "made_at_stripe": refund.requested_by is None,
            "outcome_known": not refund.answer_open,
            "stripe_status": refund.at_stripe,
            "stripe_refund_id": refund.stripe_refund,
            "failure": failure and RefundFailureView(code=failure.code, message=failure.message),
            "plan": _plan_view(plan) if plan and inside else None,
            "requested_at": refund.requested_at,
            "updated_at": refund.updated_at,
        }
    )


def _plan_view(plan: RefundPlan) -> RefundPlanView:
    return RefundPlanView(
        payer_gets_cents=plan.payer_gets.amount_cents,
        reversed_from_vendor_cents=plan.reversed_from_vendor.amount_cents,
        stripe_fee_returned_cents=plan.stripe_fee_returned.amount_cents,
        platform_fee_returned_cents=plan.platform_fee_returned.amount_cents,
        vendor_balance_after_cents=plan.vendor_balance_after.amount_cents,
        vendor_debt_cents=plan.vendor_debt.amount_cents,
    )
