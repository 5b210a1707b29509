"""Amounts as a reader expects to see them, exact to the last minor unit."""

from __future__ import annotations

from copy import copy
from decimal import Decimal

from babel import Locale, UnknownLocaleError

from roadcall_payments.domain.money import Money

_FALLBACK = Locale("en")


def locale_of(name: str) -> Locale:
    """The locale of a BCP 47 or CLDR name; English where there is none such."""
    try:
        return Locale.parse(name, sep="-" if "-" in name else "_")
    except (ValueError, UnknownLocaleError):
        return _FALLBACK


def format_amount(money: Money, locale: Locale) -> str:
    """With the currency's symbol and its own decimals: ``$12.50``, ``¥1,250``, ``KWD1.250``.

    The decimals are ISO 4217's, not CLDR's: CLDR shows some currencies without the minor units
    they have, and an amount must never be rounded for display.
    """
    pattern = copy(locale.currency_formats["standard"])
    pattern.frac_prec = (money.exponent, money.exponent)
    amount = Decimal(money.amount_cents).scaleb(-money.exponent)
    return str(
        pattern.apply(amount, locale, currency=money.currency.upper(), currency_digits=False)
    )
