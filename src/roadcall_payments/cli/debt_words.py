"""What vendors owe, in words."""

from __future__ import annotations

from roadcall_payments.cli.tables import amount
from roadcall_payments.domain import debt_events as d


def of_a_debt(fact: d.DebtFact) -> str:
    """What happened to a vendor's debts, in one sentence."""
    match fact:
        case d.VendorDebtIncurred():
            return (
                f"Owes {amount(fact.amount)}: {fact.cause} {fact.debt_id} of payment "
                f"{fact.payment_id}, after the vendor was paid"
            )
        case d.DebtReserved():
            return f"{amount(fact.amount)} of its debts reserved by {fact.transfer_key}"
        case d.DebtSetOff():
            return f"{amount(fact.amount)} of its debts paid by {fact.transfer_key}"
        case d.DebtReleased():
            return f"{fact.transfer_key} failed: the {amount(fact.amount)} are owed as before"
        case d.SetOffExceededDebt():
            return (
                f"{fact.transfer_key} went out less by {amount(fact.amount)} more than was owed: "
                f"it goes out with payment {fact.payment_id}"
            )
        case d.SetOffCredited():
            return (
                f"{fact.transfer_key} went out less by {amount(fact.amount)} for a debt that a "
                "restore lost: kept for when it comes up again"
            )
        case d.VendorDebtReduced():
            return f"Owes {amount(fact.amount)} less: {fact.debt_id} came to nothing"
        case d.VendorDebtForgiven():
            return f"{amount(fact.amount)} of {fact.debt_id} forgiven by {fact.by}"
        case d.DebtForgivenessReversed():
            return f"{amount(fact.amount)} forgiven of {fact.debt_id} are the platform's again"
