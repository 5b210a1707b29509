"""Refunds over HTTP: what is answered, to whom, and how often."""

from __future__ import annotations

from typing import Any

from roadcall_payments.domain.people import Actor, Role
from roadcall_payments.domain.stripe_objects import Operation, StripeFailure
from roadcall_payments.ports import Refused, Unknown, UnknownReason
from tests.api import harness as h
from tests.api.harness import Api

REFUND = Operation.CREATE_REFUND
REFUSED = Refused(StripeFailure("charge_disputed", "It was charged back."), 400, "req_x", False)
OTHER_ADMIN = Actor("mark", Role.ADMIN)


async def ask(api: Api, payment: Any, key: str | None = None, **body: Any) -> h.Reply:
    headers = {"Idempotency-Key": key} if key else None
    return await api.post(f"/payments/{payment['id']}/refunds", h.DISPATCHER, body, headers=headers)


async def approve(api: Api, refund: Any, key: str | None = None) -> h.Reply:
    headers = {"Idempotency-Key": key} if key else None
    return await api.post(f"/refunds/{refund['id']}/approve", h.ADMIN, headers=headers)


async def test_a_partial_refund_from_request_to_success(api: Api) -> None:
    payment = await api.completed()
    asked = await ask(api, payment, amountCents=6_000, note="Billed twice.")
    assert asked.status == 201
    assert asked.headers["location"] == f"/refunds/{asked.json['id']}"
    assert asked.json["status"] == "requested"
    assert asked.json["note"] == "Billed twice."
    assert asked.json["plan"] == {
        "payerGetsCents": 6_000,
        "reversedFromVendorCents": 0,
        "stripeFeeReturnedCents": 0,
        "platformFeeReturnedCents": 0,
        "vendorBalanceAfterCents": asked.json["plan"]["vendorBalanceAfterCents"],
        "vendorDebtCents": 0,
    }
    waiting = await api.get("/refunds/pending", h.ADMIN)
    assert asked.json["id"] in [one["id"] for one in waiting.json["items"]]
    done = await approve(api, asked.json)
    assert (done.status, done.json["status"], done.json["plan"]) == (200, "succeeded", None)
    assert done.json["stripeRefundId"].startswith("re_")
    read = await api.get(f"/payments/{payment['id']}", h.DISPATCHER)
    assert read.json["amountRefundedCents"] == 6_000
    listed = await api.get(f"/payments/{payment['id']}/refunds", h.DRIVER)
    (shown,) = listed.json["items"]
    assert shown["amountCents"] == 6_000
    assert (shown["note"], shown["requestedBy"], shown["plan"]) == (None, None, None)


async def test_a_double_click_is_one_refund(api: Api) -> None:
    payment = await api.completed()
    first = await ask(api, payment, "click", amountCents=1_000)
    again = await ask(api, payment, "click", amountCents=1_000)
    assert first.json == again.json
    assert again.headers["idempotency-replayed"] == "true"
    other = await ask(api, payment, "click", amountCents=2_000)
    assert other.code == "idempotency_key_reused"
    second = await ask(api, payment, "another-click", amountCents=1_000)
    assert second.json["id"] != first.json["id"]
    approved = [await approve(api, first.json, "yes") for _ in range(2)]
    assert [one.status for one in approved] == [200, 200]
    assert approved[0].json == approved[1].json
    assert (await approve(api, first.json)).code == "status_forbids"
    listed = await api.get(f"/payments/{payment['id']}/refunds", h.ADMIN)
    assert [one["status"] for one in listed.json["items"]] == ["succeeded", "requested"]


async def test_more_than_is_left_is_refused_with_the_payment(api: Api) -> None:
    payment = await api.completed()
    await ask(api, payment, amountCents=18_000)
    refused = await ask(api, payment, amountCents=501)
    assert (refused.status, refused.code) == (409, "refund_exceeds_payment")
    assert refused.json["payment"]["id"] == payment["id"]
    assert (await ask(api, payment)).json["amountCents"] == 500
    assert (await ask(api, payment)).code == "refund_exceeds_payment"


async def test_an_approvers_409_carries_the_payment(api: Api) -> None:
    asked = await api.refund_requested()
    rejected = await api.post(
        f"/refunds/{asked['id']}/reject", h.ADMIN, {"reason": "The invoice is right."}
    )
    assert rejected.json["rejectionReason"] == "The invoice is right."
    late = await approve(api, asked)
    assert (late.status, late.code) == (409, "status_forbids")
    assert late.json["payment"]["id"] == asked["paymentId"]


async def test_nobody_approves_their_own(api: Api) -> None:
    payment = await api.completed()
    own = await api.post(f"/payments/{payment['id']}/refunds", h.ADMIN, {})
    assert (await approve(api, own.json)).code == "not_allowed"
    path = f"/refunds/{own.json['id']}/approve"
    assert (await api.post(path, OTHER_ADMIN)).status == 200


async def test_a_refusal_by_stripe_is_a_problem_and_repeats_as_one(api: Api) -> None:
    asked = await api.refund_requested()
    api.gateway.script(REFUND, REFUSED)
    for _ in range(2):
        refused = await approve(api, asked, "yes")
        assert (refused.status, refused.code) == (400, "refund_failed")
        assert refused.json["stripeCode"] == "charge_disputed"
    read = await api.get(f"/refunds/{asked['id']}", h.ADMIN)
    assert read.json["failure"] == {"code": "charge_disputed", "message": "It was charged back."}


async def test_unknown_is_202_and_no_failure(api: Api) -> None:
    asked = await api.refund_requested()
    api.gateway.script(REFUND, Unknown(UnknownReason.TIMEOUT, "no answer in time"))
    for _ in range(2):
        answer = await approve(api, asked, "yes")
        assert answer.status == 202
        assert (answer.json["status"], answer.json["outcomeKnown"]) == ("submitted", False)


async def test_rejected_credentials_are_503_and_the_refund_stays_submitted(api: Api) -> None:
    asked = await api.refund_requested()
    api.gateway.script(REFUND, Unknown(UnknownReason.AUTHENTICATION, "401"))
    answer = await approve(api, asked)
    assert (answer.status, answer.code) == (503, "stripe_credentials_rejected")
    read = await api.get(f"/refunds/{asked['id']}", h.ADMIN)
    assert read.json["status"] == "submitted"


async def test_a_transfer_has_no_payer_to_refund(api: Api) -> None:
    payment = await api.created_for_back_office()
    address = f"/payments/{payment['id']}"
    await api.post(f"{address}/approve", h.DISPATCHER, {"vendorStripeAccountId": "acct_1"})
    assert (await api.post(f"{address}/process", h.SERVICE)).status == 200
    assert (await ask(api, payment)).code == "not_refundable"


async def test_what_is_not_there_is_not_found(api: Api) -> None:
    assert (await api.get("/refunds/r_1", h.ADMIN)).code == "not_found"
    assert (await approve(api, {"id": "r_1"})).code == "not_found"
    assert (await ask(api, {"id": "p_1"})).code == "not_found"
