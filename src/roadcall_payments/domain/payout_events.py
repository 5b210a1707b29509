"""The facts of a payout: from a Stripe account to its bank."""

from __future__ import annotations

from dataclasses import dataclass

from roadcall_payments.domain.money import Money


@dataclass(frozen=True, slots=True)
class PayoutPaid:
    payout_id: str
    account: str
    amount: Money
    event_id: str


@dataclass(frozen=True, slots=True)
class PayoutFailed:
    payout_id: str
    account: str
    amount: Money
    code: str
    message: str
    event_id: str
    # A payout can fail after it was paid: only then is there something to book back.
    was_paid: bool


PayoutFact = PayoutPaid | PayoutFailed
