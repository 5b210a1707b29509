"""One driver payment, its settlement, and what people, banks and Stripe do meanwhile: rules."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from roadcall_payments.commit import Commit, StreamWrite
from roadcall_payments.domain import (
    disputes_seen,
    outcomes,
    refunding,
    refunds_seen,
    take_backs_seen,
)
from roadcall_payments.domain import events as e
from roadcall_payments.domain import settlement_events as s
from roadcall_payments.domain.errors import RoadcallError, SettlementUnderWay
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.payment_fold import apply
from roadcall_payments.domain.people import Actor, Role
from roadcall_payments.domain.platform_fee import FeePolicy
from roadcall_payments.domain.refund import RefundStatus
from roadcall_payments.domain.settlement import Settlement
from roadcall_payments.domain.stripe_objects import (
    BalanceTransaction,
    Dispute,
    DisputeStatus,
    Operation,
    Refund,
    Reversal,
    Transfer,
)
from roadcall_payments.domain.stripe_objects import RefundStatus as Theirs
from roadcall_payments.journal import Head, JournalEntry, seal
from roadcall_payments.workflows.refs import refs_added
from tests.builders import NOON, new_id, payment_created, scored
from tests.domain import observed

DISPATCHER = Actor("us_1", Role.DISPATCHER, "co_1")
ADMIN = Actor("us_3", Role.ADMIN)
VENDOR = "acct_vendor"
AMOUNT = 10_000
SHARES = st.sampled_from([10, 2_500, 5_000, 9_990, AMOUNT])
PICKS = st.integers(0, 5)


class SettlementWorld(RuleBasedStateMachine):
    """``transfers``, ``reversals``, ``refunds`` and ``disputes`` are what Stripe has."""

    @initialize(
        currency=st.sampled_from(["usd", "jpy", "kwd"]),
        bps=st.sampled_from([0, 250, 1_000, 10_000]),
        fixed=st.sampled_from([0, 30, 333]),
        returned=st.booleans(),
        bearer=st.sampled_from([e.Bearer.VENDOR, e.Bearer.PLATFORM]),
    )
    def pay(self, currency: str, bps: int, fixed: int, returned: bool, bearer: e.Bearer) -> None:
        self.now, self.currency, self.bearer = NOON, currency, bearer
        multiple = 10 if currency == "kwd" else 1
        amount = Money(AMOUNT, currency)
        self.terms = s.FeeTerms(FeePolicy(bps, fixed).fee_of(amount, multiple), returned, multiple)
        self.entries: list[JournalEntry] = []
        self.payment: Payment | None = None
        self.transfers: dict[str, Transfer] = {}
        self.reversals: dict[str, Reversal] = {}
        self.refunds: dict[str, Refund] = {}
        self.disputes: dict[str, Dispute] = {}
        self.numbers = itertools.count(1)
        opened = observed.request(Operation.CREATE_PAYMENT_INTENT, "payment_pay_1")
        self.take(
            payment_created("pay_1", amount=amount),
            scored(),
            e.PaymentApproved((e.Approval("us_3", "admin"),), None),
            e.ProcessingStarted(1, opened, None, "us_1", settles=True),
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

    @property
    def settlement(self) -> Settlement:
        assert self.p.settlement is not None
        return self.p.settlement

    def money(self, cents: int) -> Money:
        return Money(cents, self.currency)

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

    # --- what people do ---

    @rule(cents=SHARES)
    def request_a_refund(self, cents: int) -> None:
        refund_id = f"rf_{next(self.numbers)}"
        reason = e.RefundReason.DUPLICATE
        asked = self.money(cents)
        self.attempt(
            lambda: refunding.request_refund(self.p, refund_id, asked, reason, None, DISPATCHER)
        )

    @rule(pick=PICKS, status=st.sampled_from([Theirs.SUCCEEDED, Theirs.PENDING, Theirs.FAILED]))
    def approve_a_refund(self, pick: int, status: Theirs) -> None:
        waiting = [one for one in self.p.refunds if one.status is RefundStatus.REQUESTED]
        if not waiting:
            return
        refund = waiting[pick % len(waiting)]
        sent = observed.request(Operation.CREATE_REFUND, refunding.refund_key(refund.id))
        if self.settlement.open_transfer is not None:
            with pytest.raises((SettlementUnderWay, RoadcallError)):
                refunding.approve_refund(self.p, refund.id, sent, ADMIN)
            return
        before = self.p
        self.attempt(lambda: refunding.approve_refund(self.p, refund.id, sent, ADMIN))
        if self.p != before:
            self.given_back(refund.amount, status, {"refundId": refund.id})

    @rule(pick=PICKS)
    def reject_a_refund(self, pick: int) -> None:
        waiting = [one for one in self.p.refunds if one.status is RefundStatus.REQUESTED]
        if waiting:
            refund = waiting[pick % len(waiting)]
            self.attempt(lambda: refunding.reject_refund(self.p, refund.id, ADMIN, None))

    @rule(cents=SHARES)
    def somebody_refunds_in_the_dashboard(self, cents: int) -> None:
        if self.left_at_stripe() >= cents:
            self.given_back(self.money(cents), Theirs.SUCCEEDED, {})

    @rule(pick=PICKS, cents=SHARES)
    def somebody_reverses_in_the_dashboard(self, pick: int, cents: int) -> None:
        if not self.transfers:
            return
        made = list(self.transfers.values())[pick % len(self.transfers)]
        if made.amount.amount_cents - self.reversed_at_stripe(made.id) >= cents:
            self.reversed_(made.id, cents, {})

    def attempt(self, command: Callable[[], Sequence[e.PaymentFact]]) -> None:
        try:
            facts = command()
        except RoadcallError:
            return
        self.take(*facts)

    def given_back(self, amount: Money, status: Theirs, metadata: dict[str, str]) -> None:
        number = next(self.numbers)
        self.refunds[f"re_{number}"] = Refund(
            f"re_{number}",
            status,
            amount,
            self.now,
            metadata,
            "pi_1",
            "ch_1",
            drawn=status is Theirs.SUCCEEDED,
        )
        self.refunds_are_listed()

    def left_at_stripe(self) -> int:
        gone = [r.amount for r in self.refunds.values() if r.status is not Theirs.FAILED]
        gone += [d.amount for d in self.disputes.values() if d.status is not DisputeStatus.WON]
        asked = [r.amount for r in self.p.refunds if r.status is RefundStatus.REQUESTED]
        return AMOUNT - sum(one.amount_cents for one in [*gone, *asked])

    # --- what Stripe and the banks do ---

    @rule(pick=PICKS, status=st.sampled_from([Theirs.SUCCEEDED, Theirs.FAILED]))
    def a_refund_moves_on(self, pick: int, status: Theirs) -> None:
        going = [r for r in self.refunds.values() if r.status is not Theirs.FAILED]
        if going:
            one = going[pick % len(going)]
            drawn = one.drawn or status is Theirs.SUCCEEDED
            self.refunds[one.id] = replace(one, status=status, drawn=drawn)
            self.refunds_are_listed()

    @rule()
    def the_bank_disputes(self) -> None:
        if self.disputes or self.left_at_stripe() <= 0:
            return
        amount = self.money(self.left_at_stripe())
        needed, due = DisputeStatus.NEEDS_RESPONSE, self.now + timedelta(days=9)
        opened = Dispute("du_1", "ch_1", "pi_1", amount, "fraudulent", needed, due, ())
        self.disputes["du_1"] = self.with_line(opened, -1)
        self.the_dispute_is_fetched()

    @rule(status=st.sampled_from([DisputeStatus.WON, DisputeStatus.LOST]))
    def the_bank_decides(self, status: DisputeStatus) -> None:
        dispute = self.disputes.get("du_1")
        if dispute is None or dispute.status is status:
            return
        after = replace(dispute, status=status, evidence_due=None)
        self.disputes["du_1"] = self.with_line(after, 1 if status is DisputeStatus.WON else 0)
        self.the_dispute_is_fetched()

    def with_line(self, dispute: Dispute, sign: int) -> Dispute:
        """The bank has it until it gives it back; and takes it once more where it decides anew."""
        held = sum(line.amount.amount_cents for line in dispute.lines) < 0
        if (sign > 0 and not held) or (sign < 0 and held) or (sign == 0 and held):
            return dispute
        moved = self.money((sign or -1) * dispute.amount.amount_cents)
        zero, line_id = self.money(0), f"txn_d{next(self.numbers)}"
        line = BalanceTransaction(
            line_id, "adjustment", dispute.id, moved, zero, moved, self.now, self.now
        )
        return replace(dispute, lines=(*dispute.lines, line))

    # --- what we hear ---

    @rule()
    def reversals_are_listed(self) -> None:
        for transfer_id in list(self.transfers):
            listed = [one for one in self.reversals.values() if one.transfer == transfer_id]
            told = e.Source.LOOKUP
            while facts := take_backs_seen.reversals_seen(self.p, transfer_id, listed, told):
                self.take(*facts)

    def refunds_are_listed(self) -> None:
        listed = list(self.refunds.values())
        while facts := refunds_seen.refunds_seen(self.p, listed, e.Source.LOOKUP, self.now):
            self.take(*facts)

    def the_dispute_is_fetched(self) -> None:
        for seen in self.disputes.values():
            self.take(*disputes_seen.dispute_seen(self.p, seen, self.bearer, self.now))

    @rule()
    def the_worker_books(self) -> None:
        for unbooked in self.p.unbooked:
            moved, zero = unbooked.moved, self.money(0)
            line_id = f"txn_{unbooked.object_id}_{moved.amount_cents > 0}"
            line = BalanceTransaction(
                line_id, "line", unbooked.object_id, moved, zero, moved, self.now, self.now
            )
            if unbooked in self.p.unbooked:
                self.take(*outcomes.book(self.p, unbooked, line))

    def reversed_(self, transfer_id: str, cents: int, metadata: dict[str, str]) -> None:
        number = next(self.numbers)
        made = Reversal(f"trr_{number}", transfer_id, self.money(cents), self.now, None, metadata)
        self.reversals[made.id] = made

    def reversed_at_stripe(self, transfer_id: str) -> int:
        some = [one for one in self.reversals.values() if one.transfer == transfer_id]
        return sum(one.amount.amount_cents for one in some)
