"""What a refund will mean for everybody, told before somebody approves it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment


@dataclass(frozen=True, slots=True)
class VendorPosition:
    """Where the vendor stands in our books, in the payment's currency.

    ``payable`` is what we owe the vendor, negative where the vendor owes us. ``settled`` is what
    of this payment was transferred to the vendor and not taken back; ``platform_fee`` what we
    kept of it, and ``returns_fee`` whether a refund gives our fee back in proportion.
    """

    payable: Money
    settled: Money
    platform_fee: Money
    returns_fee: bool = False


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


def plan(payment: Payment, amount: Money, position: VendorPosition) -> RefundPlan:
    """What giving ``amount`` back does. The vendor bears it, less our fee where we return that."""
    zero = Money(0, amount.currency)
    fee_returned = zero
    if position.returns_fee:
        kept = position.platform_fee.amount_cents
        # Rounded down: over all partial refunds, never more than the fee.
        part = kept * amount.amount_cents // payment.amount.amount_cents
        fee_returned = Money(part, amount.currency)
    share = amount - fee_returned
    reversed_part = min(share.amount_cents, max(position.settled.amount_cents, 0))
    taken_back = Money(reversed_part, amount.currency)
    after = position.payable - share + taken_back
    return RefundPlan(
        payer_gets=amount,
        reversed_from_vendor=taken_back,
        stripe_fee_returned=zero,
        platform_fee_returned=fee_returned,
        vendor_balance_after=after,
        vendor_debt=Money(max(-after.amount_cents, 0), amount.currency),
    )
