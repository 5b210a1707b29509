"""What a payout carried, by the rule: every cent that reached the balance leaves it once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payout import Payout, PayoutStatus
from roadcall_payments.domain.remittance import Inflow, Part, first_in_first_out, summed
from tests.builders import NOON

CENTS = st.sampled_from([1, 2, 3, 999, 1_000, 12_500, 99_999_999])
STEPS = st.sampled_from(["job", "job", "job", "payout", "payout", "comes back", "fails at once"])
# Between two steps: often none at all, as with a clock of few digits.
PAUSES = st.sampled_from([0, 1, 60])
# Until when Stripe holds a job's money back, from when it came; None: not at all.
HOLDS = st.sampled_from([None, None, 0, 30, 3_600, 86_400])
ENDS = st.sampled_from([PayoutStatus.FAILED, PayoutStatus.CANCELLED])

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class History:
    """Payouts are in the order of their making; ``balance`` is what they all left."""

    inflows: tuple[Inflow, ...]
    payouts: tuple[Payout, ...]
    balance: int

    def carried(self, payout: Payout) -> Sequence[Part]:
        return first_in_first_out(payout, self.inflows, self.payouts)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Jobs reach a balance, payouts leave it, never more than is there; some come back."""
    at, balance = NOON, 0
    inflows: list[Inflow] = []
    payouts: list[Payout] = []
    for number, step in enumerate(draw(st.lists(STEPS, min_size=1, max_size=14))):
        at += timedelta(seconds=draw(PAUSES))
        out = [index for index, one in enumerate(payouts) if one.status is PayoutStatus.PAID]
        if step == "job":
            hold_s = draw(HOLDS)
            held = None if hold_s is None else at + timedelta(seconds=hold_s)
            inflows.append(Inflow(f"pay_{number}", draw(CENTS), at, held))
            balance += inflows[-1].cents
        elif step == "comes back" and out:
            # A moment later than all before: of two things at one instant none is the first.
            at += timedelta(seconds=1)
            index = draw(st.sampled_from(out))
            payouts[index] = replace(payouts[index], status=draw(ENDS), updated_at=at)
            balance += payouts[index].amount.amount_cents
        elif step in ("payout", "fails at once") and balance:
            at += timedelta(seconds=1)
            payouts.append(paid(f"po_{number}", draw(st.integers(1, balance)), at))
            if step == "payout":
                balance -= payouts[-1].amount.amount_cents
            else:
                payouts[-1] = replace(payouts[-1], status=PayoutStatus.FAILED)
                at += timedelta(seconds=1)
    return History(tuple(inflows), tuple(payouts), balance)


def paid(payout_id: str, cents: int, at: datetime) -> Payout:
    amount = Money(cents, "usd")
    return Payout(payout_id, "acct_1", amount, PayoutStatus.PAID, at, created_at=at)


@given(histories())
def test_a_payouts_parts_are_its_amount(history: History) -> None:
    for payout in history.payouts:
        sums = summed(history.carried(payout))
        assert sum(sums.values()) == payout.amount.amount_cents
        assert None not in sums, "no more was paid out than jobs had brought"
        assert all(cents > 0 for cents in sums.values())


@given(histories())
def test_every_job_leaves_once_and_what_came_back_is_carried_again(history: History) -> None:
    gone: Counter[str | None] = Counter()
    for payout in history.payouts:
        if payout.status is PayoutStatus.PAID:
            gone.update(summed(history.carried(payout)))
    came = Counter({inflow.payment_id: inflow.cents for inflow in history.inflows})
    assert all(gone[payment_id] <= came[payment_id] for payment_id in gone)
    assert came.total() - gone.total() == history.balance


@given(histories(), CENTS)
def test_all_that_is_left_is_carried_by_one_more_payout(history: History, later: int) -> None:
    """Each job that nothing carried yet, or only in part, in the order of their coming."""
    at = NOON + timedelta(days=1)
    rest = paid("po_rest", history.balance, at)
    after = Inflow("pay_later", later, at + timedelta(seconds=1))
    whole = History((*history.inflows, after), (*history.payouts, rest), 0)
    gone: Counter[str | None] = Counter()
    for payout in whole.payouts:
        if payout.status is PayoutStatus.PAID:
            gone.update(summed(whole.carried(payout)))
    assert gone == Counter({inflow.payment_id: inflow.cents for inflow in history.inflows})


@given(histories(), CENTS)
def test_what_happens_later_changes_no_earlier_advice(history: History, later: int) -> None:
    at = NOON + timedelta(days=1)
    told = [history.carried(payout) for payout in history.payouts]
    ended = tuple(
        replace(one, status=PayoutStatus.FAILED, updated_at=at)
        if one.status is PayoutStatus.PAID
        else one
        for one in history.payouts
    )
    more = paid("po_more", 1, at + timedelta(seconds=1))
    grown = History((*history.inflows, Inflow("pay_later", later, at)), (*ended, more), 0)
    assert [grown.carried(payout) for payout in history.payouts] == told


@given(st.lists(CENTS, min_size=2, max_size=8), st.data())
def test_the_first_to_come_is_the_first_to_leave(jobs: list[int], data: st.DataObject) -> None:
    inflows = tuple(
        Inflow(f"pay_{number}", cents, NOON + timedelta(seconds=number))
        for number, cents in enumerate(jobs)
    )
    cents = data.draw(st.integers(1, sum(jobs)))
    payout = paid("po_1", cents, NOON + timedelta(hours=1))
    *whole, last = first_in_first_out(payout, inflows, [payout])
    assert [(one.payment_id, one.cents) for one in whole] == [
        (one.payment_id, one.cents) for one in inflows[: len(whole)]
    ]
    assert last.payment_id == inflows[len(whole)].payment_id
    assert 0 < last.cents <= inflows[len(whole)].cents


@given(CENTS, CENTS, CENTS, st.data())
def test_what_was_taken_back_before_it_left_never_leaves(
    kept: int, back: int, later: int, data: st.DataObject
) -> None:
    came = Inflow("pay_1", kept + back, NOON)
    others = Inflow("pay_2", later, NOON + timedelta(seconds=1))
    left = Inflow("pay_1", -back, NOON + timedelta(seconds=2))
    first = data.draw(st.integers(1, kept + later))
    payouts = [paid("po_1", first, NOON + timedelta(hours=1))]
    if first < kept + later:
        payouts.append(paid("po_2", kept + later - first, NOON + timedelta(hours=2)))
    sums = [summed(first_in_first_out(one, (came, others, left), payouts)) for one in payouts]
    of_first = {"pay_1": min(first, kept), "pay_2": first - kept}
    assert sums[0] == {name: cents for name, cents in of_first.items() if cents > 0}
    assert sum((Counter(one) for one in sums), Counter()) == {"pay_1": kept, "pay_2": later}


@given(CENTS, CENTS)
def test_what_was_taken_back_after_it_left_lowers_the_next(kept: int, back: int) -> None:
    inflows = (
        Inflow("pay_1", kept + back, NOON),
        Inflow("pay_1", -back, NOON + timedelta(hours=2)),
        Inflow("pay_2", kept + back, NOON + timedelta(hours=3)),
    )
    first = paid("po_1", kept + back, NOON + timedelta(hours=1))
    second = paid("po_2", kept, NOON + timedelta(hours=4))
    told = first_in_first_out(second, inflows, [first, second])
    assert summed(told) == {"pay_1": -back, "pay_2": kept + back}


@given(CENTS, CENTS)
def test_what_was_taken_back_while_it_was_away_does_not_leave_again(kept: int, back: int) -> None:
    inflows = (
        Inflow("pay_1", kept + back, NOON),
        Inflow("pay_2", back, NOON),
        Inflow("pay_1", -back, NOON + timedelta(hours=2)),
    )
    came_back = replace(
        paid("po_1", kept + back, NOON + timedelta(hours=1)),
        status=PayoutStatus.FAILED,
        updated_at=NOON + timedelta(hours=3),
    )
    second = paid("po_2", kept + back, NOON + timedelta(hours=4))
    told = first_in_first_out(second, inflows, [came_back, second])
    assert summed(told) == {"pay_1": kept, "pay_2": back}


@given(st.lists(st.tuples(CENTS, st.booleans()), min_size=2, max_size=8), st.data())
def test_what_is_available_leaves_before_what_is_held_back(
    jobs: list[tuple[int, bool]], data: st.DataObject
) -> None:
    late = NOON + timedelta(days=2)
    inflows = tuple(
        Inflow(f"pay_{number}", cents, NOON + timedelta(seconds=number), late if held else None)
        for number, (cents, held) in enumerate(jobs)
    )
    available = sum(cents for cents, held in jobs if not held)
    payout = paid("po_1", data.draw(st.integers(1, sum(cents for cents, _ in jobs))), NOON + HOUR)
    sums = summed(first_in_first_out(payout, inflows, [payout]))
    held_back = {one.payment_id for one in inflows if one.available_on}
    of_held = sum(cents for payment_id, cents in sums.items() if payment_id in held_back)
    assert of_held == max(payout.amount.amount_cents - available, 0)
    assert None not in sums


@given(CENTS, CENTS)
def test_what_is_taken_back_of_a_job_that_is_held_back_lowers_that_job_alone(
    kept: int, back: int
) -> None:
    late = NOON + timedelta(days=2)
    inflows = (
        Inflow("pay_held", kept + back, NOON, late),
        Inflow("pay_other", kept, NOON),
        Inflow("pay_held", -back, NOON + timedelta(minutes=1), late),
    )
    first = paid("po_1", kept, NOON + HOUR)
    second = paid("po_2", kept, late + HOUR)
    payouts = [first, second]
    assert summed(first_in_first_out(first, inflows, payouts)) == {"pay_other": kept}
    assert summed(first_in_first_out(second, inflows, payouts)) == {"pay_held": kept}
