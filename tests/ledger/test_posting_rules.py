"""From facts to postings: balanced, in the right books, fees and conversions included."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from roadcall_payments.domain import events as e
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import BalanceTransaction
from roadcall_payments.ledger.posting_rules import Posting, postings, unbalanced

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CENTS = st.integers(1, 10**12)
CURRENCIES = st.sampled_from(["usd", "jpy", "kwd"])


def completed(amount: Money, *, driver: bool) -> e.PaymentCompleted:
    return e.PaymentCompleted(
        1,
        e.PayerType.DRIVER_IC if driver else e.PayerType.BACK_OFFICE,
        "pi_1" if driver else "tr_1",
        amount,
        "acct_platform",
        False,
        "co_1",
        "ve_1",
        e.Source.ANSWER,
        "ch_1" if driver else None,
        None if driver else "acct_vendor",
    )


def line(amount: Money, fee_cents: int) -> BalanceTransaction:
    fee = Money(fee_cents, amount.currency)
    return BalanceTransaction("txn_1", "charge", "ch_1", amount, fee, amount - fee, NOON, NOON)


def booked(moved: Money, stripes: BalanceTransaction) -> e.BalanceTransactionBooked:
    return e.BalanceTransactionBooked("ch_1", moved, "acct_platform", stripes)


def sums(*facts: e.Fact) -> dict[tuple[str, str, str], int]:
    totals: dict[tuple[str, str, str], int] = {}
    for fact in facts:
        for p in postings(fact):
            key = (p.book, p.account, p.currency)
            totals[key] = totals.get(key, 0) + p.amount_cents
    return {key: cents for key, cents in totals.items() if cents}


def test_a_drivers_payment_with_its_fee() -> None:
    amount = Money(12_500, "usd")
    assert sums(completed(amount, driver=True), booked(amount, line(amount, 393))) == {
        ("acct_platform", "stripe_balance", "usd"): 12_107,
        ("acct_platform", "stripe_fees", "usd"): 393,
        ("acct_platform", "vendor_payable:ve_1", "usd"): -12_500,
    }


def test_m38_a_transfer_stands_in_two_books_each_balanced() -> None:
    amount = Money(12_500, "usd")
    facts = completed(amount, driver=False), booked(-amount, line(-amount, 0))
    assert sums(*facts) == {
        ("acct_platform", "fleet_receivable:co_1", "usd"): 12_500,
        ("acct_platform", "stripe_balance", "usd"): -12_500,
        ("acct_vendor", "stripe_balance", "usd"): 12_500,
        ("acct_vendor", "earnings", "usd"): -12_500,
    }


def test_m38_a_conversion_goes_through_its_pairs_clearing_account() -> None:
    euros, dollars = Money(10_000, "eur"), Money(10_850, "usd")
    assert sums(completed(euros, driver=True), booked(euros, line(dollars, 345))) == {
        ("acct_platform", "stripe_balance", "usd"): 10_505,
        ("acct_platform", "stripe_fees", "usd"): 345,
        ("acct_platform", "fx_clearing:eur:usd", "usd"): -10_850,
        ("acct_platform", "fx_clearing:eur:usd", "eur"): 10_000,
        ("acct_platform", "vendor_payable:ve_1", "eur"): -10_000,
    }


def test_a_payout_that_fails_after_it_was_paid_is_booked_back() -> None:
    amount = Money(900, "usd")
    paid = e.PayoutPaid("po_1", "acct_vendor", amount, "evt_1")
    failed = e.PayoutFailed(
        "po_1", "acct_vendor", amount, "account_closed", "Closed", "evt_2", True
    )
    never_paid = e.PayoutFailed("po_2", "acct_vendor", amount, "no_account", "No", "evt_3", False)
    assert sums(paid, failed) == {}
    assert postings(never_paid) == ()


def test_an_imbalance_is_seen() -> None:
    assert unbalanced([Posting("b", "x", "usd", 5), Posting("b", "y", "usd", -4)]) == {
        ("b", "usd"): 1
    }
    assert unbalanced([Posting("b", "x", "usd", 5), Posting("c", "y", "usd", -5)])


@given(CENTS, CURRENCIES, st.booleans(), st.integers(0, 10**6), st.none() | CURRENCIES)
def test_whatever_the_amounts_every_fact_balances(
    cents: int, currency: str, driver: bool, fee: int, settled_in: str | None
) -> None:
    amount = Money(cents, currency)
    converted = settled_in is not None and settled_in != currency
    settled = Money(cents + 7, settled_in) if converted and settled_in else amount
    facts: list[e.Fact] = [
        completed(amount, driver=driver),
        booked(amount, line(settled, fee)),
        e.StrayMoneyObserved("ch_2", "charge", amount, "acct_platform", "r", "refund"),
        e.TransferReversed("trr", "tr", amount, "acct_platform", "acct_v", "co", "ve"),
    ]
    for fact in facts:
        assert unbalanced(postings(fact)) == {}


def test_a_transfer_less_by_a_debt_pays_the_debt() -> None:
    done = e.PaymentCompleted(
        1,
        e.PayerType.BACK_OFFICE,
        "tr_1",
        Money(10_000, "usd"),
        "acct_platform",
        False,
        "co_1",
        "ve_1",
        e.Source.ANSWER,
        destination="acct_vendor",
        set_off=Money(4_000, "usd"),
    )
    lines = {(line.book, line.account): 0 for line in postings(done)}
    for line in postings(done):
        lines[line.book, line.account] += line.amount_cents
    assert lines == {
        ("acct_platform", "fleet_receivable:co_1"): 10_000,
        ("acct_platform", "stripe_clearing"): -6_000,
        ("acct_platform", "vendor_payable:ve_1"): -4_000,
        ("acct_vendor", "stripe_balance"): 6_000,
        ("acct_vendor", "earnings"): -6_000,
    }
