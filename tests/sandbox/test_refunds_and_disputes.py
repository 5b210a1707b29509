"""Money that goes back: refunds and disputes."""

import pytest

from tests.sandbox.client import CoreClient


@pytest.fixture
def stripe() -> CoreClient:
    return CoreClient()


def test_refunds_in_parts_until_nothing_is_left(stripe: CoreClient) -> None:
    intent = stripe.pay(method="pm_card_bypassPending")
    before = stripe.available()
    first = stripe.post("/v1/refunds", {"payment_intent": intent["id"], "amount": 2_000})
    assert first["status"] == "succeeded"
    over = {"payment_intent": intent["id"], "amount": 3_001}
    assert "code" not in stripe.expect(400, "POST", "/v1/refunds", over)
    stripe.post("/v1/refunds", {"charge": intent["latest_charge"]})
    charge = stripe.get(f"/v1/charges/{intent['latest_charge']}")
    assert (charge["refunded"], charge["amount_refunded"]) == (True, 5_000)
    assert stripe.available() == before - 5_000
    error = stripe.expect(400, "POST", "/v1/refunds", {"payment_intent": intent["id"]})
    assert error["code"] == "charge_already_refunded"
    assert stripe.events()[-2:] == ["refund.created", "charge.refunded"]


def test_a_pending_refund_succeeds_later(stripe: CoreClient) -> None:
    intent = stripe.pay(method="pm_card_pendingRefund")
    refund = stripe.post("/v1/refunds", {"payment_intent": intent["id"]})
    assert (refund["status"], refund["pending_reason"]) == ("pending", "processing")
    stripe.advance(60)
    assert stripe.get(f"/v1/refunds/{refund['id']}")["status"] == "succeeded"
    assert stripe.events()[-2:] == ["refund.updated", "charge.refund.updated"]


def test_a_succeeded_refund_fails_later_and_the_money_comes_back(stripe: CoreClient) -> None:
    intent = stripe.pay(method="pm_card_refundFail")
    held = stripe.available() + stripe.pending()
    refund = stripe.post("/v1/refunds", {"payment_intent": intent["id"]})
    assert refund["status"] == "succeeded"
    assert stripe.available() + stripe.pending() == held - 5_000
    stripe.advance(60)
    failed = stripe.get(f"/v1/refunds/{refund['id']}", {"expand": ["failure_balance_transaction"]})
    assert (failed["status"], failed["failure_balance_transaction"]["net"]) == ("failed", 5_000)
    assert stripe.available() + stripe.pending() == held
    assert "refund.failed" in stripe.events()
    charge = stripe.get(f"/v1/charges/{intent['latest_charge']}")
    assert (charge["refunded"], charge["amount_refunded"]) == (False, 0)


def test_a_refund_without_funds_waits_for_them(stripe: CoreClient) -> None:
    intent = stripe.pay(9_000, method="pm_card_bypassPending")
    stripe.post("/v1/payouts", {"amount": stripe.available(), "currency": "usd"})
    refund = stripe.post("/v1/refunds", {"payment_intent": intent["id"]})
    assert (refund["status"], refund["pending_reason"]) == ("pending", "insufficient_funds")
    assert stripe.available() == 0
    stripe.pay(20_000, method="pm_card_bypassPending")
    stripe.advance(60)
    assert stripe.get(f"/v1/refunds/{refund['id']}")["status"] == "succeeded"
    assert stripe.available() == 20_000 - 610 - 9_000


def test_a_refund_leaves_the_transfer_alone(stripe: CoreClient) -> None:
    vendor = stripe.connected_account()
    intent = stripe.pay()
    params = {"amount": 4_000, "currency": "usd", "destination": vendor}
    transfer = stripe.post(
        "/v1/transfers", {**params, "source_transaction": intent["latest_charge"]}
    )
    stripe.post("/v1/refunds", {"payment_intent": intent["id"]})
    assert stripe.get(f"/v1/transfers/{transfer['id']}")["amount_reversed"] == 0


def test_a_dispute_takes_the_money_and_a_fee_and_a_win_returns_the_money(
    stripe: CoreClient,
) -> None:
    opening = stripe.available()
    intent = stripe.pay(method="pm_card_createDispute")
    [dispute] = stripe.get("/v1/disputes", {"payment_intent": intent["id"]})["data"]
    assert (dispute["status"], dispute["reason"]) == ("needs_response", "fraudulent")
    assert stripe.available() == opening - 5_000 - 1_500
    refused = stripe.expect(400, "POST", "/v1/refunds", {"payment_intent": intent["id"]})
    assert refused["code"] == "charge_disputed"
    evidence = {"evidence": {"uncategorized_text": "winning_evidence"}}
    won = stripe.post(f"/v1/disputes/{dispute['id']}", evidence)
    assert won["status"] == "won"
    assert stripe.available() == opening - 1_500
    assert [name for name in stripe.events() if "dispute" in name] == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
        "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
    ]


def test_a_lost_dispute_keeps_the_money_away(stripe: CoreClient) -> None:
    opening = stripe.available()
    stripe.pay(method="pm_card_createDispute")
    dispute = stripe.get("/v1/disputes")["data"][0]["id"]
    evidence = {"evidence": {"product_description": "a tow"}, "submit": False}
    assert stripe.post(f"/v1/disputes/{dispute}", evidence)["status"] == "needs_response"
    text = {"evidence": {"uncategorized_text": "losing_evidence"}}
    assert stripe.post(f"/v1/disputes/{dispute}", text)["status"] == "lost"
    assert stripe.available() == opening - 6_500
    stripe.expect(400, "POST", f"/v1/disputes/{dispute}", evidence)
    stripe.expect(400, "POST", f"/v1/disputes/{dispute}/close")


def test_an_inquiry_withdraws_nothing(stripe: CoreClient) -> None:
    opening = stripe.available()
    stripe.pay(method="pm_card_createDisputeInquiry")
    dispute = stripe.get("/v1/disputes")["data"][0]
    assert (dispute["status"], stripe.available()) == ("warning_needs_response", opening)
    closed = stripe.post(f"/v1/disputes/{dispute['id']}/close")
    assert closed["status"] == "warning_closed"


@pytest.mark.parametrize(
    ("token", "level"),
    [("pm_card_visa", "normal"), ("pm_card_riskLevelElevated", "elevated")],
)
def test_charges_carry_their_risk(stripe: CoreClient, token: str, level: str) -> None:
    charge = stripe.get(f"/v1/charges/{stripe.pay(method=token)['latest_charge']}")
    assert charge["outcome"]["risk_level"] == level


def test_a_blocked_card_never_reaches_its_bank(stripe: CoreClient) -> None:
    params = {"amount": 500, "currency": "usd", "payment_method": "pm_card_radarBlock"}
    error = stripe.expect(402, "POST", "/v1/payment_intents", {**params, "confirm": True})
    outcome = stripe.get(f"/v1/charges/{error['charge']}")["outcome"]
    assert (outcome["type"], outcome["network_status"]) == ("blocked", "not_sent_to_network")


def test_a_card_set_up_off_session_asks_no_more(stripe: CoreClient) -> None:
    customer = stripe.post("/v1/customers")["id"]
    path = "/v1/payment_methods/pm_card_authenticationRequired/attach"
    method = stripe.post(path, {"customer": customer})["id"]
    card = {"method": method, "customer": customer}
    first = stripe.pay(**card, setup_future_usage="off_session")
    stripe.control("POST", f"payment_intents/{first['id']}/authenticate", {"outcome": "succeed"})
    assert stripe.pay(**card, off_session=True)["status"] == "succeeded"
