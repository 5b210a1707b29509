"""A payout whose answers, events and looks come in any order, at any time, or never."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from roadcall_payments.commit import decode_state, encode_state
from roadcall_payments.domain import paying_out, payouts_seen
from roadcall_payments.domain import payout as payouts
from roadcall_payments.domain import payout_events as p
from roadcall_payments.domain.errors import StatusForbids
from roadcall_payments.domain.fact_parts import Source
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payout import Payout, PayoutStatus
from roadcall_payments.domain.payouts_seen import Seen
from roadcall_payments.domain.people import Actor, Role
from roadcall_payments.domain.stripe_objects import Operation, StripeFailure
from roadcall_payments.domain.stripe_objects import Payout as StripePayout
from roadcall_payments.domain.stripe_objects import PayoutStatus as Theirs
from roadcall_payments.ledger.posting_rules import postings
from tests.builders import NOON
from tests.domain import observed

ADMIN = Actor("us_3", Role.ADMIN)
ACCOUNT = "acct_vendor"
AMOUNT = Money(12_500, "usd")
REFUSAL = StripeFailure("balance_insufficient", "No.")
ARRIVAL = NOON + timedelta(days=2)
PICKS = st.integers(0, 30)
SOURCES = st.sampled_from(list(Source))
# What the bank and its holder can do next at Stripe.
NEXT = {
    Theirs.PENDING: (Theirs.IN_TRANSIT, Theirs.PAID, Theirs.FAILED, Theirs.CANCELED),
    Theirs.IN_TRANSIT: (Theirs.PAID, Theirs.FAILED),
    Theirs.PAID: (Theirs.FAILED,),
    Theirs.FAILED: (),
    Theirs.CANCELED: (),
}
OURS = {
    Theirs.PENDING: PayoutStatus.PENDING,
    Theirs.IN_TRANSIT: PayoutStatus.IN_TRANSIT,
    Theirs.PAID: PayoutStatus.PAID,
    Theirs.FAILED: PayoutStatus.FAILED,
    Theirs.CANCELED: PayoutStatus.CANCELLED,
}


class PayoutMachine(RuleBasedStateMachine):
    """``history`` is every state that Stripe's payout had: any of them may be told again, late.

    A failure and a cancel are told as they are fetched, so only as Stripe has them now (M15).
    """

    @initialize(ours=st.booleans(), automatic=st.booleans())
    def begins(self, ours: bool, automatic: bool) -> None:
        self.now = NOON
        self.numbers = itertools.count(1)
        self.history: list[StripePayout] = []
        self.payout: Payout | None = None
        self.booked = 0
        self.ours, self.automatic = ours, automatic and not ours
        if ours:
            request = observed.request(Operation.CREATE_PAYOUT, paying_out.payout_key("own_1"))
            asked = p.PayoutRequested(
                "own_1", "ve_1", ACCOUNT, False, AMOUNT, request, str(ADMIN), None
            )
            self.take(paying_out.request_payout(None, asked))
        else:
            self.stripe_makes_it()

    def take(self, facts: payouts_seen.Facts) -> None:
        for fact in facts:
            lines = postings(fact)
            assert sum(line.amount_cents for line in lines) == 0
            self.booked += sum(one.amount_cents for one in lines if one.account == "bank")
            self.payout = payouts.apply(self.payout, fact, self.now)
        if self.payout is not None:
            stream = f"payout/{self.payout.id}"
            assert decode_state(stream, encode_state(self.payout)) == self.payout

    def seen(self, shown: StripePayout, source: Source) -> Seen:
        return Seen(shown, ACCOUNT, False, source, "ve_1", "evt_1")

    # --- what happens at Stripe ---

    def stripe_makes_it(self) -> None:
        metadata = {"purpose": paying_out.PURPOSE, "payoutId": "own_1"} if self.ours else {}
        made = StripePayout(
            "po_1",
            Theirs.PENDING,
            AMOUNT,
            ARRIVAL,
            None,
            None,
            self.now,
            self.automatic,
            metadata,
        )
        self.history.append(made)

    @rule(pick=PICKS)
    def the_bank_goes_on(self, pick: int) -> None:
        if not self.history:
            return
        last = self.history[-1]
        nexts = [one for one in NEXT[last.status] if one is not Theirs.CANCELED]
        if nexts:
            self.stripe_moves(nexts[pick % len(nexts)])

    def stripe_moves(self, status: Theirs) -> None:
        code = "no_account" if status is Theirs.FAILED else None
        last = self.history[-1]
        self.history.append(
            StripePayout(
                last.id,
                status,
                last.amount,
                last.arrival_date,
                code,
                code,
                last.created,
                last.automatic,
                last.metadata,
            )
        )

    # --- our call, and the answers ---

    @rule(fate=st.sampled_from(["done", "lost", "refused", "never"]))
    def the_request_is_sent(self, fate: str) -> None:
        """Under one key: a second one finds what the first made."""
        payout = self.payout
        if payout is None or not payout.answer_open or payout.request is None:
            return
        assert payout.request.idempotency_key == "payout_own_1"
        if fate in ("done", "lost") and not self.history:
            if self.now - NOON >= timedelta(hours=23):
                return
            self.stripe_makes_it()
        if fate == "refused" and not self.history:
            self.take(payouts_seen.payout_refused(payout, REFUSAL, "req_1"))
            assert self.payout is not None
            assert self.payout.status is PayoutStatus.FAILED
            assert not payouts_seen.payout_refused(self.payout, REFUSAL, "req_1")
        if fate == "done":
            self.tell(self.history[-1], Source.ANSWER)
        if fate in ("lost", "never"):
            self.take(payouts_seen.payout_unknown(payout, "timeout", None))
            assert self.payout is not None
            assert not payouts_seen.payout_unknown(self.payout, "timeout", None)

    @rule(hours=st.integers(1, 30))
    def the_worker_looks(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        if self.history:
            self.tell(self.history[-1], Source.LOOKUP)
        elif self.payout is not None:
            before = self.payout
            self.take(payouts_seen.payout_absent(before, self.now))
            if self.payout.status is PayoutStatus.FAILED and before.answer_open:
                assert self.now - NOON >= timedelta(hours=25)
                assert self.now - before.absences[0] >= timedelta(hours=1)

    @rule(days=st.integers(1, 15))
    def it_is_looked_at_after_it_was_paid(self, days: int) -> None:
        """Until the bank can give it back no more, and not once after that."""
        if self.payout is None or self.payout.returnable_until is None:
            return
        self.now += timedelta(days=days)
        self.tell(self.history[-1], Source.LOOKUP)
        over = self.now >= (self.payout.paid_at or NOON) + payouts.RETURN_PERIOD
        paid = self.payout.status is PayoutStatus.PAID
        again = payouts.look_again_at(self.payout, self.now)
        assert (again is not None) == paid
        assert again is None or again > self.now
        self.take(payouts_seen.return_period_over(self.payout, self.now))
        assert (self.payout.returnable_until is None) == (over or not paid)

    @rule()
    def a_late_request_arrives_after_all(self) -> None:
        """Given up as absent, and there all the same: Stripe's word counts (M16)."""
        if self.ours and not self.history:
            self.stripe_makes_it()
            self.tell(self.history[-1], Source.WEBHOOK)

    @rule(pick=PICKS, source=SOURCES)
    def stripe_tells(self, pick: int, source: Source) -> None:
        if not self.history:
            return
        told = self.history[pick % len(self.history)]
        self.tell(told if payouts_seen.may_come_early(told) else self.history[-1], source)

    def tell(self, told: StripePayout, source: Source) -> None:
        seen = self.seen(told, source)
        before = self.payout
        if before is not None and before.stripe_payout is None:
            assert payouts_seen.is_ours(before, seen)
        self.take(payouts_seen.payout_seen(before, seen, self.now))
        assert self.payout is not None
        assert not payouts_seen.payout_seen(self.payout, seen, self.now), "told twice"
        if told is self.history[-1]:
            assert self.payout.status is OURS[told.status]

    # --- a cancel ---

    @rule(fate=st.sampled_from(["done", "lost", "refused", "never"]))
    def it_is_cancelled(self, fate: str) -> None:
        payout = self.payout
        if payout is None:
            return
        key = paying_out.cancellation_key(payout)
        request = observed.request(Operation.CANCEL_PAYOUT, key)
        if payout.status is not PayoutStatus.PENDING or payout.cancelling or payout.automatic:
            with pytest.raises(StatusForbids):
                paying_out.request_cancel(payout, request, ADMIN)
            return
        self.take(paying_out.request_cancel(payout, request, ADMIN))
        number = next(self.numbers)
        assert key == "payout_cancel_" + payout.id + (f"_{number}" if number > 1 else "")
        possible = self.history[-1].status is Theirs.PENDING
        if fate in ("done", "lost") and possible:
            self.stripe_moves(Theirs.CANCELED)
        assert self.payout is not None
        if fate == "done" and possible:
            self.tell(self.history[-1], Source.ANSWER)
        elif fate in ("done", "refused"):
            self.tell(self.history[-1], Source.LOOKUP)
            self.take(payouts_seen.cancel_refused(self.payout, number, "payout_not_pending"))
            assert not self.payout.cancelling

    @rule(number=st.integers(1, 5))
    def a_cancels_refusal_comes_late(self, number: int) -> None:
        """It closes its own call alone, and only while that is the open one."""
        payout = self.payout
        if payout is None:
            return
        asked = payout.cancellation
        facts = payouts_seen.cancel_refused(payout, number, "late")
        assert bool(facts) == bool(asked and asked.open and asked.number == number)

    # --- what always holds ---

    @invariant()
    def the_books_hold_what_is_at_the_bank(self) -> None:
        paid = self.payout is not None and self.payout.status is PayoutStatus.PAID
        assert self.booked == (AMOUNT.amount_cents if paid else 0)

    @invariant()
    def nobody_waits_for_what_is_over(self) -> None:
        if self.payout is None:
            return
        due = payouts.due_at(self.payout, timedelta(seconds=30))
        returnable = self.payout.returnable_until is not None
        assert (due is not None) == (self.payout.on_the_way or returnable)
        assert not returnable or self.payout.status is PayoutStatus.PAID
        if not self.payout.on_the_way:
            assert not self.payout.cancelling

    @invariant()
    def a_failure_says_why(self) -> None:
        if self.payout is not None:
            failed = self.payout.status is PayoutStatus.FAILED
            assert (self.payout.failure_code is not None) == failed

    def teardown(self) -> None:
        """Whatever was lost on the way: one look at the end, and we have what Stripe has."""
        if getattr(self, "history", None):
            self.tell(self.history[-1], Source.LOOKUP)
            assert self.payout is not None
            assert self.payout.stripe_payout == "po_1"


PayoutMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)
TestPayouts = PayoutMachine.TestCase
