"""Stripe's amounts against ours: exact both ways, and refused where Stripe cannot carry them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadcall_payments.domain.errors import InvalidInput
from roadcall_payments.domain.money import Money
from roadcall_payments.stripe_gateway.amounts import (
    CURRENCIES,
    from_stripe,
    multiple_of,
    payout_refusal_of,
    refusal_of,
    to_stripe,
)

currencies = st.sampled_from(sorted(CURRENCIES))
anything = st.builds(Money, st.integers(-(10**13), 10**13), currencies)

# Examples of docs.stripe.com/currencies: what the world calls the amount, what Stripe is sent.
DOCUMENTED = [
    (Money(1_000, "usd"), 1_000),  # 10 USD
    (Money(500, "jpy"), 500),  # 500 JPY
    (Money(5_120, "kwd"), 5_120),  # 5.12 KWD
    (Money(500, "isk"), 50_000),  # 500 ISK, two decimals at Stripe
    (Money(5, "ugx"), 500),  # 5 UGX, the same
    (Money(500, "mga"), 5),  # 5.00 MGA by ISO 4217, without decimals at Stripe
    (Money(17_550, "huf"), 17_550),  # charged with decimals
    (Money(80_001, "twd"), 80_001),
]


@pytest.mark.parametrize(("ours", "stripes"), DOCUMENTED)
def test_documented_amounts_convert_both_ways(ours: Money, stripes: int) -> None:
    assert to_stripe(ours) == stripes
    assert from_stripe(stripes, ours.currency) == ours


@given(amount=anything)
def test_what_stripe_can_carry_comes_back_the_same_and_the_rest_is_refused(amount: Money) -> None:
    try:
        sent = to_stripe(amount)
    except InvalidInput:
        assert refusal_of(amount) is not None
    else:
        assert from_stripe(sent, amount.currency) == amount


@given(stripes=st.integers(-(10**13), 10**13), currency=currencies)
def test_stripes_amounts_are_read_exactly_or_not_at_all(stripes: int, currency: str) -> None:
    try:
        ours = from_stripe(stripes, currency)
    except InvalidInput:
        assert currency in {"isk", "ugx"}
        assert stripes % 100 != 0
    else:
        # Three decimals are read in any multiple (fees), but sent in tens alone.
        if currency not in {"bhd", "jod", "kwd", "omr", "tnd"} or stripes % 10 == 0:
            assert to_stripe(ours) == stripes


@given(amount=anything)
def test_an_amount_that_is_not_refused_can_be_sent_within_stripes_limits(amount: Money) -> None:
    if refusal_of(amount) is None:
        limit = 999_999_999_999 if amount.currency == "idr" else 99_999_999
        assert 1 <= to_stripe(amount) <= limit


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        (Money(5_125, "kwd"), "multiples of 10 "),
        (Money(150, "mga"), "multiples of 100 "),
        (Money(10_000, "xyz"), "does not support the currency xyz"),
        (Money(10_000, "clf"), "does not support"),
        (Money(49, "usd"), "smallest payment in usd is 50"),
        (Money(0, "usd"), "smallest"),
        (Money(-500, "usd"), "smallest"),
        (Money(0, "kes"), "smallest payment in kes is 1"),
        (Money(100_000_000, "usd"), "largest payment in usd is 99999999"),
        (Money(1_000_000, "isk"), "largest payment in isk is 999999"),
        (Money(10_000_000_000, "mga"), "largest payment in mga is 9999999900"),
        (Money(1_000_000_000_000, "idr"), "largest"),
    ],
)
def test_refusals_say_why_in_our_units(amount: Money, said: str) -> None:
    refusal = refusal_of(amount)
    assert refusal is not None
    assert said in refusal


@pytest.mark.parametrize(
    "amount",
    [
        Money(50, "usd"),
        Money(99_999_999, "usd"),
        Money(50, "jpy"),
        Money(1, "kes"),
        Money(10, "kwd"),
        Money(1, "isk"),
        Money(999_999_999_999, "idr"),
    ],
)
def test_limits_themselves_are_carried(amount: Money) -> None:
    assert refusal_of(amount) is None


@pytest.mark.parametrize("currency", ["huf", "twd"])
def test_payouts_of_some_currencies_have_no_decimals(currency: str) -> None:
    assert refusal_of(Money(30_050, currency)) is None
    assert payout_refusal_of(Money(30_050, currency)) is not None
    assert payout_refusal_of(Money(30_000, currency)) is None


@pytest.mark.parametrize("amount", [Money(0, "usd"), Money(-1, "usd"), Money(15, "kwd")])
def test_a_payout_is_positive_and_carriable(amount: Money) -> None:
    assert payout_refusal_of(amount) is not None


@pytest.mark.parametrize(
    ("currency", "step"), [("usd", 1), ("jpy", 1), ("isk", 1), ("kwd", 10), ("mga", 100)]
)
def test_what_an_amount_is_a_multiple_of(currency: str, step: int) -> None:
    assert multiple_of(currency) == step
    assert refusal_of(Money(step * 20_000, currency)) is None
