"""The debt of a share that could not be taken back, for the vendor's stream (M22). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from roadcall_payments.domain import settlement_events as s
from roadcall_payments.domain.debt import Debts
from roadcall_payments.domain.debt_events import DebtCause, VendorDebtIncurred, VendorDebtReduced
from roadcall_payments.domain.events import Fact, PaymentCompleted
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.outcomes import Facts, anomaly
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.take_backs_seen import UNDERPAID
from roadcall_payments.domain.transfer_ends import ends_of
from roadcall_payments.domain.vendor_share import overpaid_cents

_OF_SHARES = frozenset(get_args(s.SettlementFact))


def concerned(payment: Payment, facts: Sequence[Fact]) -> bool:
    """Whether ``facts``, which follow on ``payment``, mean anything for its vendor's debts."""
    if not payment.set_offs and not any(map(_may_concern, facts)):
        return False
    return (
        bool(ends_of(payment, facts))
        or bool(incurred(payment, facts))
        or may_reduce(payment, facts)
    )


def _may_concern(fact: Fact) -> bool:
    """Of a payment without set-offs: asked of every commit, so that most need no closer look."""
    if isinstance(fact, PaymentCompleted):
        return fact.set_off is not None
    return type(fact) in _OF_SHARES


def incurred(payment: Payment, facts: Sequence[Fact]) -> tuple[VendorDebtIncurred, ...]:
    """The debts that belong into one commit with ``facts``, which follow on ``payment``."""
    return tuple(
        _debt(payment, fact)
        for fact in facts
        if isinstance(fact, s.SettlementReversalFailed) and fact.debt.amount_cents
    )


def may_reduce(payment: Payment, facts: Sequence[Fact]) -> bool:
    """Whether something of a share came back by hand that had become a debt before."""
    by_hand = any(isinstance(one, s.SettlementReversed) and one.cause_id is None for one in facts)
    settlement = payment.settlement
    return by_hand and settlement is not None and any(o.debt_cents for o in settlement.take_backs)


def reversed_by_hand(
    after: Payment, facts: Sequence[Fact], debts: Debts
) -> tuple[tuple[VendorDebtReduced, ...], Facts]:
    """What somebody took back at Stripe of a share whose debts still stand pays these, so that no
    transfer sets them off as well. ``after``: the payment with ``facts``. Second, for the payment's
    own stream: a person is told of what was taken beyond them, as of a debt that was paid before.

    A transfer under way that has reserved some of it finds less owed when it ends (M22).
    """
    if after.settlement is None:
        return (), ()
    taken = sum(
        fact.amount.amount_cents
        for fact in facts
        if isinstance(fact, s.SettlementReversed) and fact.cause_id is None
    )
    left = min(taken, -overpaid_cents(after, after.settlement))
    reduced: list[VendorDebtReduced] = []
    for one in after.settlement.take_backs:
        debt = debts.debt(debt_id(one.cause_id, one.number)) if one.debt_cents else None
        cents = min(debt.outstanding_cents, left) if debt else 0
        if debt is not None and cents > 0:
            reduced.append(VendorDebtReduced(debt.id, Money(cents, debt.amount.currency)))
            left -= cents
    if left < 1:
        return tuple(reduced), ()
    detail = f"{left} minor units were reversed at Stripe by hand beyond what the vendor owed of it"
    return tuple(reduced), anomaly(after, UNDERPAID, detail, None)


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
