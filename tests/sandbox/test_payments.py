"""PaymentIntents, their charges and what they do to the balance."""

import pytest

from stripe_sandbox import SandboxConfig
from tests.sandbox.client import CoreClient


@pytest.fixture
def stripe() -> CoreClient:
    return CoreClient()


def test_a_confirmed_intent_is_paid_and_its_fee_is_booked(stripe: CoreClient) -> None:
    opening = stripe.available()
    intent = stripe.post(
        "/v1/payment_intents",
        {
            "amount": 5_000,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "confirm": True,
            "expand": ["latest_charge.balance_transaction"],
        },
    )
    charge = intent["latest_charge"]
    assert intent["status"] == "succeeded"
    assert intent["amount_received"] == 5_000
    assert charge["balance_transaction"]["fee"] == 175
    assert charge["balance_transaction"]["status"] == "pending"
    assert (stripe.available(), stripe.pending()) == (opening, 4_825)
    stripe.advance(3 * 86_400)
    assert (stripe.available(), stripe.pending()) == (opening + 4_825, 0)
    assert stripe.events()[-4:] == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "balance.available",
    ]


def test_a_decline_is_a_402_that_names_the_intent_and_leaves_it_open(stripe: CoreClient) -> None:
    error = stripe.expect(
        402,
        "POST",
        "/v1/payment_intents",
        {
            "amount": 5_000,
            "currency": "usd",
            "payment_method": "pm_card_visa_chargeDeclinedInsufficientFunds",
            "confirm": True,
        },
    )
    assert error["type"] == "card_error"
    assert (error["code"], error["decline_code"]) == ("card_declined", "insufficient_funds")
    intent = error["payment_intent"]
    assert intent["status"] == "requires_payment_method"
    assert intent["last_payment_error"]["charge"] == error["charge"]
    assert stripe.events()[-3:] == [
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
    ]
    paid = stripe.post(
        f"/v1/payment_intents/{intent['id']}/confirm", {"payment_method": "pm_card_visa"}
    )
    assert paid["status"] == "succeeded"
    assert paid["last_payment_error"] is None


@pytest.mark.parametrize(
    ("outcome", "status"), [("succeed", "succeeded"), ("fail", "requires_payment_method")]
)
def test_three_d_secure_asks_the_card_holder(stripe: CoreClient, outcome: str, status: str) -> None:
    intent = stripe.pay(method="pm_card_authenticationRequired")
    assert intent["status"] == "requires_action"
    assert intent["next_action"]["type"] == "use_stripe_sdk"
    path = f"payment_intents/{intent['id']}/authenticate"
    after = stripe.control("POST", path, {"outcome": outcome})
    assert after["status"] == status


def test_off_session_a_card_that_asks_is_declined(stripe: CoreClient) -> None:
    error = stripe.expect(
        402,
        "POST",
        "/v1/payment_intents",
        {
            "amount": 5_000,
            "currency": "usd",
            "payment_method": "pm_card_authenticationRequired",
            "confirm": True,
            "off_session": True,
        },
    )
    assert error["code"] == "authentication_required"


def test_on_session_the_same_card_asks(stripe: CoreClient) -> None:
    asked = stripe.pay(method="pm_card_authenticationRequired", off_session=False)
    assert asked["status"] == "requires_action"


def test_past_the_limit_of_failures_an_intent_is_canceled() -> None:
    stripe = CoreClient(config=SandboxConfig(confirmation_limit=2))
    intent = stripe.post("/v1/payment_intents", {"amount": 500, "currency": "usd"})["id"]
    path = f"/v1/payment_intents/{intent}"
    for _ in range(2):
        stripe.expect(402, "POST", f"{path}/confirm", {"payment_method": "pm_card_chargeDeclined"})
    assert stripe.get(path)["status"] == "canceled"


def test_a_partial_capture_takes_its_part_and_gives_back_the_rest(stripe: CoreClient) -> None:
    intent = stripe.pay(capture_method="manual")
    assert (intent["status"], intent["amount_capturable"]) == ("requires_capture", 5_000)
    assert stripe.pending() == 0
    path = f"/v1/payment_intents/{intent['id']}/capture"
    stripe.expect(400, "POST", path, {"amount_to_capture": 5_001})
    captured = stripe.post(path, {"amount_to_capture": 2_000, "expand": ["latest_charge"]})
    assert (captured["status"], captured["amount_received"]) == ("succeeded", 2_000)
    assert captured["latest_charge"]["amount_captured"] == 2_000
    assert stripe.pending() == 2_000 - (58 + 30)
    too_much = {"payment_intent": intent["id"], "amount": 2_001}
    stripe.expect(400, "POST", "/v1/refunds", too_much)


def test_an_uncaptured_authorization_lapses_after_a_week(stripe: CoreClient) -> None:
    intent = stripe.pay(capture_method="manual")
    stripe.advance(7 * 86_400 + 1)
    after = stripe.get(f"/v1/payment_intents/{intent['id']}")
    assert (after["status"], after["cancellation_reason"]) == ("canceled", "automatic")
    assert stripe.events()[-2:] == ["charge.expired", "payment_intent.canceled"]


def test_cancel_is_allowed_until_the_money_moved(stripe: CoreClient) -> None:
    open_intent = stripe.post("/v1/payment_intents", {"amount": 500, "currency": "usd"})
    cancel = f"/v1/payment_intents/{open_intent['id']}/cancel"
    canceled = stripe.post(cancel, {"cancellation_reason": "abandoned"})
    assert canceled["status"] == "canceled"
    error = stripe.expect(400, "POST", cancel)
    assert error["code"] == "payment_intent_unexpected_state"
    assert error["payment_intent"]["status"] == "canceled"
    paid = stripe.pay()
    stripe.expect(400, "POST", f"/v1/payment_intents/{paid['id']}/cancel")


def test_automatic_methods_with_redirects_need_a_return_url(stripe: CoreClient) -> None:
    params = {"amount": 500, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    always = {**params, "automatic_payment_methods": {"enabled": True}}
    error = stripe.expect(400, "POST", "/v1/payment_intents", always)
    assert error["param"] == "return_url"
    never = {**params, "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}
    assert stripe.post("/v1/payment_intents", never)["status"] == "succeeded"


def test_intents_are_listed_by_time_and_cursor(stripe: CoreClient) -> None:
    made = []
    for _ in range(5):
        made.append(stripe.post("/v1/payment_intents", {"amount": 500, "currency": "usd"})["id"])
        stripe.advance(10)
    newest_first = made[::-1]
    page = stripe.get("/v1/payment_intents", {"limit": 2})
    assert [intent["id"] for intent in page["data"]] == newest_first[:2]
    assert page["has_more"] is True
    rest = {"limit": 10, "starting_after": newest_first[1]}
    page = stripe.get("/v1/payment_intents", rest)
    assert [intent["id"] for intent in page["data"]] == newest_first[2:]
    assert page["has_more"] is False
    before = stripe.get("/v1/payment_intents", {"limit": 2, "ending_before": newest_first[4]})
    assert [intent["id"] for intent in before["data"]] == newest_first[2:4]
    start = stripe.get(f"/v1/payment_intents/{made[2]}")["created"]
    recent = stripe.get("/v1/payment_intents", {"created": {"gte": start, "lte": start + 15}})
    assert [intent["id"] for intent in recent["data"]] == [made[3], made[2]]


def test_a_publishable_key_sees_an_intent_by_its_secret_alone(stripe: CoreClient) -> None:
    intent = stripe.post("/v1/payment_intents", {"amount": 500, "currency": "usd"})
    stripe.key = "pk_test_phone"
    path = f"/v1/payment_intents/{intent['id']}"
    stripe.expect(404, "GET", path)
    stripe.expect(400, "GET", path, {"client_secret": "wrong"})
    secret = {"client_secret": intent["client_secret"]}
    assert stripe.get(path, secret)["id"] == intent["id"]
    confirmed = stripe.post(f"{path}/confirm", {**secret, "payment_method": "pm_card_visa"})
    assert confirmed["status"] == "succeeded"
    stripe.expect(403, "GET", "/v1/balance")
