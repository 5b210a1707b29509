"""Any order of debts, transfers, their ends and their surprises leaves no debt paid twice (M22)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from roadcall_payments.commit import decode_state, encode_state
from roadcall_payments.domain import debt, debt_relief, vendor
from roadcall_payments.domain import debt_events as d
from roadcall_payments.domain import events as e
from roadcall_payments.domain.debt import Debts, SetOff, SetOffTerms
from roadcall_payments.domain.errors import BrokenInvariant, InvalidInput, NotFound, StatusForbids
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.people import Actor, Role
from roadcall_payments.domain.stripe_objects import StripeIdentity
from roadcall_payments.ledger.posting_rules import postings
from tests.builders import NOON

ADMIN = Actor("us_3", Role.ADMIN)
PLATFORM = StripeIdentity("acct_platform", False)
REASON = e.TextRef("text_1", "0" * 64)
PICKS = st.integers(0, 7)
STEPS = {"usd": 1, "jpy": 1, "kwd": 10}
CAPS = st.sampled_from([0, 1, 2_500, 5_000, 9_999, 10_000])
# In steps of the currency: one, odd ones, and Stripe's largest payment.
SIZES = st.sampled_from([1, 2, 3, 7, 250, 9_999, 9_999_999])


@dataclass
class Sent:
    """A transfer as the world sees it; ``believed_failed`` may still prove wrong (M16)."""

    key: str
    set_off: SetOff
    believed_failed: bool = False


class DebtMachine(RuleBasedStateMachine):
    """``books`` is what the vendor owes by the ledger: debts up, set-offs that moved down."""

    @initialize(currency=st.sampled_from(sorted(STEPS)))
    def register(self, currency: str) -> None:
        self.currency, self.step = currency, STEPS[currency]
        registered = e.VendorRegistered("ve_1", "acct_v", "en_US", None, "us_1")
        self.vendor = vendor.apply(None, registered, NOON)
        self.numbers = itertools.count(1)
        self.sent: list[Sent] = []
        self.books = 0
        self.paid: dict[str, int] = {}
        self.undone: set[str] = set()

    @property
    def debts(self) -> Debts:
        return self.vendor.debts

    def take(self, facts: debt.Facts) -> None:
        for fact in facts:
            assert sum(line.amount_cents for line in postings(fact)) == 0
            self.vendor = vendor.apply(self.vendor, fact, NOON)
            if isinstance(fact, d.SetOffExceededDebt):
                # It goes out to the vendor after all (SetOffReduced).
                self.books += fact.amount.amount_cents
            if isinstance(fact, d.DebtSetOff):
                for share in fact.shares:
                    self.paid[share.debt_id] = self.paid.get(share.debt_id, 0) + share.amount_cents
        assert decode_state("vendor/ve_1", encode_state(self.vendor)) == self.vendor

    @rule(size=SIZES, cause=st.sampled_from(list(d.DebtCause)))
    def incur(self, size: int, cause: d.DebtCause) -> None:
        number = next(self.numbers)
        amount = Money(size * self.step, self.currency)
        incurred = d.VendorDebtIncurred(
            "ve_1", f"re_{number}", cause, f"pay_{number}", "in_1", amount, "acct_platform", False
        )
        self.take((incurred,))
        self.take(debt.use_credits(self.debts))
        self.books += amount.amount_cents
        with pytest.raises(BrokenInvariant, match="once"):
            vendor.apply(self.vendor, incurred, NOON)

    @rule(size=SIZES, cap_bps=CAPS)
    def start(self, size: int, cap_bps: int) -> None:
        amount = Money(size * self.step, self.currency)
        before = self.debts
        taken = debt.set_off(before, amount, PLATFORM, SetOffTerms(cap_bps, self.step))
        assert 0 <= taken.amount.amount_cents < amount.amount_cents
        assert taken.amount.amount_cents * debt.BASIS_POINTS <= amount.amount_cents * cap_bps
        assert taken.amount.amount_cents % self.step == 0
        self.oldest_first(before, taken)
        key = f"transfer_{next(self.numbers)}"
        self.take(debt.reserve(before, taken, key, key))
        self.sent.append(Sent(key, taken))

    def oldest_first(self, before: Debts, taken: SetOff) -> None:
        """Only the last debt of a set-off may be left with something to set off."""
        touched = [share.debt_id for share in taken.shares]
        free = [one for one in before.owed if one.free_cents > 0]
        assert touched == [one.id for one in free[: len(touched)]]
        full = {share.debt_id: share.amount_cents for share in taken.shares[:-1]}
        assert full == {one.id: one.free_cents for one in free if one.id in full}

    @rule(pick=PICKS)
    def go_out(self, pick: int) -> None:
        if not self.sent:
            return
        sent = self.sent.pop(pick % len(self.sent))
        self.take(debt.settle(self.debts, sent.key, sent.key, sent.set_off.amount, PLATFORM))
        self.take(debt.use_credits(self.debts))
        self.books -= sent.set_off.amount.amount_cents

    @precondition(lambda self: len(self.debts.credits) < debt.CREDITS_MAX)
    @rule(size=SIZES)
    def adopt(self, size: int) -> None:
        """A restore lost the transfer's start, and perhaps the debts that it paid (M18)."""
        key, taken = f"adopted_{next(self.numbers)}", Money(size * self.step, self.currency)
        facts = debt.settle(self.debts, key, key, taken, PLATFORM, adopted=True)
        assert not [one for one in facts if isinstance(one, d.SetOffExceededDebt)]
        self.take(facts)
        self.books -= taken.amount_cents

    @rule(pick=PICKS)
    def fail(self, pick: int) -> None:
        if not self.sent:
            return
        sent = self.sent[pick % len(self.sent)]
        self.take(debt.release(self.debts, sent.key))
        self.take(debt.use_credits(self.debts))
        sent.believed_failed = True

    @rule(pick=PICKS)
    def undo(self, pick: int) -> None:
        """What was paid of it is transferred to the vendor again."""
        if not self.debts.owed:
            return
        one = self.debts.owed[pick % len(self.debts.owed)]
        if one.id in self.undone:
            return
        undoing = debt_relief.undo(self.debts, "ve_1", one.id)
        if one.reserved_cents:
            assert undoing is None
            return
        assert undoing is not None
        self.take(undoing.facts)
        self.undone.add(one.id)
        assert undoing.paid.amount_cents == one.set_off_cents + one.reduced_cents
        # What came back takes off the debt, less what is paid out again and was given up before.
        self.books -= one.outstanding_cents
        after = self.debts.debt(one.id)
        assert after is None or (after.outstanding_cents, after.forgiven_cents) == (0, 0)

    @rule(pick=PICKS, size=SIZES)
    def collect_at_stripe(self, pick: int, size: int) -> None:
        """Somebody takes back by hand, also what a transfer has reserved."""
        if not self.debts.owed:
            return
        one = self.debts.owed[pick % len(self.debts.owed)]
        cents = min(size * self.step, one.outstanding_cents)
        if one.id not in self.undone and cents:
            self.take((d.VendorDebtReduced(one.id, Money(cents, self.currency)),))
            self.books -= cents

    @rule(pick=PICKS, size=st.none() | SIZES)
    def forgive(self, pick: int, size: int | None) -> None:
        if not self.debts.owed:
            return
        one = self.debts.owed[pick % len(self.debts.owed)]
        wanted = None if size is None else size * self.step
        try:
            facts = debt_relief.forgive(self.debts, "ve_1", one.id, wanted, REASON, ADMIN)
        except (StatusForbids, InvalidInput):
            assert one.free_cents < (wanted or 1)
            return
        self.take(facts)
        self.books -= one.free_cents if wanted is None else wanted

    @invariant()
    def no_debt_is_paid_beyond_its_amount(self) -> None:
        if not hasattr(self, "vendor"):
            return
        for one in self.debts.owed:
            assert one.reserved_cents >= 0
            assert 0 <= one.outstanding_cents <= one.amount.amount_cents
            assert self.paid.get(one.id, 0) == one.set_off_cents <= one.amount.amount_cents
        held = {s.key for s in self.sent if s.set_off.shares and not s.believed_failed}
        assert {one.key for one in self.debts.reservations} == held

    @invariant()
    def what_is_owed_is_what_the_books_say(self) -> None:
        if not hasattr(self, "vendor"):
            return
        credited = sum(one.amount.amount_cents for one in self.debts.credits)
        assert self.debts.outstanding(self.currency).amount_cents - credited == self.books

    @invariant()
    def nothing_is_free_to_be_collected_while_a_credit_is_left(self) -> None:
        if not hasattr(self, "vendor"):
            return
        assert all(one.amount.amount_cents > 0 for one in self.debts.credits)
        assert not self.debts.credits or all(one.free_cents <= 0 for one in self.debts.owed)


DebtMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestDebtMachine = DebtMachine.TestCase


def owing(*cents: int, currency: str = "usd", account: str = "acct_platform") -> Debts:
    debts = debt.NONE
    for number, owed in enumerate(cents, 1):
        incurred = d.VendorDebtIncurred(
            "ve_1",
            f"re_{number}",
            d.DebtCause.REFUND,
            f"pay_{number}",
            "in_1",
            Money(owed, currency),
            account,
            False,
        )
        debts = debt.apply(debts, incurred, NOON)
    return debts


def test_m22_what_one_transfer_reserved_no_other_can_take() -> None:
    debts = owing(1_000)
    terms = SetOffTerms(10_000)
    first = debt.set_off(debts, Money(5_000, "usd"), PLATFORM, terms)
    (reserved,) = debt.reserve(debts, first, "transfer_1", "pay_1")
    after = debt.apply(debts, reserved, NOON)
    assert debt.set_off(after, Money(5_000, "usd"), PLATFORM, terms).shares == ()
    with pytest.raises(BrokenInvariant, match="More than all"):
        debt.apply(after, d.DebtReserved("transfer_2", "pay_2", first.amount, first.shares), NOON)


def test_a_cap_leaves_its_part_of_the_transfer_and_never_nothing() -> None:
    debts = owing(50_000)
    half = debt.set_off(debts, Money(1_001, "usd"), PLATFORM, SetOffTerms(5_000))
    assert half.amount == Money(500, "usd")
    whole = debt.set_off(debts, Money(1_001, "usd"), PLATFORM, SetOffTerms(10_000))
    assert whole.amount == Money(1_000, "usd")
    assert debt.set_off(debts, Money(1, "usd"), PLATFORM, SetOffTerms(10_000)).shares == ()
    dinars = debt.set_off(
        owing(50_000, currency="kwd"),
        Money(1_010, "kwd"),
        PLATFORM,
        SetOffTerms(5_000, step_cents=10),
    )
    assert dinars.amount == Money(500, "kwd")


@pytest.mark.parametrize(
    "debts",
    [owing(1_000, currency="cad"), owing(1_000, account="acct_other")],
    ids=["another currency", "another Stripe account"],
)
def test_a_debt_in_other_books_is_not_set_off(debts: Debts) -> None:
    assert debt.set_off(debts, Money(5_000, "usd"), PLATFORM, SetOffTerms(10_000)).shares == ()


def test_what_is_not_owed_cannot_be_forgiven() -> None:
    with pytest.raises(NotFound):
        debt_relief.forgive(debt.NONE, "ve_1", "re_1", None, REASON, ADMIN)
    (forgiven,) = debt_relief.forgive(owing(1_000), "ve_1", "re_1", None, REASON, ADMIN)
    after = debt.apply(owing(1_000), forgiven, NOON)
    with pytest.raises(StatusForbids):
        debt_relief.forgive(after, "ve_1", "re_1", None, REASON, ADMIN)


@given(st.integers(debt.SETTLED_KEPT_MAX + 1, debt.SETTLED_KEPT_MAX + 10))
@settings(max_examples=3, deadline=None)
def test_m28_debts_long_paid_leave_the_state(count: int) -> None:
    debts = owing(*[100] * count)
    for number in range(1, count + 1):
        debts = debt.apply(debts, d.VendorDebtReduced(f"re_{number}", Money(100, "usd")), NOON)
    assert [one.id for one in debts.owed] == [
        f"re_{n}" for n in range(count - debt.SETTLED_KEPT_MAX + 1, count + 1)
    ]


def test_a_forgiven_debt_stays_in_the_state_for_its_cause_may_be_undone() -> None:
    """Forgotten, it would be taken for paid, and given back to the vendor who never paid it."""
    debts = owing(*[100] * (debt.SETTLED_KEPT_MAX + 2))
    for forgiven in debt_relief.forgive(debts, "ve_1", "re_1", None, REASON, ADMIN):
        debts = debt.apply(debts, forgiven, NOON)
    for one in debts.owed[1:]:
        debts = debt.apply(debts, d.VendorDebtReduced(one.id, one.amount), NOON)
    undoing = debt_relief.undo(debts, "ve_1", "re_1")
    assert undoing is not None
    assert undoing.paid == Money(0, "usd")


def test_a_reserved_debt_stays_in_the_state_until_its_transfer_has_ended() -> None:
    """It was collected at Stripe, and many more were paid since."""
    debts = owing(*[100] * (debt.SETTLED_KEPT_MAX + 2))
    taken = debt.set_off(debts, Money(101, "usd"), PLATFORM, SetOffTerms(10_000))
    for reserved in debt.reserve(debts, taken, "transfer_1", "pay_1"):
        debts = debt.apply(debts, reserved, NOON)
    for one in debts.owed:
        debts = debt.apply(debts, d.VendorDebtReduced(one.id, one.amount), NOON)
    (exceeded,) = debt.settle(debts, "transfer_1", "pay_1", taken.amount, PLATFORM)
    assert exceeded == d.SetOffExceededDebt("transfer_1", "pay_1", taken.amount)
    assert debt.apply(debts, exceeded, NOON).reservations == ()
