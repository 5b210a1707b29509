"""Payouts over HTTP: what they answer, what a repeat answers, and what a vendor sees."""

from __future__ import annotations

from typing import Any

import pytest

from roadcall_payments.domain.money import Money
from roadcall_payments.domain.people import Actor, Role
from roadcall_payments.domain.stripe_objects import Operation, PayoutStatus, StripeFailure
from roadcall_payments.ports import Refused, Unknown, UnknownReason
from tests.api import harness as h
from tests.api.harness import Api, Reply
from tests.fakes.gateway import GOOD_SIGNATURE

ACCOUNT = "acct_1"
ASKED = {"amountCents": 4_000, "currency": "usd"}


async def ask(api: Api, key: str | None = None, **changes: Any) -> Reply:
    record = {"contacts": {"name": "Laramie Towing"}, "stripeAccountId": ACCOUNT}
    await api.call("PUT", "/vendors/v_1", h.ADMIN, record)
    api.gateway.fund(ACCOUNT, Money(10_000, "usd"))
    headers = {"Idempotency-Key": key} if key else None
    body = {**ASKED, **changes}
    return await api.call("POST", "/vendors/v_1/payouts", h.ADMIN, body, headers=headers)


async def test_a_payout_is_made_read_and_listed(api: Api) -> None:
    reply = await ask(api, "one")
    made = reply.json
    assert (reply.status, made["status"], made["amountCents"]) == (201, "pending", 4_000)
    assert reply.headers["location"] == f"/payouts/{made['id']}"
    again = await ask(api, "one")
    assert (again.status, again.json["id"]) == (201, made["id"])
    assert again.headers["idempotency-replayed"] == "true"
    read = await api.call("GET", f"/payouts/{made['id']}", h.VENDOR)
    assert (read.json["status"], read.json["requestedBy"]) == ("pending", None)
    listed = await api.call("GET", "/vendors/v_1/payouts", h.VENDOR)
    assert listed.json["items"][0]["id"] == made["id"]


async def test_what_stripe_refused_is_a_problem_and_an_unknown_outcome_is_202(api: Api) -> None:
    failure = StripeFailure("balance_insufficient", "You have insufficient funds.")
    api.gateway.script(Operation.CREATE_PAYOUT, Refused(failure, 400, "req_1", replayed=False))
    refused = await ask(api)
    assert (refused.status, refused.json["code"]) == (400, "payout_failed")
    assert refused.json["stripeCode"] == "balance_insufficient"
    api.gateway.script(Operation.CREATE_PAYOUT, Unknown(UnknownReason.TIMEOUT, "nothing"))
    unknown = await ask(api)
    assert (unknown.status, unknown.json["outcomeKnown"]) == (202, False)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"amountCents": 10_001}, 409, "payout_exceeds_balance"),
        ({"amountCents": 999}, 400, "below_minimum"),
        ({"amountCents": 12_345, "currency": "kwd"}, 400, "amount_not_carried"),
        ({"amountCents": 0}, 400, "invalid_input"),
    ],
)
async def test_what_cannot_be_paid_out_is_refused(
    api: Api, changes: dict[str, Any], status: int, code: str
) -> None:
    reply = await ask(api, **changes)
    assert (reply.status, reply.json["code"]) == (status, code)


async def test_a_pending_payout_is_taken_back_and_a_later_one_is_not(api: Api) -> None:
    first, second = (await ask(api)).json, (await ask(api)).json
    reply = await api.call("POST", f"/payouts/{first['id']}/cancel", h.ADMIN)
    assert (reply.status, reply.json["status"]) == (200, "cancelled")
    api.gateway.payout_becomes(second["stripePayoutId"], PayoutStatus.IN_TRANSIT)
    late = await api.call("POST", f"/payouts/{second['id']}/cancel", h.ADMIN)
    assert (late.status, late.json["code"]) == (409, "payout_not_cancelled")


async def test_a_vendor_reads_its_balance_and_what_a_payout_carried(api: Api) -> None:
    api.gateway.fund(ACCOUNT, Money(10_000, "cad"))
    made = (await ask(api, currency="cad")).json
    api.gateway.fund(ACCOUNT, Money(1_050, "cad"), pending_cents=200)
    balance = (await api.call("GET", "/vendors/v_1/balance", h.VENDOR)).json
    (funds,) = [one for one in balance["funds"] if one["currency"] == "cad"]
    assert (funds["availableCents"], funds["pendingCents"]) == (1_050, 200)
    assert funds["onTheWayCents"] == 4_000
    assert "CA$40.00 is on its way" in balance["words"]
    told = (await api.call("GET", f"/payouts/{made['id']}/remittance", h.VENDOR)).json
    assert (told["jobs"], told["otherCents"], told["complete"]) == ([], 4_000, True)
    assert "CA$40.00" in told["words"]


async def test_payouts_are_listed_newest_first_page_by_page(api: Api) -> None:
    account = "acct_paged"
    record = {"contacts": {"name": "Cheyenne Towing"}, "stripeAccountId": account}
    await api.call("PUT", "/vendors/v_paged", h.ADMIN, record)
    api.gateway.fund(account, Money(100_000, "usd"))
    made = []
    for _ in range(5):
        reply = await api.call("POST", "/vendors/v_paged/payouts", h.ADMIN, ASKED)
        made.append(reply.json["id"])
    listed: list[str] = []
    cursor = ""
    while True:
        address = f"/vendors/v_paged/payouts?limit=2{cursor}"
        page = (await api.call("GET", address, h.AUDITOR)).json
        assert len(page["items"]) <= 2
        listed += [one["id"] for one in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert listed == made[::-1]
    for query in ("limit=0", "limit=101", "cursor=odd"):
        odd = await api.call("GET", f"/vendors/v_paged/payouts?{query}", h.AUDITOR)
        assert (odd.status, odd.code, odd.json["field"]) == (
            400,
            "invalid_input",
            query.partition("=")[0],
        )


async def test_a_payout_of_before_the_vendor_is_shown_to_it_and_to_no_other(api: Api) -> None:
    vendor, account = Actor("eve", Role.VENDOR, vendor_id="v_early"), "acct_early"
    made = api.gateway.pay_out(account, Money(2_500, "usd"))
    body = api.gateway.event("evt_early", "payout.created", made, account)
    await api.service.webhook_inbox.take(body, GOOD_SIGNATURE)
    before = await api.call("GET", f"/payouts/{made.id}", vendor)
    assert (before.status, before.json["code"]) == (404, "not_found")
    record = {"contacts": {"name": "Early Towing"}, "stripeAccountId": account}
    await api.call("PUT", "/vendors/v_early", h.ADMIN, record)
    for path in (f"/payouts/{made.id}", f"/payouts/{made.id}/remittance"):
        assert (await api.call("GET", path, vendor)).status == 200
    read = await api.call("GET", f"/payouts/{made.id}", vendor)
    assert read.json["vendorId"] == "v_early"
    assert (await api.call("GET", f"/payouts/{made.id}", h.OTHER_VENDOR)).status == 404
