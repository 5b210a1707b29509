"""The sandbox against Stripe's specification: tables, every route, every event."""

from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from stripe_sandbox.routes import ROUTES
from tests.examples import examples
from tests.sandbox import conformance, make_tables
from tests.sandbox.client import CoreClient
from tests.sandbox.conformance import Nonconforming
from tests.sandbox.routes_driven import draw_request
from tests.sandbox.specification import specification


@pytest.fixture(scope="module", autouse=True)
def the_witness_is_here() -> None:
    conformance.require_witness()


def test_the_tables_are_the_specifications() -> None:
    assert make_tables.TABLES.joinpath("routes.txt").read_text() == make_tables.routes_table()
    table = make_tables.TABLES.joinpath("parameters.txt").read_text()
    assert table == make_tables.parameters_table()


@pytest.mark.parametrize(
    "wrong", [{"color": "red"}, {"status": "odd"}, {"amount": "1"}, {"metadata": None}]
)
def test_the_witness_sees_what_is_wrong(wrong: dict[str, Any]) -> None:
    stripe = CoreClient()
    intent = stripe.post("/v1/payment_intents", {"amount": 500, "currency": "usd"})
    with pytest.raises(Nonconforming):
        conformance.check_answer("POST /v1/payment_intents", 200, {**intent, **wrong})


def populated() -> CoreClient:
    """A sandbox in which every kind of object is there."""
    stripe = CoreClient()
    vendor = stripe.connected_account()
    customer = stripe.post("/v1/customers", {"name": "Ann"})["id"]
    stripe.post("/v1/payment_methods/pm_card_visa/attach", {"customer": customer})
    stripe.pay(method="pm_card_bypassPending")
    stripe.pay(method="pm_card_createDispute")
    stripe.pay(capture_method="manual")
    stripe.pay(method="pm_card_authenticationRequired")
    paid = stripe.pay(method="pm_card_pendingRefund")
    stripe.post("/v1/refunds", {"payment_intent": paid["id"], "amount": 100})
    transfer = stripe.post(
        "/v1/transfers", {"amount": 900, "currency": "usd", "destination": vendor}
    )
    stripe.post(f"/v1/transfers/{transfer['id']}/reversals", {"amount": 100})
    stripe.pay(transfer_data={"destination": vendor}, application_fee_amount=500)
    [fee] = stripe.get("/v1/application_fees")["data"]
    stripe.post(f"/v1/application_fees/{fee['id']}/refunds", {"amount": 20})
    stripe.post("/v1/payouts", {"amount": 100, "currency": "usd"})
    stripe.post("/v1/payouts", {"amount": 100, "currency": "usd"}, account=vendor)
    url = "http://127.0.0.1:9/hook"
    stripe.post("/v1/webhook_endpoints", {"url": url, "enabled_events": ["*"]})
    return stripe


@given(st.data())
@settings(
    max_examples=examples(50), phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
)
def test_every_answer_of_every_route_is_as_specified(data: st.DataObject) -> None:
    """`CoreClient` asks the specification about each request and each answer; what is refused
    leaves no trace."""
    stripe = populated()
    for _ in range(10):
        method, path, params = draw_request(data.draw, stripe)
        account = None
        if data.draw(st.integers(0, 4)) == 0:
            account = data.draw(
                st.sampled_from([each.id for each in stripe.sandbox.world.accounts])
            )
        before = stripe.control("GET", "state")
        reply = stripe.request(method, path, params, account=account)
        assert reply.status < 500 or reply.status == 501, (method, path, params, reply.body)
        if reply.status not in (200, 402):
            assert stripe.control("GET", "state") == before, (method, path, params, reply.body)
        if data.draw(st.integers(0, 3)) == 0:
            stripe.advance(data.draw(st.integers(0, 100_000)))
    check_events(stripe)


def check_events(stripe: CoreClient) -> None:
    """Each event is as specified, of a type that Stripe has, and so is the object it holds."""
    kinds = specification()["components"]["schemas"]
    endpoint = specification()["paths"]["/v1/webhook_endpoints"]["post"]["requestBody"]
    form = endpoint["content"]["application/x-www-form-urlencoded"]["schema"]
    types = form["properties"]["enabled_events"]["items"]["enum"]
    for event in stripe.sandbox.world.events:
        shown = stripe.get(f"/v1/events/{event.id}", account=event.account)
        assert shown["type"] in types
        held = shown["data"]["object"]
        assert held["object"] in kinds
        conformance.check_object(held["object"], held)


def test_every_route_succeeds_and_is_as_specified() -> None:
    """A walk through all of them: a route that nothing here reaches fails the test."""
    stripe = populated()
    walk_payments(stripe)
    walk_connect(stripe)
    check_events(stripe)
    assert set(ROUTES) - stripe.succeeded == set()


def walk_payments(stripe: CoreClient) -> None:
    card = {"number": "4242424242424242", "exp_month": 1, "exp_year": 2035, "cvc": "123"}
    method = stripe.post("/v1/payment_methods", {"type": "card", "card": card})["id"]
    customer = stripe.post("/v1/customers", {"email": "a@example.com"})["id"]
    stripe.post(f"/v1/payment_methods/{method}/attach", {"customer": customer})
    stripe.post(f"/v1/payment_methods/{method}", {"metadata": {"a": "1"}})
    stripe.get(f"/v1/payment_methods/{method}", {"expand": ["customer"]})
    stripe.get("/v1/payment_methods", {"customer": customer})
    stripe.get(f"/v1/customers/{customer}/payment_methods", {"type": "card"})
    default = {"invoice_settings": {"default_payment_method": method}}
    stripe.post(f"/v1/customers/{customer}", {**default, "address": {"city": "Rome"}})
    stripe.get(f"/v1/customers/{customer}")
    stripe.get("/v1/customers", {"email": "a@example.com"})
    made = stripe.post(
        "/v1/payment_intents", {"amount": 900, "currency": "usd", "customer": customer}
    )["id"]
    stripe.post(f"/v1/payment_intents/{made}", {"amount": 800, "payment_method": method})
    stripe.post(f"/v1/payment_intents/{made}/confirm", {"return_url": "https://example.com"})
    expansions = ["latest_charge.balance_transaction", "customer", "payment_method"]
    intent = stripe.get(f"/v1/payment_intents/{made}", {"expand": expansions})
    assert intent["latest_charge"]["balance_transaction"]["net"] == 800 - 53
    stripe.get("/v1/payment_intents", {"expand": ["data.latest_charge.refunds"]})
    held = stripe.pay(capture_method="manual")["id"]
    stripe.post(f"/v1/payment_intents/{held}/capture", {"amount_to_capture": 100})
    stripe.post(f"/v1/payment_intents/{stripe.pay(capture_method='manual')['id']}/cancel")
    charge = intent["latest_charge"]["id"]
    stripe.get(f"/v1/charges/{charge}", {"expand": ["payment_intent", "refunds"]})
    stripe.post(f"/v1/charges/{charge}", {"metadata": {"a": "1"}})
    stripe.get("/v1/charges", {"payment_intent": made})
    refund = stripe.post("/v1/refunds", {"charge": charge, "amount": 10, "expand": ["charge"]})
    stripe.post(f"/v1/refunds/{refund['id']}", {"metadata": {"a": "1"}})
    stripe.get(f"/v1/refunds/{refund['id']}")
    stripe.get("/v1/refunds", {"charge": charge})
    stripe.get(f"/v1/charges/{charge}/refunds")
    asking = stripe.pay(receipt_email="ann@example.com")["latest_charge"]
    stripe.control("POST", f"charges/{asking}/close_way_back")
    waiting = stripe.post("/v1/refunds", {"charge": asking})["id"]
    stripe.post(f"/v1/refunds/{waiting}/cancel")
    dispute = stripe.get("/v1/disputes", {"expand": ["data.charge"]})["data"][0]["id"]
    stripe.get(f"/v1/disputes/{dispute}")
    stripe.post(f"/v1/disputes/{dispute}", {"evidence": {"product_description": "a tow"}})
    stripe.post(f"/v1/disputes/{dispute}/close")
    stripe.post(f"/v1/payment_methods/{method}/detach")
    stripe.delete(f"/v1/customers/{customer}")
    stripe.get(f"/v1/customers/{customer}")


def walk_connect(stripe: CoreClient) -> None:
    stripe.get("/v1/balance")
    stripe.get("/v1/account")
    vendor = stripe.post("/v1/accounts", {"type": "express", "country": "DE"})["id"]
    stripe.get(f"/v1/accounts/{vendor}")
    stripe.get("/v1/accounts", {"limit": 2})
    link = {"refresh_url": "https://example.com/r", "return_url": "https://example.com/d"}
    stripe.post("/v1/account_links", {"account": vendor, "type": "account_onboarding", **link})
    stripe.post(f"/v1/accounts/{vendor}", {"business_profile": {"name": "Tow & Co"}})
    capabilities = f"/v1/accounts/{vendor}/capabilities"
    stripe.post(f"{capabilities}/transfers", {"requested": True})
    stripe.get(f"{capabilities}/transfers")
    stripe.get(capabilities)
    stripe.control("POST", f"accounts/{vendor}/onboard")
    stripe.post(f"/v1/accounts/{vendor}/login_links")
    banks = f"/v1/accounts/{vendor}/external_accounts"
    first = stripe.post(banks, {"external_account": "btok_us_verified"})["id"]
    second = stripe.post(banks, {"external_account": "btok_us_verified_noAccount"})["id"]
    stripe.get(f"{banks}/{first}")
    stripe.get(banks)
    stripe.post(f"{banks}/{second}", {"default_for_currency": True})
    stripe.delete(f"{banks}/{first}")
    stripe.delete(f"/v1/accounts/{stripe.post('/v1/accounts')['id']}")
    receiver = stripe.connected_account()
    charge = stripe.pay(method="pm_card_bypassPending")["latest_charge"]
    transfer = stripe.post(
        "/v1/transfers",
        {
            "amount": 800,
            "currency": "usd",
            "destination": receiver,
            "source_transaction": charge,
            "expand": ["destination", "source_transaction", "balance_transaction.source"],
        },
    )
    path = f"/v1/transfers/{transfer['id']}"
    stripe.get(path, {"expand": ["reversals.data.transfer", "destination_payment"]})
    stripe.post(path, {"description": "a tow"})
    stripe.get("/v1/transfers", {"destination": receiver})
    reversal = stripe.post(f"{path}/reversals", {"amount": 100})["id"]
    stripe.get(f"{path}/reversals/{reversal}")
    stripe.post(f"{path}/reversals/{reversal}", {"metadata": {"a": "1"}})
    stripe.get(f"{path}/reversals")
    walk_destination_charge(stripe, receiver)
    transactions = stripe.get("/v1/balance_transactions", {"expand": ["data.source"]})["data"]
    stripe.get(f"/v1/balance_transactions/{transactions[0]['id']}")
    stripe.get("/v1/balance_transactions", {"type": "payment"}, account=receiver)
    payout = f"/v1/payouts/{stripe.post('/v1/payouts', {'amount': 9, 'currency': 'usd'})['id']}"
    stripe.get(payout, {"expand": ["destination", "balance_transaction"]})
    stripe.post(payout, {"metadata": {"a": "1"}})
    stripe.get("/v1/payouts", {"status": "pending"})
    stripe.post(f"{payout}/cancel")
    event = stripe.get("/v1/events", {"type": "payout.*"})["data"][0]["id"]
    stripe.get(f"/v1/events/{event}")
    url = "http://127.0.0.1:9/hook"
    endpoint = stripe.post("/v1/webhook_endpoints", {"url": url, "enabled_events": ["*"]})
    hook = f"/v1/webhook_endpoints/{endpoint['id']}"
    stripe.get(hook)
    stripe.get("/v1/webhook_endpoints")
    stripe.post(hook, {"disabled": True, "enabled_events": ["payout.paid"]})
    stripe.delete(hook)


def walk_destination_charge(stripe: CoreClient, receiver: str) -> None:
    data = {"destination": receiver}
    intent = stripe.pay(transfer_data=data, application_fee_amount=500, on_behalf_of=receiver)
    fees = stripe.get(
        "/v1/application_fees",
        {"charge": intent["latest_charge"], "expand": ["data.originating_transaction"]},
    )
    path = f"/v1/application_fees/{fees['data'][0]['id']}"
    stripe.get(path, {"expand": ["account", "balance_transaction.source"]})
    made = stripe.post(f"{path}/refunds", {"amount": 10, "expand": ["fee"]})["id"]
    stripe.get(f"{path}/refunds")
    stripe.get(f"{path}/refunds/{made}", {"expand": ["balance_transaction.source"]})
    stripe.post(f"{path}/refunds/{made}", {"metadata": {"a": "1"}})
    both = {"reverse_transfer": True, "refund_application_fee": True}
    stripe.post(
        "/v1/refunds", {"payment_intent": intent["id"], "expand": ["transfer_reversal"], **both}
    )
    charge = f"/v1/charges/{intent['latest_charge']}"
    stripe.get(charge, {"expand": ["application_fee", "transfer.destination_payment"]})
