"""Our fee on a driver's payment: rounded in the vendor's favour, and never more than there is."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadcall_payments.domain.money import Money
from roadcall_payments.domain.platform_fee import BASIS_POINTS, FeePolicy


@pytest.mark.parametrize(
    ("policy", "cents", "multiple", "fee"),
    [
        (FeePolicy(333, 30), 12_499, 1, 446),  # 446.2167
        (FeePolicy(333, 30), 12_499, 10, 440),
        (FeePolicy(0, 500), 300, 1, 300),
        (FeePolicy(10_000, 500), 12_499, 1, 12_499),
        (FeePolicy(0, 0), 12_499, 1, 0),
    ],
)
def test_a_fee_is_rounded_down_and_at_most_the_payment(
    policy: FeePolicy, cents: int, multiple: int, fee: int
) -> None:
    assert policy.fee_of(Money(cents, "kwd"), multiple) == Money(fee, "kwd")


@given(
    st.builds(FeePolicy, st.integers(0, BASIS_POINTS), st.integers(0, 100_000)),
    st.integers(1, 99_999_999),
    st.sampled_from([1, 10, 100]),
)
def test_any_fee_is_what_stripe_carries_and_less_than_one_step_below_the_exact_one(
    policy: FeePolicy, cents: int, multiple: int
) -> None:
    fee = policy.fee_of(Money(cents, "usd"), multiple).amount_cents
    exact = min(Fraction(cents * policy.bps, BASIS_POINTS) + policy.fixed_cents, Fraction(cents))
    assert fee % multiple == 0
    assert 0 <= fee <= exact < fee + multiple
