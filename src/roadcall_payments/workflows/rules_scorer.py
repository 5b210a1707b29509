"""The default scorer of risk: the domain's explainable rules."""

from __future__ import annotations

from roadcall_payments.domain.fraud import RiskRules, score
from roadcall_payments.domain.payment import Risk
from roadcall_payments.ports import ScoringInput


class RulesScorer:
    """``FraudScorer`` that asks nobody: it cannot fail and answers at once."""

    def __init__(self, rules: RiskRules) -> None:
        self._rules = rules

    async def score(self, scoring: ScoringInput) -> Risk:
        return score(scoring.payment.amount, scoring.first_payment_to_vendor, self._rules)
