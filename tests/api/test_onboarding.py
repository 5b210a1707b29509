"""Vendors' accounts over HTTP: links for whom they are meant, and refusals that say why."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from roadcall_payments.domain.errors import StripeUnavailable
from roadcall_payments.domain.stripe_objects import Operation, StripeFailure
from roadcall_payments.ports import Refused, Unknown, UnknownReason
from tests.api import harness as h
from tests.api.harness import Api, running_api
from tests.fakes.connected_accounts import ABLE, BANK, TO_ONBOARD

RECORD = {"contacts": {"name": "Laramie Towing", "email": "office@laramie-towing.example"}}
LINK = "/vendors/v_1/onboarding-link"


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Api]:
    """A server of the test's own: each has the one vendor whose token it holds."""
    async with running_api(tmp_path) as running:
        yield running


async def register(api: Api, **more: object) -> None:
    reply = await api.call("PUT", "/vendors/v_1", h.ADMIN, RECORD | more)
    assert reply.status == 200, reply.text


async def test_a_link_opens_the_account_and_says_where_to_go(own: Api) -> None:
    await register(own)
    reply = await own.post(LINK, h.ADMIN, {"country": "US"})
    assert reply.status == 200
    assert reply.json["url"].startswith("https://stripe.test/")
    assert reply.headers["cache-control"] == "no-store"
    again = await own.post(LINK, h.VENDOR)
    assert again.json["url"] != reply.json["url"]
    vendor = (await own.get("/vendors/v_1", h.VENDOR)).json
    assert vendor["stripeAccountId"] == reply.json["stripeAccountId"]
    assert (vendor["canBePaid"], vendor["obstacle"]["reason"]) == (False, "not_onboarded")
    assert vendor["obstacle"]["due"] == ["business_type", "external_account"]


async def test_an_unknown_outcome_is_202_without_a_link(own: Api) -> None:
    await register(own)
    own.gateway.script(
        Operation.CREATE_ACCOUNT, Unknown(UnknownReason.TIMEOUT, "no answer in time")
    )
    reply = await own.post(LINK, h.ADMIN, {})
    assert reply.status == 202
    assert (reply.json["url"], reply.json["stripeAccountId"]) == (None, None)


async def test_refusals_say_what_to_do(own: Api) -> None:
    await register(own)
    failure = StripeFailure("country_unsupported", "Country 'AQ' is unknown.")
    own.gateway.script(Operation.CREATE_ACCOUNT, Refused(failure, 400, "req_1", replayed=False))
    refused = await own.post(LINK, h.ADMIN, {"country": "AQ"})
    assert (refused.status, refused.code) == (400, "account_refused")
    assert refused.json["stripeCode"] == "country_unsupported"
    rejected = Unknown(UnknownReason.AUTHENTICATION, "HTTP 401")
    own.gateway.script(Operation.CREATE_ACCOUNT, rejected)
    assert (await own.post(LINK, h.ADMIN, {})).code == "stripe_credentials_rejected"
    malformed = await own.post(LINK, h.ADMIN, {"country": "usa"})
    assert (malformed.status, malformed.json["field"]) == (400, "country")
    assert (await own.post("/vendors/v_1/login-link", h.VENDOR)).code == "not_onboarded"


async def test_with_stripe_down_there_is_no_link(own: Api) -> None:
    await register(own, stripeAccountId="acct_1")
    own.gateway.down = StripeUnavailable("down", retry_after_s=7)
    reply = await own.post(LINK, h.ADMIN, {})
    assert (reply.status, reply.code) == (503, "stripe_unavailable")


async def test_a_vendor_who_cannot_be_paid_is_409_with_the_way_out(own: Api) -> None:
    own.gateway.show("acct_1", TO_ONBOARD)
    await register(own, stripeAccountId="acct_1")
    payment = await own.created_for_back_office()
    await own.post(f"/payments/{payment['id']}/approve", h.DISPATCHER)
    reply = await own.post(f"/payments/{payment['id']}/process", h.SERVICE)
    assert (reply.status, reply.code) == (409, "vendor_cannot_receive")
    assert (reply.json["reason"], reply.json["onboardingLink"]) == ("not_onboarded", LINK)
    assert reply.json["payment"]["status"] == "approved"


async def test_another_vendors_account_is_409(own: Api) -> None:
    await register(own, stripeAccountId="acct_1")
    record = RECORD | {"stripeAccountId": "acct_1"}
    reply = await own.call("PUT", "/vendors/v_2", h.ADMIN, record)
    assert (reply.status, reply.code) == (409, "account_taken")


async def test_a_stranger_in_the_record_is_400(own: Api) -> None:
    own.gateway.strangers.add("acct_stranger")
    record = RECORD | {"stripeAccountId": "acct_stranger"}
    reply = await own.call("PUT", "/vendors/v_1", h.ADMIN, record)
    assert (reply.status, reply.code) == (400, "account_not_connected")
    assert reply.json["field"] == "stripeAccountId"


async def test_bank_accounts_are_shown_by_their_last_digits(own: Api) -> None:
    own.gateway.show("acct_1", replace(ABLE, banks=(BANK,)))
    await register(own, stripeAccountId="acct_1")
    vendor = (await own.get("/vendors/v_1", h.VENDOR)).json
    assert vendor["account"]["bankAccounts"] == [
        {"currency": "usd", "bankName": "STRIPE TEST BANK", "last4": "6789"}
    ]
    assert (vendor["canBePaid"], vendor["outlook"]) == (True, "It can be paid.")
