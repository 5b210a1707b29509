"""A payout, a balance and a remittance advice as callers see them."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, JsonValue

from roadcall_payments.api.access import OUTSIDERS
from roadcall_payments.api.schemas import EXAMPLE_AT, PAYMENT_ID, Instant, View, with_example
from roadcall_payments.domain.payout import Payout
from roadcall_payments.domain.people import Actor
from roadcall_payments.domain.remittance import RemittedJob
from roadcall_payments.workflows.payout_statement import Advice, VendorBalance

PAYOUT_ID: Final = "01938f74-3c10-7a55-9d21-7b2f4e6a8c90"
PayoutStatusName = Literal["requested", "pending", "in_transit", "paid", "failed", "cancelled"]

PAYOUT_EXAMPLE: Final[dict[str, JsonValue]] = {
    "id": PAYOUT_ID,
    "vendorId": "v_7",
    "stripeAccountId": "acct_1A2b3C4d5E6f7G8h",
    "status": "in_transit",
    "amountCents": 12500,
    "currency": "usd",
    "outcomeKnown": True,
    "cancelling": False,
    "madeAtStripe": False,
    "automatic": False,
    "day": None,
    "requestedBy": "admin:maria",
    "stripePayoutId": "po_1Pgf3nLkdIwHu7ix",
    "arrivesAt": "2026-11-24T00:00:00.000000Z",
    "failure": None,
    "createdAt": EXAMPLE_AT,
    "updatedAt": EXAMPLE_AT,
    "paidAt": None,
}
_JOB_EXAMPLE: Final[dict[str, JsonValue]] = {
    "paymentId": PAYMENT_ID,
    "incidentId": "i_9001",
    "earnedCents": 13500,
    "feeCents": 1000,
    "setOffCents": 0,
    "reversedCents": 0,
    "carriedCents": 12500,
    "partly": False,
}


class PayoutFailureView(View):
    code: str = Field(description="Stripe's failure or error code, or ours.")
    message: str


class PayoutView(View):
    """Money from a Stripe balance to its bank. `requestedBy` is null for vendors."""

    model_config = with_example(PAYOUT_EXAMPLE)

    id: str = Field(description="Ours; Stripe's own (`po_...`) where it was made at Stripe.")
    vendor_id: str | None
    stripe_account_id: str
    status: PayoutStatusName
    amount_cents: int = Field(description="Minor units of the currency.")
    currency: str
    outcome_known: bool = Field(
        description="False while we do not know whether Stripe has it; it settles by itself."
    )
    cancelling: bool
    made_at_stripe: bool = Field(description="By Stripe's schedule, or in its dashboard.")
    automatic: bool = Field(description="By Stripe's own schedule.")
    day: str | None = Field(description="Of our daily payouts: the day that it is of.")
    requested_by: str | None
    stripe_payout_id: str | None
    arrives_at: Instant | None
    failure: PayoutFailureView | None
    created_at: Instant
    updated_at: Instant
    paid_at: Instant | None


class PayoutPage(View):
    """Newest first. A page may be empty and yet not the last: `nextCursor` is null on that."""

    model_config = with_example({"items": [PAYOUT_EXAMPLE], "nextCursor": None})

    items: list[PayoutView]
    next_cursor: str | None


class FundsView(View):
    """Minor units of the currency."""

    currency: str
    available_cents: int
    pending_cents: int = Field(description="Becomes available by itself.")
    pending_until: Instant | None = Field(
        description="When all of it is available; null where nothing is pending, or not known."
    )
    on_the_way_cents: int = Field(description="Left the balance, not yet at the bank.")


class VendorBalanceView(View):
    """The vendor's Stripe balance as it is now."""

    model_config = with_example(
        {
            "funds": [
                {
                    "currency": "usd",
                    "availableCents": 4000,
                    "pendingCents": 0,
                    "pendingUntil": None,
                    "onTheWayCents": 12500,
                }
            ],
            "onTheWay": [PAYOUT_EXAMPLE],
            "words": "$40.00 is available, $125.00 is on its way to your bank.",
        }
    )

    funds: list[FundsView]
    on_the_way: list[PayoutView]
    words: str = Field(description="The same, in the vendor's language.")


class RemittedJobView(View):
    """Minor units of the payout's currency."""

    payment_id: str
    incident_id: str
    earned_cents: int = Field(description="The job's whole amount.")
    fee_cents: int
    set_off_cents: int = Field(description="Kept against what the vendor owed.")
    reversed_cents: int = Field(description="Taken back from the vendor.")
    carried_cents: int = Field(description="What this payout brought of the rest.")
    partly: bool = Field(description="Another payout carries, or carried, the rest.")


class RemittanceView(View):
    """Which jobs a payout carried."""

    model_config = with_example(
        {
            "payout": PAYOUT_EXAMPLE,
            "jobs": [_JOB_EXAMPLE],
            "otherCents": 0,
            "complete": True,
            "words": "$125.00 paid out of your Stripe balance; at the bank on November 24, 2026.",
        }
    )

    payout: PayoutView
    jobs: list[RemittedJobView]
    other_cents: int = Field(description="Of the payout, what no job explains.")
    complete: bool = Field(description="False where the account's history is too long to tell.")
    words: str = Field(description="The same, in the vendor's language.")


def payout_view(payout: Payout, caller: Actor) -> PayoutView:
    inside = caller.role not in OUTSIDERS
    failure = None
    if payout.failure_code is not None:
        failure = PayoutFailureView(
            code=payout.failure_code, message=payout.failure_message or payout.failure_code
        )
    return PayoutView(
        id=payout.id,
        vendor_id=payout.vendor_id,
        stripe_account_id=payout.account,
        status=payout.status.value,
        amount_cents=payout.amount.amount_cents,
        currency=payout.amount.currency,
        outcome_known=not payout.answer_open,
        cancelling=payout.cancelling,
        made_at_stripe=payout.request is None,
        automatic=payout.automatic,
        day=payout.day,
        requested_by=payout.requested_by if inside else None,
        stripe_payout_id=payout.stripe_payout,
        arrives_at=payout.arrival,
        failure=failure,
        created_at=payout.created_at or payout.updated_at,
        updated_at=payout.updated_at,
        paid_at=payout.paid_at,
    )


def balance_view(balance: VendorBalance, caller: Actor) -> VendorBalanceView:
    return VendorBalanceView(
        funds=[
            FundsView(
                currency=one.available.currency,
                available_cents=one.available.amount_cents,
                pending_cents=one.pending.amount_cents,
                pending_until=one.pending_until,
                on_the_way_cents=one.on_the_way.amount_cents,
            )
            for one in balance.funds
        ],
        on_the_way=[payout_view(one, caller) for one in balance.on_the_way],
        words=balance.words,
    )


def remittance_view(advice: Advice, caller: Actor) -> RemittanceView:
    told = advice.remittance
    return RemittanceView(
        payout=payout_view(told.payout, caller),
        jobs=[_job(one) for one in told.jobs],
        other_cents=told.other.amount_cents,
        complete=told.complete,
        words=advice.words,
    )


def _job(job: RemittedJob) -> RemittedJobView:
    return RemittedJobView(
        payment_id=job.payment_id,
        incident_id=job.incident_id,
        earned_cents=job.earned.amount_cents,
        fee_cents=job.fee.amount_cents,
        set_off_cents=job.set_off.amount_cents,
        reversed_cents=job.reversed.amount_cents,
        carried_cents=job.carried.amount_cents,
        partly=job.partly,
    )
