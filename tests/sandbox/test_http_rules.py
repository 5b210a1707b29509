"""What every request goes through: keys, parameters, versions, idempotency."""

import base64

import pytest

from tests.sandbox.client import CoreClient

INTENT = {"amount": 500, "currency": "usd"}


@pytest.fixture
def stripe() -> CoreClient:
    return CoreClient()


def test_a_key_is_needed_and_may_come_as_basic_authorization(stripe: CoreClient) -> None:
    basic = base64.b64encode(b"sk_test_basic:").decode()
    assert stripe.get("/v1/balance", headers={"authorization": f"Basic {basic}"})
    for bad in ("", "Bearer nonsense", "Bearer sk_live_no", "Basic ???"):
        assert stripe.request("GET", "/v1/balance", headers={"authorization": bad}).status == 401


def test_a_revoked_key_is_refused_and_nothing_is_remembered(stripe: CoreClient) -> None:
    stripe.control("POST", "keys", {"accept": ["sk_test_new"], "revoke": ["sk_test_core"]})
    reply = stripe.request("POST", "/v1/payment_intents", INTENT, idempotency_key="k")
    assert reply.status == 401
    assert "sk_test_core" not in str(reply.body)
    stripe.key = "sk_test_new"
    made = stripe.request("POST", "/v1/payment_intents", INTENT, idempotency_key="k")
    assert made.status == 200
    assert "Idempotent-Replayed" not in made.headers


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({"currency": "usd"}, "parameter_missing", "amount"),
        ({**INTENT, "color": "red"}, "parameter_unknown", "color"),
        ({**INTENT, "amount": "ten"}, "parameter_invalid_integer", "amount"),
        ({**INTENT, "amount": ""}, "parameter_invalid_empty", "amount"),
        ({**INTENT, "shipping": {"speed": 1}}, "parameter_unknown", "shipping[speed]"),
        ({**INTENT, "capture_method": "later"}, None, "capture_method"),
        ({**INTENT, "currency": "xxx"}, None, "currency"),
        ({**INTENT, "amount": 49}, "amount_too_small", "amount"),
        ({**INTENT, "amount": 100_000_000}, "amount_too_large", "amount"),
        ({**INTENT, "customer": "cus_none"}, "resource_missing", "customer"),
    ],
)
def test_bad_parameters_are_named(
    stripe: CoreClient, params: dict[str, object], code: str | None, param: str
) -> None:
    error = stripe.expect(400, "POST", "/v1/payment_intents", params)
    assert (error.get("code"), error["param"]) == (code, param)
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("POST", "/v1/payment_intents/pi_x/explode", 404),
        ("GET", "/v1/invoices", 501),
        ("POST", "/v1/subscriptions/sub_1", 501),
        ("GET", "/v1/payment_intents/pi_none", 404),
    ],
)
def test_unknown_routes_and_objects(
    stripe: CoreClient, method: str, path: str, status: int
) -> None:
    stripe.expect(status, method, path)


def test_what_is_not_modelled_is_named(stripe: CoreClient) -> None:
    error = stripe.expect(501, "POST", "/v1/payment_intents", {**INTENT, "mandate": "m"})
    assert "mandate" in error["message"]
    version = {"stripe-version": "2019-01-01"}
    assert stripe.request("GET", "/v1/balance", headers=version).status == 501


def test_the_version_of_the_specification_is_assumed_where_none_is_sent(stripe: CoreClient) -> None:
    reply = stripe.request("POST", "/v1/payment_intents", INTENT)
    assert reply.headers["Stripe-Version"] == "2026-08-26.dahlia"
    newer = {"stripe-version": "2026-10-28.endive"}
    answered = stripe.request("GET", "/v1/balance", headers=newer)
    assert (answered.status, answered.headers["Stripe-Version"]) == (200, "2026-10-28.endive")
    assert stripe.get("/v1/events")["data"][0]["api_version"] == "2026-08-26.dahlia"
    nonsense = {"stripe-version": "newest"}
    assert stripe.request("GET", "/v1/balance", headers=nonsense).status == 400


def test_an_account_of_nobody_is_refused(stripe: CoreClient) -> None:
    error = stripe.expect(403, "GET", "/v1/balance", account="acct_nobody")
    assert error["code"] == "account_invalid"


def test_an_expansion_that_leads_nowhere_moves_nothing(stripe: CoreClient) -> None:
    params = {**INTENT, "payment_method": "pm_card_visa", "confirm": True, "expand": ["secrets"]}
    stripe.expect(400, "POST", "/v1/payment_intents", params)
    assert stripe.get("/v1/payment_intents")["data"] == []


def test_the_first_answer_comes_again(stripe: CoreClient) -> None:
    first = stripe.request("POST", "/v1/payment_intents", INTENT, idempotency_key="k1")
    again = stripe.request("POST", "/v1/payment_intents", INTENT, idempotency_key="k1")
    assert again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Original-Request"] == first.headers["Request-Id"]
    assert again.headers["Request-Id"] != first.headers["Request-Id"]
    assert len(stripe.get("/v1/payment_intents")["data"]) == 1


def test_a_key_belongs_to_its_request_and_its_account(stripe: CoreClient) -> None:
    stripe.post("/v1/payment_intents", INTENT, idempotency_key="k1")
    other = stripe.expect(
        400, "POST", "/v1/payment_intents", {**INTENT, "amount": 501}, idempotency_key="k1"
    )
    assert other["type"] == "idempotency_error"
    elsewhere = stripe.expect(400, "POST", "/v1/customers", {}, idempotency_key="k1")
    assert elsewhere["type"] == "idempotency_error"
    vendor = stripe.connected_account()
    made = stripe.request(
        "POST", "/v1/payment_intents", INTENT, idempotency_key="k1", account=vendor
    )
    assert made.status == 200


def test_errors_are_remembered_and_validation_failures_are_not(stripe: CoreClient) -> None:
    declined = {**INTENT, "payment_method": "pm_card_chargeDeclined", "confirm": True}
    first = stripe.request("POST", "/v1/payment_intents", declined, idempotency_key="k1")
    again = stripe.request("POST", "/v1/payment_intents", declined, idempotency_key="k1")
    assert (first.status, again.status) == (402, 402)
    assert again.headers["Idempotent-Replayed"] == "true"
    invalid = {**INTENT, "color": "red"}
    stripe.expect(400, "POST", "/v1/payment_intents", invalid, idempotency_key="k2")
    assert stripe.post("/v1/payment_intents", INTENT, idempotency_key="k2")["amount"] == 500


def test_keys_are_forgotten_after_a_day(stripe: CoreClient) -> None:
    first = stripe.post("/v1/payment_intents", INTENT, idempotency_key="k1")
    stripe.advance(86_399)
    assert stripe.post("/v1/payment_intents", INTENT, idempotency_key="k1")["id"] == first["id"]
    stripe.advance(1)
    assert stripe.post("/v1/payment_intents", INTENT, idempotency_key="k1")["id"] != first["id"]


def test_metadata_merges_and_deletes(stripe: CoreClient) -> None:
    made = stripe.post("/v1/customers", {"metadata": {"a": "1", "b": "2"}})
    path = f"/v1/customers/{made['id']}"
    assert stripe.post(path, {"metadata": {"b": "", "c": "3"}})["metadata"] == {"a": "1", "c": "3"}
    assert stripe.post(path, {"metadata": ""})["metadata"] == {}
    stripe.expect(400, "POST", path, {"metadata": {"k" * 41: "v"}})
    stripe.expect(400, "POST", path, {"metadata": {f"k{n}": "v" for n in range(51)}})
