"""Webhooks twice, backwards and too early: the end is that of a day without faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.flows import payments
from tests.flows.books import assert_books_agree, verify
from tests.flows.deliveries import (
    deliver_signed,
    deliveries_of,
    events_about,
    inbox,
    published_so_far,
    wait_delivered,
)
from tests.flows.stack import Stack, wait_for

FAULTS: dict[str, dict[str, object] | None] = {
    "no fault": None,
    "twice": {"kind": "webhook_duplicate"},
    "in reverse order": {"kind": "webhook_reorder", "seconds": 0.5},
    "before the answer": {"kind": "webhook_early"},
    "late": {"kind": "webhook_delay", "seconds": 0.5},
}


@dataclass(frozen=True, slots=True)
class Ended:
    """One payment carried to its end, with the id of its object at Stripe."""

    payment_id: str
    object_id: str


def a_decline_then_another_card(stack: Stack, vendor: str) -> Ended:
    payment_id, intent_id = payments.opened(stack, vendor)
    assert payments.confirm(stack, payment_id, "pm_card_visa_chargeDeclined").status == 400
    assert payments.confirm(stack, payment_id).status == 200
    return Ended(payment_id, intent_id)


def three_d_secure(stack: Stack, vendor: str) -> Ended:
    payment_id, intent_id = payments.opened(stack, vendor)
    asked = payments.confirm(stack, payment_id, "pm_card_authenticationRequired")
    assert asked.body["requiresAction"] is True, asked
    path = f"/_sandbox/payment_intents/{intent_id}/authenticate"
    assert stack.stripe("POST", path, {"outcome": "succeed"}).status == 200
    return Ended(payment_id, intent_id)


def a_cancelled_payment_intent(stack: Stack, vendor: str) -> Ended:
    payment_id, intent_id = payments.opened(stack, vendor)
    assert stack.api("POST", f"/payments/{payment_id}/cancel", {}).status == 200
    return Ended(payment_id, intent_id)


def a_transfer(stack: Stack, vendor: str) -> Ended:
    payment_id = payments.approved(stack, vendor, driver=False)
    reply = payments.process(stack, payment_id)
    assert reply.status == 200, reply
    return Ended(payment_id, reply.text("stripeTransferId"))


def two_reversals(stack: Stack, vendor: str) -> Ended:
    paid = a_transfer(stack, vendor)
    for cents in (500, 700):
        path = f"/v1/transfers/{paid.object_id}/reversals"
        assert stack.form("POST", path, f"amount={cents}").status == 200
    return paid


@dataclass(frozen=True, slots=True)
class Story:
    """What happens, and the end it must come to whatever the webhooks do."""

    happens: Callable[[Stack, str], Ended]
    status: str
    facts: dict[str, int]
    reversed_cents: int = 0


OUTCOMES = (
    "PaymentCompleted PaymentFailed PaymentCancelled TransferReversed StrayMoneyObserved "
    "AnomalyRecorded AttemptVoided OutcomeUnknown"
).split()
STORIES = [
    Story(a_decline_then_another_card, "completed", {"PaymentFailed": 1, "PaymentCompleted": 1}),
    Story(three_d_secure, "completed", {"PaymentCompleted": 1}),
    Story(a_cancelled_payment_intent, "cancelled", {"PaymentCancelled": 1}),
    Story(a_transfer, "completed", {"PaymentCompleted": 1}),
    Story(two_reversals, "completed", {"PaymentCompleted": 1, "TransferReversed": 2}, 1_200),
]


def name_of(story: Story) -> str:
    return story.happens.__name__


@pytest.mark.parametrize("story", STORIES, ids=name_of)
@pytest.mark.parametrize("fault", FAULTS)
def test_the_same_end_however_webhooks_arrive(stack: Stack, story: Story, fault: str) -> None:
    email = f"{story.happens.__name__}.{fault.replace(' ', '.')}@tow.example"
    vendor = payments.vendor(stack, email=email)
    completed = published_so_far(stack, "completed")
    struck = FAULTS[fault]
    if struck is not None:
        stack.fault(**struck)
    ended = story.happens(stack, vendor)
    stack.wait_status(ended.payment_id, story.status)
    wait_delivered(stack)
    assert struck is None or struck_often(stack) >= 2
    stack.no_faults()

    payment = stack.payment(ended.payment_id)
    assert (payment["status"], payment["failure"]) == (story.status, None)
    assert payment["amountReversedCents"] == story.reversed_cents
    assert payment["anomalies"] == []
    facts = Counter(stack.facts(ended.payment_id))
    assert {name: facts[name] for name in OUTCOMES if facts[name]} == story.facts
    assert_each_event_was_taken_once(stack, ended.object_id, fault)
    if story.status == "completed":
        assert_the_vendor_was_told_once(stack, ended.payment_id, email)
        if fault == "before the answer":
            assert completion(stack, ended.payment_id)["source"] == "webhook"
        assert published_so_far(stack, "completed") == completed + 1


def assert_each_event_was_taken_once(stack: Stack, object_id: str, fault: str) -> None:
    taken = inbox(stack)
    events = events_about(stack, object_id)
    assert events
    for event in events:
        event_id = str(event["id"])
        sent = deliveries_of(stack, event_id)
        assert len(sent) == (2 if fault == "twice" else 1)
        assert {one["state"] for one in sent} == {"delivered"}
        assert taken[event_id].status in ("applied", "kept"), taken[event_id]


def assert_the_vendor_was_told_once(stack: Stack, payment_id: str, email: str) -> None:
    """One e-mail, and one notice a channel: the bus carried one PaymentCompleted."""
    wait_for("the vendor's e-mail", lambda: stack.mailbox.to(email) or None)
    planned = stack.database.query(
        "SELECT channel FROM notices WHERE stream = ? AND template IN "
        "('payment_received', 'transfer_sent') ORDER BY channel",
        f"payment/{payment_id}",
    )
    assert planned == [("email",), ("sms",)]


def struck_often(stack: Stack) -> int:
    faults = stack.stripe("GET", "/_sandbox/faults").body["faults"]
    assert isinstance(faults, list)
    return sum(int(fault["struck"]) for fault in faults)


def completion(stack: Stack, payment_id: str) -> dict[str, object]:
    """The data of the payment's PaymentCompleted."""
    entries = stack.api("GET", f"/payments/{payment_id}/timeline").body["entries"]
    assert isinstance(entries, list)
    (data,) = (entry["data"] for entry in entries if entry["type"] == "PaymentCompleted")
    assert isinstance(data, dict)
    return data


@pytest.mark.parametrize("story", [STORIES[0], STORIES[2], STORIES[3]], ids=name_of)
def test_without_any_webhook_the_answers_settle_it(stack: Stack, story: Story) -> None:
    vendor = payments.vendor(stack)
    stack.fault(kind="webhook_drop")
    ended = story.happens(stack, vendor)
    assert stack.status(ended.payment_id) == story.status
    assert not {str(event["id"]) for event in events_about(stack, ended.object_id)} & set(
        inbox(stack)
    )


def test_a_success_that_no_webhook_told_is_found_when_the_payer_confirms_again(
    stack: Stack,
) -> None:
    payment_id, intent_id = payments.opened(stack, payments.vendor(stack))
    stack.fault(kind="webhook_drop")
    path = f"/v1/payment_intents/{intent_id}/confirm"
    assert stack.form("POST", path, "payment_method=pm_card_visa").status == 200
    assert stack.status(payment_id) == "processing"
    again = payments.confirm(stack, payment_id)
    assert again.status == 200, again
    assert again.text("payment", "status") == "completed"
    assert len(payments.charges_of(stack, payment_id)) == 1


def test_one_event_delivered_twenty_times_at_once_is_taken_once(stack: Stack) -> None:
    payment_id, intent_id = payments.opened(stack, payments.vendor(stack))
    completed = published_so_far(stack, "completed")
    event = told_by_nobody(stack, intent_id, "pm_card_visa", "payment_intent.succeeded")
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda _: deliver_signed(stack, event), range(20)))
    answer = {"received": True, "eventId": event["id"]}
    assert [(reply.status, reply.body) for reply in replies] == [(200, answer)] * 20
    assert inbox(stack)[str(event["id"])].status == "applied"
    assert stack.facts(payment_id).count("PaymentCompleted") == 1
    assert published_so_far(stack, "completed") == completed + 1


def test_m15_with_stripe_down_a_failure_waits_and_a_success_does_not(stack: Stack) -> None:
    """A failure is fetched before it is believed; a success needs nobody's word but its own."""
    vendor = payments.vendor(stack)
    declined, declined_intent = payments.opened(stack, vendor)
    paid, paid_intent = payments.opened(stack, vendor)
    failure = told_by_nobody(
        stack, declined_intent, "pm_card_visa_chargeDeclined", "payment_intent.payment_failed"
    )
    success = told_by_nobody(stack, paid_intent, "pm_card_visa", "payment_intent.succeeded")
    stack.fault(kind="error_before", route="GET /v1/payment_intents/*")
    assert deliver_signed(stack, failure).status == 200
    assert deliver_signed(stack, success).status == 200
    assert inbox(stack)[str(failure["id"])].status == "waiting"
    assert stack.status(declined) == "processing"
    assert stack.status(paid) == "completed"
    stack.no_faults()
    stack.wait_status(declined, "failed")
    assert inbox(stack)[str(failure["id"])].status == "applied"


def told_by_nobody(
    stack: Stack, intent_id: str, payment_method: str, event_type: str
) -> dict[str, object]:
    """The event of a confirmation at the payer's home, for the test to deliver."""
    stack.fault(kind="webhook_drop")
    path = f"/v1/payment_intents/{intent_id}/confirm"
    assert stack.form("POST", path, f"payment_method={payment_method}").status in (200, 402)
    stack.no_faults()
    (event,) = (one for one in events_about(stack, intent_id) if one["type"] == event_type)
    return event


def test_the_books_agree_after_all_of_it(stack: Stack) -> None:
    assert_books_agree(stack)
    verify(stack)
