"""What became of a payout, in words."""

from __future__ import annotations

from datetime import datetime

from roadcall_payments.cli.source_words import absence, learned
from roadcall_payments.cli.tables import amount
from roadcall_payments.domain import payout_events as p


def of_a_payout(fact: p.PayoutFact) -> str:
    """What happened to it, in one sentence."""
    match fact:
        case p.PayoutRequested():
            of_day = f", the daily one of {fact.day}" if fact.day else ""
            return (
                f"Payout of {amount(fact.amount)} from {fact.account} to its bank{of_day}: "
                "decided to ask Stripe for it"
            )
        case p.PayoutOutcomeUnknown():
            return f"Payout: outcome unknown ({fact.reason}){absence(fact.absent)}"
        case p.PayoutNotMade():
            return f"No payout was made{learned(fact.source)}: {fact.message} ({fact.code})"
        case p.PayoutOpened():
            return f"Stripe has the payout{_expected(fact.arrival)}{learned(fact.source)}"
        case p.PayoutObserved():
            whose = "Stripe's schedule" if fact.automatic else "somebody at Stripe"
            return (
                f"A payout of {amount(fact.amount)} was made by {whose}, not by this service"
                f"{_expected(fact.arrival)}"
            )
        case p.PayoutInTransit():
            return f"On its way to the bank{_expected(fact.arrival)}"
        case p.PayoutPaid():
            return f"Paid out {amount(fact.amount)} to the bank of {fact.account}"
        case p.PayoutReturnPeriodEnded():
            return "Still paid, and the bank's time for giving it back is over"
        case p.PayoutFailed():
            again = "after it was paid" if fact.was_paid else "before it arrived"
            return f"Payout of {amount(fact.amount)} failed {again}: {fact.message} ({fact.code})"
        case p.PayoutCancelRequested():
            return f"Decided to ask Stripe to keep it in the balance, for {fact.by}"
        case p.PayoutCancelRefused():
            return f"Not cancelled, the payout goes on ({fact.code})"
        case p.PayoutCancelled():
            return "Cancelled: the money is in the Stripe balance again"


def _expected(arrival: datetime | None) -> str:
    return f", expected at the bank on {arrival:%Y-%m-%d}" if arrival else ""
