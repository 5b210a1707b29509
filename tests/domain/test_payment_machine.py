"""Any sequence of commands and of Stripe's facts keeps the invariants."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from roadcall_payments.commit import decode_state, encode_state
from roadcall_payments.domain import approval, commands, outcomes
from roadcall_payments.domain import events as e
from roadcall_payments.domain.errors import RoadcallError
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import TRANSITIONS, Patience, Payment, Status, due_at
from roadcall_payments.domain.payment_fold import apply
from roadcall_payments.domain.people import Actor, Role
from roadcall_payments.domain.reversals_seen import reversals_seen
from roadcall_payments.domain.stripe_objects import (
    IntentStatus,
    Operation,
    PaymentIntent,
    StripeFailure,
)
from roadcall_payments.journal import Head, JournalEntry, chain_breaks, seal
from roadcall_payments.ledger.posting_rules import unbalanced
from tests.builders import NOON, new_id, payment_created, scored
from tests.domain import observed
from tests.examples import examples

DISPATCHER = Actor("us_2", Role.DISPATCHER, "co_1")
INTENT_IDS = st.sampled_from(["pi_1", "pi_1", "pi_1", "pi_2"])
CHARGES = st.sampled_from([None, "ch_1", "ch_2", "ch_3"])
FAILURES = st.none() | st.builds(
    StripeFailure, st.just("card_declined"), st.just("Declined."), st.none(), CHARGES
)


class PaymentMachine(RuleBasedStateMachine):
    """Commands that are refused change nothing; facts of Stripe's are always taken."""

    @initialize(driver=st.booleans(), under_way=st.booleans())
    def create(self, driver: bool, under_way: bool) -> None:
        self.now = NOON
        self.entries: list[JournalEntry] = []
        self.states: list[Payment] = []
        self.payment: Payment | None = None
        created = payment_created(
            "pay_1",
            driver_id="dr_1" if driver else None,
            payer_type=e.PayerType.DRIVER_IC if driver else e.PayerType.BACK_OFFICE,
            created_by="dispatcher:us_1",
        )
        self.take(commands.create(created))
        if under_way:
            self.take([scored()])
            self.approve()
            self.process()

    def take(self, facts: Sequence[e.PaymentFact]) -> None:
        self.now += timedelta(seconds=1)
        head = Head(self.entries[-1].seq, self.entries[-1].hash) if self.entries else Head()
        for fact in facts:
            before = self.payment.status if self.payment else None
            self.payment = apply(self.payment, fact, self.now)
            assert self.payment.status is TRANSITIONS[type(fact)][before]
            self.states.append(self.payment)
        ids = [new_id() for _ in facts]
        self.entries += seal("payment/pay_1", head, facts, at=self.now, actor="t", event_ids=ids)

    @property
    def p(self) -> Payment:
        assert self.payment is not None
        return self.payment

    @rule(flagged=st.booleans())
    def score(self, flagged: bool) -> None:
        if self.p.status is Status.PENDING_APPROVAL and self.p.risk is None:
            self.take([scored(flagged=flagged)])

    @rule(cleared=st.booleans())
    def review(self, cleared: bool) -> None:
        self.attempt(lambda: commands.review(self.p, DISPATCHER, cleared, None))

    @rule()
    def approve(self) -> None:
        policy = approval.ApprovalPolicy()
        account = None if self.p.driver_id else "acct_vendor"
        self.attempt(lambda: approval.approve(self.p, DISPATCHER, account, policy))

    @rule()
    def reject(self) -> None:
        self.attempt(lambda: commands.reject(self.p, DISPATCHER, None))

    @rule()
    def cancel(self) -> None:
        self.attempt(lambda: commands.cancel(self.p, DISPATCHER))

    @rule()
    def request_cancel(self) -> None:
        sent = observed.request(Operation.CANCEL_PAYMENT_INTENT, commands.cancellation_key(self.p))
        self.attempt(lambda: commands.request_cancel(self.p, sent, "t", "asked"))

    @rule()
    def retry(self) -> None:
        self.attempt(lambda: commands.retry(self.p, DISPATCHER))

    @rule()
    def process(self) -> None:
        driver = self.p.driver_id is not None
        operation = Operation.CREATE_PAYMENT_INTENT if driver else Operation.CREATE_TRANSFER
        key = commands.attempt_key(operation, self.p, self.p.attempts + 1)
        sent = observed.request(operation, key)
        destination = self.p.destination
        self.attempt(lambda: commands.start_processing(self.p, sent, destination, DISPATCHER))

    @rule()
    def confirm(self) -> None:
        sent = observed.request(Operation.CONFIRM_PAYMENT_INTENT, commands.confirmation_key(self.p))
        self.attempt(lambda: commands.start_confirmation(self.p, sent, DISPATCHER))

    @rule(
        status=st.sampled_from(IntentStatus),
        source=st.sampled_from(e.Source),
        late=st.booleans(),
        intent_id=INTENT_IDS,
        charge=CHARGES,
        failure=FAILURES,
        booked=st.booleans(),
    )
    def stripe_shows_an_intent(
        self,
        status: IntentStatus,
        source: e.Source,
        late: bool,
        intent_id: str,
        charge: str | None,
        failure: StripeFailure | None,
        booked: bool,
    ) -> None:
        if self.p.driver_id is None or self.p.attempt is None:
            return
        seen = observed.intent(self.p, status, intent_id=intent_id, charge=charge, failure=failure)
        if booked and charge:
            line = observed.balance_line(f"txn_{charge}", charge, self.p.amount, 390)
            seen = observed.with_line(seen, line)
        answer = self.answer(late) if source is e.Source.ANSWER else None
        self.see_intent(seen, source, answer)

    def answer(self, late: bool) -> outcomes.Answer:
        """The answer of the call that is open, or of one that was."""
        calls = (self.p.cancellation, self.p.confirmation, self.p.attempt)
        keys = [call.request.idempotency_key for call in calls if call and call.open]
        return outcomes.Answer(keys[0] if keys and not late else "an_earlier_call")

    def see_intent(
        self, seen: PaymentIntent, source: e.Source, answer: outcomes.Answer | None
    ) -> None:
        self.take(outcomes.payment_intent_seen(self.p, seen, source, self.now, answer))
        again = outcomes.payment_intent_seen(self.p, seen, source, self.now, answer)
        moving = (e.PaymentCompleted, e.StrayMoneyObserved, e.PaymentIntentOpened)
        assert not any(isinstance(fact, moving) for fact in again)

    @rule(source=st.sampled_from(e.Source), transfer_id=st.sampled_from(["tr_1", "tr_1", "tr_2"]))
    def stripe_shows_a_transfer(self, source: e.Source, transfer_id: str) -> None:
        if self.p.driver_id is not None or self.p.attempt is None:
            return
        seen = observed.transfer(self.p, transfer_id)
        self.take(outcomes.transfer_seen(self.p, seen, source, None))
        assert not outcomes.transfer_seen(self.p, seen, source, None)

    @rule(
        reversal_id=st.sampled_from(["trr_1", "trr_2"]),
        transfer_id=st.sampled_from(["tr_1", "tr_2"]),
        cents=st.integers(1, 5_000),
    )
    def stripe_shows_a_reversal(self, reversal_id: str, transfer_id: str, cents: int) -> None:
        seen = [observed.reversal(self.p, reversal_id, cents)]
        before = self.p.amount_reversed_cents
        self.take(reversals_seen(self.p, transfer_id, seen))
        assert not reversals_seen(self.p, transfer_id, seen)
        assert self.p.transfer == transfer_id or self.p.amount_reversed_cents == before

    @rule(late=st.booleans())
    def stripe_refuses(self, late: bool) -> None:
        self.take(outcomes.failed(self.p, observed.DECLINED, e.Source.ANSWER, self.answer(late)))

    @rule(status=st.sampled_from(IntentStatus))
    def stripe_refuses_the_cancel(self, status: IntentStatus) -> None:
        self.take(outcomes.cancel_refused(self.p, "refused", status, self.answer(False)))

    @rule()
    def nobody_knows(self) -> None:
        self.take(outcomes.unknown(self.p, "timeout", self.answer(False)))

    @rule(hours=st.integers(1, 30))
    def stripe_has_no_trace(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        self.take(outcomes.absent(self.p, self.p.attempts, self.now))

    @rule(fee=st.integers(0, 500))
    def a_line_is_booked(self, fee: int) -> None:
        for unbooked in self.p.unbooked[:1]:
            line = observed.balance_line(
                f"txn_{unbooked.object_id}", unbooked.object_id, unbooked.moved, fee
            )
            self.take(outcomes.book(self.p, unbooked, line))

    def attempt(self, command: Callable[[], commands.Facts]) -> None:
        try:
            facts = command()
        except RoadcallError:
            return
        self.take(facts)

    @invariant()
    def the_fold_of_the_journal_is_the_state(self) -> None:
        folded: Payment | None = None
        for entry in self.entries:
            fact = entry.fact
            assert isinstance(fact, e.PaymentFact)
            folded = apply(folded, fact, entry.at)
        assert folded == self.payment
        assert decode_state("payment/pay_1", encode_state(self.p)) == self.p
        assert chain_breaks(self.entries) == []

    @invariant()
    def postings_sum_to_zero_for_each_book_and_currency(self) -> None:
        lines = itertools.chain.from_iterable(entry.postings for entry in self.entries)
        assert unbalanced(lines) == {}

    @invariant()
    def a_payment_completes_at_most_once_and_never_goes_back(self) -> None:
        done = [i for i, s in enumerate(self.states) if s.status is Status.COMPLETED]
        facts = [type(entry.fact) for entry in self.entries]
        assert facts.count(e.PaymentCompleted) <= 1
        if done:
            assert done == list(range(done[0], len(self.states)))

    @invariant()
    def one_payment_intent_for_life(self) -> None:
        opened = {
            entry.fact.payment_intent
            for entry in self.entries
            if isinstance(entry.fact, e.PaymentIntentOpened)
        }
        assert len(opened) <= 1

    @invariant()
    def clearing_is_what_stripe_has_not_booked_yet(self) -> None:
        sums: defaultdict[str, int] = defaultdict(int)
        for entry in self.entries:
            for line in entry.postings:
                if line.account == "stripe_clearing":
                    sums[line.currency] += line.amount_cents
        waiting = sum((u.moved for u in self.p.unbooked), Money(0, "usd"))
        assert sums["usd"] == waiting.amount_cents

    @invariant()
    def a_payment_that_waits_for_stripe_or_for_its_books_is_on_the_workers_list(self) -> None:
        waits = self.p.unbooked or (
            self.p.status is Status.PROCESSING and self.p.awaiting is e.Awaiting.STRIPE
        )
        assert not waits or due_at(self.p, Patience()) is not None


TestPaymentMachine = PaymentMachine.TestCase
TestPaymentMachine.settings = settings(max_examples=examples(80), stateful_step_count=40)
