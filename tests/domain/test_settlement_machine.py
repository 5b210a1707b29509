"""Any sequence of shares, refunds, disputes, reversals and lost answers keeps the vendor's part."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from roadcall_payments.commit import decode_state, encode_state
from roadcall_payments.domain import events as e
from roadcall_payments.domain import settlement_events as s
from roadcall_payments.domain import (
    settling,
    shares_seen,
    take_backs_seen,
)
from roadcall_payments.domain.payment import Patience, Payment
from roadcall_payments.domain.payment_fold import apply
from roadcall_payments.domain.stripe_objects import (
    Operation,
    StripeFailure,
    StripeRequest,
    Transfer,
)
from roadcall_payments.domain.vendor_share import (
    TakeBackDue,
    overpaid_cents,
    share_due,
    take_back_due,
)
from roadcall_payments.ledger.posting_rules import unbalanced
from tests.domain import observed
from tests.domain.settlement_world import AMOUNT, VENDOR, SettlementWorld
from tests.examples import examples

REFUSAL = StripeFailure("balance_insufficient", "No.")
# What becomes of a call: done and told, done with its answer lost, refused, never arrived.
FATES = st.sampled_from(["done", "lost", "refused", "never"])


class SettlementMachine(SettlementWorld):
    """The worker, and what always holds."""

    # --- what we do ---

    @rule(fate=FATES, set_off=st.sampled_from([0, 0, 10, 5_000, AMOUNT]))
    def the_worker_sends_a_share(self, fate: str, set_off: int) -> None:
        due = share_due(self.p, self.settlement.terms or self.terms)
        if due is None:
            return
        against_debt = self.money(min(set_off, due.cents))
        key = settling.transfer_key(self.p, due.restores)
        request = observed.request(Operation.CREATE_TRANSFER, key)
        terms = self.settlement.terms or self.terms
        self.take(
            *settling.start_share(self.p, due, against_debt, terms, VENDOR, lambda *_: request)
        )
        if self.settlement.open_transfer is not None:
            assert share_due(self.p, terms) is None
            self.transfer_ends(fate)

    def transfer_ends(self, fate: str) -> None:
        own = self.settlement.open_transfer
        assert own is not None
        if fate in ("done", "lost"):
            number = next(self.numbers)
            made = Transfer(
                f"tr_{number}",
                self.money(own.amount_cents),
                VENDOR,
                False,
                self.now,
                {
                    "purpose": settling.PURPOSE_SHARE,
                    "paymentId": "pay_1",
                    "attempt": str(own.number),
                },
                "pay_1",
                self.money(0),
            )
            self.transfers[made.id] = made
            if fate == "done":
                self.take(*shares_seen.transfer_seen(self.p, made, e.Source.ANSWER))
                assert not shares_seen.transfer_seen(self.p, made, e.Source.WEBHOOK)
        if fate == "refused":
            answered = e.Source.ANSWER
            self.take(*shares_seen.transfer_refused(self.p, own.number, REFUSAL, answered, None))
        if fate in ("lost", "never"):
            self.take(*shares_seen.transfer_unknown(self.p, own.number, "timeout", None))
            assert not shares_seen.transfer_unknown(self.p, own.number, "timeout", None)

    @rule(fate=FATES, credited=st.sampled_from([0, 0, 7, 990, 50_000]))
    def the_worker_takes_back(self, fate: str, credited: int) -> None:
        """``credited``: what the vendor's transfers had set off already, before a restore."""
        if take_back_due(self.p) is None:
            return
        self.take(*settling.start_take_back(self.p, self.reversal_request, self.money(credited)))
        assert take_back_due(self.p) is None or self.settlement.at_rest
        own = self.settlement.open_take_back
        if own is None:
            return
        left = self.transfers[own.transfer or ""].amount.amount_cents - self.reversed_at_stripe(
            own.transfer or ""
        )
        if fate in ("done", "lost") and left >= own.amount_cents:
            metadata = {
                "purpose": settling.PURPOSE_REVERSAL,
                "paymentId": "pay_1",
                "cause": own.cause_id,
                "attempt": str(own.number),
            }
            self.reversed_(own.transfer or "", own.amount_cents, metadata)
        if fate == "done" or left < own.amount_cents:
            self.reversals_are_listed()
        if fate == "refused" or (fate == "done" and left < own.amount_cents):
            self.take(
                *take_backs_seen.reversal_refused(
                    self.p, own.cause_id, own.number, REFUSAL, e.Source.ANSWER, None
                )
            )
        if fate in ("lost", "never"):
            unknown = take_backs_seen.reversal_unknown
            self.take(*unknown(self.p, own.cause_id, own.number, "timeout", None))

    def reversal_request(self, due: TakeBackDue) -> StripeRequest:
        return observed.request(Operation.CREATE_REVERSAL, settling.take_back_key(due))

    @rule(hours=st.integers(1, 30))
    def the_worker_looks(self, hours: int) -> None:
        """Recovery: what is there is adopted, what is not may be given up (M6, M8)."""
        self.now += timedelta(hours=hours)
        for made in self.transfers.values():
            self.take(*shares_seen.transfer_seen(self.p, made, e.Source.LOOKUP))
        open_transfer = self.settlement.open_transfer
        if open_transfer is not None:
            self.take(*shares_seen.transfer_absent(self.p, open_transfer.number, self.now))
        self.reversals_are_listed()
        own = self.settlement.open_take_back
        if own is not None:
            self.take(*take_backs_seen.reversal_absent(self.p, own.cause_id, own.number, self.now))

    @rule()
    def everything_comes_to_rest(self) -> None:
        """Every answer arrives, every step is made: then the vendor has its share, no more."""
        for _ in range(60):
            self.the_worker_looks(26)
            before = self.p
            self.the_worker_sends_a_share("done", 0)
            self.the_worker_takes_back("done", 0)
            if self.p == before and self.settlement.at_rest:
                break
        assert self.settlement.at_rest
        assert settling.due_at(self.p, Patience()) is None or self.is_held_back()
        excess = overpaid_cents(self.p, self.settlement)
        if excess > 0:
            # Only a transfer that turned up after it was given up leaves the vendor too much.
            assert (
                take_backs_seen.unexplained(self.p) or take_backs_seen.OVERPAID in self.p.anomalies
            )
        if not self.is_held_back() and not self.settlement.taken_by_others_cents:
            assert excess >= 0

    def is_held_back(self) -> bool:
        reserved = any(one.reserves for one in self.p.refunds)
        return reserved or any(one.evidence_due for one in self.p.disputes)

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
    def the_books_say_who_has_what(self) -> None:
        sums: defaultdict[tuple[str, str], int] = defaultdict(int)
        lines = [line for entry in self.entries for line in entry.postings]
        for line in lines:
            sums[line.book, line.account] += line.amount_cents
        assert unbalanced(lines) == {}
        out = sum(one.left_cents for one in self.settlement.transfers)
        lost = sum(one.lost_cents for one in self.p.disputes)
        by_vendor = lost if self.bearer is e.Bearer.VENDOR else 0
        fee = self.settlement.fee_cents
        owed = AMOUNT - self.p.amount_refunded_cents - by_vendor - fee - out
        assert -sums[observed.PLATFORM, "vendor_payable:ve_1"] == owed
        assert -sums[observed.PLATFORM, "platform_fees"] == fee
        assert -sums[VENDOR, "earnings"] == sums[VENDOR, "stripe_balance"] == out
        waiting = sum(one.moved.amount_cents for one in self.p.unbooked)
        assert sums[observed.PLATFORM, "stripe_clearing"] == waiting

    @invariant()
    def no_key_is_used_twice(self) -> None:
        facts = [entry.fact for entry in self.entries]
        keys = Counter(
            fact.request.idempotency_key
            for fact in facts
            if isinstance(fact, s.SettlementStarted | s.SettlementReversalStarted)
        )
        assert not [key for key, times in keys.items() if times > 1]

    @invariant()
    def never_more_than_the_multiple_that_stripe_carries(self) -> None:
        sent = [one.amount_cents for one in self.settlement.transfers if one.request]
        sent += [one.amount_cents for one in self.settlement.take_backs if one.request]
        assert all(cents > 0 and cents % self.terms.multiple_of == 0 for cents in sent)

    @invariant()
    def m21_nothing_is_taken_back_before_its_cause(self) -> None:
        """What was asked back never exceeds what refunds that succeeded once, and lost disputes,
        are for."""
        refunded: Counter[str] = Counter()
        for entry in self.entries:
            fact = entry.fact
            if isinstance(fact, e.RefundSucceeded):
                refunded[fact.refund_id] += fact.amount.amount_cents
            if isinstance(fact, e.DisputeClosed) and fact.loss.amount_cents > 0:
                refunded[fact.dispute_id] += fact.loss.amount_cents
            if isinstance(fact, s.SettlementReversalStarted):
                assert fact.amount.amount_cents <= refunded[fact.cause_id]

    @invariant()
    def what_is_not_finished_is_on_the_workers_list(self) -> None:
        due = settling.due_at(self.p, Patience())
        assert self.settlement.at_rest or due is not None


TestSettlementMachine = SettlementMachine.TestCase
TestSettlementMachine.settings = settings(max_examples=examples(60), stateful_step_count=40)
