"""A payment was approved again after an attempt that Stripe refused, and then Stripe shows an
object of that attempt's after all: its money is booked once, by the attempt that adopts it, and
nobody cancels over it (M6, M16)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roadcall_payments.domain.errors import StatusForbids
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.payment import Status
from roadcall_payments.domain.stripe_objects import IntentStatus, Operation, StripeFailure
from roadcall_payments.ports import Refused
from tests.workflows.office import DISPATCHER, Office

REFUSED = Refused(StripeFailure("rejected", "Not now."), 400, "req_x", replayed=False)
MAKES = {
    PayerType.DRIVER_IC: Operation.CREATE_PAYMENT_INTENT,
    PayerType.BACK_OFFICE: Operation.CREATE_TRANSFER,
}


async def approved_again(office: Office, payer: PayerType) -> str:
    payment_id = await office.approved(payer)
    office.stripe.script(MAKES[payer], REFUSED)
    await office.service.payments.process(DISPATCHER, payment_id, None)
    await office.service.payments.retry(DISPATCHER, payment_id)
    (request,) = office.stripe.sent
    if payer is PayerType.BACK_OFFICE:
        office.stripe._transferred(request)
    else:
        opened = office.stripe._opened(request)
        office.stripe.intents[opened.id] = replace(
            opened, status=IntentStatus.SUCCEEDED, latest_charge="ch_late"
        )
    return payment_id


@pytest.mark.parametrize("payer", PayerType)
async def test_m6_its_money_is_booked_once_by_the_attempt_that_adopts_it(
    office: Office, payer: PayerType
) -> None:
    payment_id = await approved_again(office, payer)
    with pytest.raises(StatusForbids) as refused:
        await office.service.payments.cancel(DISPATCHER, payment_id, "abandoned")
    assert refused.value.code == "not_cancelled"
    before = await office.payment(payment_id)
    assert (before.status, before.strays) == (Status.APPROVED, ())
    await office.service.payments.process(DISPATCHER, payment_id, None)
    after = await office.payment(payment_id)
    assert (after.status, after.strays, len(after.unbooked)) == (Status.COMPLETED, (), 1)
    assert len(office.stripe.sent) == 1


async def test_m1_an_open_intent_of_an_earlier_attempt_is_adopted_before_it_is_cancelled(
    office: Office,
) -> None:
    payment_id = await approved_again(office, PayerType.DRIVER_IC)
    (intent,) = office.stripe.intents.values()
    office.stripe.intents[intent.id] = replace(intent, status=IntentStatus.REQUIRES_PAYMENT_METHOD)
    with pytest.raises(StatusForbids, match=intent.id):
        await office.service.payments.cancel(DISPATCHER, payment_id, "abandoned")
    await office.service.payments.process(DISPATCHER, payment_id, None)
    answer = await office.service.payments.cancel(DISPATCHER, payment_id, "abandoned")
    assert answer.payment.status is Status.CANCELLED
    assert office.stripe.intents[intent.id].status is IntentStatus.CANCELED


async def test_a_canceled_intent_of_an_earlier_attempt_keeps_nobody_from_cancelling(
    office: Office,
) -> None:
    payment_id = await approved_again(office, PayerType.DRIVER_IC)
    (intent,) = office.stripe.intents.values()
    office.stripe.intents[intent.id] = replace(intent, status=IntentStatus.CANCELED)
    answer = await office.service.payments.cancel(DISPATCHER, payment_id, "abandoned")
    assert answer.payment.status is Status.CANCELLED
