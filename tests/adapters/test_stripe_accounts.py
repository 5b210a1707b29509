"""Connected accounts at the adapter's edge: what is asked and read, and pages for one visit."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from roadcall_payments.domain.errors import (
    AccountRefused,
    CredentialsRejected,
    NotFound,
    StripeUnavailable,
)
from roadcall_payments.domain.stripe_objects import BankAccount, Operation, StripeIdentity
from roadcall_payments.ports import CreatedWindow, ReturnAddresses
from roadcall_payments.stripe_gateway import mapping, requests
from tests.adapters.scripted_stripe import Drop, Reply, refusal, rigged

US = StripeIdentity("acct_platform", livemode=False)
CREATED = datetime.fromtimestamp(1_790_000_000, UTC)
WINDOW = CreatedWindow(CREATED, CREATED)
BACK = ReturnAddresses("https://roadcall.example/?onboarding=done", "https://roadcall.example/")
SECRET_URL = "https://connect.stripe.com/setup/e/acct_1/hidden"
LINK = Reply(
    body={
        "object": "account_link",
        "created": 1_790_000_000,
        "expires_at": 1_790_000_300,
        "url": SECRET_URL,
    }
)
ACCOUNT = {
    "id": "acct_1",
    "object": "account",
    "created": 1_790_000_000,
    "charges_enabled": False,
    "payouts_enabled": True,
    "details_submitted": True,
    "capabilities": {"transfers": "inactive", "card_payments": "active"},
    "metadata": {"vendorId": "ve_1"},
    "requirements": {
        "currently_due": ["external_account"],
        "past_due": [],
        "eventually_due": ["external_account", "individual.id_number"],
        "current_deadline": 1_790_000_300,
        "disabled_reason": None,
        "errors": [{"requirement": "x", "code": "y", "reason": "z"}],
    },
    "external_accounts": {
        "object": "list",
        "has_more": False,
        "data": [
            {
                "id": "ba_1", "object": "bank_account", "currency": "usd", "last4": "6789",
                "bank_name": "STRIPE TEST BANK", "fingerprint": "fp_1",
                "default_for_currency": True, "routing_number": "110000000",
            },
            {
                "id": "card_1", "object": "card", "currency": "cad", "last4": "5556",
                "brand": "Visa", "fingerprint": "fp_2", "default_for_currency": True,
            },
            {
                "id": "ba_2", "object": "bank_account", "currency": "usd", "last4": "1116",
                "bank_name": "STRIPE TEST BANK", "default_for_currency": False,
            },
        ],
    },
}  # fmt: skip


def test_an_account_is_asked_for_without_a_word_about_its_owner() -> None:
    request = requests.account_request("ve_1", "US", key="account_ve_1_2", attempt=2, identity=US)
    assert (request.operation, request.path) == (Operation.CREATE_ACCOUNT, "/v1/accounts")
    assert request.idempotency_key == "account_ve_1_2"
    assert json.loads(request.params) == {
        "type": "express",
        "country": "US",
        "capabilities": {"transfers": {"requested": True}},
        "metadata": {"purpose": "vendor_account", "vendorId": "ve_1", "attempt": "2"},
    }


def test_without_a_country_stripe_chooses() -> None:
    request = requests.account_request("ve_1", None, key="k", attempt=1, identity=US)
    assert "country" not in json.loads(request.params)


def test_an_account_says_what_it_may_do_what_it_owes_and_where_its_money_goes() -> None:
    account = mapping.read_account(json.dumps(ACCOUNT))
    status = account.status
    assert (account.id, account.metadata) == ("acct_1", {"vendorId": "ve_1"})
    assert (status.transfers, status.payouts_enabled, status.charges_enabled) == (
        "inactive",
        True,
        False,
    )
    assert status.requirements.currently_due == ("external_account",)
    assert status.requirements.deadline == datetime.fromtimestamp(1_790_000_300, UTC)
    assert status.banks == (
        BankAccount("cad", "5556", "Visa", "fp_2"),
        BankAccount("usd", "6789", "STRIPE TEST BANK", "fp_1"),
    ), "the default of each currency"


@pytest.mark.parametrize(
    ("capabilities", "transfers"),
    [
        ({"transfers": "active"}, "active"),
        ({"legacy_payments": "active"}, "active"),
        ({"transfers": "pending", "legacy_payments": "active"}, "pending"),
        ({}, None),
        (None, None),
    ],
)
def test_old_accounts_receive_by_their_old_capability(
    capabilities: dict[str, str] | None, transfers: str | None
) -> None:
    account = mapping.read_account(json.dumps({**ACCOUNT, "capabilities": capabilities}))
    assert account.status.transfers == transfers


async def test_connected_accounts_are_listed_by_when_they_were_made() -> None:
    listed = {"object": "list", "data": [ACCOUNT], "has_more": False, "url": "/v1/accounts"}
    async with rigged(Reply(body=listed)) as rig:
        (found,) = await rig.gateway.accounts(WINDOW)
    assert found.id == "acct_1"
    [call] = rig.stripe.received
    assert (call.path, call.query["created[gte]"]) == ("/v1/accounts", "1790000000")


async def test_a_page_is_asked_for_anew_each_time_and_kept_out_of_sight() -> None:
    async with rigged(LINK, LINK) as rig:
        pages = [await rig.gateway.onboarding_page("acct_1", BACK) for _ in range(2)]
    assert [page.url for page in pages] == [SECRET_URL] * 2
    assert "hidden" not in repr(pages)
    first, second = rig.stripe.received
    assert first.path == "/v1/account_links"
    assert first.headers["Idempotency-Key"] != second.headers["Idempotency-Key"]


async def test_a_lost_page_is_asked_for_again_under_the_same_key() -> None:
    async with rigged(Drop(), LINK) as rig:
        await rig.gateway.onboarding_page("acct_1", BACK)
    first, second = rig.stripe.received
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]


async def test_a_login_link_knows_no_end() -> None:
    answer = Reply(body={"object": "login_link", "created": 1_790_000_000, "url": SECRET_URL})
    async with rigged(answer) as rig:
        page = await rig.gateway.dashboard_page("acct_1")
    assert (page.url, page.expires_at) == (SECRET_URL, None)
    assert rig.stripe.received[0].path == "/v1/accounts/acct_1/login_links"


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (refusal(400, "invalid_request_error", message="Not an Express account."), AccountRefused),
        (refusal(403, "invalid_request_error", code="account_invalid"), NotFound),
        (refusal(401, "invalid_request_error"), CredentialsRejected),
        (Reply(status=500, body={}, headers={"Stripe-Should-Retry": "false"}), StripeUnavailable),
    ],
)
async def test_no_page_comes_with_a_reason(answer: Reply, raised: type[Exception]) -> None:
    async with rigged(answer, answer) as rig:
        with pytest.raises(raised):
            await rig.gateway.onboarding_page("acct_1", BACK)
