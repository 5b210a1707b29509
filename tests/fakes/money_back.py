"""Refunds and disputes as Stripe's dashboard and the payers' banks make them: a fake's memory."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import (
    BalanceTransaction,
    Dispute,
    DisputeStatus,
    PaymentIntent,
    Refund,
    RefundStatus,
    StripeRequest,
)
from roadcall_payments.stripe_gateway.amounts import from_stripe

CREATED = datetime(2026, 3, 2, 12, tzinfo=UTC)


class MoneyBack:
    def __init__(self) -> None:
        self.made_refunds: dict[str, Refund] = {}
        self.disputes: dict[str, Dispute] = {}
        self.intents: dict[str, PaymentIntent] = {}
        self._numbers = itertools.count(1)

    def refund(
        self,
        intent_id: str,
        cents: int,
        *,
        status: RefundStatus = RefundStatus.SUCCEEDED,
        metadata: Mapping[str, str] | None = None,
    ) -> Refund:
        """Give some of a charge back, as somebody does in Stripe's dashboard."""
        intent = self.intents[intent_id]
        refund_id = f"re_{next(self._numbers)}"
        self.made_refunds[refund_id] = Refund(
            refund_id,
            status,
            Money(cents, intent.amount.currency),
            CREATED,
            metadata or {},
            intent_id,
            intent.latest_charge,
            "requested_by_customer",
            drawn=True,
        )
        return self.made_refunds[refund_id]

    def open_dispute(
        self, intent_id: str, due: datetime, *, cents: int | None = None, inquiry: bool = False
    ) -> Dispute:
        """The payer's bank asks, or takes the money with a fee of 15.00."""
        intent = self.intents[intent_id]
        needed = DisputeStatus.NEEDS_RESPONSE
        dispute_id = f"du_{next(self._numbers)}"
        self.disputes[dispute_id] = Dispute(
            dispute_id,
            intent.latest_charge or "",
            intent_id,
            Money(cents or intent.amount.amount_cents, intent.amount.currency),
            "fraudulent",
            DisputeStatus.WARNING_NEEDS_RESPONSE if inquiry else needed,
            due,
            (),
        )
        return self.disputes[dispute_id] if inquiry else self.withdraw(dispute_id, needed, due)

    def withdraw(self, dispute_id: str, status: DisputeStatus, due: datetime | None) -> Dispute:
        return self._moved(self.dispute_becomes(dispute_id, status, due), -1, 1_500)

    def reinstate(self, dispute_id: str) -> Dispute:
        return self._moved(self.dispute_becomes(dispute_id, DisputeStatus.WON), 1, 0)

    def dispute_becomes(
        self, dispute_id: str, status: DisputeStatus, due: datetime | None = None
    ) -> Dispute:
        now = replace(self.disputes[dispute_id], status=status, evidence_due=due)
        self.disputes[dispute_id] = now
        return now

    def _moved(self, dispute: Dispute, sign: int, fee_cents: int) -> Dispute:
        currency = dispute.amount.currency
        moved, fee = Money(sign * dispute.amount.amount_cents, currency), Money(fee_cents, currency)
        number = next(self._numbers)
        line = BalanceTransaction(
            f"txn_{number}", "adjustment", dispute.id, moved, fee, moved - fee, CREATED, CREATED
        )
        self.disputes[dispute.id] = replace(dispute, lines=(*dispute.lines, line))
        return self.disputes[dispute.id]

    def refund_becomes(self, refund_id: str, status: RefundStatus) -> Refund:
        reason = "lost_or_stolen_card" if status is RefundStatus.FAILED else None
        now = replace(self.made_refunds[refund_id], status=status, failure_reason=reason)
        self.made_refunds[refund_id] = now
        return now

    def _refunded(self, request: StripeRequest) -> Refund:
        params = json.loads(request.params)
        intent = self.intents[params["payment_intent"]]
        amount = from_stripe(params["amount"], intent.amount.currency)
        return self.refund(intent.id, amount.amount_cents, metadata=params["metadata"])
