"""Our fee on a driver's payment: a part of it, and a fixed amount. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from roadcall_payments.domain.money import Money

BASIS_POINTS = 10_000


@dataclass(frozen=True, slots=True)
class FeePolicy:
    """``bps`` hundredths of a percent of the payment, and ``fixed_cents`` in minor units of its
    currency."""

    bps: int
    fixed_cents: int

    def fee_of(self, amount: Money, multiple_of: int) -> Money:
        """Rounded down, in the vendor's favour, to what Stripe carries; at most ``amount``."""
        fee = amount.amount_cents * self.bps // BASIS_POINTS + self.fixed_cents
        fee = min(fee, amount.amount_cents)
        return Money(fee - fee % multiple_of, amount.currency)
