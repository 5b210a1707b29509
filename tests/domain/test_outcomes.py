"""What Stripe says, and what it means: late, early, twice, by strangers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from roadcall_payments.domain import events as e
from roadcall_payments.domain import outcomes
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.domain.payment_fold import apply
from roadcall_payments.domain.reversals_seen import reversals_seen
from roadcall_payments.domain.stripe_objects import (
    IntentStatus,
    Operation,
    PaymentIntent,
    StripeFailure,
    Transfer,
)
from tests.builders import NOON, payment_created, scored
from tests.domain.observed import (
    DECLINED,
    PLATFORM,
    balance_line,
    intent,
    request,
    reversal,
    transfer,
)

WEBHOOK, ANSWER, LOOKUP = e.Source.WEBHOOK, e.Source.ANSWER, e.Source.LOOKUP


def folded(*facts: e.PaymentFact, payment: Payment | None = None) -> Payment:
    for fact in facts:
        payment = apply(payment, fact, NOON)
    assert payment is not None
    return payment


def processing(payer: e.PayerType = e.PayerType.DRIVER_IC) -> Payment:
    """An attempt is open and has no object yet."""
    driver = payer is e.PayerType.DRIVER_IC
    operation = Operation.CREATE_PAYMENT_INTENT if driver else Operation.CREATE_TRANSFER
    account = None if driver else "acct_vendor"
    return folded(
        payment_created("pay_1", payer_type=payer, driver_id="dr_1" if driver else None),
        scored(),
        e.PaymentApproved((e.Approval("dispatcher:us_2", "dispatcher"),), account),
        e.ProcessingStarted(1, request(operation, "k"), account, "t"),
    )


def opened(*more: e.PaymentFact) -> Payment:
    first = e.PaymentIntentOpened(1, "pi_1", PLATFORM, False, ANSWER)
    return folded(first, *more, payment=processing())


def confirming(number: int = 1) -> e.ConfirmationStarted:
    key = f"confirm_pay_1_{number}"
    return e.ConfirmationStarted(number, request(Operation.CONFIRM_PAYMENT_INTENT, key), "d")


FAILED = e.PaymentFailed(1, "card_declined", "No.", True, ANSWER, "generic_decline", "ch_1")


def seen(
    payment: Payment,
    shown: PaymentIntent,
    source: e.Source = WEBHOOK,
    answer: outcomes.Answer | None = None,
) -> list[str]:
    facts = outcomes.payment_intent_seen(payment, shown, source, NOON, answer)
    return [type(fact).__name__ for fact in facts]


@pytest.mark.parametrize(
    "disagrees",
    [
        {"metadata": {"paymentId": "pay_2", "purpose": "driver_payment", "attempt": "1"}},
        {"metadata": {"paymentId": "pay_1", "purpose": "vendor_payment", "attempt": "1"}},
        {"metadata": {"paymentId": "pay_1", "purpose": "driver_payment", "attempt": "2"}},
        {"metadata": {"paymentId": "pay_1", "purpose": "driver_payment"}},
        {"amount": Money(12_501, "usd")},
        {"amount": Money(12_500, "eur")},
        {"livemode": True},
    ],
)
def test_m13_a_stranger_with_our_metadata_is_not_ours(disagrees: dict[str, object]) -> None:
    payment = processing()
    ours = intent(payment, IntentStatus.SUCCEEDED)
    assert outcomes.is_open_attempts(payment, ours, PLATFORM)
    assert not outcomes.is_open_attempts(payment, replace(ours, **disagrees), PLATFORM)  # type: ignore[arg-type] # one field each
    assert not outcomes.is_open_attempts(payment, ours, "acct_other")


def test_m13_nothing_is_adopted_once_the_attempt_has_its_object() -> None:
    payment = opened()
    assert not outcomes.is_open_attempts(
        payment, intent(payment, IntentStatus.SUCCEEDED, intent_id="pi_2"), PLATFORM
    )


def test_m13_a_transfer_to_another_account_is_not_ours() -> None:
    payment = processing(e.PayerType.BACK_OFFICE)
    ours = transfer(payment)
    assert outcomes.is_open_attempts(payment, ours, PLATFORM)
    assert not outcomes.is_open_attempts(payment, replace(ours, destination="acct_thief"), PLATFORM)


def test_an_early_success_opens_and_completes_in_one() -> None:
    payment = processing()
    early = intent(payment, IntentStatus.SUCCEEDED, charge="ch_1")
    assert seen(payment, early) == ["PaymentIntentOpened", "PaymentCompleted"]


def test_m15_a_late_failure_does_not_undo_a_success() -> None:
    payment = opened(confirming())
    done = outcomes.payment_intent_seen(
        payment, intent(payment, IntentStatus.SUCCEEDED, charge="ch_2"), ANSWER, NOON
    )
    completed = folded(*done, payment=payment)
    late = intent(payment, IntentStatus.REQUIRES_PAYMENT_METHOD, failure=DECLINED)
    assert seen(completed, late) == []


def test_m15_a_fetched_failure_says_nothing_about_the_confirmation_on_its_way() -> None:
    payment = opened(confirming(1), FAILED, confirming(2))
    earlier = intent(payment, IntentStatus.REQUIRES_PAYMENT_METHOD, failure=DECLINED)
    assert seen(payment, earlier, WEBHOOK) == []
    second = outcomes.Answer("confirm_pay_1_2")
    assert seen(payment, earlier, ANSWER, second) == ["PaymentFailed"]
    first = outcomes.Answer("confirm_pay_1_1")
    assert seen(payment, earlier, ANSWER, first) == [], "a late answer of the first says no more"


def test_a_late_refusal_settles_the_call_it_answers_and_no_later_one() -> None:
    """Two attempts at one transfer; the first one's refusal is committed last."""
    failure = StripeFailure("transfers_not_allowed", "Not allowed.")
    late, own = outcomes.Answer("k"), outcomes.Answer("k_2")
    again = request(Operation.CREATE_TRANSFER, "k_2")
    second = folded(
        FAILED,
        e.PaymentRetried("t"),
        e.ProcessingStarted(2, again, "acct_vendor", "t"),
        payment=processing(e.PayerType.BACK_OFFICE),
    )
    assert outcomes.failed(second, failure, ANSWER, late) == ()
    assert outcomes.unknown(second, "timeout", late) == ()
    assert outcomes.absent(second, 1, NOON) == ()
    (ended,) = outcomes.failed(second, failure, ANSWER, own)
    assert isinstance(ended, e.PaymentFailed)


def test_m2_a_declined_card_is_no_answer_to_a_cancel() -> None:
    asked = e.CancelRequested(1, request(Operation.CANCEL_PAYMENT_INTENT, "c"), "t", "x")
    payment = opened(confirming(), asked)
    declined = outcomes.Answer("confirm_pay_1_1")
    status = IntentStatus.REQUIRES_PAYMENT_METHOD
    assert outcomes.cancel_refused(payment, "card_declined", status, declined) == ()
    assert outcomes.failed(payment, DECLINED, ANSWER, declined) == ()
    shown = intent(payment, status, failure=DECLINED)
    assert seen(payment, shown, ANSWER, declined) == []
    (refused,) = outcomes.cancel_refused(payment, "x", status, outcomes.Answer("c"))
    assert isinstance(refused, e.CancelRefused)


def test_m8_only_two_empty_lists_an_hour_apart_after_25_hours_void_an_attempt() -> None:
    payment = processing(e.PayerType.BACK_OFFICE)

    def after(hours: float) -> datetime:
        return NOON + timedelta(hours=hours)

    def looked(at: float, *before: float) -> str:
        state = payment
        for seen_at in before:
            empty = e.OutcomeUnknown("absent", e.Awaiting.STRIPE, absent=True)
            state = apply(state, empty, after(seen_at))
        (fact,) = outcomes.absent(state, 1, after(at))
        return type(fact).__name__

    assert looked(26) == "OutcomeUnknown", "one list is not enough"
    assert looked(25.5, 25) == "OutcomeUnknown", "they are not an hour apart"
    assert looked(24.9, 23) == "OutcomeUnknown", "the last one is too early"
    assert looked(25, 24) == "AttemptVoided"


def test_m13_success_with_another_amount_is_stray() -> None:
    payment = opened()
    other = replace(intent(payment, IntentStatus.SUCCEEDED), amount=Money(1, "usd"))
    assert seen(payment, other) == ["StrayMoneyObserved"]


def test_m28_many_reversals_are_booked_a_few_at_a_time() -> None:
    payment = processing(e.PayerType.BACK_OFFICE)
    done = outcomes.transfer_seen(payment, transfer(payment), ANSWER)
    completed = folded(*done, payment=payment)
    many = [reversal(completed, f"trr_{i}", 10) for i in range(25)]
    rounds = 0
    while news := reversals_seen(completed, "tr_1", many):
        completed = folded(*news, payment=completed)
        rounds += 1
    assert (rounds, completed.amount_reversed_cents) == (3, 250)


def test_a_decline_is_recorded_once_for_each_charge() -> None:
    payment = opened(confirming(1), FAILED)
    same = intent(payment, IntentStatus.REQUIRES_PAYMENT_METHOD, failure=DECLINED)
    other = StripeFailure("card_declined", "No.", "generic_decline", "ch_2")
    next_card = intent(payment, IntentStatus.REQUIRES_PAYMENT_METHOD, failure=other)
    assert seen(payment, same) == []
    assert seen(payment, next_card) == ["PaymentFailed"]


def test_m3_a_payment_that_failed_may_still_succeed_by_the_same_intent() -> None:
    payment = opened(confirming(1), FAILED)
    assert payment.status is Status.FAILED
    assert seen(payment, intent(payment, IntentStatus.SUCCEEDED, charge="ch_2")) == [
        "PaymentCompleted"
    ]


@pytest.mark.parametrize("status", [IntentStatus.SUCCEEDED, IntentStatus.CANCELED])
def test_m2_an_open_cancellation_ends_as_stripe_ended_it(status: IntentStatus) -> None:
    asked = e.CancelRequested(1, request(Operation.CANCEL_PAYMENT_INTENT, "c"), "t", "x")
    payment = opened(asked)
    end = {"succeeded": "PaymentCompleted", "canceled": "PaymentCancelled"}[status]
    assert seen(payment, intent(payment, status, charge="ch_1")) == [end]


def test_m1_m16_a_second_paid_intent_is_stray_and_booked_once() -> None:
    payment = opened()
    second = intent(payment, IntentStatus.SUCCEEDED, intent_id="pi_2", charge="ch_9")
    facts = outcomes.payment_intent_seen(payment, second, LOOKUP, NOON)
    assert [type(fact) for fact in facts] == [e.StrayMoneyObserved]
    after = folded(*facts, payment=payment)
    assert after.status is Status.PROCESSING
    assert after.on_review
    assert seen(after, second) == []


def test_m16_a_transfer_that_is_not_what_was_approved_is_stray() -> None:
    payment = processing(e.PayerType.BACK_OFFICE)
    wrong: Transfer = replace(transfer(payment), amount=Money(99_999, "usd"))
    (stray,) = outcomes.transfer_seen(payment, wrong, WEBHOOK, None)
    assert isinstance(stray, e.StrayMoneyObserved)
    assert (stray.amount, stray.proposed) == (Money(-99_999, "usd"), "reverse")


def test_m17_reversals_are_booked_by_id_never_by_the_total() -> None:
    payment = processing(e.PayerType.BACK_OFFICE)
    completed = folded(
        *outcomes.transfer_seen(payment, transfer(payment), ANSWER, None), payment=payment
    )
    two = [reversal(completed, "trr_1", 500), reversal(completed, "trr_2", 500)]
    first = folded(*reversals_seen(completed, "tr_1", two[:1]), payment=completed)
    both = folded(*reversals_seen(first, "tr_1", two), payment=first)
    assert both.amount_reversed_cents == 1_000
    assert reversals_seen(both, "tr_1", two) == ()


def test_m16_a_reversal_is_its_own_transfers_and_of_a_stranger_none() -> None:
    payment = processing(e.PayerType.BACK_OFFICE)
    completed = folded(*outcomes.transfer_seen(payment, transfer(payment), ANSWER), payment=payment)
    back = [reversal(completed, "trr_1", 500)]
    assert reversals_seen(completed, "tr_stranger", back) == ()
    second = replace(transfer(payment), id="tr_2")
    strayed = folded(*outcomes.transfer_seen(completed, second, LOOKUP), payment=completed)
    (fact,) = reversals_seen(strayed, "tr_2", back)
    assert isinstance(fact, e.StrayMoneyObserved)
    assert (fact.object_id, fact.kind, fact.amount) == ("trr_1", "reversal", Money(500, "usd"))
    after = folded(fact, payment=strayed)
    assert after.amount_reversed_cents == 0
    assert reversals_seen(after, "tr_2", back) == ()


def test_a_manual_capture_is_somebody_elses_doing_and_is_said_once() -> None:
    payment = opened()
    odd = intent(payment, IntentStatus.REQUIRES_CAPTURE)
    assert seen(payment, odd) == ["AnomalyRecorded"]
    said = folded(*outcomes.payment_intent_seen(payment, odd, WEBHOOK, NOON), payment=payment)
    assert seen(said, odd) == []


def test_m17_a_line_that_does_not_fit_is_looked_at_by_a_person_not_booked() -> None:
    payment = processing(e.PayerType.BACK_OFFICE)
    completed = folded(
        *outcomes.transfer_seen(payment, transfer(payment), ANSWER, None), payment=payment
    )
    (unbooked,) = completed.unbooked
    wrong = balance_line("txn_1", unbooked.object_id, Money(-12_499, "usd"), 0)
    (said,) = outcomes.book(completed, unbooked, wrong)
    assert isinstance(said, e.AnomalyRecorded)
    right = balance_line("txn_1", unbooked.object_id, unbooked.moved, 0)
    after = folded(*outcomes.book(completed, unbooked, right), payment=completed)
    assert after.unbooked == ()
    assert outcomes.book(after, unbooked, right) == ()
    second = balance_line("txn_2", unbooked.object_id, unbooked.moved, 0)
    (said,) = outcomes.book(after, unbooked, second)
    assert isinstance(said, e.AnomalyRecorded), "M17: its object has its line already"


def test_what_the_table_lacks_cannot_be_folded() -> None:
    with pytest.raises(BrokenInvariant):
        folded(e.PaymentRetried("t"), payment=opened())
