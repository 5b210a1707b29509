"""Transfers, reversals and payouts: money that leaves the platform."""

import pytest

from tests.sandbox.client import CoreClient


@pytest.fixture
def stripe() -> CoreClient:
    return CoreClient()


def test_a_transfer_moves_available_money_to_the_connected_account(stripe: CoreClient) -> None:
    vendor = stripe.connected_account()
    transfer = stripe.post(
        "/v1/transfers",
        {
            "amount": 4_000,
            "currency": "usd",
            "destination": vendor,
            "transfer_group": "job_1",
            "metadata": {"paymentId": "p1"},
        },
    )
    assert (stripe.available(), stripe.available(vendor)) == (996_000, 4_000)
    listed = stripe.get("/v1/transfers", {"transfer_group": "job_1"})["data"]
    assert [each["id"] for each in listed] == [transfer["id"]]
    [booked] = stripe.get("/v1/balance_transactions", {"source": transfer["id"]})["data"]
    assert (booked["type"], booked["net"]) == ("transfer", -4_000)
    payment = transfer["destination_payment"]
    [received] = stripe.get("/v1/balance_transactions", {"source": payment}, account=vendor)["data"]
    assert (received["type"], received["net"]) == ("payment", 4_000)


def test_a_transfer_beyond_the_available_balance_is_refused(stripe: CoreClient) -> None:
    vendor = stripe.connected_account()
    too_much = {"amount": 1_000_001, "currency": "usd", "destination": vendor}
    assert stripe.expect(400, "POST", "/v1/transfers", too_much)["code"] == "balance_insufficient"
    unknown = {"amount": 1, "currency": "usd", "destination": "acct_nobody"}
    assert stripe.expect(400, "POST", "/v1/transfers", unknown)["code"] == "resource_missing"
    assert stripe.available() == 1_000_000


def test_a_source_transaction_lends_its_pending_funds(stripe: CoreClient) -> None:
    vendor = stripe.connected_account()
    charge = stripe.pay(10_000)["latest_charge"]
    params = {"currency": "usd", "destination": vendor, "source_transaction": charge}
    transfer = stripe.post("/v1/transfers", {**params, "amount": 9_000})
    assert (stripe.available(vendor), stripe.pending(vendor)) == (0, 9_000)
    assert transfer["transfer_group"].startswith("group_")
    stripe.expect(400, "POST", "/v1/transfers", {**params, "amount": 1_001})
    stripe.advance(2 * 86_400)
    assert (stripe.available(vendor), stripe.pending(vendor)) == (9_000, 0)


def test_reversals_take_back_parts_until_nothing_is_left(stripe: CoreClient) -> None:
    vendor = stripe.connected_account()
    transfer = stripe.post(
        "/v1/transfers", {"amount": 1_000, "currency": "usd", "destination": vendor}
    )
    more = {"amount": 5_000, "currency": "usd", "destination": vendor}
    stripe.post("/v1/transfers", more)
    path = f"/v1/transfers/{transfer['id']}/reversals"
    first = stripe.post(path, {"amount": 300})
    stripe.expect(400, "POST", path, {"amount": 701})
    half_way = stripe.get(f"/v1/transfers/{transfer['id']}")
    assert (half_way["amount_reversed"], half_way["reversed"]) == (300, False)
    second = stripe.post(path)
    assert second["amount"] == 700
    whole = stripe.get(f"/v1/transfers/{transfer['id']}")
    assert (whole["amount_reversed"], whole["reversed"]) == (1_000, True)
    assert [each["id"] for each in stripe.get(path)["data"]] == [second["id"], first["id"]]
    assert (stripe.available(), stripe.available(vendor)) == (995_000, 5_000)
    stripe.expect(400, "POST", path)


def test_a_reversal_beyond_what_the_account_has_is_refused(stripe: CoreClient) -> None:
    vendor = stripe.connected_account()
    params = {"amount": 1_000, "currency": "usd", "destination": vendor}
    transfer = stripe.post("/v1/transfers", params)["id"]
    stripe.post("/v1/payouts", {"amount": 400, "currency": "usd"}, account=vendor)
    path = f"/v1/transfers/{transfer}/reversals"
    error = stripe.expect(400, "POST", path, {"amount": 601})
    assert error["code"] == "balance_insufficient"
    stripe.post(path, {"amount": 600})
    assert stripe.available(vendor) == 0


def test_a_payout_goes_its_way_in_time(stripe: CoreClient) -> None:
    vendor = stripe.connected_account()
    stripe.post("/v1/transfers", {"amount": 1_000, "currency": "usd", "destination": vendor})
    error = stripe.expect(
        400, "POST", "/v1/payouts", {"amount": 1_001, "currency": "usd"}, account=vendor
    )
    assert error["code"] == "balance_insufficient"
    payout = stripe.post("/v1/payouts", {"amount": 800, "currency": "usd"}, account=vendor)
    path = f"/v1/payouts/{payout['id']}"
    assert (payout["status"], stripe.available(vendor)) == ("pending", 200)
    stripe.expect(404, "GET", path)
    stripe.advance(3_600)
    assert stripe.get(path, account=vendor)["status"] == "in_transit"
    stripe.expect(400, "POST", f"{path}/cancel", account=vendor)
    stripe.advance(86_400)
    assert stripe.get(path, account=vendor)["status"] == "paid"
    assert stripe.events(vendor)[-3:] == ["payout.created", "payout.updated", "payout.paid"]


def test_a_payout_can_fail_after_it_was_paid(stripe: CoreClient) -> None:
    vendor = stripe.connected_account()
    stripe.post("/v1/transfers", {"amount": 1_000, "currency": "usd", "destination": vendor})
    payout = stripe.post("/v1/payouts", {"amount": 800, "currency": "usd"}, account=vendor)
    stripe.control("POST", f"payouts/{payout['id']}/pay")
    failed = stripe.control(
        "POST", f"payouts/{payout['id']}/fail", {"failure_code": "account_closed"}
    )
    assert (failed["status"], failed["failure_code"]) == ("failed", "account_closed")
    assert stripe.available(vendor) == 1_000
    banks = stripe.get(f"/v1/accounts/{vendor}/external_accounts")["data"]
    assert [bank["status"] for bank in banks] == ["errored"]


@pytest.mark.parametrize(
    ("number", "code"), [("000111111116", "no_account"), ("000111111113", "account_closed")]
)
def test_a_test_bank_fails_its_payouts(stripe: CoreClient, number: str, code: str) -> None:
    bank = {"object": "bank_account", "country": "US", "currency": "usd", "account_number": number}
    vendor = stripe.post("/v1/accounts", {"external_account": bank})["id"]
    stripe.post("/v1/transfers", {"amount": 1_000, "currency": "usd", "destination": vendor})
    payout = stripe.post("/v1/payouts", {"amount": 1_000, "currency": "usd"}, account=vendor)
    stripe.advance(2 * 86_400)
    after = stripe.get(f"/v1/payouts/{payout['id']}", account=vendor)
    assert (after["status"], after["failure_code"]) == ("failed", code)
    assert stripe.available(vendor) == 1_000


def test_a_pending_payout_can_be_canceled(stripe: CoreClient) -> None:
    payout = stripe.post("/v1/payouts", {"amount": 800, "currency": "usd"})
    assert stripe.available() == 999_200
    canceled = stripe.post(f"/v1/payouts/{payout['id']}/cancel")
    assert (canceled["status"], stripe.available()) == ("canceled", 1_000_000)


def test_an_express_account_receives_once_it_is_onboarded(stripe: CoreClient) -> None:
    wishes = {"type": "express", "capabilities": {"transfers": {"requested": True}}}
    vendor = stripe.post("/v1/accounts", wishes)
    assert vendor["capabilities"] == {"transfers": "inactive"}
    assert vendor["payouts_enabled"] is False
    transfer = {"amount": 1_000, "currency": "usd", "destination": vendor["id"]}
    error = stripe.expect(400, "POST", "/v1/transfers", transfer)
    assert error["code"] == "insufficient_capabilities_for_transfer"
    link = stripe.post(
        "/v1/account_links",
        {
            "account": vendor["id"],
            "type": "account_onboarding",
            "refresh_url": "https://example.com/again",
            "return_url": "https://example.com/done",
        },
    )
    assert link["url"].startswith("http://127.0.0.1")
    onboarded = stripe.control("POST", f"accounts/{vendor['id']}/onboard")
    assert onboarded["capabilities"] == {"transfers": "active"}
    stripe.post("/v1/transfers", transfer)
    assert "account.updated" in stripe.events(vendor["id"])
