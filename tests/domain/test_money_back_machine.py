"""Any sequence of requests, of Stripe's refunds and of disputes of one payment keeps the books."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from roadcall_payments.commit import Commit, StreamWrite, decode_state, encode_state
from roadcall_payments.domain import disputes_seen, outcomes, refunding, refunds_seen
from roadcall_payments.domain import events as e
from roadcall_payments.domain.errors import RoadcallError, StatusForbids
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Patience, Payment, due_at, refund_due_at
from roadcall_payments.domain.payment_fold import apply
from roadcall_payments.domain.people import Actor, Role
from roadcall_payments.domain.refund import RefundStatus
from roadcall_payments.domain.stripe_objects import (
    BalanceTransaction,
    Dispute,
    DisputeStatus,
    Operation,
    Refund,
    StripeFailure,
)
from roadcall_payments.domain.stripe_objects import RefundStatus as Theirs
from roadcall_payments.journal import Head, JournalEntry, seal
from roadcall_payments.ledger.posting_rules import unbalanced
from roadcall_payments.workflows.refs import refs_added
from tests.builders import NOON, new_id, payment_created, scored
from tests.domain import observed
from tests.examples import examples

DISPATCHER = Actor("us_1", Role.DISPATCHER, "co_1")
ADMIN = Actor("us_3", Role.ADMIN)
CURRENCIES = st.sampled_from(["usd", "jpy", "kwd"])
AMOUNT = 10_000
SHARES = st.sampled_from([10, 2_500, 5_000, 9_990, AMOUNT])
PICKS = st.integers(0, 5)


class MoneyBackMachine(RuleBasedStateMachine):
    """``theirs`` and ``disputes`` are what Stripe has; ``lines`` what its books have for it."""

    @initialize(currency=CURRENCIES, bearer=st.sampled_from([e.Bearer.VENDOR, e.Bearer.PLATFORM]))
    def pay(self, currency: str, bearer: e.Bearer) -> None:
        self.now = NOON
        self.currency = currency
        self.bearer = bearer
        self.entries: list[JournalEntry] = []
        self.payment: Payment | None = None
        self.theirs: dict[str, Refund] = {}
        self.disputes: dict[str, Dispute] = {}
        self.numbers = itertools.count(1)
        amount = Money(AMOUNT, currency)
        self.take(
            payment_created("pay_1", amount=amount),
            scored(),
            e.PaymentApproved((e.Approval("us_3", "admin"),), None),
            e.ProcessingStarted(
                1, observed.request(Operation.CREATE_PAYMENT_INTENT, "payment_pay_1"), None, "us_1"
            ),
            e.PaymentCompleted(
                1,
                e.PayerType.DRIVER_IC,
                "pi_1",
                amount,
                observed.PLATFORM,
                False,
                "co_1",
                "ve_1",
                e.Source.ANSWER,
                charge_id="ch_1",
            ),
        )

    @property
    def p(self) -> Payment:
        assert self.payment is not None
        return self.payment

    def take(self, *facts: e.PaymentFact) -> None:
        """One commit: it must be one that the store would take (M28)."""
        self.now += timedelta(seconds=1)
        if not facts:
            return
        head = Head(self.entries[-1].seq, self.entries[-1].hash) if self.entries else Head()
        for fact in facts:
            self.payment = apply(self.payment, fact, self.now)
        ids = [new_id() for _ in facts]
        entries = seal("payment/pay_1", head, facts, at=self.now, actor="t", event_ids=ids)
        write = StreamWrite("payment/pay_1", head.seq, entries, self.p, None)
        Commit(streams=(write,), refs_added=refs_added("payment/pay_1", facts, self.p))
        self.entries += entries

    def attempt(self, command: Callable[[], Sequence[e.PaymentFact]]) -> None:
        try:
            facts = command()
        except RoadcallError:
            return
        self.take(*facts)

    def picked(self, pick: int, *statuses: RefundStatus) -> str | None:
        """The id of one of our refunds in these statuses."""
        found: list[str] = [one.id for one in self.p.refunds if one.status in statuses]
        return found[pick % len(found)] if found else None

    # --- what people do ---

    @rule(cents=SHARES)
    def request(self, cents: int) -> None:
        refund_id = f"rf_{next(self.numbers)}"
        amount = Money(cents, self.currency)
        reason = e.RefundReason.DUPLICATE
        before = self.p.refundable.amount_cents
        self.attempt(
            lambda: refunding.request_refund(self.p, refund_id, amount, reason, None, DISPATCHER)
        )
        taken = self.p.refund(refund_id) is not None
        assert not taken or before - cents == self.p.refundable.amount_cents >= 0

    @rule(pick=PICKS)
    def approve(self, pick: int) -> None:
        refund_id = self.picked(pick, RefundStatus.REQUESTED)
        if refund_id is not None:
            key = refunding.refund_key(refund_id)
            sent = observed.request(Operation.CREATE_REFUND, key)
            self.attempt(lambda: refunding.approve_refund(self.p, refund_id, sent, ADMIN))

    @rule(pick=PICKS)
    def reject(self, pick: int) -> None:
        refund_id = self.picked(pick, RefundStatus.REQUESTED)
        if refund_id is not None:
            self.attempt(lambda: refunding.reject_refund(self.p, refund_id, ADMIN, None))

    # --- what Stripe does; whether we hear of it is another rule ---

    def left_at_stripe(self) -> int:
        gone = [one.amount for one in self.theirs.values() if one.status not in _NOT_GIVEN]
        gone += [one.amount for one in self.disputes.values() if one.status in _TAKEN]
        return AMOUNT - sum(one.amount_cents for one in gone)

    @rule(pick=PICKS, status=st.sampled_from([Theirs.SUCCEEDED, Theirs.PENDING]))
    def stripe_acts_on_our_request(self, pick: int, status: Theirs) -> None:
        refund_id = self.picked(pick, RefundStatus.SUBMITTED)
        refund = self.p.refund(refund_id) if refund_id else None
        if (
            refund is None
            or refund.request is None
            or self.left_at_stripe() < refund.amount.amount_cents
        ):
            return
        if all(one.metadata.get("refundId") != refund.id for one in self.theirs.values()):
            self.made(refund.amount, status, {"refundId": refund.id})

    @rule(
        cents=SHARES,
        status=st.sampled_from([Theirs.SUCCEEDED, Theirs.PENDING]),
        claims=st.sampled_from([None, "rf_1", "rf_2"]),
    )
    def somebody_refunds_in_the_dashboard(
        self, cents: int, status: Theirs, claims: str | None
    ) -> None:
        claimed = self.p.refund(claims) if claims else None
        if self.left_at_stripe() >= cents and (claimed is None or claimed.request is None):
            metadata = {"refundId": claims} if claims else {}
            self.made(Money(cents, self.currency), status, metadata)

    def made(self, amount: Money, status: Theirs, metadata: dict[str, str]) -> None:
        number = next(self.numbers)
        self.theirs[f"re_{number}"] = Refund(
            f"re_{number}",
            status,
            amount,
            self.now,
            metadata,
            "pi_1",
            "ch_1",
            drawn=number % 2 == 0 or status is Theirs.SUCCEEDED,
        )

    @rule(pick=PICKS, status=st.sampled_from([Theirs.SUCCEEDED, Theirs.FAILED]))
    def a_refund_moves_on_at_stripe(self, pick: int, status: Theirs) -> None:
        going = [one for one in self.theirs.values() if one.status not in _NOT_GIVEN]
        if going:
            one = going[pick % len(going)]
            drawn = one.drawn or status is Theirs.SUCCEEDED
            self.theirs[one.id] = replace(one, status=status, drawn=drawn)

    @rule(
        inquiry=st.booleans(),
        heard=st.booleans(),
        fate=st.sampled_from([None, DisputeStatus.WON, DisputeStatus.LOST]),
    )
    def the_bank_disputes(self, inquiry: bool, heard: bool, fate: DisputeStatus | None) -> None:
        if self.disputes or self.left_at_stripe() == 0:
            return
        status = _INQUIRY if inquiry else DisputeStatus.NEEDS_RESPONSE
        amount = Money(self.left_at_stripe(), self.currency)
        due = self.now + timedelta(days=9)
        opened = Dispute("du_1", "ch_1", "pi_1", amount, "fraudulent", status, due, ())
        self.disputes["du_1"] = opened if inquiry else self.with_line(opened, -1)
        if heard:
            self.the_dispute_is_fetched()
        if fate is not None:
            self.decided(fate, heard)

    @rule(
        status=st.sampled_from([DisputeStatus.UNDER_REVIEW, DisputeStatus.WON, DisputeStatus.LOST]),
        heard=st.booleans(),
    )
    def the_dispute_moves_on(self, status: DisputeStatus, heard: bool) -> None:
        self.decided(status, heard)

    def decided(self, status: DisputeStatus, heard: bool) -> None:
        dispute = self.disputes.get("du_1")
        if dispute is None or dispute.status is status or not dispute.lines:
            return
        after = replace(dispute, status=status, evidence_due=None)
        held = sum(line.amount.amount_cents for line in dispute.lines) < 0
        if status is DisputeStatus.WON and held:
            after = self.with_line(after, 1)
        elif status is not DisputeStatus.WON and not held:
            return
        self.disputes["du_1"] = after
        if heard:
            self.the_dispute_is_fetched()

    def with_line(self, dispute: Dispute, sign: int) -> Dispute:
        moved = Money(sign * dispute.amount.amount_cents, self.currency)
        line = self.line(f"txn_d{next(self.numbers)}", dispute.id, moved, 1_500 if sign < 0 else 0)
        return replace(dispute, lines=(*dispute.lines, line))

    def line(self, line_id: str, source: str, moved: Money, fee_cents: int) -> BalanceTransaction:
        fee = Money(fee_cents, self.currency)
        return BalanceTransaction(
            line_id, "line", source, moved, fee, moved - fee, self.now, self.now
        )

    # --- what we hear ---

    @rule(pick=PICKS)
    def an_event_tells_of_one_refund(self, pick: int) -> None:
        """Frozen or fresh: success applies from an event, whenever it comes (M15)."""
        done = [one for one in self.theirs.values() if one.drawn and one.status not in _PENDING]
        if done:
            told = replace(done[pick % len(done)], status=Theirs.SUCCEEDED)
            self.take(*refunds_seen.refunds_seen(self.p, [told], e.Source.WEBHOOK, self.now))

    @rule()
    def the_refunds_are_listed(self) -> None:
        listed = list(self.theirs.values())
        while facts := refunds_seen.refunds_seen(self.p, listed, e.Source.LOOKUP, self.now):
            self.take(*facts)
        for one in self.p.refunds:
            if one.stripe_refund in self.theirs:
                assert _agrees(one.status, self.theirs[one.stripe_refund].status)
        assert self.p.amount_refunded_cents <= AMOUNT

    @rule(pick=PICKS)
    def stripe_refuses(self, pick: int) -> None:
        refund_id = self.picked(pick, RefundStatus.SUBMITTED)
        carried = {one.metadata.get("refundId") for one in self.theirs.values()}
        if refund_id is not None and refund_id not in carried:
            refusal = StripeFailure("refused", "No.")
            self.take(*refunds_seen.refund_refused(self.p, refund_id, refusal, None))

    @rule(pick=PICKS)
    def nobody_knows(self, pick: int) -> None:
        refund_id = self.picked(pick, RefundStatus.SUBMITTED)
        if refund_id is not None:
            self.take(*refunds_seen.refund_unknown(self.p, refund_id, "timeout", None))

    @rule(pick=PICKS, hours=st.integers(1, 30))
    def stripe_has_no_trace(self, pick: int, hours: int) -> None:
        refund_id = self.picked(pick, RefundStatus.SUBMITTED)
        carried = {one.metadata.get("refundId") for one in self.theirs.values()}
        if refund_id is not None and refund_id not in carried:
            self.now += timedelta(hours=hours)
            self.take(*refunds_seen.refund_absent(self.p, refund_id, self.now))

    @rule()
    def the_events_of_the_dispute_arrive(self) -> None:
        self.the_dispute_is_fetched()

    def the_dispute_is_fetched(self) -> None:
        for seen in self.disputes.values():
            self.take(*disputes_seen.dispute_seen(self.p, seen, self.bearer, self.now))
            assert not disputes_seen.dispute_seen(self.p, seen, self.bearer, self.now)

    @rule()
    def somebody_is_reminded(self) -> None:
        for dispute in self.p.disputes:
            self.take(*disputes_seen.evidence_reminder(self.p, dispute.id))
            assert not disputes_seen.evidence_reminder(self.p, dispute.id)

    @rule(both=st.booleans())
    def the_worker_books(self, both: bool) -> None:
        """Stripe lists every line of an object; each books what it moved, and nothing else."""
        for unbooked in self.p.unbooked[: None if both else 1]:
            for sign in (1, -1):
                moved = Money(sign * abs(unbooked.moved.amount_cents), self.currency)
                line = self.line(f"txn_{unbooked.object_id}_{sign}", unbooked.object_id, moved, 0)
                if unbooked in self.p.unbooked:
                    self.take(*outcomes.book(self.p, unbooked, line))

    # --- what always holds ---

    @invariant()
    def the_fold_of_the_journal_is_the_state(self) -> None:
        folded: Payment | None = None
        for entry in self.entries:
            fact = entry.fact
            folded = apply(folded, fact, entry.at)  # type: ignore[arg-type] # a payment's stream
        assert folded == self.payment
        assert decode_state("payment/pay_1", encode_state(self.p)) == self.p

    @invariant()
    def the_books_say_what_was_given_back_withheld_and_lost(self) -> None:
        sums: defaultdict[str, int] = defaultdict(int)
        for line in itertools.chain.from_iterable(entry.postings for entry in self.entries):
            sums[line.account] += line.amount_cents
        assert unbalanced([line for entry in self.entries for line in entry.postings]) == {}
        lost = sum(one.lost_cents for one in self.p.disputes)
        by_vendor = lost if self.bearer is e.Bearer.VENDOR else 0
        owed = AMOUNT - self.p.amount_refunded_cents - by_vendor
        assert -sums["vendor_payable:ve_1"] == owed
        assert sums["dispute_losses"] == lost - by_vendor
        withheld = sum(one.withheld_cents for one in self.p.disputes)
        assert sums["disputes_withheld"] == withheld - lost
        waiting = sum(one.moved.amount_cents for one in self.p.unbooked)
        assert sums["stripe_clearing"] == waiting

    @invariant()
    def refunded_is_the_sum_of_those_that_succeeded(self) -> None:
        done = [one for one in self.p.refunds if one.status is RefundStatus.SUCCEEDED]
        total = sum(one.amount.amount_cents for one in done)
        # More than the payment, for as long as we did not hear that an earlier one had failed.
        assert self.p.amount_refunded_cents == total

    @invariant()
    def a_refund_is_sent_once_and_booked_by_stripes_id_once(self) -> None:
        facts = [entry.fact for entry in self.entries]
        sent = Counter(f.refund_id for f in facts if isinstance(f, e.RefundSubmitted))
        booked = Counter(f.stripe_refund for f in facts if isinstance(f, e.RefundSucceeded))
        assert not [name for name, times in (sent + booked).items() if times > 1]

    @invariant()
    def nothing_of_ours_is_sent_beside_a_dispute_that_we_know_of(self) -> None:
        if any(one.forbids_refunds for one in self.p.disputes):
            with pytest.raises(StatusForbids) as refused:
                refunding.must_be_refundable(self.p)
            assert refused.value.code == "disputed"

    @invariant()
    def what_waits_for_stripe_is_on_the_workers_list(self) -> None:
        patience = Patience()
        waits = [one for one in self.p.refunds if one.status is RefundStatus.SUBMITTED]
        assert all(refund_due_at(one, patience) is not None for one in waits)
        assert not (waits or self.p.unbooked) or due_at(self.p, patience) is not None


_NOT_GIVEN = (Theirs.FAILED, Theirs.CANCELED)
_PENDING = (Theirs.PENDING, Theirs.REQUIRES_ACTION)
_INQUIRY = DisputeStatus.WARNING_NEEDS_RESPONSE
_TAKEN = (DisputeStatus.NEEDS_RESPONSE, DisputeStatus.UNDER_REVIEW, DisputeStatus.LOST)


def _agrees(ours: RefundStatus, theirs: Theirs) -> bool:
    expected = {
        Theirs.SUCCEEDED: (RefundStatus.SUCCEEDED,),
        # An event may have told of the success that the list was yet to show.
        Theirs.PENDING: (RefundStatus.SUBMITTED, RefundStatus.SUCCEEDED),
        Theirs.FAILED: (RefundStatus.FAILED,),
    }
    return ours in expected[theirs]


TestMoneyBackMachine = MoneyBackMachine.TestCase
TestMoneyBackMachine.settings = settings(max_examples=examples(60), stateful_step_count=40)
