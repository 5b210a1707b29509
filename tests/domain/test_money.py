import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadcall_payments.domain.errors import InvalidInput
from roadcall_payments.domain.money import Money, allocate

AMOUNTS = st.integers(min_value=-(10**12), max_value=10**12)
WEIGHTS = st.lists(st.integers(min_value=0, max_value=10**6), min_size=1, max_size=20).filter(sum)


@given(AMOUNTS, WEIGHTS)
def test_allocation_neither_makes_nor_loses_a_cent(cents: int, weights: list[int]) -> None:
    parts = allocate(Money(cents, "usd"), weights)
    assert sum(part.amount_cents for part in parts) == cents
    whole = sum(weights)
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part.amount_cents * whole - cents * weight) < whole


def test_odd_cents_go_to_the_largest_remainders_first() -> None:
    assert [p.amount_cents for p in allocate(Money(100, "usd"), [1, 1, 1])] == [34, 33, 33]
    assert [p.amount_cents for p in allocate(Money(-100, "usd"), [1, 2])] == [-33, -67]


@pytest.mark.parametrize(("currency", "exponent"), [("usd", 2), ("jpy", 0), ("kwd", 3), ("isk", 0)])
def test_exponents_are_iso_4217s(currency: str, exponent: int) -> None:
    assert Money(1, currency).exponent == exponent


@pytest.mark.parametrize("currency", ["USD", "us", "usdd", "u$d", "", "ußd"])
def test_a_currency_is_three_lower_case_letters(currency: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Money(1, currency)
    assert refused.value.field == "currency"


@pytest.mark.parametrize("amount", [1.5, True, "5"])
def test_an_amount_is_an_int(amount: object) -> None:
    with pytest.raises(InvalidInput):
        Money(amount, "usd")  # type: ignore[arg-type] # that is the point


def test_currencies_do_not_mix() -> None:
    with pytest.raises(InvalidInput):
        Money(1, "usd") + Money(1, "eur")
