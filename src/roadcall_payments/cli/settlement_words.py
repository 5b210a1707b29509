"""What became of a vendor's share, in words."""

from __future__ import annotations

from roadcall_payments.cli.tables import amount
from roadcall_payments.domain import settlement_events as s


def of_a_settlement(fact: s.SettlementFact) -> str:
    """What happened to the share of a driver's payment, in one sentence."""
    match fact:
        case s.SettlementDeferred():
            return f"Vendor's share waits: {fact.detail} ({fact.reason})"
        case s.SettlementStarted():
            again = f", again after {fact.restores} came to nothing" if fact.restores else ""
            return (
                f"Vendor's share: decided to transfer {amount(fact.amount)}, less our fee "
                f"{amount(fact.fee)} and {amount(fact.set_off)} that it owes{again}"
            )
        case s.SettlementAdopted():
            return f"Vendor's share of {amount(fact.amount)} found at Stripe: its start was lost"
        case s.SettlementWithheld():
            return (
                f"Vendor's share: nothing to transfer, our fee is {amount(fact.fee)} and "
                f"{amount(fact.set_off)} pay what it owes"
            )
        case s.SettlementUnknown():
            return f"Vendor's share: outcome unknown ({fact.reason}){_absent(fact.absent)}"
        case s.SettlementCompleted():
            return f"Vendor's share: {amount(fact.amount)} transferred, fee {amount(fact.fee)} kept"
        case s.SettlementFailed():
            return f"Vendor's share was refused: {fact.message} ({fact.code})"
        case s.SettlementReversalStarted():
            return f"Decided to take {amount(fact.amount)} back for {fact.cause_id}"
        case s.SettlementReversalUnknown():
            return f"Taking back: outcome unknown ({fact.reason}){_absent(fact.absent)}"
        case s.SettlementReversed():
            cause = f"for {fact.cause_id}" if fact.cause_id else "at Stripe, not by this service"
            return f"Taken back from the vendor: {amount(fact.amount)}, {cause}"
        case s.SettlementReversalFailed():
            return f"Not taken back: {fact.message} The vendor owes {amount(fact.debt)}"
        case s.SetOffReduced():
            return (
                f"{amount(fact.amount)} of the {amount(fact.set_off)} set off was not owed: it "
                "goes to the vendor"
            )
        case s.SettlementDebtUndone():
            return f"The vendor owes {amount(fact.amount)} less: {fact.cause_id} came to nothing"


def _absent(absent: bool) -> str:
    return "; nothing found at Stripe" if absent else ""
