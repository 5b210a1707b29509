"""A payment as callers see it: all of it, its line in a list, its timeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from pydantic import Field, JsonValue
from pydantic.alias_generators import to_camel

from roadcall_payments.api.access import OUTSIDERS
from roadcall_payments.api.dispute_views import DisputeView, dispute_view
from roadcall_payments.api.queue_views import Places, QueueView, queue_view
from roadcall_payments.api.schemas import (
    EXAMPLE_AT,
    PAYMENT_ID,
    Instant,
    PayerTypeName,
    StatusName,
    View,
    with_example,
)
from roadcall_payments.api.settlement_views import SettlementView, settlement_view
from roadcall_payments.domain.events import TextRef
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.people import Actor, Role
from roadcall_payments.journal import JournalEntry
from roadcall_payments.ports import Page

Texts = Mapping[str, str]

_KEPT_FROM_PAYERS = frozenset({"fraudulent", "lost_card", "merchant_blacklist", "stolen_card"})


class LineItemView(View):
    kind: str
    quantity: int
    unit_cents: int
    amount_cents: int
    description: str | None


class RiskView(View):
    score: float = Field(description="0.00 to 1.00; 0.70 and over waits for a review.")
    level: str
    reasons: list[str]
    flagged: bool


class ApprovalView(View):
    by: str
    role: str


class FailureView(View):
    code: str = Field(description="Stripe's error code, or ours.")
    decline_code: str | None
    message: str
    retryable: bool


class PaymentSummary(View):
    """A payment's line in a list. `risk`, `approvals`, `createdBy` and `onReview` are null for
    vendors and drivers."""

    id: str
    status: StatusName
    payer_type: PayerTypeName
    company_id: str
    incident_id: str
    vendor_id: str
    driver_id: str | None
    amount_cents: int = Field(description="Minor units of the currency.")
    currency: str
    amount_refunded_cents: int
    amount_reversed_cents: int
    awaiting: Literal["stripe", "payer"] | None = Field(
        description="Who has to move next while the payment is processing."
    )
    attempts: int
    vendor_stripe_account_id: str | None = Field(
        description="The connected account bound by the approval."
    )
    stripe_payment_intent_id: str | None
    stripe_transfer_id: str | None
    stripe_charge_id: str | None
    livemode: bool | None
    set_off_cents: int = Field(
        description="Of a transfer: what it is less by, which pays debts of the vendor's."
    )
    queue: QueueView | None = Field(
        description="Where an approved transfer waits for the platform's funds; else null."
    )
    failure: FailureView | None
    risk: RiskView | None
    approvals: list[ApprovalView] | None
    created_by: str | None
    on_review: bool | None
    created_at: Instant
    updated_at: Instant
    completed_at: Instant | None


_SUMMARY_EXAMPLE: dict[str, JsonValue] = {
    "id": PAYMENT_ID,
    "status": "approved",
    "payerType": "driver_ic",
    "companyId": "c_12",
    "incidentId": "i_9001",
    "vendorId": "v_7",
    "driverId": "d_31",
    "amountCents": 18500,
    "currency": "usd",
    "amountRefundedCents": 0,
    "amountReversedCents": 0,
    "awaiting": None,
    "attempts": 0,
    "vendorStripeAccountId": None,
    "stripePaymentIntentId": None,
    "stripeTransferId": None,
    "stripeChargeId": None,
    "livemode": None,
    "setOffCents": 0,
    "queue": None,
    "failure": None,
    "risk": {"score": 0.2, "level": "low", "reasons": ["first_payment"], "flagged": False},
    "approvals": [{"by": "dispatcher:anna", "role": "dispatcher"}],
    "createdBy": "service:intake",
    "onReview": False,
    "createdAt": EXAMPLE_AT,
    "updatedAt": EXAMPLE_AT,
    "completedAt": None,
}
PAYMENT_EXAMPLE: dict[str, JsonValue] = {
    **_SUMMARY_EXAMPLE,
    "lineItems": [
        {
            "kind": "tow",
            "quantity": 1,
            "unitCents": 12500,
            "amountCents": 12500,
            "description": "Tow to Laramie",
        },
        {
            "kind": "mileage",
            "quantity": 20,
            "unitCents": 300,
            "amountCents": 6000,
            "description": None,
        },
    ],
    "description": "Flatbed tow, I-80 mile 322",
    "rejectionReason": None,
    "nextAction": None,
    "anomalies": [],
    "disputes": [],
    "settlement": None,
}


class PaymentView(PaymentSummary):
    """A payment with its line items. Amounts are minor units of `currency`."""

    model_config = with_example(PAYMENT_EXAMPLE)

    line_items: list[LineItemView]
    description: str | None
    rejection_reason: str | None
    next_action: str | None = Field(
        description="What the payer must do: Stripe's `next_action.type`."
    )
    anomalies: list[str] | None
    disputes: list[DisputeView]
    settlement: SettlementView | None = Field(
        description="The vendor's share of a driver's payment; null where it is not ours to "
        "transfer, and for drivers."
    )


class PaymentPage(View):
    """Newest first. `nextCursor` is null on the last page."""

    model_config = with_example({"items": [_SUMMARY_EXAMPLE], "nextCursor": None})

    items: list[PaymentSummary]
    next_cursor: str | None


def summary(payment: Payment, caller: Actor, place: int | None = None) -> PaymentSummary:
    """The payment's line in a list, as ``caller`` may see it."""
    return PaymentSummary.model_validate(_summary(payment, caller, place))


def page(found: Page[Payment], caller: Actor, places: Places | None = None) -> PaymentPage:
    """``places``: of those that wait for funds, by payment."""
    return PaymentPage(
        items=[summary(one, caller, (places or {}).get(one.id)) for one in found.items],
        next_cursor=found.next_cursor,
    )


def view(
    payment: Payment, texts: Texts, caller: Actor, places: Places | None = None
) -> PaymentView:
    """The payment as ``caller`` may see it; ``texts`` are its erasable texts by id."""

    def text(ref: TextRef | None) -> str | None:
        return texts.get(ref.id) if ref else None

    outsider = caller.role in OUTSIDERS
    return PaymentView.model_validate(
        {
            **_summary(payment, caller, (places or {}).get(payment.id)),
            "line_items": [
                LineItemView(
                    kind=item.kind,
                    quantity=item.quantity,
                    unit_cents=item.unit_cents,
                    amount_cents=item.amount_cents,
                    description=text(item.description),
                )
                for item in payment.line_items
            ],
            "description": text(payment.description),
            "rejection_reason": None if outsider else text(payment.rejection),
            "next_action": payment.next_action,
            "anomalies": None if outsider else list(payment.anomalies),
            "disputes": [dispute_view(one, outsider=outsider) for one in payment.disputes],
            "settlement": None if caller.role is Role.DRIVER else settlement_view(payment),
        }
    )


def _summary(payment: Payment, caller: Actor, place: int | None) -> dict[str, object]:
    outsider = caller.role in OUTSIDERS
    failure, risk = payment.failure, payment.risk
    return {
        "id": payment.id,
        "status": payment.status.value,
        "payer_type": payment.payer_type.value,
        "company_id": payment.company_id,
        "incident_id": payment.incident_id,
        "vendor_id": payment.vendor_id,
        "driver_id": payment.driver_id,
        "amount_cents": payment.amount.amount_cents,
        "currency": payment.amount.currency,
        "amount_refunded_cents": payment.amount_refunded_cents,
        "amount_reversed_cents": payment.amount_reversed_cents,
        "awaiting": payment.awaiting.value if payment.awaiting else None,
        "attempts": payment.attempts,
        "vendor_stripe_account_id": payment.destination,
        "stripe_payment_intent_id": payment.payment_intent,
        "stripe_transfer_id": payment.transfer,
        "stripe_charge_id": payment.charge,
        "livemode": payment.livemode,
        "set_off_cents": payment.set_off(payment.attempts).amount_cents,
        "queue": queue_view(payment, place, outsider=outsider),
        "failure": failure
        and FailureView(
            code=failure.code,
            decline_code=told_decline(failure.decline_code, caller),
            message=failure.message,
            retryable=failure.retryable,
        ),
        "risk": None if outsider or risk is None else _risk(payment),
        "approvals": None
        if outsider
        else [ApprovalView(by=one.by, role=one.role) for one in payment.approvals],
        "created_by": None if outsider else payment.created_by,
        "on_review": None if outsider else payment.on_review,
        "created_at": payment.created_at,
        "updated_at": payment.updated_at,
        "completed_at": payment.completed_at,
    }


def told_decline(decline_code: str | None, caller: Actor) -> str | None:
    """Stripe asks to show these to a card's holder as a plain decline: who holds a stolen card
    must not learn that it is known."""
    if caller.role in OUTSIDERS and decline_code in _KEPT_FROM_PAYERS:
        return "generic_decline"
    return decline_code


def _risk(payment: Payment) -> RiskView | None:
    risk = payment.risk
    if risk is None:
        return None
    return RiskView(
        score=risk.percent / 100,
        level=risk.level,
        reasons=list(risk.reasons),
        flagged=risk.flagged,
    )


class PostingView(View):
    """One line of the double entry; those of a fact add up to zero per book and currency."""

    book: str
    account: str
    amount_cents: int = Field(description="Debit positive, credit negative.")
    currency: str


class TimelineEntry(View):
    """One fact of the payment's journal; `data` is the fact itself."""

    seq: int
    type: str
    at: Instant
    actor: str
    event_id: str
    data: dict[str, JsonValue]
    postings: list[PostingView]
    hash: str = Field(description="SHA-256 over the entry and the hash before it.")


class Timeline(View):
    """The payment's journal, oldest first."""

    model_config = with_example(
        {
            "paymentId": PAYMENT_ID,
            "entries": [
                {
                    "seq": 2,
                    "type": "PaymentScored",
                    "at": EXAMPLE_AT,
                    "actor": "system:worker",
                    "eventId": "01938f6e-7d2b-7c31-9a55-0d6b3f2e8c12",
                    "data": {
                        "riskPercent": 20,
                        "level": "low",
                        "reasons": ["first_payment"],
                        "flagged": False,
                        "scorer": "RuleScorer",
                    },
                    "postings": [],
                    "hash": "9f" * 32,
                }
            ],
        }
    )

    payment_id: str
    entries: list[TimelineEntry]


def timeline_entry(entry: JournalEntry) -> TimelineEntry:
    facts: dict[str, JsonValue] = msgspec.json.decode(entry.data)
    return TimelineEntry(
        seq=entry.seq,
        type=entry.type,
        at=entry.at,
        actor=entry.actor,
        event_id=entry.event_id,
        data={to_camel(name): _camel(value) for name, value in facts.items()},
        postings=[
            PostingView(
                book=line.book,
                account=line.account,
                amount_cents=line.amount_cents,
                currency=line.currency,
            )
            for line in entry.postings
        ],
        hash=entry.hash,
    )


def _camel(value: JsonValue) -> JsonValue:
    """The value with its objects' keys in camelCase, all the way down."""
    match value:
        case dict():
            return {to_camel(name): _camel(inner) for name, inner in value.items()}
        case list():
            return [_camel(inner) for inner in value]
        case _:
            return value
