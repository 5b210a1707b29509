"""Declines, retries and races: one truth at the end, and money moved once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.flows import payments
from tests.flows.books import assert_books_agree
from tests.flows.deliveries import inbox
from tests.flows.stack import Reply, Stack, wait_for


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


def test_m1_m3_a_declined_card_then_another_on_the_same_payment_intent(stack: Stack) -> None:
    payment_id, intent_id = payments.opened(stack, payments.vendor(stack))
    # Its webhook comes late: after the second card has paid (M15).
    stack.fault(kind="webhook_delay", event="payment_intent.payment_failed", seconds=4, count=1)
    declined = payments.confirm(stack, payment_id, "pm_card_visa_chargeDeclinedInsufficientFunds")
    assert declined.status == 400, declined
    assert declined.body["code"] == "payment_failed"
    assert declined.body["declineCode"] == "insufficient_funds"
    assert stack.status(payment_id) == "failed"
    paid = payments.confirm(stack, payment_id)
    assert paid.text("payment", "status") == "completed"
    assert paid.text("stripePaymentIntentId") == intent_id
    wait_for(
        "the late failure",
        lambda: heard(stack, "payment_intent.payment_failed", intent_id) or None,
    )
    facts = stack.facts(payment_id)
    assert stack.status(payment_id) == "completed"
    assert facts.count("PaymentFailed") == 1
    assert facts.count("PaymentCompleted") == 1
    assert len(payments.intents_of(stack, payment_id)) == 1
    assert len(payments.charges_of(stack, payment_id)) == 1
    assert_books_agree(stack)


def test_a_transfer_waits_for_funds_and_goes_once_they_are_there(stack: Stack) -> None:
    payment_id = payments.approved(stack, payments.vendor(stack), driver=False, cents=240_000)
    drain = drain_platform(stack, leaving=1_000)
    waits = payments.process(stack, payment_id)
    assert waits.status == 202, waits
    assert waits.text("payment", "status") == "approved"
    assert waits.text("payment", "queue", "reason") == "insufficient_funds"
    assert payments.transfers_of(stack, payment_id) == []
    undo = stack.form("POST", f"/v1/transfers/{drain}/reversals")
    assert undo.status == 200, undo
    # Stripe's word that funds are there may have been quicker.
    assert payments.process(stack, payment_id).status in (200, 202, 409)
    stack.wait_status(payment_id, "completed")
    assert len(payments.transfers_of(stack, payment_id)) == 1


def test_m2_cancel_racing_success_ends_in_one_truth(stack: Stack) -> None:
    vendor = payments.vendor(stack)
    ends = set()
    for _ in range(4):
        payment_id, intent_id = payments.opened(stack, vendor)
        start = threading.Barrier(2)

        def pay(start: threading.Barrier = start, intent_id: str = intent_id) -> Reply:
            start.wait()
            return stack.form(
                "POST", f"/v1/payment_intents/{intent_id}/confirm", "payment_method=pm_card_visa"
            )

        def cancel(start: threading.Barrier = start, payment_id: str = payment_id) -> Reply:
            start.wait()
            return stack.api("POST", f"/payments/{payment_id}/cancel", {})

        with ThreadPoolExecutor(2) as pool:
            futures = pool.submit(pay), pool.submit(cancel)
            for future in futures:
                future.result()
        end = wait_for("an end", partial(ended, stack, payment_id))
        paid = len(payments.charges_of(stack, payment_id))
        assert paid == (1 if end == "completed" else 0)
        ends.add(end)
    assert ends <= {"completed", "cancelled"}
    assert_books_agree(stack)


def test_m2_cancelling_what_was_paid_unheard_says_so_and_completes(stack: Stack) -> None:
    payment_id, intent_id = payments.opened(stack, payments.vendor(stack))
    stack.fault(kind="webhook_drop", event="payment_intent.succeeded", count=1)
    stack.form("POST", f"/v1/payment_intents/{intent_id}/confirm", "payment_method=pm_card_visa")
    refused = stack.api("POST", f"/payments/{payment_id}/cancel", {})
    assert (refused.status, refused.body["code"]) == (409, "not_cancelled")
    assert stack.status(payment_id) == "completed"


def test_a_cancelled_payment_intent_frees_the_job(stack: Stack) -> None:
    payment_id, intent_id = payments.opened(stack, payments.vendor(stack))
    cancelled = stack.api("POST", f"/payments/{payment_id}/cancel", {})
    assert cancelled.status == 200, cancelled
    assert stack.status(payment_id) == "cancelled"
    shown = stack.form("GET", f"/v1/payment_intents/{intent_id}")
    assert shown.body["status"] == "canceled"


def test_two_hundred_concurrent_processes_move_money_once(stack: Stack) -> None:
    payment_id = payments.approved(stack, payments.vendor(stack), driver=False)
    start = threading.Barrier(200)

    def process(_: int) -> Reply:
        start.wait()
        return payments.process(stack, payment_id)

    with ThreadPoolExecutor(200) as pool:
        replies = list(pool.map(process, range(200)))
    # 202: Stripe's answer took longer than a call waits.
    first, *others = sorted(reply.status for reply in replies)
    assert first in (200, 202)
    assert others == [409] * 199
    stack.wait_status(payment_id, "completed")
    assert len(payments.transfers_of(stack, payment_id)) == 1
    assert stack.facts(payment_id).count("ProcessingStarted") == 1


def ended(stack: Stack, payment_id: str) -> str | None:
    status = stack.status(payment_id)
    return status if status in ("completed", "cancelled") else None


def heard(stack: Stack, event_type: str, object_id: str) -> bool:
    """Whether the service took such an event about this object."""
    events = stack.form("GET", f"/v1/events?type={event_type}&limit=100").body["data"]
    assert isinstance(events, list)
    ids = [event["id"] for event in events if event["data"]["object"]["id"] == object_id]
    return not set(ids).isdisjoint(inbox(stack))


def drain_platform(stack: Stack, *, leaving: int) -> str:
    """Take the platform's available balance away, all but ``leaving``; the transfer's id."""
    balance = stack.form("GET", "/v1/balance").body["available"]
    assert isinstance(balance, list)
    cents = next(int(f["amount"]) for f in balance if f["currency"] == "usd")
    account = stack.connected_account()
    taken = stack.form(
        "POST",
        "/v1/transfers",
        f"amount={cents - leaving}&currency=usd&destination={account}",
    )
    assert taken.status == 200, taken
    return taken.text("id")
