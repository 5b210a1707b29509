"""settle: proof counts, a person's word does not (M5, M7, M8, M13)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from roadcall_payments.domain.errors import InvalidInput, StatusForbids, StripeUnavailable
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.payment import Status
from roadcall_payments.domain.stripe_objects import Operation
from roadcall_payments.ports import Unknown, UnknownReason
from tests.workflows.office import ADMIN, DISPATCHER, Office

TIMEOUT = Unknown(UnknownReason.TIMEOUT, "no answer in time")


async def unknown_transfer(office: Office, *, made: bool) -> str:
    """A transfer without an answer; ``made``: Stripe acted on it all the same."""
    payment_id = await office.approved(PayerType.BACK_OFFICE)
    if made:
        office.stripe.lose_answer(Operation.CREATE_TRANSFER)
    else:
        office.stripe.script(Operation.CREATE_TRANSFER, TIMEOUT)
    await office.service.payments.process(DISPATCHER, payment_id, None)
    return payment_id


async def test_m7_what_stripe_lists_settles_it_and_nothing_is_sent(office: Office) -> None:
    payment_id = await unknown_transfer(office, made=True)
    sent = len(office.stripe.sent)
    inquired = await office.service.inquiry.settle(ADMIN, payment_id)
    assert inquired.settled
    assert (inquired.before.status, inquired.after.status) == (Status.PROCESSING, Status.COMPLETED)
    assert len(office.stripe.sent) == sent
    facts = await office.facts(payment_id)
    assert facts[-2:] == ["OutcomeInquired", "PaymentCompleted"]
    journal = await office.service.queries.timeline(payment_id)
    assert journal[-2].actor == str(ADMIN)


async def test_m5_nothing_found_settles_nothing(office: Office) -> None:
    payment_id = await unknown_transfer(office, made=False)
    inquired = await office.service.inquiry.settle(ADMIN, payment_id)
    assert not inquired.settled
    assert inquired.open_call is not None
    assert inquired.open_call.key == f"transfer_{payment_id}"
    assert (await office.payment(payment_id)).status is Status.PROCESSING


async def test_m13_evidence_is_fetched_and_compared(office: Office) -> None:
    payment_id = await unknown_transfer(office, made=True)
    (transfer,) = office.stripe.made_transfers.values()
    office.stripe.lists_down = StripeUnavailable("the list is down")
    other = replace(transfer, id="tr_other", metadata={**transfer.metadata, "paymentId": "x"})
    office.stripe.made_transfers["tr_other"] = other
    for wrong in ("tr_other", "ch_1"):
        with pytest.raises(InvalidInput) as refused:
            await office.service.inquiry.settle(ADMIN, payment_id, wrong)
        assert refused.value.field == "object"
    assert "OutcomeInquired" not in await office.facts(payment_id)
    inquired = await office.service.inquiry.settle(ADMIN, payment_id, transfer.id)
    assert inquired.after.transfer == transfer.id


async def test_m8_absence_is_proved_by_two_empty_lists_alone(office: Office) -> None:
    payment_id = await unknown_transfer(office, made=False)
    settle = office.service.inquiry.settle
    office.clock.advance(timedelta(hours=24).total_seconds())
    first = await settle(ADMIN, payment_id)
    assert first.open_call is not None
    again = await settle(ADMIN, payment_id)
    assert not again.settled, "two lists at once are one"
    assert again.open_call is not None
    assert again.open_call.void_after is not None
    office.clock.advance((again.open_call.void_after - office.clock.now()).total_seconds())
    last = await settle(ADMIN, payment_id)
    assert last.settled
    assert last.after.status is Status.FAILED
    assert (await office.facts(payment_id))[-1] == "AttemptVoided"


async def test_a_confirmation_is_settled_by_its_payment_intent(office: Office) -> None:
    payment_id = await office.opened()
    office.stripe.lose_answer(Operation.CONFIRM_PAYMENT_INTENT)
    await office.service.payments.confirm(DISPATCHER, payment_id, "pm_card_visa")
    inquired = await office.service.inquiry.settle(ADMIN, payment_id)
    assert inquired.after.status is Status.COMPLETED


async def test_what_is_known_is_not_settled_again(office: Office) -> None:
    payment_id = await office.approved(PayerType.BACK_OFFICE)
    with pytest.raises(StatusForbids, match="Nothing is unknown"):
        await office.service.inquiry.settle(ADMIN, payment_id)
