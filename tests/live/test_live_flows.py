"""Both movements, a decline and a cancel, without anything that only a sandbox can do."""

from __future__ import annotations

import os

import pytest

from tests.flows import payments
from tests.flows.books import verify, wait_booked
from tests.flows.stack import Stack


def metadata_intents(stack: Stack, payment_id: str) -> list[object]:
    listed = stack.form("GET", "/v1/payment_intents?limit=100").body["data"]
    assert isinstance(listed, list)
    return [one for one in listed if one["metadata"].get("paymentId") == payment_id]


@pytest.fixture(scope="module")
def payable_vendor(stack: Stack) -> str:
    """A vendor whose account can receive, and a platform with money to send."""
    if "ROADCALL_TEST_LIVE" in os.environ and "STRIPE_DESTINATION" not in os.environ:
        pytest.skip("STRIPE_DESTINATION=acct_... names no connected account to pay")
    funded = stack.form(
        "POST",
        "/v1/payment_intents",
        "amount=50000&currency=usd&payment_method=pm_card_bypassPending&confirm=true"
        "&automatic_payment_methods[enabled]=true&automatic_payment_methods[allow_redirects]=never",
    )
    assert funded.status == 200, funded
    return payments.vendor(stack)


def test_a_driver_is_declined_pays_with_another_card_and_the_books_agree(stack: Stack) -> None:
    payment_id, intent_id = payments.opened(stack, payments.vendor(stack))
    declined = payments.confirm(stack, payment_id, "pm_card_visa_chargeDeclined")
    assert (declined.status, declined.body["code"]) == (400, "payment_failed")
    paid = payments.confirm(stack, payment_id, "pm_card_visa")
    assert paid.text("payment", "status") == "completed"
    assert paid.text("stripePaymentIntentId") == intent_id
    assert len(metadata_intents(stack, payment_id)) == 1
    wait_booked(stack)
    verify(stack)


def test_an_open_payment_intent_is_cancelled_at_stripe(stack: Stack) -> None:
    payment_id, intent_id = payments.opened(stack, payments.vendor(stack))
    assert stack.api("POST", f"/payments/{payment_id}/cancel", {}).status == 200
    shown = stack.form("GET", f"/v1/payment_intents/{intent_id}")
    assert shown.body["status"] == "canceled"


def test_a_vendor_is_paid_once(stack: Stack, payable_vendor: str) -> None:
    payment_id = payments.approved(stack, payable_vendor, driver=False, cents=1_234)
    done = payments.process(stack, payment_id)
    assert done.text("payment", "status") == "completed"
    listed = stack.form("GET", f"/v1/transfers?transfer_group={payment_id}").body["data"]
    assert isinstance(listed, list)
    assert [(one["id"], one["amount"]) for one in listed] == [
        (done.body["stripeTransferId"], 1_234)
    ]
    wait_booked(stack)
    verify(stack)
