"""A driver payment's settlement in the ledger: share, fee, what comes back of both (M20, M21)."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadcall_payments.domain import events as e
from roadcall_payments.domain import settlement_events as s
from roadcall_payments.domain.money import Money
from roadcall_payments.ledger.posting_rules import postings
from tests.ledger.test_money_back_postings import PLATFORM, failed, succeeded

VENDOR = "acct_vendor"
PAYABLE = "vendor_payable:ve_1"
CURRENCIES = st.sampled_from(["usd", "jpy", "kwd"])
CENTS = st.integers(0, 10**10).map(lambda tens: tens * 10)


def settled(amount: Money, fee: Money) -> s.SettlementCompleted:
    return s.SettlementCompleted(
        1,
        "tr_1",
        amount,
        fee,
        Money(0, amount.currency),
        PLATFORM,
        False,
        VENDOR,
        "co_1",
        "ve_1",
        e.Source.ANSWER,
    )


def reversed_(amount: Money, cause_id: str | None = "rf_1") -> s.SettlementReversed:
    return s.SettlementReversed(
        "trr_1",
        "tr_1",
        amount,
        PLATFORM,
        False,
        VENDOR,
        "co_1",
        "ve_1",
        e.Source.ANSWER,
        cause_id,
        1,
    )


def sums(*facts: e.Fact) -> dict[tuple[str, str], int]:
    totals: Counter[tuple[str, str]] = Counter()
    for line in itertools.chain.from_iterable(map(postings, facts)):
        totals[line.book, line.account] += line.amount_cents
    return {key: cents for key, cents in totals.items() if cents}


@given(CENTS, CENTS, CURRENCIES)
def test_m20_share_and_fee_are_no_longer_owed_to_the_vendor(
    cents: int, fee_cents: int, currency: str
) -> None:
    lines = sums(settled(Money(cents, currency), Money(fee_cents, currency)))
    expected = {
        (PLATFORM, PAYABLE): cents + fee_cents,
        (PLATFORM, "stripe_clearing"): -cents,
        (PLATFORM, "platform_fees"): -fee_cents,
        (VENDOR, "stripe_balance"): cents,
        (VENDOR, "earnings"): -cents,
    }
    assert lines == {key: amount for key, amount in expected.items() if amount}


@pytest.mark.parametrize("cause_id", ["rf_1", None])
@given(cents=CENTS, currency=CURRENCIES)
def test_m21_what_is_reversed_is_owed_again_whoever_did_it(
    cause_id: str | None, cents: int, currency: str
) -> None:
    amount = Money(cents, currency)
    assert sums(settled(amount, Money(0, currency)), reversed_(amount, cause_id)) == {}


def test_a_fee_alone_is_kept_without_a_transfer() -> None:
    terms = s.FeeTerms(Money(500, "usd"), False, 1)
    kept = s.SettlementWithheld(1, Money(500, "usd"), Money(0, "usd"), terms, PLATFORM, "ve_1")
    assert sums(kept) == {(PLATFORM, PAYABLE): 500, (PLATFORM, "platform_fees"): -500}
    nothing = replace(kept, fee=Money(0, "usd"), set_off=Money(700, "usd"))
    assert postings(nothing) == ()


@given(CENTS, st.integers(0, 100), CURRENCIES)
def test_a_fee_that_went_back_with_a_refund_comes_again_with_it(
    cents: int, percent: int, currency: str
) -> None:
    amount, fee = Money(cents, currency), Money(cents * percent // 100, currency)
    given_back = replace(succeeded(amount, stray=False), fee_returned=fee)
    expected = {
        (PLATFORM, PAYABLE): (amount - fee).amount_cents,
        (PLATFORM, "platform_fees"): fee.amount_cents,
        (PLATFORM, "stripe_clearing"): -amount.amount_cents,
    }
    assert sums(given_back) == {key: amount for key, amount in expected.items() if amount}
    back = replace(failed(amount, stray=False, returned=True), fee_returned=fee)
    assert sums(given_back, back) == {}


def test_what_only_tells_of_a_step_posts_nothing() -> None:
    ten = Money(10, "usd")
    debt = s.SettlementReversalFailed(
        "rf_1", 1, "tr_1", ten, ten, "balance_insufficient", "No.", "ve_1", e.Source.ANSWER
    )
    for fact in (
        debt,
        s.SettlementDeferred("no_account", ""),
        s.SettlementUnknown(1, "timeout"),
        s.SettlementReversalUnknown("rf_1", 1, "timeout"),
        s.SettlementFailed(1, ten, ten, "account_invalid", "No.", "ve_1", e.Source.ANSWER),
    ):
        assert postings(fact) == ()
