"""Answers that come late, or never: each settles the call it belongs to, and a key has its day."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from roadcall_payments.domain import events as e
from roadcall_payments.domain.errors import StatusForbids, StripeUnavailable
from roadcall_payments.domain.payment import Status
from roadcall_payments.domain.stripe_objects import (
    IntentStatus,
    Operation,
    StripeFailure,
    StripeIdentity,
)
from roadcall_payments.ports import Refused, Unknown, UnknownReason
from tests.fakes.gateway import IDENTITY, Read
from tests.workflows.office import ADMIN, APPROVER, DISPATCHER, DRIVER, Office

TRANSFER = Operation.CREATE_TRANSFER
CONFIRM, CANCEL = Operation.CONFIRM_PAYMENT_INTENT, Operation.CANCEL_PAYMENT_INTENT
BACK_OFFICE, DRIVER_IC = e.PayerType.BACK_OFFICE, e.PayerType.DRIVER_IC
TIMEOUT = Unknown(UnknownReason.TIMEOUT, "no answer in time")
NOT_ALLOWED = Refused(StripeFailure("transfers_not_allowed", "Not allowed."), 400, "req_x", False)
REPLAYED = replace(NOT_ALLOWED, replayed=True)
SOON = timedelta(seconds=31)
KEY_LIFE = timedelta(hours=23)
REQUEST_S_MAX = 20
OTHER_KEYS = [replace(IDENTITY, account="acct_other"), replace(IDENTITY, livemode=True)]


def keys_sent(office: Office, operation: Operation) -> list[str]:
    return [sent.idempotency_key for sent in office.stripe.sent if sent.operation is operation]


async def test_m5_a_late_refusal_of_one_attempt_settles_nothing_of_the_next(
    office: Office,
) -> None:
    payment_id = await office.approved(BACK_OFFICE)
    office.stripe.script(TRANSFER, NOT_ALLOWED, REPLAYED)

    async def recovery_ends_it_and_a_second_attempt_starts() -> None:
        await office.attend(SOON)
        assert (await office.payment(payment_id)).status is Status.FAILED
        await office.service.payments.retry(APPROVER, payment_id)
        office.stripe.lose_answer(TRANSFER)
        second = await office.service.payments.process(APPROVER, payment_id, None)
        assert second.status == 202

    office.stripe.during(TRANSFER, recovery_ends_it_and_a_second_attempt_starts)
    await office.service.payments.process(DISPATCHER, payment_id, None)
    payment = await office.payment(payment_id)
    assert payment.status is Status.PROCESSING, "the first one's refusal said nothing of it"
    with pytest.raises(StatusForbids):
        await office.service.payments.cancel(APPROVER, payment_id, "duplicate")
    await office.attend(SOON)
    assert (await office.payment(payment_id)).status is Status.COMPLETED
    assert len(office.stripe.made_transfers) == 1, "the job is paid once"


async def test_m3_a_late_decline_of_one_confirmation_leaves_the_next_open(office: Office) -> None:
    payment_id = await office.opened()
    office.stripe.decline()

    async def recovery_hears_the_decline_and_the_driver_tries_another_card() -> None:
        office.stripe.decline()
        await office.attend(SOON)
        assert (await office.payment(payment_id)).status is Status.FAILED
        office.stripe.script(CONFIRM, TIMEOUT)
        second = await office.service.payments.confirm(DRIVER, payment_id, "pm_2")
        assert second.status == 202

    office.stripe.during(CONFIRM, recovery_hears_the_decline_and_the_driver_tries_another_card)
    await office.service.payments.confirm(DRIVER, payment_id, "pm_1")
    payment = await office.payment(payment_id)
    assert payment.status is Status.PROCESSING
    assert payment.confirmation is not None
    assert (payment.confirmation.number, payment.confirmation.open) == (2, True)


async def declined_while_a_cancel_is_asked_for(office: Office) -> str:
    """A confirmation's decline arrives after a cancel whose own answer was lost."""
    payment_id = await office.opened()
    office.stripe.decline()

    async def cancel_is_promised() -> None:
        office.stripe.script(CANCEL, TIMEOUT)
        answer = await office.service.payments.cancel(DISPATCHER, payment_id, "duplicate")
        assert answer.status == 202

    office.stripe.during(CONFIRM, cancel_is_promised)
    await office.service.payments.confirm(DRIVER, payment_id, "pm_1")
    return payment_id


async def test_m2_a_confirmations_decline_is_no_answer_to_the_cancel(office: Office) -> None:
    payment_id = await declined_while_a_cancel_is_asked_for(office)
    payment = await office.payment(payment_id)
    assert payment.cancellation is not None
    assert payment.cancellation.open
    await office.attend(SOON)
    assert (await office.payment(payment_id)).status is Status.CANCELLED


async def test_m2_a_promised_cancel_is_not_followed_by_a_payment(office: Office) -> None:
    payment_id = await declined_while_a_cancel_is_asked_for(office)
    with pytest.raises(StatusForbids):
        await office.service.payments.confirm(DRIVER, payment_id, "pm_2")
    await office.attend(SOON)
    with pytest.raises(StatusForbids):
        await office.service.payments.confirm(DRIVER, payment_id, "pm_2")
    assert len(keys_sent(office, CONFIRM)) == 1
    (intent,) = office.stripe.intents.values()
    assert intent.status is IntentStatus.CANCELED


async def test_m2_a_cancel_whose_answer_was_lost_is_looked_for_not_asked_again(
    office: Office,
) -> None:
    payment_id = await office.opened()
    office.stripe.lose_answer(CANCEL)
    await office.service.payments.cancel(DISPATCHER, payment_id, "duplicate")
    await office.attend(SOON)
    assert (await office.payment(payment_id)).status is Status.CANCELLED
    assert keys_sent(office, CANCEL) == [f"cancel_{payment_id}_1"]


async def test_m8_a_cancel_is_asked_under_its_key_until_the_key_is_too_old(office: Office) -> None:
    payment_id = await office.opened()
    office.stripe.script(CANCEL, TIMEOUT)
    await office.service.payments.cancel(DISPATCHER, payment_id, "duplicate")
    await office.attend(KEY_LIFE - timedelta(seconds=1))
    assert (await office.payment(payment_id)).status is Status.CANCELLED
    assert keys_sent(office, CANCEL) == [f"cancel_{payment_id}_1"] * 2


async def test_m8_a_cancel_whose_key_is_too_old_is_asked_again_under_a_new_one(
    office: Office,
) -> None:
    payment_id = await office.opened()
    office.stripe.script(CANCEL, TIMEOUT)
    await office.service.payments.cancel(DISPATCHER, payment_id, "duplicate")
    await office.attend(KEY_LIFE)
    assert (await office.payment(payment_id)).status is Status.CANCELLED
    assert keys_sent(office, CANCEL) == [f"cancel_{payment_id}_1", f"cancel_{payment_id}_2"]
    assert (await office.facts(payment_id))[-3:] == [
        "CancelRefused",
        "CancelRequested",
        "PaymentCancelled",
    ]


async def test_m8_recovery_of_a_confirmation_looks_before_it_sends(office: Office) -> None:
    payment_id = await office.opened()
    office.stripe.lose_answer(CONFIRM)
    answer = await office.service.payments.confirm(DRIVER, payment_id, "pm_1")
    assert answer.status == 202
    await office.attend(SOON)
    assert (await office.payment(payment_id)).status is Status.COMPLETED
    assert len(keys_sent(office, CONFIRM)) == 1, "what was there was seen, not sent again"


async def test_m8_a_confirmation_is_sent_under_its_key_until_the_key_is_too_old(
    office: Office,
) -> None:
    payment_id = await office.opened()
    office.stripe.script(CONFIRM, TIMEOUT)
    await office.service.payments.confirm(DRIVER, payment_id, "pm_1")
    await office.attend(KEY_LIFE - timedelta(seconds=1))
    assert (await office.payment(payment_id)).status is Status.COMPLETED
    assert keys_sent(office, CONFIRM) == [f"confirm_{payment_id}_1"] * 2


async def test_m8_a_confirmation_whose_key_is_too_old_is_given_up_unsent(office: Office) -> None:
    payment_id = await office.opened()
    office.stripe.script(CONFIRM, TIMEOUT)
    await office.service.payments.confirm(DRIVER, payment_id, "pm_1")
    await office.attend(KEY_LIFE)
    payment = await office.payment(payment_id)
    assert payment.status is Status.FAILED
    assert payment.failure is not None
    assert payment.failure.code == "confirmation_not_received"
    assert len(keys_sent(office, CONFIRM)) == 1
    again = await office.service.payments.confirm(DRIVER, payment_id, "pm_2")
    assert again.payment.status is Status.COMPLETED
    assert keys_sent(office, CONFIRM)[-1] == f"confirm_{payment_id}_2"


async def test_a_pause_holds_the_recovery_of_a_confirmation(office: Office) -> None:
    payment_id = await office.opened()
    office.stripe.script(CONFIRM, TIMEOUT)
    await office.service.payments.confirm(DRIVER, payment_id, "pm_1")
    await office.service.movements_switch.pause(ADMIN, "the bank called")
    await office.attend(SOON)
    assert len(keys_sent(office, CONFIRM)) == 1
    await office.service.movements_switch.resume(ADMIN)
    await office.attend(timedelta(minutes=1))
    assert (await office.payment(payment_id)).status is Status.COMPLETED


async def test_m8_a_clock_that_was_ahead_at_the_approval_moves_no_deadline(office: Office) -> None:
    two_days_s = timedelta(days=2).total_seconds()
    office.clock.advance(two_days_s)
    payment_id = await office.approved(BACK_OFFICE)
    office.clock.advance(-two_days_s)
    office.stripe.script(TRANSFER, *[TIMEOUT] * 100)
    await office.service.payments.process(DISPATCHER, payment_id, None)
    await office.attend(timedelta(minutes=5))
    assert len(office.stripe.sent) == 2, "recovery does not wait for the hour that was wrong"
    for _ in range(46):
        await office.attend(timedelta(minutes=30))
    sent_within_its_life = len(office.stripe.sent)
    for _ in range(10):
        await office.attend(timedelta(minutes=30))
    assert len(office.stripe.sent) == sent_within_its_life


@pytest.mark.parametrize("other", OTHER_KEYS)
async def test_m18_nothing_is_confirmed_or_cancelled_under_another_accounts_key(
    office: Office, other: StripeIdentity
) -> None:
    payment_id = await office.opened()
    facts, sent = await office.facts(payment_id), len(office.stripe.sent)
    office.stripe.speaks_for = other
    with pytest.raises(StatusForbids) as confirm_refused:
        await office.service.payments.confirm(DRIVER, payment_id, "pm_1")
    with pytest.raises(StatusForbids) as cancel_refused:
        await office.service.payments.cancel(DISPATCHER, payment_id, "duplicate")
    codes = (confirm_refused.value.code, cancel_refused.value.code)
    assert codes == ("stripe_account_changed",) * 2
    assert await office.facts(payment_id) == facts
    assert len(office.stripe.sent) == sent


async def test_m32_a_look_that_fails_after_the_send_is_a_202(office: Office) -> None:
    payment_id = await office.approved(BACK_OFFICE)
    replayed_500 = Unknown(UnknownReason.REPLAYED_SERVER_ERROR, "HTTP 500, replayed")
    office.stripe.script(TRANSFER, replayed_500)
    office.stripe.lists_down = StripeUnavailable("Stripe does not answer.")
    answer = await office.service.payments.process(DISPATCHER, payment_id, None)
    assert (answer.status, answer.payment.status) == (202, Status.PROCESSING)


async def test_m32_the_look_and_the_send_share_one_budget(office: Office) -> None:
    payment_id = await office.approved(BACK_OFFICE)
    office.stripe.script(TRANSFER, NOT_ALLOWED)
    await office.service.payments.process(DISPATCHER, payment_id, None)
    await office.service.payments.retry(DISPATCHER, payment_id)
    look_s = 9

    async def the_list_takes_its_time() -> None:
        office.clock.advance(look_s)

    office.stripe.during(Read.TRANSFERS, the_list_takes_its_time)
    await office.service.payments.process(DISPATCHER, payment_id, None)
    assert len(office.stripe.budgets_s) == 2
    assert office.stripe.budgets_s[-1] <= REQUEST_S_MAX - look_s
