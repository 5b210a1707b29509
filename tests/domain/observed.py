"""What Stripe might say, for tests: PaymentIntents and transfers of a payment."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from roadcall_payments.domain.money import Money
from roadcall_payments.domain.outcomes import purpose_of
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.stripe_objects import (
    BalanceTransaction,
    IntentStatus,
    Operation,
    PaymentIntent,
    Reversal,
    StripeFailure,
    StripeRequest,
    Transfer,
)

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PLATFORM = "acct_platform"
DECLINED = StripeFailure("card_declined", "Your card was declined.", "generic_decline", "ch_1")


def request(operation: Operation, key: str) -> StripeRequest:
    return StripeRequest(operation, "/v1/x", "{}", key, PLATFORM, False, "2026-10-28.endive")


def intent(
    payment: Payment,
    status: IntentStatus,
    *,
    intent_id: str = "pi_1",
    charge: str | None = None,
    failure: StripeFailure | None = None,
) -> PaymentIntent:
    metadata = {
        "paymentId": payment.id,
        "purpose": purpose_of(payment),
        "attempt": str(max(payment.attempts, 1)),
    }
    action = "use_stripe_sdk" if status is IntentStatus.REQUIRES_ACTION else None
    return PaymentIntent(
        intent_id, status, payment.amount, False, NOW, metadata, charge, failure, action
    )


def transfer(payment: Payment, transfer_id: str = "tr_1") -> Transfer:
    metadata = {
        "paymentId": payment.id,
        "purpose": purpose_of(payment),
        "attempt": str(max(payment.attempts, 1)),
    }
    return Transfer(
        transfer_id,
        payment.amount,
        payment.destination or "acct_vendor",
        False,
        NOW,
        metadata,
        payment.id,
        Money(0, payment.amount.currency),
    )


def reversal(payment: Payment, reversal_id: str, cents: int) -> Reversal:
    amount = Money(cents, payment.amount.currency)
    return Reversal(reversal_id, payment.transfer or "tr_1", amount, NOW, None)


def balance_line(line_id: str, source: str, amount: Money, fee_cents: int) -> BalanceTransaction:
    fee = Money(fee_cents, amount.currency)
    return BalanceTransaction(line_id, "charge", source, amount, fee, amount - fee, NOW, NOW)


def with_line(seen: PaymentIntent, line: BalanceTransaction) -> PaymentIntent:
    return replace(seen, balance_transaction=line)
