"""What a request is told before and after its intent: refusals, repeats, pauses."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from roadcall_payments.domain import events as e
from roadcall_payments.domain.errors import (
    DestinationMismatch,
    DuplicateJob,
    IdempotencyKeyReused,
    MovementsPaused,
    NotAllowed,
    StatusForbids,
    StripeUnavailable,
)
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Status
from roadcall_payments.domain.stripe_objects import (
    Operation,
    StripeFailure,
)
from roadcall_payments.ports import Refused, Unknown, UnknownReason
from roadcall_payments.workflows.idempotency import Answer, IdempotencyKey
from roadcall_payments.workflows.intake import NewLineItem, NewPayment
from tests.workflows.office import (
    ADMIN,
    APPROVER,
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


async def test_m10_the_approved_account_is_paid_and_no_other(office: Office) -> None:
    payment_id = await office.approved(BACK_OFFICE)
    with pytest.raises(DestinationMismatch):
        await office.service.payments.process(DISPATCHER, payment_id, "acct_thief")
    assert office.stripe.sent == []
    vendor_id = (await office.payment(payment_id)).vendor_id
    vendor = await office.service.vendors.get(vendor_id)
    assert vendor.stripe_account == "acct_vendor"
    await office.service.payments.process(DISPATCHER, payment_id, "acct_vendor")
    (made,) = office.stripe.made_transfers.values()
    assert made.destination == "acct_vendor"


async def test_m10_an_approver_cannot_name_another_account_than_the_one_on_file(
    office: Office,
) -> None:
    payment_id = await office.created(BACK_OFFICE)
    with pytest.raises(DestinationMismatch):
        await office.service.approvals.approve(APPROVER, payment_id, "acct_thief")


async def test_m11_one_live_payment_a_job_and_the_job_is_free_again_after_a_cancel(
    office: Office,
) -> None:
    vendor_id = await office.vendor()
    new = NewPayment(
        "co_1",
        "in_same",
        vendor_id,
        None,
        BACK_OFFICE,
        Money(100, "usd"),
        (NewLineItem("tow", 1, 100),),
    )
    first = (await office.service.intake.create(DISPATCHER, new)).payment.id
    with pytest.raises(DuplicateJob) as refused:
        await office.service.intake.create(DISPATCHER, new)
    assert refused.value.payment_id == first
    assert await office.service.intake.work_completed("ev_1", b"{}", new) is None
    await office.service.payments.cancel(DISPATCHER, first, "duplicate")
    event = await office.service.intake.work_completed("ev_2", b"{}", new)
    assert event is not None
    assert await office.service.intake.work_completed("ev_2", b"{}", new) is None


async def test_m31_a_repeat_gets_the_first_answer_without_the_secret(office: Office) -> None:
    payment_id = await office.approved(DRIVER_IC)
    key = IdempotencyKey("us_1 process", "k1", "digest")
    first = await office.service.payments.process(DISPATCHER, payment_id, None, key)
    assert first.client_secret is not None
    await office.service.payments.confirm(DRIVER, payment_id, "pm_card_visa")
    again = await office.service.payments.process(DISPATCHER, payment_id, None, key)
    assert again.repeated
    assert again.client_secret is None
    assert (again.status, again.payment) == (first.status, first.payment)


async def test_m31_of_two_calls_at_once_under_one_key_one_acts(office: Office) -> None:
    payment_id = await office.approved(DRIVER_IC)
    key = IdempotencyKey("us_1 process", "k1", "digest")
    answers = await asyncio.gather(
        *(office.service.payments.process(DISPATCHER, payment_id, None, key) for _ in range(3))
    )
    assert sorted(answer.repeated for answer in answers) == [False, True, True]
    assert len(office.stripe.sent) == 1
    assert (await office.payment(payment_id)).attempts == 1


async def test_m31_a_key_taken_by_another_body_at_the_same_moment_is_refused(
    office: Office,
) -> None:
    payment_id = await office.approved(DRIVER_IC)
    one, other = (IdempotencyKey("us_1 process", "k1", digest) for digest in ("one", "other"))
    process = office.service.payments.process
    first, second = await asyncio.gather(
        process(DISPATCHER, payment_id, None, one),
        process(DISPATCHER, payment_id, None, other),
        return_exceptions=True,
    )
    assert isinstance(first, Answer)
    assert isinstance(second, IdempotencyKeyReused)
    with pytest.raises(IdempotencyKeyReused):
        await process(DISPATCHER, payment_id, None, other)
    assert len(office.stripe.sent) == 1


async def test_m31_a_repeat_after_the_payment_was_approved_again_moves_nothing(
    office: Office,
) -> None:
    payment_id = await office.approved(DRIVER_IC)
    office.stripe.script(CREATE, NOT_ALLOWED)
    key = IdempotencyKey("us_1 process", "k1", "digest")
    first = await office.service.payments.process(DISPATCHER, payment_id, None, key)
    assert first.status == 400
    await office.service.payments.retry(APPROVER, payment_id)
    again = await office.service.payments.process(DISPATCHER, payment_id, None, key)
    assert (again.status, again.payment, again.repeated) == (400, first.payment, True)
    assert len(office.stripe.sent) == 1
    assert (await office.payment(payment_id)).status is Status.APPROVED


async def test_m31_a_repeated_creation_gets_the_same_payment_scored(office: Office) -> None:
    new = NewPayment(
        "co_1",
        "in_repeat",
        await office.vendor(),
        None,
        BACK_OFFICE,
        Money(100, "usd"),
        (NewLineItem("tow", 1, 100),),
    )
    key = IdempotencyKey("us_1 create", "k1", "digest")
    first = await office.service.intake.create(DISPATCHER, new, key)
    await office.service.approvals.approve(APPROVER, first.payment.id)
    again = await office.service.intake.create(DISPATCHER, new, key)
    assert (again.status, again.payment) == (first.status, first.payment)
    assert again.payment.risk is not None


async def test_m31_a_repeat_while_the_outcome_is_open_says_202_and_then_the_truth(
    office: Office,
) -> None:
    payment_id = await office.approved(BACK_OFFICE)
    office.stripe.script(TRANSFER, TIMEOUT)
    key = IdempotencyKey("us_1 process", "k1", "digest")
    assert (await office.service.payments.process(DISPATCHER, payment_id, None, key)).status == 202
    assert (await office.service.payments.process(DISPATCHER, payment_id, None, key)).status == 202
    await office.attend(SOON)
    settled = await office.service.payments.process(DISPATCHER, payment_id, None, key)
    assert (settled.status, settled.payment.status) == (200, Status.COMPLETED)


async def test_m31_a_repeated_cancel_that_came_too_late_is_refused_again(office: Office) -> None:
    payment_id = await office.opened()
    idem = IdempotencyKey("us_1 POST cancel", "key-1", "digest")

    async def it_is_cancelled() -> None:
        paid = Refused(StripeFailure("payment_intent_unexpected_state", "Paid."), 400, "r", False)
        office.stripe.script(CANCEL, paid)
        for _ in range(2):
            with pytest.raises(StatusForbids) as refused:
                await office.service.payments.cancel(DISPATCHER, payment_id, "duplicate", idem)
            assert refused.value.code == "not_cancelled"

    # Stripe has the money, and the service is yet to hear of it.
    office.stripe.during(CONFIRM, it_is_cancelled)
    await office.service.payments.confirm(DRIVER, payment_id, "pm_1")
    assert (await office.payment(payment_id)).status is Status.COMPLETED


async def test_m31_a_repeated_cancel_says_again_that_it_is_cancelled(office: Office) -> None:
    payment_id = await office.opened()
    idem = IdempotencyKey("us_1 POST cancel", "key-1", "digest")
    for repeated in (False, True):
        answer = await office.service.payments.cancel(DISPATCHER, payment_id, "duplicate", idem)
        assert (answer.status, answer.repeated) == (200, repeated)
        assert answer.payment.status is Status.CANCELLED


async def test_m32_an_open_breaker_refuses_before_the_intent(office: Office) -> None:
    payment_id = await office.approved(BACK_OFFICE)
    facts = await office.facts(payment_id)
    office.stripe.down = StripeUnavailable("Stripe does not answer.")
    with pytest.raises(StripeUnavailable):
        await office.service.payments.process(DISPATCHER, payment_id, None)
    assert await office.facts(payment_id) == facts


async def test_m32_after_the_intent_an_unreachable_stripe_is_a_202(office: Office) -> None:
    payment_id = await office.approved(BACK_OFFICE)
    office.stripe.script(TRANSFER, NOT_ALLOWED)
    await office.service.payments.process(DISPATCHER, payment_id, None)
    await office.service.payments.retry(DISPATCHER, payment_id)
    office.stripe.lists_down = StripeUnavailable("Stripe does not answer.")
    answer = await office.service.payments.process(DISPATCHER, payment_id, None)
    assert (answer.status, answer.payment.status) == (202, Status.PROCESSING)
    office.stripe.lists_down = None
    await office.attend(SOON)
    assert (await office.payment(payment_id)).status is Status.COMPLETED


async def test_a_pause_holds_new_movements_and_recoverys_own(office: Office) -> None:
    waiting = await office.approved(BACK_OFFICE)
    open_ = await office.approved(BACK_OFFICE)
    office.stripe.script(TRANSFER, TIMEOUT)
    await office.service.payments.process(DISPATCHER, open_, None)
    await office.service.movements_switch.pause(ADMIN, "the bank called")
    with pytest.raises(MovementsPaused, match="the bank called"):
        await office.service.payments.process(DISPATCHER, waiting, None)
    await office.attend(SOON)
    assert len(office.stripe.sent) == 1
    await office.service.movements_switch.resume(ADMIN)
    await office.attend(timedelta(minutes=5))
    assert (await office.payment(open_)).status is Status.COMPLETED


async def test_connect_switched_off_refuses_before_anything_is_written(office: Office) -> None:
    payment_id = await office.approved(BACK_OFFICE)
    facts = await office.facts(payment_id)
    office.stripe.connect = False
    with pytest.raises(NotAllowed):
        await office.service.payments.process(DISPATCHER, payment_id, None)
    assert await office.facts(payment_id) == facts
