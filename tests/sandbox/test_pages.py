"""The page at `/`, the card holder's challenge and the vendor's onboarding."""

from urllib.parse import parse_qs, urlsplit

import pytest

from stripe_sandbox import Request, Response
from tests.sandbox.client import CoreClient


@pytest.fixture
def stripe() -> CoreClient:
    return CoreClient()


def visit(stripe: CoreClient, path: str, form: bytes | None = None) -> Response:
    method = "GET" if form is None else "POST"
    return stripe.sandbox.handle(Request(method, path, body=form or b"")).response


def test_the_page_shows_what_there_is_and_escapes_it(stripe: CoreClient) -> None:
    vendor = stripe.connected_account()
    group = {"transfer_group": "<script>alert(1)</script>"}
    transfer = stripe.post(
        "/v1/transfers", {"amount": 900, "currency": "usd", "destination": vendor, **group}
    )
    asking = stripe.pay(method="pm_card_authenticationRequired")
    stripe.post("/v1/payouts", {"amount": 100, "currency": "usd"}, account=vendor)
    stripe.pay(method="pm_card_createDispute")
    url = "http://127.0.0.1:9/hook"
    stripe.post("/v1/webhook_endpoints", {"url": url, "enabled_events": ["*"]})
    paid = stripe.pay(method="pm_card_visa")
    stripe.post("/v1/refunds", {"payment_intent": paid["id"]})
    stripe.control("POST", "faults", {"kind": "drop_after", "count": 2})
    shown = visit(stripe, "/").body.decode()
    for text in (transfer["id"], asking["id"], vendor, "transfer.created", url, "drop_after"):
        assert text in shown
    assert f"payment_intents/{asking['id']}/authenticate" in shown
    assert "<script>alert" not in shown


def test_the_page_of_an_empty_sandbox(stripe: CoreClient) -> None:
    assert "None yet." in visit(stripe, "/").body.decode()


@pytest.mark.parametrize(
    ("outcome", "status", "redirected"),
    [("succeed", "succeeded", "succeeded"), ("fail", "requires_payment_method", "failed")],
)
def test_a_card_holder_answers_the_challenge(
    stripe: CoreClient, outcome: str, status: str, redirected: str
) -> None:
    back = "https://shop.example/back?order=7"
    intent = stripe.pay(method="pm_card_threeDSecure2Required", return_url=back)
    path = urlsplit(intent["next_action"]["redirect_to_url"]["url"]).path
    assert b"Approve" in visit(stripe, path).body
    answer = visit(stripe, path, f"outcome={outcome}".encode())
    assert answer.status == 303
    target = urlsplit(answer.headers["Location"])
    facts = parse_qs(target.query)
    assert (target.netloc, facts["order"]) == ("shop.example", ["7"])
    assert facts["redirect_status"] == [redirected]
    assert stripe.get(f"/v1/payment_intents/{intent['id']}")["status"] == status
    assert visit(stripe, path).status == 409


def test_a_vendor_onboards_behind_the_link_once(stripe: CoreClient) -> None:
    wishes = {"type": "express", "capabilities": {"transfers": {"requested": True}}}
    vendor = stripe.post("/v1/accounts", wishes)["id"]
    urls = {"refresh_url": "https://app.example/again", "return_url": "https://app.example/done"}
    params = {"account": vendor, "type": "account_onboarding", **urls}
    path = urlsplit(stripe.post("/v1/account_links", params)["url"]).path
    assert visit(stripe, path).status == 200
    assert visit(stripe, path, b"").headers["Location"] == urls["return_url"]
    account = stripe.get(f"/v1/accounts/{vendor}")
    assert account["capabilities"] == {"transfers": "active"}
    assert account["external_accounts"]["data"] != []
    assert visit(stripe, path).headers["Location"] == urls["refresh_url"]


def test_an_onboarding_link_expires(stripe: CoreClient) -> None:
    vendor = stripe.post("/v1/accounts", {"type": "express"})["id"]
    urls = {"refresh_url": "https://app.example/again", "return_url": "https://app.example/done"}
    params = {"account": vendor, "type": "account_onboarding", **urls}
    path = urlsplit(stripe.post("/v1/account_links", params)["url"]).path
    stripe.advance(301)
    assert visit(stripe, path).headers["Location"] == urls["refresh_url"]


def test_unknown_pages_are_404(stripe: CoreClient) -> None:
    assert visit(stripe, "/_sandbox/3ds/pi_nobody").status == 404
    assert visit(stripe, "/_sandbox/onboarding/link_nobody").status == 404
