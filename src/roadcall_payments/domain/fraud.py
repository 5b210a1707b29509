"""Explainable risk rules. 0.70 and over is held for a review (M12)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Risk

FLAGGED_FROM_PERCENT = 70


@dataclass(frozen=True, slots=True)
class RiskRules:
    """Weights in percent; ``large_amount_cents`` per currency, ``*`` for those not named."""

    large_amount_cents: Mapping[str, int] = field(default_factory=lambda: {"*": 250_000})
    large_amount_percent: int = 50
    first_payment_percent: int = 20

    def large(self, amount: Money) -> bool:
        limit = self.large_amount_cents.get(amount.currency, self.large_amount_cents.get("*"))
        return limit is not None and amount.amount_cents > limit


def score(amount: Money, first_payment_to_vendor: bool, rules: RiskRules) -> Risk:
    """The sum of the rules that apply, at most 100 percent, with a reason for each."""
    percent = 0
    reasons: list[str] = []
    if rules.large(amount):
        percent += rules.large_amount_percent
        reasons.append("amount_over_limit")
    if first_payment_to_vendor:
        percent += rules.first_payment_percent
        reasons.append("first_payment_to_vendor")
    percent = min(percent, 100)
    return Risk(percent, level(percent), tuple(reasons), percent >= FLAGGED_FROM_PERCENT)


def level(percent: int) -> str:
    """``low`` under 40, ``medium`` under 70, ``high`` from there."""
    if percent >= FLAGGED_FROM_PERCENT:
        return "high"
    return "medium" if percent >= 40 else "low"
