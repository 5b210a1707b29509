"""Integer minor units with their currency; exact allocation. No float comes near it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from roadcall_payments.domain.errors import InvalidInput

# ISO 4217 minor units that are not two. (Stripe's own exponents differ for a few currencies;
# those live in stripe_gateway/amounts.py.)
_ISO_EXPONENTS = {
    **dict.fromkeys(
        "bif clp djf gnf isk jpy kmf krw pyg rwf ugx uyi vnd vuv xaf xof xpf".split(), 0
    ),
    **dict.fromkeys("bhd iqd jod kwd lyd omr tnd".split(), 3),
}
_CURRENCY = re.compile(r"[a-z]{3}", re.ASCII)


# Amounts are made by the dozen for each fact; few currencies are ever seen.
@lru_cache(maxsize=256)
def _is_currency(code: str) -> bool:
    return _CURRENCY.fullmatch(code) is not None


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units of its currency (ISO 4217, lower case); may be negative."""

    amount_cents: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.amount_cents) is not int:
            raise InvalidInput("amountCents", "An amount is a whole number of minor units.")
        if not _is_currency(self.currency):
            raise InvalidInput("currency", "A currency is three lower-case letters, such as usd.")

    @property
    def exponent(self) -> int:
        """Decimals of the currency by ISO 4217: 2 for usd, 0 for jpy, 3 for kwd."""
        return _ISO_EXPONENTS.get(self.currency, 2)

    def __add__(self, other: Money) -> Money:
        return Money(self.amount_cents + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.amount_cents - self._same(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.amount_cents, self.currency)

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            raise InvalidInput("currency", f"{other.currency} cannot be added to {self.currency}.")
        return other.amount_cents


def allocate(total: Money, weights: Sequence[int]) -> tuple[Money, ...]:
    """Split ``total`` by ``weights`` so that the parts sum to it exactly.

    The largest remainders get the odd minor units, earlier parts first among equals.
    """
    if not weights or any(w < 0 for w in weights) or sum(weights) == 0:
        raise InvalidInput("weights", "Weights are not negative and not all zero.")
    whole = sum(weights)
    sign = -1 if total.amount_cents < 0 else 1
    amount = abs(total.amount_cents)
    shares = [amount * w // whole for w in weights]
    remainders = [amount * w % whole for w in weights]
    odd = amount - sum(shares)
    for i in sorted(range(len(weights)), key=lambda i: (-remainders[i], i))[:odd]:
        shares[i] += 1
    return tuple(Money(sign * share, total.currency) for share in shares)
