"""The half of a settlement's commits that stands in the vendor's stream: its debts (M22). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from roadcall_payments.domain import debt
from roadcall_payments.domain import settlement_events as s
from roadcall_payments.domain.debt import Debts
from roadcall_payments.domain.debt_events import DebtCause, DebtFact, VendorDebtIncurred
from roadcall_payments.domain.events import PaymentFact
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.stripe_objects import StripeIdentity


def beside(payment: Payment, facts: Sequence[PaymentFact], debts: Debts) -> tuple[DebtFact, ...]:
    """The facts for the vendor's stream that belong into one commit with ``facts``, which follow
    on ``payment``. A commit ends at most one transfer and one reversal.
    """
    found: list[DebtFact] = []
    for fact in facts:
        match fact:
            case s.SettlementCompleted():
                identity = StripeIdentity(fact.account, fact.livemode)
                key = _key(payment, fact.number)
                found += debt.settle(debts, key, payment.id, fact.set_off, identity)
            case s.SettlementFailed():
                found += debt.release(debts, _key(payment, fact.number))
            case s.SettlementReversalFailed() if fact.debt.amount_cents:
                found.append(_incurred(payment, fact))
            case _:
                continue
    return tuple(found)


def debt_id(cause_id: str, number: int) -> str:
    """The cause's own; a cause that is taken back for in several parts has one for each."""
    return cause_id if number == 1 else f"{cause_id}_{number}"


def _key(payment: Payment, number: int) -> str:
    tries = payment.settlement.transfers if payment.settlement else ()
    own = next((one for one in tries if one.number == number), None)
    return own.request.idempotency_key if own and own.request else ""


def _incurred(payment: Payment, fact: s.SettlementReversalFailed) -> VendorDebtIncurred:
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
