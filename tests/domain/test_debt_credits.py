"""What a transfer collected of debts that a restore lost pays them when they come up again."""

from __future__ import annotations

import pytest

from roadcall_payments.domain import debt
from roadcall_payments.domain import debt_events as d
from roadcall_payments.domain.debt import Debts, SetOffTerms
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import StripeIdentity
from tests.builders import NOON

PLATFORM = StripeIdentity("acct_platform", False)
WHOLE = SetOffTerms(debt.BASIS_POINTS)


def adopted(debts: Debts, key: str, cents: int, currency: str = "usd") -> Debts:
    taken = Money(cents, currency)
    facts = debt.settle(debts, key, f"pay_{key}", taken, PLATFORM, adopted=True)
    return debt.applied(debts, facts, NOON)


def owing(
    debts: Debts, debt_id: str, amount: Money, *, account: str = "acct_platform"
) -> tuple[Debts, tuple[d.DebtSetOff, ...]]:
    """The debts after one more, with what pays it at once."""
    incurred = d.VendorDebtIncurred(
        "ve_1", debt_id, d.DebtCause.REFUND, "pay_1", "in_1", amount, account, False
    )
    after = debt.apply(debts, incurred, NOON)
    paid = debt.use_credits(after)
    return debt.applied(after, paid, NOON), paid


def left(debts: Debts) -> list[tuple[str, int]]:
    return [(one.key, one.amount.amount_cents) for one in debts.credits]


def test_what_is_owed_is_paid_first_and_the_rest_is_kept() -> None:
    debts, _ = owing(debt.NONE, "re_1", Money(1_000, "usd"))
    facts = debt.settle(debts, "t1", "pay_2", Money(5_000, "usd"), PLATFORM, adopted=True)
    assert facts == (
        d.DebtSetOff("t1", "pay_2", Money(1_000, "usd"), (d.DebtShare("re_1", 1_000),)),
        d.SetOffCredited("t1", "pay_2", Money(4_000, "usd"), "acct_platform", False),
    )
    after = debt.applied(debts, facts, NOON)
    assert (after.outstanding("usd").amount_cents, left(after)) == (0, [("t1", 4_000)])


def test_a_credit_pays_debt_after_debt_until_it_is_used() -> None:
    debts, paid = owing(adopted(debt.NONE, "t1", 5_000), "re_1", Money(2_000, "usd"))
    assert paid == (
        d.DebtSetOff("t1", "pay_t1", Money(2_000, "usd"), (d.DebtShare("re_1", 2_000),)),
    )
    assert left(debts) == [("t1", 3_000)]
    debts, (second,) = owing(debts, "re_2", Money(4_000, "usd"))
    assert (second.transfer_key, second.amount) == ("t1", Money(3_000, "usd"))
    assert (left(debts), debts.outstanding("usd")) == ([], Money(1_000, "usd"))
    assert debt.use_credits(debts) == ()


def test_one_debt_uses_several_credits_the_oldest_first() -> None:
    debts = adopted(adopted(debt.NONE, "t1", 1_000), "t2", 3_000)
    debts, paid = owing(debts, "re_1", Money(2_500, "usd"))
    assert [(one.transfer_key, one.amount.amount_cents) for one in paid] == [
        ("t1", 1_000),
        ("t2", 1_500),
    ]
    assert left(debts) == [("t2", 1_500)]


@pytest.mark.parametrize(("currency", "account"), [("cad", "acct_platform"), ("usd", "acct_other")])
def test_a_debt_in_other_books_is_not_paid(currency: str, account: str) -> None:
    credited = adopted(debt.NONE, "t1", 5_000)
    debts, paid = owing(credited, "re_1", Money(5_000, currency), account=account)
    assert (paid, debts.credits) == ((), credited.credits)
    assert debts.outstanding(currency) == Money(5_000, currency)


def test_m22_what_a_transfer_has_reserved_is_paid_once_it_is_free() -> None:
    debts, _ = owing(debt.NONE, "re_1", Money(5_000, "usd"))
    held = debt.set_off(debts, Money(9_000, "usd"), PLATFORM, WHOLE)
    debts = debt.applied(debts, debt.reserve(debts, held, "t1", "pay_1"), NOON)
    debts = adopted(debts, "t2", 5_000)
    assert (left(debts), debt.use_credits(debts)) == ([("t2", 5_000)], ())
    debts = debt.applied(debts, debt.release(debts, "t1"), NOON)
    debts = debt.applied(debts, debt.use_credits(debts), NOON)
    assert (left(debts), debts.outstanding("usd").amount_cents) == ([], 0)


def test_a_transfer_is_credited_once_and_never_beyond_its_credit() -> None:
    credited = adopted(debt.NONE, "t1", 5_000)
    with pytest.raises(BrokenInvariant, match="credited once"):
        adopted(credited, "t1", 5_000)
    incurred = d.VendorDebtIncurred(
        "ve_1", "re_1", d.DebtCause.REFUND, "p", "i", Money(9_000, "usd"), "acct_platform", False
    )
    owed = debt.apply(credited, incurred, NOON)
    beyond = d.DebtSetOff("t1", "pay_t1", Money(5_001, "usd"), (d.DebtShare("re_1", 5_001),))
    with pytest.raises(BrokenInvariant, match="credit of t1"):
        debt.apply(owed, beyond, NOON)
