"""Stripe's currencies: their decimals, multiples and limits; exact conversion both ways. Pure.

Ours are ISO 4217's minor units, Stripe's are not always. Source: docs.stripe.com/currencies.
"""

from __future__ import annotations

from functools import lru_cache

from roadcall_payments.domain.errors import InvalidInput
from roadcall_payments.domain.money import Money

CURRENCIES = frozenset(
    "usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp "
    "byn bzd cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip "
    "gmd gnf gtq gyd hkd hnl htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt "
    "lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr "
    "nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd "
    "std szl thb tjs tnd top try ttd twd tzs uah ugx usd uyu uzs vnd vuv wst xaf xcd xof xpf yer "
    "zar zmw".split()
)

# Stripe's decimals where they are not two. ISK and UGX have none in the world and two at Stripe,
# which keeps an older convention; MGA has two by ISO 4217 and none at Stripe.
_EXPONENTS = {
    **dict.fromkeys("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split(), 0),
    **dict.fromkeys("bhd jod kwd omr tnd".split(), 3),
}
_EXPONENT_OTHERWISE = 2

# What a sent amount must be a multiple of, in Stripe's units: card networks carry two of three
# decimals (M38), and the two of ISK and UGX must be zero.
_MULTIPLES = {
    **dict.fromkeys("bhd jod kwd omr tnd".split(), 10),
    **dict.fromkeys("isk ugx".split(), 100),
}
# Charged with two decimals, paid out to banks without.
_PAYOUT_MULTIPLES = {**_MULTIPLES, "huf": 100, "twd": 100}

_MINIMUM = {
    "usd": 50, "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500,
    "dkk": 250, "eur": 50, "gbp": 30, "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000,
    "myr": 200, "nok": 300, "nzd": 50, "pln": 200, "ron": 200, "sek": 300, "sgd": 50, "thb": 1000,
}  # fmt: skip
"""The smallest charge in Stripe's units, where Stripe states one."""

_MAXIMUM = 99_999_999
_MAXIMUM_IDR = 999_999_999_999


def refusal_of(amount: Money) -> str | None:
    """Why Stripe cannot carry a payment of this amount, in words; None when it can.

    The smallest charge holds for both kinds of payment: one rule is easier to explain than two.
    """
    problem = _misfit(amount, _MULTIPLES)
    if problem is not None:
        return problem
    sent = _scaled(amount)
    minimum = _MINIMUM.get(amount.currency, 1)
    if sent < minimum:
        return f"Stripe's smallest payment in {amount.currency} is {_ours(minimum, amount)}."
    maximum = _MAXIMUM_IDR if amount.currency == "idr" else _MAXIMUM
    if sent > maximum:
        return f"Stripe's largest payment in {amount.currency} is {_ours(maximum, amount)}."
    return None


def refund_refusal_of(amount: Money) -> str | None:
    """The same for a refund, which knows no smallest amount, and whose largest is its payment."""
    return _misfit(amount, _MULTIPLES)


def payout_refusal_of(amount: Money) -> str | None:
    """The same for a payout to a bank, which knows no smallest amount but rounder ones."""
    if amount.amount_cents <= 0:
        return "A payout is a positive amount."
    return _misfit(amount, _PAYOUT_MULTIPLES)


def multiple_of(currency: str) -> int:
    """What an amount that we send must be a multiple of, in our minor units (M38)."""
    return _step(currency, _MULTIPLES)


def payable_of(available: Money) -> Money:
    """The most of a balance that a payout can carry: banks take some currencies rounder."""
    step = _step(available.currency, _PAYOUT_MULTIPLES)
    whole = max(available.amount_cents, 0) // step * step
    return Money(whole, available.currency)


def to_stripe(amount: Money) -> int:
    """``amount`` in Stripe's units. Raises InvalidInput for what Stripe cannot carry exactly."""
    problem = _misfit(amount, _MULTIPLES)
    if problem is not None:
        raise InvalidInput("amountCents", problem)
    return _scaled(amount)


def from_stripe(amount: int, currency: str) -> Money:
    """Stripe's amount in ours. Raises InvalidInput for a fraction of our minor unit.

    Multiples are not asked for: fees and converted amounts come in any.
    """
    numerator, denominator = _ratio(currency)
    ours, rest = divmod(amount * denominator, numerator)
    if rest:
        raise InvalidInput(
            "amount", f"Stripe's {amount} {currency} is no whole number of minor units."
        )
    return Money(ours, currency)


def _misfit(amount: Money, multiples: dict[str, int]) -> str | None:
    """Why the amount has no exact form at Stripe, whatever its size."""
    currency = amount.currency
    if currency not in CURRENCIES:
        return f"Stripe does not support the currency {currency}."
    step = _step(currency, multiples)
    if amount.amount_cents % step:
        return f"Stripe takes {currency} in multiples of {step} minor units only."
    return None


def _step(currency: str, multiples: dict[str, int]) -> int:
    """The smallest step of ours that lands on a multiple of Stripe's."""
    numerator, denominator = _ratio(currency)
    return max(multiples.get(currency, 1) * denominator // numerator, 1)


@lru_cache(maxsize=256)
def _ratio(currency: str) -> tuple[int, int]:
    """Stripe's units for each of ours, as a fraction: (100, 1) for isk, (1, 100) for mga."""
    ours = Money(0, currency).exponent
    stripes = _EXPONENTS.get(currency, _EXPONENT_OTHERWISE)
    return int(10 ** max(0, stripes - ours)), int(10 ** max(0, ours - stripes))


def _scaled(amount: Money) -> int:
    numerator, denominator = _ratio(amount.currency)
    return amount.amount_cents * numerator // denominator


def _ours(stripe_units: int, like: Money) -> int:
    numerator, denominator = _ratio(like.currency)
    return stripe_units * denominator // numerator
