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


def asking_refund(stripe: CoreClient) -> str:
    """A refund of a charge whose money does not find its way back by itself."""
    intent = stripe.pay(method="pm_card_bypassPending")
    stripe.control("POST", f"charges/{intent['latest_charge']}/close_way_back")
    params = {"payment_intent": intent["id"]}
    error = stripe.expect(400, "POST", "/v1/refunds", params)
    assert error["param"] == "instructions_email"
    refund = stripe.post("/v1/refunds", {**params, "instructions_email": "ann@example.com"})
    assert refund["status"] == "requires_action"
    sent = refund["next_action"]["display_details"]["email_sent"]
    assert sent["email_sent_to"] == "ann@example.com"
    refund_id: str = refund["id"]
    return refund_id


def test_a_refund_that_asks_the_customer_can_be_canceled(stripe: CoreClient) -> None:
    refund = asking_refund(stripe)
    held = stripe.available()
    assert stripe.post(f"/v1/refunds/{refund}/cancel")["status"] == "canceled"
    assert stripe.available() == held + 5_000
    stripe.expect(400, "POST", f"/v1/refunds/{refund}/cancel")
    charge = stripe.get("/v1/charges")["data"][0]
    assert (charge["refunded"], charge["amount_refunded"]) == (False, 0)


def test_a_refund_that_asks_the_customer_succeeds_once_answered(stripe: CoreClient) -> None:
    refund = asking_refund(stripe)
    assert stripe.control("POST", f"refunds/{refund}/answer")["status"] == "pending"
    stripe.expect(400, "POST", f"/v1/refunds/{refund}/cancel")
    stripe.advance(60)
    assert stripe.get(f"/v1/refunds/{refund}")["status"] == "succeeded"


def test_a_refund_that_nobody_answers_fails(stripe: CoreClient) -> None:
    refund = asking_refund(stripe)
    held = stripe.available()
    stripe.advance(45 * 86_400)
    assert stripe.get(f"/v1/refunds/{refund}")["status"] == "failed"
    assert stripe.available() == held + 5_000


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


@pytest.mark.parametrize("inquiry", [False, True])
def test_a_dispute_without_evidence_ends_on_its_day(stripe: CoreClient, inquiry: bool) -> None:
    opening = stripe.available()
    stripe.pay(method="pm_card_createDisputeInquiry" if inquiry else "pm_card_createDispute")
    dispute = stripe.get("/v1/disputes")["data"][0]
    stripe.advance(dispute["evidence_details"]["due_by"] - dispute["created"] - 1)
    assert stripe.get(f"/v1/disputes/{dispute['id']}")["status"] == dispute["status"]
    stripe.advance(1)
    ended = stripe.get(f"/v1/disputes/{dispute['id']}")
    assert ended["status"] == ("warning_closed" if inquiry else "lost")
    assert stripe.available() == opening + (4_825 if inquiry else 4_825 - 6_500)
    assert stripe.events()[-1] == "charge.dispute.closed"


def test_a_dispute_with_evidence_waits_for_the_bank(stripe: CoreClient) -> None:
    stripe.pay(method="pm_card_createDispute")
    dispute = stripe.get("/v1/disputes")["data"][0]["id"]
    stripe.post(f"/v1/disputes/{dispute}", {"evidence": {"product_description": "a tow"}})
    stripe.advance(40 * 86_400)
    assert stripe.get(f"/v1/disputes/{dispute}")["status"] == "under_review"


def test_an_inquiry_may_become_a_chargeback(stripe: CoreClient) -> None:
    intent = stripe.pay(method="pm_card_createDisputeInquiry")
    stripe.post("/v1/refunds", {"payment_intent": intent["id"], "amount": 1_000})
    held = stripe.available()
    dispute = stripe.get("/v1/disputes")["data"][0]["id"]
    text = {"evidence": {"uncategorized_text": "escalate_inquiry_evidence"}}
    escalated = stripe.post(f"/v1/disputes/{dispute}", text)
    assert (escalated["status"], escalated["amount"]) == ("needs_response", 4_000)
    assert stripe.available() == held - 4_000 - 1_500
    assert stripe.events()[-1] == "charge.dispute.funds_withdrawn"


def test_a_part_of_a_charge_is_disputed(stripe: CoreClient) -> None:
    intent = stripe.pay(method="pm_card_bypassPending")
    held = stripe.available()
    order = {"reason": "product_not_received", "amount": 2_000}
    made = stripe.control("POST", f"charges/{intent['latest_charge']}/dispute", order)
    assert (made["amount"], stripe.available()) == (2_000, held - 3_500)
    stripe.control("POST", f"disputes/{made['id']}/decide", {"outcome": "won"})
    assert stripe.available() == held - 1_500


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
