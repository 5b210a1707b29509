"""What a refund will mean for everybody, told before somebody approves it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.vendor_share import fee_to_return, overpaid_cents


@dataclass(frozen=True, slots=True)
class RefundPlan:
    """``stripe_fee_returned`` is always zero: Stripe keeps its fee. ``reversed_from_vendor`` is
    taken back from the vendor's Stripe balance; what cannot be is ``vendor_debt``."""

    payer_gets: Money
    reversed_from_vendor: Money
    stripe_fee_returned: Money
    platform_fee_returned: Money
    vendor_balance_after: Money
    vendor_debt: Money


def plan(payment: Payment, amount: Money, payable: Money) -> RefundPlan:
    """What giving ``amount`` back does. The vendor bears it, less our fee where we return that.

    ``payable``: what we owe the vendor in our books; negative where the vendor owes us. The
    reversal is as large as it can be; one that Stripe refuses becomes debt as well (M21).
    """
    zero = Money(0, amount.currency)
    fee_returned = fee_to_return(payment, amount) or zero
    share = amount - fee_returned
    taken_back = _reversed(payment, share)
    after = payable - share + taken_back
    return RefundPlan(
        payer_gets=amount,
        reversed_from_vendor=taken_back,
        stripe_fee_returned=zero,
        platform_fee_returned=fee_returned,
        vendor_balance_after=after,
        vendor_debt=Money(max(-after.amount_cents, 0), amount.currency),
    )


def _reversed(payment: Payment, share: Money) -> Money:
    """Of what the vendor has too much of then, as much as its transfers still hold."""
    settlement = payment.settlement
    if settlement is None:
        return Money(0, share.currency)
    too_much = overpaid_cents(payment, settlement) + share.amount_cents
    held = sum(one.left_cents for one in settlement.transfers)
    return Money(max(min(too_much, held, share.amount_cents), 0), share.currency)
