"""Amounts: the reader's form, the currency's own decimals, exact to the last minor unit."""

from __future__ import annotations

from decimal import Decimal

import pytest
from babel import Locale
from babel.numbers import format_currency, parse_decimal
from hypothesis import given
from hypothesis import strategies as st

from roadcall_payments.domain.money import Money
from roadcall_payments.notifications.amounts import format_amount, locale_of

NBSP = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("amount", "locale", "shown"),
    [
        (Money(123_456, "usd"), "en-US", "$1,234.56"),
        (Money(123_456, "usd"), "de", f"1.234,56{NBSP}$"),
        (Money(5, "usd"), "en-US", "$0.05"),
        (Money(-5, "usd"), "en-US", "-$0.05"),
        (Money(1_250, "jpy"), "en-US", "¥1,250"),
        (Money(1_250, "jpy"), "ja_JP", "\N{FULLWIDTH YEN SIGN}1,250"),
        (Money(1_250, "kwd"), "en-US", "KWD1.250"),
        # CLDR would hide these three decimals, and the money with them.
        (Money(1_250, "iqd"), "en-US", "IQD1.250"),
        (Money(90_071_992_547_409_931, "usd"), "en-US", "$900,719,925,474,099.31"),
        (Money(100, "usd"), "xx-nowhere", "$1.00"),
    ],
)
def test_known_amounts(amount: Money, locale: str, shown: str) -> None:
    assert format_amount(amount, locale_of(locale)) == shown


@given(
    cents=st.integers(-(10**18), 10**18), currency=st.sampled_from("usd jpy kwd eur isk".split())
)
def test_reading_an_amount_back_gives_the_same_minor_units(cents: int, currency: str) -> None:
    money = Money(cents, currency)
    shown = format_amount(money, Locale("en", "US"))
    digits = "".join(char for char in shown if char in "0123456789.,-")
    assert parse_decimal(digits, locale="en_US") == Decimal(cents).scaleb(-money.exponent)


@given(
    cents=st.integers(-(10**9), 10**9),
    currency=st.sampled_from("usd eur gbp mxn jpy kwd".split()),
    locale=st.sampled_from("en_US en_CA es_MX es_ES de_DE fr_FR pt_BR hi_IN ja_JP".split()),
)
def test_where_cldr_and_iso_agree_it_is_babels_own_form(
    cents: int, currency: str, locale: str
) -> None:
    money = Money(cents, currency)
    exact = Decimal(cents).scaleb(-money.exponent)
    expected = format_currency(exact, currency.upper(), locale=locale)
    assert format_amount(money, Locale.parse(locale)) == expected
