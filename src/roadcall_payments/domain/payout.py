"""A payout as its events tell it: paid, failed, and failed after it was paid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.events import PayoutFact, PayoutFailed, PayoutPaid
from roadcall_payments.domain.money import Money


class PayoutStatus(StrEnum):
    PAID = "paid"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Payout:
    """``account`` is the connected account whose bank was paid."""

    id: str
    account: str
    amount: Money
    status: PayoutStatus
    updated_at: datetime
    failure_code: str | None = None
    failure_message: str | None = None


def apply(payout: Payout | None, fact: PayoutFact, at: datetime) -> Payout:
    """The payout after ``fact``. Pure; a failed payout is never paid afterwards."""
    match fact:
        case PayoutPaid():
            if payout is not None:
                raise BrokenInvariant("A payout is paid once, and not after it failed.")
            return Payout(fact.payout_id, fact.account, fact.amount, PayoutStatus.PAID, at)
        case PayoutFailed():
            if payout is None:
                payout = Payout(fact.payout_id, fact.account, fact.amount, PayoutStatus.FAILED, at)
            return replace(
                payout,
                status=PayoutStatus.FAILED,
                updated_at=at,
                failure_code=fact.code,
                failure_message=fact.message,
            )
