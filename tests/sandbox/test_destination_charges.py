"""Destination charges and direct charges: the transfer, the platform's fee, and both way back."""

from typing import Any

import pytest

from tests.sandbox.client import CoreClient, Json

STRIPE_FEE = 290 + 30
"""On a charge of 10,000."""


@pytest.fixture
def stripe() -> CoreClient:
    return CoreClient()


@pytest.fixture
def vendor(stripe: CoreClient) -> str:
    return stripe.connected_account()


def charge_of(stripe: CoreClient, intent: Json) -> Json:
    return stripe.get(f"/v1/charges/{intent['latest_charge']}")


def held(stripe: CoreClient, account: str | None = None) -> int:
    return stripe.available(account) + stripe.pending(account)


def test_a_destination_charge_sends_all_of_it_on_and_the_fee_comes_back(
    stripe: CoreClient, vendor: str
) -> None:
    opening = held(stripe)
    intent = stripe.pay(10_000, transfer_data={"destination": vendor}, application_fee_amount=700)
    charge = charge_of(stripe, intent)
    transfer = stripe.get(f"/v1/transfers/{charge['transfer']}")
    assert (transfer["amount"], transfer["source_transaction"]) == (10_000, charge["id"])
    assert charge["transfer_group"] == transfer["transfer_group"] == f"group_{intent['id']}"
    assert stripe.pending(vendor) == 9_300
    assert held(stripe) == opening + 700 - STRIPE_FEE
    fee = stripe.get(f"/v1/application_fees/{charge['application_fee']}")
    assert (fee["amount"], fee["account"]) == (700, vendor)
    assert (fee["charge"], fee["originating_transaction"]) == (
        transfer["destination_payment"],
        charge["id"],
    )
    query = {"source": transfer["destination_payment"]}
    [booked] = stripe.get("/v1/balance_transactions", query, account=vendor)["data"]
    assert (booked["amount"], booked["fee"], booked["net"]) == (10_000, 700, 9_300)
    assert [part["type"] for part in booked["fee_details"]] == ["application_fee"]
    assert "application_fee.created" in stripe.events()
    stripe.advance(2 * 86_400)
    assert (stripe.available(vendor), stripe.pending(vendor)) == (9_300, 0)


def test_a_part_is_sent_on(stripe: CoreClient, vendor: str) -> None:
    stripe.pay(10_000, transfer_data={"destination": vendor, "amount": 8_000})
    assert stripe.pending(vendor) == 8_000
    assert stripe.get("/v1/application_fees")["data"] == []


def test_a_manual_capture_sends_on_what_was_captured(stripe: CoreClient, vendor: str) -> None:
    data = {"destination": vendor, "amount": 8_000}
    intent = stripe.pay(10_000, transfer_data=data, capture_method="manual")
    assert held(stripe, vendor) == 0
    path = f"/v1/payment_intents/{intent['id']}/capture"
    too_much = {"amount_to_capture": 5_000, "transfer_data": {"amount": 5_001}}
    stripe.expect(400, "POST", path, too_much)
    stripe.post(path, {"amount_to_capture": 5_000})
    assert held(stripe, vendor) == 5_000


def test_a_direct_charge_pays_the_platform_its_fee(stripe: CoreClient, vendor: str) -> None:
    opening = held(stripe)
    params = {"amount": 10_000, "currency": "usd", "payment_method": "pm_card_visa"}
    more = {"confirm": True, "application_fee_amount": 700}
    intent = stripe.post("/v1/payment_intents", {**params, **more}, account=vendor)
    assert held(stripe, vendor) == 10_000 - STRIPE_FEE - 700
    assert held(stripe) == opening + 700
    query = {"source": intent["latest_charge"]}
    [booked] = stripe.get("/v1/balance_transactions", query, account=vendor)["data"]
    parts = {part["type"]: part["amount"] for part in booked["fee_details"]}
    assert parts == {"stripe_fee": STRIPE_FEE, "application_fee": 700}
    back = {"payment_intent": intent["id"], "amount": 5_000, "refund_application_fee": True}
    stripe.post("/v1/refunds", back, account=vendor)
    assert held(stripe) == opening + 350


def test_a_refund_takes_transfer_and_fee_back_in_proportion(
    stripe: CoreClient, vendor: str
) -> None:
    opening = held(stripe)
    intent = stripe.pay(10_000, transfer_data={"destination": vendor}, application_fee_amount=701)
    both = {"reverse_transfer": True, "refund_application_fee": True}
    part = {"payment_intent": intent["id"], "amount": 2_500}
    refund = stripe.post("/v1/refunds", {**part, **both, "expand": ["transfer_reversal"]})
    assert refund["transfer_reversal"]["amount"] == 2_500
    assert refund["transfer_reversal"]["source_refund"] == refund["id"]
    charge = charge_of(stripe, intent)
    fee = stripe.get(f"/v1/application_fees/{charge['application_fee']}")
    assert fee["amount_refunded"] == 175
    assert held(stripe, vendor) == 10_000 - 701 - 2_500 + 175
    stripe.post("/v1/refunds", {"payment_intent": intent["id"], "amount": 7_500, **both})
    assert (held(stripe), held(stripe, vendor)) == (opening - STRIPE_FEE, 0)


def test_a_vendor_who_paid_out_cannot_be_reversed(stripe: CoreClient, vendor: str) -> None:
    intent = stripe.pay(
        10_000, method="pm_card_bypassPending", transfer_data={"destination": vendor}
    )
    stripe.post("/v1/payouts", {"amount": 10_000, "currency": "usd"}, account=vendor)
    before = stripe.control("GET", "state")
    params = {"payment_intent": intent["id"], "reverse_transfer": True}
    error = stripe.expect(400, "POST", "/v1/refunds", params)
    assert error["code"] == "balance_insufficient"
    assert stripe.control("GET", "state") == before
    stripe.post("/v1/refunds", {"payment_intent": intent["id"]})


def test_a_reversal_returns_the_fee_with_it(stripe: CoreClient, vendor: str) -> None:
    intent = stripe.pay(10_000, transfer_data={"destination": vendor}, application_fee_amount=700)
    path = f"/v1/transfers/{charge_of(stripe, intent)['transfer']}/reversals"
    stripe.post(path, {"refund_application_fee": True})
    assert held(stripe, vendor) == 0


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"application_fee_amount": 10}, "application_fee_amount"),
        ({"transfer_data": {"destination": "acct_nobody"}}, "transfer_data[destination]"),
        ({"transfer_data": {"destination": "VENDOR", "amount": 5_001}}, "transfer_data[amount]"),
        (
            {"transfer_data": {"destination": "VENDOR"}, "application_fee_amount": 5_001},
            "application_fee_amount",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    stripe: CoreClient, vendor: str, wrong: dict[str, Any], param: str
) -> None:
    data = wrong.get("transfer_data", {})
    if data.get("destination") == "VENDOR":
        data["destination"] = vendor
    params = {"amount": 5_000, "currency": "usd", **wrong}
    assert stripe.expect(400, "POST", "/v1/payment_intents", params)["param"] == param


def test_a_charge_without_fee_or_transfer_returns_neither(stripe: CoreClient) -> None:
    intent = stripe.pay()["id"]
    for name in ("reverse_transfer", "refund_application_fee"):
        error = stripe.expect(400, "POST", "/v1/refunds", {"payment_intent": intent, name: True})
        assert error["param"] == name


def test_a_vendor_who_cannot_receive_gets_no_destination_charge(
    stripe: CoreClient, vendor: str
) -> None:
    order = {"due": ["individual.verification.document"]}
    stripe.control("POST", f"accounts/{vendor}/requirements", order)
    params = {"amount": 5_000, "currency": "usd", "transfer_data": {"destination": vendor}}
    error = stripe.expect(400, "POST", "/v1/payment_intents", params)
    assert error["code"] == "insufficient_capabilities_for_transfer"
