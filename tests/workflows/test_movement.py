"""Carrying an intent to its outcome: unknown is not failed, and nothing moves twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from roadcall_payments.commit import Commit, CommitResult, CommitUnknown, Conflict, Unique
from roadcall_payments.domain import events as e
from roadcall_payments.domain.errors import (
    StatusForbids,
    StripeUnavailable,
)
from roadcall_payments.domain.payment import Status
from roadcall_payments.domain.stripe_objects import (
    IntentStatus,
    Operation,
    PaymentIntent,
    StripeEvent,
    StripeFailure,
)
from roadcall_payments.ports import Queue, Refused, Unknown, UnknownReason
from tests.fakes.gateway import GOOD_SIGNATURE, IDENTITY
from tests.fakes.money_back import CREATED
from tests.workflows.office import (
    ADMIN,
    DISPATCHER,
    DRIVER,
    Office,
)

TRANSFER, CREATE = Operation.CREATE_TRANSFER, Operation.CREATE_PAYMENT_INTENT
CONFIRM, CANCEL = Operation.CONFIRM_PAYMENT_INTENT, Operation.CANCEL_PAYMENT_INTENT
BACK_OFFICE, DRIVER_IC = e.PayerType.BACK_OFFICE, e.PayerType.DRIVER_IC
TIMEOUT = Unknown(UnknownReason.TIMEOUT, "no answer in time")
NOT_ALLOWED = Refused(StripeFailure("transfers_not_allowed", "Not allowed."), 400, "req_x", False)
SOON = timedelta(seconds=31)


@pytest.mark.parametrize("reason", UnknownReason)
async def test_m5_no_unknown_is_ever_a_failure(office: Office, reason: UnknownReason) -> None:
    payment_id = await office.approved(BACK_OFFICE)
    office.stripe.script(TRANSFER, Unknown(reason, "said nothing certain"))
    answer = await office.service.payments.process(DISPATCHER, payment_id, None)
    assert answer.payment.status is Status.PROCESSING
    assert answer.status == (503 if reason is UnknownReason.AUTHENTICATION else 202)
    await office.attend(SOON)
    assert (await office.payment(payment_id)).status is Status.COMPLETED
    first, second = office.stripe.sent
    assert first == second, "M4: the same request, under the same key"


async def test_an_unknown_is_said_once_however_often_recovery_tries(office: Office) -> None:
    payment_id = await office.approved(BACK_OFFICE)
    office.stripe.script(TRANSFER, *[TIMEOUT] * 8)
    await office.service.payments.process(DISPATCHER, payment_id, None)
    for _ in range(7):
        await office.attend(timedelta(hours=1))
    assert (await office.facts(payment_id)).count("OutcomeUnknown") == 1
    assert len(office.stripe.sent) == 8
    assert len({sent.idempotency_key for sent in office.stripe.sent}) == 1


async def test_m6_the_second_attempt_looks_first_and_adopts(office: Office) -> None:
    payment_id = await office.approved(BACK_OFFICE)
    office.stripe.script(TRANSFER, NOT_ALLOWED)
    refused = await office.service.payments.process(DISPATCHER, payment_id, None)
    assert (refused.status, refused.payment.status) == (400, Status.FAILED)
    # Whatever made it: what is at Stripe with our metadata is ours.
    office.stripe._transferred(office.stripe.sent[0])
    await office.service.payments.retry(DISPATCHER, payment_id)
    answer = await office.service.payments.process(DISPATCHER, payment_id, None)
    assert answer.payment.status is Status.COMPLETED
    assert len(office.stripe.sent) == 1
    assert len(office.stripe.made_transfers) == 1


async def test_m8_no_post_23_hours_after_the_intent_and_void_by_two_looks(
    office: Office,
) -> None:
    payment_id = await office.approved(BACK_OFFICE)
    office.stripe.script(TRANSFER, TIMEOUT)
    await office.service.payments.process(DISPATCHER, payment_id, None)
    await office.attend(timedelta(hours=23, seconds=1))
    assert len(office.stripe.sent) == 1
    assert (await office.payment(payment_id)).status is Status.PROCESSING
    await office.attend(timedelta(minutes=59))
    await office.attend(timedelta(minutes=59))
    assert (await office.payment(payment_id)).status is Status.PROCESSING
    await office.attend(timedelta(minutes=3))
    payment = await office.payment(payment_id)
    assert payment.status is Status.FAILED
    assert (await office.facts(payment_id))[-1] == "AttemptVoided"
    assert len(office.stripe.sent) == 1


async def test_m8_one_second_before_the_deadline_the_same_key_is_still_good(
    office: Office,
) -> None:
    payment_id = await office.approved(BACK_OFFICE)
    office.stripe.script(TRANSFER, TIMEOUT)
    await office.service.payments.process(DISPATCHER, payment_id, None)
    await office.attend(timedelta(hours=23) - timedelta(seconds=1))
    assert (await office.payment(payment_id)).status is Status.COMPLETED


async def test_m18_an_attempt_is_not_carried_on_with_another_accounts_key(
    office: Office,
) -> None:
    payment_id = await office.approved(BACK_OFFICE)
    office.stripe.script(TRANSFER, TIMEOUT)
    await office.service.payments.process(DISPATCHER, payment_id, None)
    office.stripe.speaks_for = replace(IDENTITY, account="acct_other")
    await office.attend(SOON)
    payment = await office.payment(payment_id)
    assert payment.status is Status.PROCESSING
    assert payment.anomalies == ("stripe_account_changed",)
    assert len(office.stripe.sent) == 1
    office.stripe.speaks_for = IDENTITY
    await office.attend(timedelta(hours=1))
    assert (await office.payment(payment_id)).status is Status.COMPLETED


async def test_m25_an_outcome_that_meets_a_conflict_is_decided_again_not_asked_again(
    office: Office,
) -> None:
    payment_id = await office.approved(BACK_OFFICE)
    lost: list[Commit] = []

    def lose_the_first_outcome(commit: Commit) -> CommitResult | None:
        completes = any(
            entry.type == "PaymentCompleted" for w in commit.streams for entry in w.entries
        )
        if completes and not lost:
            lost.append(commit)
            return Conflict(Unique.STREAM, commit.streams[0].stream)
        return None

    office.troubled.trouble = lose_the_first_outcome
    answer = await office.service.payments.process(DISPATCHER, payment_id, None)
    assert lost
    assert answer.payment.status is Status.COMPLETED
    assert len(office.stripe.sent) == 1


async def test_m24_a_commit_of_unknown_fate_is_found_out_by_repeating_it(office: Office) -> None:
    payment_id = await office.approved(BACK_OFFICE)
    before = len(await office.facts(payment_id))
    said: list[Commit] = []

    def written_but_unheard(commit: Commit) -> CommitResult | None:
        if not said:
            said.append(commit)
            return CommitUnknown("the connection was lost at COMMIT")
        return None

    office.troubled.trouble = written_but_unheard

    async def wake() -> None:
        await office.clock.until_somebody_sleeps()
        office.clock.advance(1)

    answer, _ = await asyncio.gather(
        office.service.payments.process(DISPATCHER, payment_id, None), wake()
    )
    assert answer.payment.status is Status.COMPLETED
    facts = (await office.facts(payment_id))[before:]
    assert facts == ["ProcessingStarted", "PaymentCompleted"]


async def test_after_the_longest_pause_what_it_held_goes_on_within_a_minute(
    office: Office,
) -> None:
    held = await office.approved(BACK_OFFICE)
    office.stripe.script(TRANSFER, TIMEOUT)
    await office.service.payments.process(DISPATCHER, held, None)
    await office.service.movements_switch.pause(ADMIN, "the bank called")
    for _ in range(60):
        await office.attend(timedelta(minutes=2))
    await office.service.movements_switch.resume(ADMIN)
    await office.attend(timedelta(minutes=1))
    assert (await office.payment(held)).status is Status.COMPLETED


async def test_m33_a_payer_silent_for_a_week_has_the_intent_cancelled(office: Office) -> None:
    payment_id = await office.opened()
    await office.attend(timedelta(days=7) - timedelta(minutes=1))
    assert (await office.payment(payment_id)).status is Status.PROCESSING
    await office.attend(timedelta(minutes=2))
    assert (await office.payment(payment_id)).status is Status.CANCELLED
    assert office.stripe.sent[-1].operation is CANCEL


async def test_m3_one_confirmation_at_a_time(office: Office) -> None:
    payment_id = await office.opened()
    office.stripe.script(CONFIRM, TIMEOUT)
    answer = await office.service.payments.confirm(DRIVER, payment_id, "pm_card_visa")
    assert answer.status == 202
    with pytest.raises(StatusForbids):
        await office.service.payments.confirm(DRIVER, payment_id, "pm_card_visa")
    await office.attend(SOON)
    assert (await office.payment(payment_id)).status is Status.COMPLETED
    keys = [s.idempotency_key for s in office.stripe.sent if s.operation is CONFIRM]
    assert keys == [f"confirm_{payment_id}_1"] * 2


async def test_m2_a_cancel_of_unknown_fate_is_settled_and_the_payment_stays_open_till_then(
    office: Office,
) -> None:
    payment_id = await office.opened()
    office.stripe.script(CANCEL, TIMEOUT)
    answer = await office.service.payments.cancel(DISPATCHER, payment_id, "duplicate")
    assert (answer.status, answer.payment.status) == (202, Status.PROCESSING)
    await office.attend(SOON)
    assert (await office.payment(payment_id)).status is Status.CANCELLED


async def test_m2_a_refused_cancel_of_a_living_intent_is_no_end(office: Office) -> None:
    payment_id = await office.opened()
    unexpected = StripeFailure("payment_intent_unexpected_state", "It is processing.")
    office.stripe.script(CANCEL, Refused(unexpected, 400, "req_c", False))
    with pytest.raises(StatusForbids):
        await office.service.payments.cancel(DISPATCHER, payment_id, "duplicate")
    payment = await office.payment(payment_id)
    assert payment.status is Status.PROCESSING
    assert "CancelRefused" in await office.facts(payment_id)
    assert (await office.service.payments.cancel(DISPATCHER, payment_id, "duplicate")).status == 200


async def test_m16_success_on_a_cancelled_payment_is_booked_to_suspense(office: Office) -> None:
    payment_id = await office.opened()
    await office.service.payments.cancel(DISPATCHER, payment_id, "duplicate")
    payment = await office.payment(payment_id)
    assert payment.payment_intent is not None
    paid = replace(
        office.stripe.intents[payment.payment_intent],
        status=IntentStatus.SUCCEEDED,
        latest_charge="ch_stray",
    )
    await deliver(office, "evt_1", "payment_intent.succeeded", paid)
    payment = await office.payment(payment_id)
    assert (payment.status, payment.strays) == (Status.CANCELLED, ("ch_stray",))
    suspense = [p for p in await office.service.store.balances() if "suspense" in p.account]
    assert [line.amount_cents for line in suspense] == [-12_500]


async def test_m19_an_event_that_cannot_be_applied_now_waits_and_is_applied_later(
    office: Office,
) -> None:
    payment_id = await office.opened()
    intent = office.stripe.intents[(await office.payment(payment_id)).payment_intent or ""]
    failed = replace(
        intent,
        status=IntentStatus.REQUIRES_PAYMENT_METHOD,
        latest_charge="ch_1",
        failure=StripeFailure("card_declined", "Declined.", "generic_decline", "ch_1"),
    )
    office.stripe.intents[intent.id] = failed
    office.stripe.reads_down = StripeUnavailable("Stripe does not answer.")
    await deliver(office, "evt_1", "payment_intent.payment_failed", failed)
    kept = await office.service.store.inbox_event("evt_1")
    assert kept is not None
    assert kept.status == "waiting"
    assert (await office.payment(payment_id)).status is Status.PROCESSING
    office.stripe.reads_down = None
    office.clock.advance(10)
    await office.service.worker.work(Queue.INBOX)
    assert (await office.payment(payment_id)).status is Status.FAILED
    kept = await office.service.store.inbox_event("evt_1")
    assert kept is not None
    assert kept.status == "applied"


async def deliver(office: Office, event_id: str, kind: str, intent: PaymentIntent) -> None:
    body = event_id.encode()
    office.stripe.events_by_body[body] = StripeEvent(
        event_id, kind, False, CREATED, None, intent.id, intent
    )
    await office.service.webhook_inbox.take(body, GOOD_SIGNATURE)
