"""The debt of a share that could not be taken back, for the vendor's stream (M22). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from roadcall_payments.domain import settlement_events as s
from roadcall_payments.domain.debt_events import DebtCause, VendorDebtIncurred
from roadcall_payments.domain.events import Fact
from roadcall_payments.domain.payment import Payment


def incurred(payment: Payment, facts: Sequence[Fact]) -> tuple[VendorDebtIncurred, ...]:
    """The debts that belong into one commit with ``facts``, which follow on ``payment``."""
    return tuple(
        _debt(payment, fact)
        for fact in facts
        if isinstance(fact, s.SettlementReversalFailed) and fact.debt.amount_cents
    )


def debt_id(cause_id: str, number: int) -> str:
    """The cause's own; a cause that is taken back for in several parts has one for each."""
    return cause_id if number == 1 else f"{cause_id}_{number}"


def _debt(payment: Payment, fact: s.SettlementReversalFailed) -> VendorDebtIncurred:
    of_dispute = payment.dispute(fact.cause_id) is not None
    return VendorDebtIncurred(
        vendor_id=payment.vendor_id,
        debt_id=debt_id(fact.cause_id, fact.number),
        cause=DebtCause.DISPUTE if of_dispute else DebtCause.REFUND,
        payment_id=payment.id,
        incident_id=payment.incident_id,
        amount=fact.debt,
        account=payment.account or "",
        livemode=bool(payment.livemode),
    )
