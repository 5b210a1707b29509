"""Both kinds of payment, from creation to the vendor's notice, over real HTTP."""

import pytest

from tests.flows import payments
from tests.flows.books import assert_books_agree, verify
from tests.flows.stack import Stack, wait_for


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


def test_a_driver_pays_by_card_and_every_cent_is_explained(stack: Stack) -> None:
    vendor = payments.vendor(stack, email="driver-flow@tow.example")
    payment_id, intent_id = payments.opened(stack, vendor)
    reply = payments.confirm(stack, payment_id)
    assert reply.status == 200, reply
    assert reply.text("payment", "status") == "completed"
    (charge,) = payments.charges_of(stack, payment_id)
    assert (charge["payment_intent"], charge["amount"]) == (intent_id, 12_500)
    (mail,) = wait_for(
        "the vendor's e-mail", lambda: stack.mailbox.to("driver-flow@tow.example") or None
    )
    text = mail.get_body(("plain",))
    assert text is not None
    assert "$125.00" in text.get_content()
    assert_books_agree(stack)
    verify(stack)


def test_a_back_office_pays_a_vendor_and_every_cent_is_explained(stack: Stack) -> None:
    vendor = payments.vendor(stack, email="fleet-flow@tow.example", locale="de-DE")
    payment_id = payments.approved(stack, vendor, driver=False, cents=123_456)
    reply = payments.process(stack, payment_id)
    assert reply.status == 200, reply
    assert reply.text("payment", "status") == "completed"
    (transfer,) = payments.transfers_of(stack, payment_id)
    assert (transfer["id"], transfer["amount"]) == (reply.body["stripeTransferId"], 123_456)
    assert transfer["_idempotency_key"] == f"transfer_{payment_id}"
    (mail,) = wait_for(
        "the vendor's e-mail", lambda: stack.mailbox.to("fleet-flow@tow.example") or None
    )
    text = mail.get_body(("plain",))
    assert text is not None
    assert "1.234,56" in text.get_content()
    assert_books_agree(stack)
    verify(stack)


def test_a_payer_at_home_confirms_with_the_client_secret_alone(stack: Stack) -> None:
    """Stripe.js on the driver's phone talks to Stripe; we hear of it by webhook."""
    payment_id, intent_id = payments.opened(stack, payments.vendor(stack))
    secret = stack.api("GET", f"/payments/{payment_id}/client-secret", as_="driver")
    assert secret.status == 200
    assert secret.text("clientSecret").startswith(f"{intent_id}_secret_")
    paid = stack.form(
        "POST", f"/v1/payment_intents/{intent_id}/confirm", "payment_method=pm_card_visa"
    )
    assert paid.status == 200, paid
    stack.wait_status(payment_id, "completed")
    assert_books_agree(stack)


def test_three_d_secure_waits_for_the_payer_and_completes(stack: Stack) -> None:
    payment_id, intent_id = payments.opened(stack, payments.vendor(stack))
    reply = payments.confirm(stack, payment_id, "pm_card_authenticationRequired")
    assert reply.status == 200, reply
    assert reply.body["requiresAction"] is True
    assert stack.payment(payment_id)["awaiting"] == "payer"
    stack.stripe(
        "POST", f"/_sandbox/payment_intents/{intent_id}/authenticate", {"outcome": "succeed"}
    )
    stack.wait_status(payment_id, "completed")
    assert "ActionRequired" in stack.facts(payment_id)


def test_the_same_key_gives_the_same_answer_and_no_second_payment(stack: Stack) -> None:
    vendor = payments.vendor(stack)
    payment_id = payments.approved(stack, vendor, driver=False)
    path, key = f"/payments/{payment_id}/process", {"Idempotency-Key": "once-only"}
    first = stack.api("POST", path, {}, **key)
    again = stack.api("POST", path, {}, **key)
    assert (first.status, again.status) == (200, 200)
    assert first.body == again.body
    account = stack.connected_account()
    other = stack.api("POST", path, {"vendorStripeAccountId": account}, **key)
    assert (other.status, other.body["code"]) == (422, "idempotency_key_reused")
    assert len(payments.transfers_of(stack, payment_id)) == 1


def test_a_reversal_at_stripe_is_booked_once(stack: Stack) -> None:
    payment_id = payments.approved(stack, payments.vendor(stack), driver=False)
    transfer_id = payments.process(stack, payment_id).text("stripeTransferId")
    for cents in (500, 700):
        reversed_ = stack.form("POST", f"/v1/transfers/{transfer_id}/reversals", f"amount={cents}")
        assert reversed_.status == 200, reversed_
    wait_for(
        "both reversals",
        lambda: stack.payment(payment_id)["amountReversedCents"] == 1_200 or None,
    )
    assert_books_agree(stack)
