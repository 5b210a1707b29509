"""What a refund will mean for everybody, told before somebody approves it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.vendor_share import fee_to_return, overpaid_cents


@dataclass(frozen=True, slots=True)
class RefundPlan:
    """``stripe_fee_returned`` is always zero: Stripe keeps its fee. ``reversed_from_vendor`` is
    taken back from the vendor's Stripe balance; what cannot be is ``vendor_debt``, this refund's
    own: what the vendor owes in all, other jobs' money set against it, is in
    ``vendor_balance_after``."""

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
    too_much = _too_much(payment, share)
    taken_back = Money(min(too_much.amount_cents, _held_cents(payment)), share.currency)
    after = payable - share + taken_back
    return RefundPlan(
        payer_gets=amount,
        reversed_from_vendor=taken_back,
        stripe_fee_returned=zero,
        platform_fee_returned=fee_returned,
        vendor_balance_after=after,
        vendor_debt=too_much - taken_back,
    )


def _too_much(payment: Payment, share: Money) -> Money:
    """What the vendor will have beyond its share, of what this refund takes of it."""
    settlement = payment.settlement
    if settlement is None:
        return Money(0, share.currency)
    cents = overpaid_cents(payment, settlement) + share.amount_cents
    return Money(max(min(cents, share.amount_cents), 0), share.currency)


def _held_cents(payment: Payment) -> int:
    """What a reversal can take back: the rest was our fee, or set off against a debt."""
    transfers = payment.settlement.transfers if payment.settlement else ()
    return sum(one.left_cents for one in transfers)
