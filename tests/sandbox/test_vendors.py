"""A vendor's account: what it owes, what that disables, its bank accounts and its pages."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from stripe_sandbox import Request, Response
from tests.sandbox.client import CoreClient, Json
from tests.sandbox.kept_rows import KeptRows

WISHES = {"type": "express", "capabilities": {"transfers": {"requested": True}}}
URLS = {"refresh_url": "https://app.example/again", "return_url": "https://app.example/done"}
DOCUMENT = "individual.verification.document"


@pytest.fixture
def stripe() -> CoreClient:
    return CoreClient()


@pytest.fixture
def vendor(stripe: CoreClient) -> str:
    """An Express account, onboarded."""
    account: str = stripe.post("/v1/accounts", WISHES)["id"]
    stripe.control("POST", f"accounts/{account}/onboard")
    return account


def visit(stripe: CoreClient, url: str, form: bytes | None = None) -> Response:
    method = "GET" if form is None else "POST"
    return stripe.sandbox.handle(Request(method, urlsplit(url).path, body=form or b"")).response


def standing(account: Json) -> tuple[Any, ...]:
    requirements = account["requirements"]
    return (
        account["capabilities"].get("transfers"),
        account["payouts_enabled"],
        requirements["currently_due"],
        requirements["past_due"],
        requirements["disabled_reason"],
    )


def transfer(stripe: CoreClient, vendor: str, amount: int = 1_000) -> Json:
    return stripe.post(
        "/v1/transfers", {"amount": amount, "currency": "usd", "destination": vendor}
    )


def test_what_is_due_disables_the_account_when_its_deadline_passes(
    stripe: CoreClient, vendor: str
) -> None:
    stripe.control("POST", f"accounts/{vendor}/requirements", {"due": [DOCUMENT], "within": 3_600})
    asked = stripe.get(f"/v1/accounts/{vendor}")
    assert standing(asked) == ("active", True, [DOCUMENT], [], None)
    assert asked["requirements"]["current_deadline"] == stripe.sandbox.world.now + 3_600
    transfer(stripe, vendor)

    stripe.advance(3_600)
    late = stripe.get(f"/v1/accounts/{vendor}")
    reason = "requirements.past_due"
    assert standing(late) == ("inactive", False, [DOCUMENT], [DOCUMENT], reason)
    refused = {"amount": 1_000, "currency": "usd", "destination": vendor}
    error = stripe.expect(400, "POST", "/v1/transfers", refused)
    assert error["code"] == "insufficient_capabilities_for_transfer"
    payout = {"amount": 100, "currency": "usd"}
    error = stripe.expect(400, "POST", "/v1/payouts", payout, account=vendor)
    assert error["code"] == "payouts_not_allowed"
    capability = stripe.get(f"/v1/accounts/{vendor}/capabilities/transfers")
    assert capability["status"] == "inactive"
    assert capability["requirements"]["disabled_reason"] == "requirements.fields_needed"
    assert stripe.events(vendor)[-2:] == ["account.updated", "capability.updated"]

    link = {"account": vendor, "type": "account_onboarding", **URLS}
    visit(stripe, stripe.post("/v1/account_links", link)["url"], b"act=finish")
    assert standing(stripe.get(f"/v1/accounts/{vendor}")) == ("active", True, [], [], None)
    transfer(stripe, vendor)


def test_a_deadline_outlives_what_was_asked_before_it(stripe: CoreClient, vendor: str) -> None:
    path = f"accounts/{vendor}/requirements"
    stripe.control("POST", path, {"due": [DOCUMENT], "within": 60})
    stripe.control("POST", path, {"due": []})
    stripe.advance(61)
    assert standing(stripe.get(f"/v1/accounts/{vendor}")) == ("active", True, [], [], None)


def test_a_vendor_may_leave_the_onboarding_unfinished(stripe: CoreClient) -> None:
    vendor = stripe.post("/v1/accounts", WISHES)["id"]
    link = {"account": vendor, "type": "account_onboarding", **URLS}
    url = stripe.post("/v1/account_links", link)["url"]
    assert visit(stripe, url, b"act=later").headers["Location"] == URLS["return_url"]
    account = stripe.get(f"/v1/accounts/{vendor}")
    assert (account["details_submitted"], account["payouts_enabled"]) == (False, False)
    stripe.expect(400, "POST", f"/v1/accounts/{vendor}/login_links")


def test_a_vendor_onboards_with_a_bank_account_that_fails(stripe: CoreClient) -> None:
    vendor = stripe.post("/v1/accounts", WISHES)["id"]
    link = {"account": vendor, "type": "account_onboarding", **URLS}
    url = stripe.post("/v1/account_links", link)["url"]
    assert b"no_account" in visit(stripe, url).body
    visit(stripe, url, b"act=finish&bank=000111111116")
    transfer(stripe, vendor)
    payout = stripe.post("/v1/payouts", {"amount": 900, "currency": "usd"}, account=vendor)
    stripe.advance(2 * 86_400)
    after = stripe.get(f"/v1/payouts/{payout['id']}", account=vendor)
    assert (after["status"], after["failure_code"]) == ("failed", "no_account")


def test_a_failed_payout_stops_payouts_until_the_bank_account_is_changed(
    stripe: CoreClient, vendor: str
) -> None:
    transfer(stripe, vendor)
    payout = stripe.post("/v1/payouts", {"amount": 900, "currency": "usd"}, account=vendor)
    stripe.control("POST", f"payouts/{payout['id']}/pay")
    stripe.control("POST", f"payouts/{payout['id']}/fail", {"failure_code": "account_closed"})
    due = ["external_account"]
    reason = "requirements.past_due"
    assert standing(stripe.get(f"/v1/accounts/{vendor}")) == ("active", False, due, due, reason)
    assert stripe.events(vendor)[-3:] == [
        "payout.failed",
        "account.external_account.updated",
        "account.updated",
    ]
    again = {"amount": 900, "currency": "usd"}
    error = stripe.expect(400, "POST", "/v1/payouts", again, account=vendor)
    assert error["code"] == "bank_account_unusable"

    url = stripe.post(f"/v1/accounts/{vendor}/login_links")["url"]
    assert b"The bank account has been closed." in visit(stripe, url).body
    assert visit(stripe, url, b"bank=000123456789").status == 303
    assert standing(stripe.get(f"/v1/accounts/{vendor}")) == ("active", True, [], [], None)
    assert stripe.events(vendor)[-3:] == [
        "account.external_account.deleted",
        "account.external_account.created",
        "account.updated",
    ]
    stripe.post("/v1/payouts", again, account=vendor)


def test_naming_a_bank_account_on_the_account_replaces_the_default(
    stripe: CoreClient, vendor: str
) -> None:
    former = stripe.get(f"/v1/accounts/{vendor}/external_accounts")["data"]
    transfer(stripe, vendor)
    on_its_way = stripe.post("/v1/payouts", {"amount": 100, "currency": "usd"}, account=vendor)
    stripe.post(f"/v1/accounts/{vendor}", {"external_account": "btok_us_verified_noAccount"})
    [bank] = stripe.get(f"/v1/accounts/{vendor}/external_accounts")["data"]
    assert bank["default_for_currency"] is True
    assert bank["id"] not in [each["id"] for each in former]
    stripe.advance(2 * 86_400)
    paid = stripe.get(f"/v1/payouts/{on_its_way['id']}", account=vendor)
    assert paid["status"] == "paid"


def test_a_capability_is_asked_for_and_given_up(stripe: CoreClient, vendor: str) -> None:
    path = f"/v1/accounts/{vendor}/capabilities"
    assert stripe.post(f"{path}/card_payments", {"requested": True})["status"] == "active"
    listed = [each["id"] for each in stripe.get(path)["data"]]
    assert listed == ["card_payments", "transfers"]
    assert stripe.post(f"{path}/card_payments", {"requested": False})["status"] == "unrequested"
    assert stripe.expect(501, "GET", f"{path}/klarna_payments")["code"] == "sandbox_not_modelled"
    assert stripe.expect(404, "GET", f"{path}/flying")["code"] == "resource_missing"


def test_a_login_link_expires(stripe: CoreClient, vendor: str) -> None:
    url = stripe.post(f"/v1/accounts/{vendor}/login_links")["url"]
    stripe.advance(301)
    assert visit(stripe, url).status == 410
    onboarding = url.replace("/express/", "/onboarding/")
    assert visit(stripe, onboarding).status == 404


def test_a_daily_payout_says_what_it_carried(stripe: CoreClient, vendor: str) -> None:
    daily = {"settings": {"payouts": {"schedule": {"interval": "daily"}}}}
    stripe.post(f"/v1/accounts/{vendor}", daily)
    first, second = transfer(stripe, vendor, 900), transfer(stripe, vendor, 600)
    stripe.post(f"/v1/transfers/{second['id']}/reversals", {"amount": 50})
    stripe.advance(86_400)
    [payout] = stripe.get("/v1/payouts", account=vendor)["data"]
    assert (payout["automatic"], payout["amount"]) == (True, 1_450)
    query = {"payout": payout["id"], "expand": ["data.source"]}
    carried = stripe.get("/v1/balance_transactions", query, account=vendor)["data"]
    assert [each["type"] for each in carried] == ["payout", "payment_refund", "payment", "payment"]
    assert sum(each["net"] for each in carried) == 0
    sources = [each["source"].get("source_transfer") for each in carried]
    assert sources[2:] == [second["id"], first["id"]]

    transfer(stripe, vendor, 70)
    stripe.control("POST", f"payouts/{payout['id']}/fail", {"failure_code": "no_account"})
    stripe.advance(86_400)
    assert len(stripe.get("/v1/payouts", account=vendor)["data"]) == 1
    stripe.control("POST", f"accounts/{vendor}/bank_account", {"bank_account": "000123456789"})
    stripe.advance(86_400)
    latest = stripe.get("/v1/payouts", account=vendor)["data"][0]
    assert latest["amount"] == 1_520
    carried = stripe.get("/v1/balance_transactions", {"payout": latest["id"]}, account=vendor)
    assert {each["type"] for each in carried["data"]} == {"payout", "payout_failure", "payment"}


def test_a_manual_payout_names_no_transactions(stripe: CoreClient, vendor: str) -> None:
    transfer(stripe, vendor)
    payout = stripe.post("/v1/payouts", {"amount": 900, "currency": "usd"}, account=vendor)
    query = {"payout": payout["id"]}
    error = stripe.expect(400, "GET", "/v1/balance_transactions", query, account=vendor)
    assert error["param"] == "payout"


def test_what_an_account_owes_survives_a_restart() -> None:
    rows = KeptRows()
    stripe = CoreClient(storage=rows)
    vendor = stripe.connected_account()
    stripe.control("POST", f"accounts/{vendor}/requirements", {"due": [DOCUMENT], "within": 60})
    again = CoreClient(storage=rows)
    again.advance(61)
    assert again.get(f"/v1/accounts/{vendor}")["requirements"]["past_due"] == [DOCUMENT]
