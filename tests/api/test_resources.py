"""Vendors, events, lists, the review list, the switch, health and metrics."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from roadcall_payments.domain.errors import CredentialsRejected
from roadcall_payments.domain.stripe_objects import Operation
from roadcall_payments.ports import Queue
from tests.api.harness import (
    ADMIN,
    AUDITOR,
    DISPATCHER,
    DRIVER,
    OTHER_DRIVER,
    OTHER_SERVICE,
    SERVICE,
    VENDOR,
    Api,
)
from tests.fakes.gateway import GOOD_SIGNATURE

RECORD = {
    "stripeAccountId": "acct_1",
    "locale": "es-MX",
    "contacts": {"name": "Laramie Towing", "email": "a@tow.example", "phone": "+13075550123"},
}


async def test_a_vendors_record_is_kept_and_changed(api: Api) -> None:
    made = await api.call("PUT", "/vendors/v_9", ADMIN, RECORD)
    assert made.status == 200, made.text
    assert made.json["contacts"]["phone"] == "+13075550123"
    assert made.json["locale"] == "es-MX"
    changed = await api.call(
        "PUT", "/vendors/v_9", ADMIN, RECORD | {"stripeAccountId": None, "locale": "de"}
    )
    assert (changed.json["stripeAccountId"], changed.json["locale"]) == (None, "de")
    assert (await api.get("/vendors/v_9", ADMIN)).json == changed.json


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"locale": "Klingon"}, "locale"),
        ({"stripeAccountId": "ba_1"}, "stripeAccountId"),
        ({"contacts": {"name": ""}}, "contacts.name"),
        ({"contacts": {"name": "A", "email": "nobody"}}, "contacts.email"),
        ({"contacts": {"name": "A", "phone": "555"}}, "contacts.phone"),
        ({"contacts": {"name": "A", "fax": "555"}}, "contacts.fax"),
    ],
)
async def test_a_record_that_cannot_be(api: Api, change: dict[str, Any], field: str) -> None:
    reply = await api.call("PUT", "/vendors/v_8", ADMIN, RECORD | change)
    assert (reply.status, reply.code, reply.json["field"]) == (400, "invalid_input", field)
    assert (await api.get("/vendors/v_8", ADMIN)).status == 404


def work_completed(api: Api, event_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "version": "0",
        "id": event_id,
        "detail-type": "WorkCompleted",
        "source": "roadcall.dispatch",
        "account": "111122223333",
        "time": "2026-11-22T20:18:12Z",
        "region": "us-east-1",
        "resources": [],
        "detail": api.new_payment(**changes),
    }


async def test_work_completed_makes_one_payment(api: Api) -> None:
    event = work_completed(api, "job-1")
    first = await api.post("/events", SERVICE, event)
    assert first.status == 200, first.text
    payment = await api.get(f"/payments/{first.json['paymentId']}", SERVICE)
    assert payment.json["status"] == "pending_approval"
    assert payment.json["companyId"] == "c_1"
    repeat = await api.post("/events", SERVICE, event)
    assert repeat.json == {"received": True, "eventId": "job-1", "paymentId": None}
    same_job = event | {"id": "job-2"}
    assert (await api.post("/events", SERVICE, same_job)).json["paymentId"] is None


async def test_an_event_id_hides_nobody_elses_event(api: Api) -> None:
    """Neither another company's, nor one of Stripe's that is yet to come."""
    mine = await api.post("/events", SERVICE, work_completed(api, "evt_clash"))
    other = await api.post("/events", OTHER_SERVICE, work_completed(api, "evt_clash"))
    assert mine.json["paymentId"]
    assert other.json["paymentId"]
    stripes = b'{"id": "evt_clash", "type": "plan.created"}'
    headers = {"Stripe-Signature": GOOD_SIGNATURE}
    assert (await api.post("/payments/webhooks/stripe", raw=stripes, headers=headers)).status == 200
    assert await api.service.store.inbox_event("evt_clash") is not None


async def test_an_event_of_another_kind_is_refused(api: Api) -> None:
    event = work_completed(api, "job-3") | {"detail-type": "WorkStarted"}
    reply = await api.post("/events", SERVICE, event)
    assert (reply.status, reply.json["field"]) == (400, "detail-type")


async def test_an_events_detail_is_checked_like_a_payment(api: Api) -> None:
    event = work_completed(api, "job-4", amountCents=1)
    reply = await api.post("/events", SERVICE, event)
    assert (reply.status, reply.json["field"]) == (400, "amountCents")
    mended = event | {"detail": api.new_payment()}
    assert (await api.post("/events", SERVICE, mended)).json["paymentId"]


async def test_lists_are_paged_newest_first_and_within_reach(api: Api) -> None:
    made = [(await api.created(vendorId="v_list", driverId="d_list"))["id"] for _ in range(5)]
    seen: list[str] = []
    address = "/payments?vendorId=v_list&limit=2"
    cursor: str | None = ""
    while cursor is not None:
        page = (await api.get(address + (f"&cursor={cursor}" if cursor else ""), SERVICE)).json
        seen += [one["id"] for one in page["items"]]
        cursor = page["nextCursor"]
    assert seen == made[::-1]
    assert (await api.get("/payments?vendorId=v_list", OTHER_SERVICE)).json["items"] == []
    assert (await api.get("/payments?companyId=c_2", SERVICE)).json["items"] == []
    assert (await api.get("/payments?driverId=d_list", DRIVER)).json["items"] == []
    assert (await api.get("/payments?vendorId=v_list", VENDOR)).json["items"] == []
    everything = (await api.get("/payments?vendorId=v_list", ADMIN)).json["items"]
    assert len(everything) == 5


async def test_lists_filter(api: Api) -> None:
    payment = await api.approved(vendorId="v_filter")
    pending = await api.created_for_back_office(vendorId="v_filter")

    async def found(query: str, path: str = "/payments") -> set[str]:
        page = (await api.get(f"{path}?{query}", ADMIN)).json
        return {one["id"] for one in page["items"]}

    assert await found("vendorId=v_filter&status=approved") == {payment["id"]}
    assert await found("vendorId=v_filter&payerType=back_office") == {pending["id"]}
    assert await found(f"incidentId={payment['incidentId']}") == {payment["id"]}
    assert pending["id"] in await found("", "/payments/pending")
    assert payment["id"] not in await found("", "/payments/pending")
    assert await found("vendorId=v_filter&flagged=true") == set()
    assert len(await found("vendorId=v_filter&flagged=false")) == 2


async def test_a_driver_sees_their_own_only(api: Api) -> None:
    await api.created()
    own = (await api.get("/payments", DRIVER)).json["items"]
    assert {one["driverId"] for one in own} == {"d_1"}
    assert (await api.get("/payments", OTHER_DRIVER)).json["items"] == []


async def test_a_timeline_tells_who_did_what(api: Api) -> None:
    payment = await api.processing()
    reply = await api.get(f"/payments/{payment['id']}/timeline", DISPATCHER)
    entries = reply.json["entries"]
    assert [entry["type"] for entry in entries] == [
        "PaymentCreated",
        "PaymentScored",
        "PaymentApproved",
        "ProcessingStarted",
        "PaymentIntentOpened",
    ]
    assert entries[2]["actor"] == "dispatcher:anna"
    assert entries[3]["data"]["request"]["idempotencyKey"] == f"payment_{payment['id']}"
    assert "_secret" not in reply.text


async def test_a_timeline_shows_the_bookings(api: Api) -> None:
    payment = await api.processing()
    body = {"paymentMethodId": "pm_card_visa"}
    await api.post(f"/payments/{payment['id']}/confirm", DRIVER, body)
    reply = await api.get(f"/payments/{payment['id']}/timeline", ADMIN)
    lines = [line for entry in reply.json["entries"] for line in entry["postings"]]
    assert lines
    assert sum(line["amountCents"] for line in lines) == 0


async def test_a_review_is_cleared_and_the_payment_approved(api: Api) -> None:
    lines = [{"kind": "tow", "quantity": 1, "unitCents": 400_000}]
    payment = await api.created(vendorId="v_new", amountCents=400_000, lineItems=lines)
    assert payment["risk"]["flagged"] is True
    address = f"/payments/{payment['id']}"
    assert (await api.post(f"{address}/approve", DISPATCHER)).status == 409
    listed = (await api.get("/reviews", ADMIN)).json["payments"]["items"]
    assert payment["id"] in {one["id"] for one in listed}
    flagged = (await api.get("/payments/flagged", DISPATCHER)).json["items"]
    assert payment["id"] in {one["id"] for one in flagged}
    cleared = await api.post(f"{address}/review", ADMIN, {"decision": "clear", "note": "Called."})
    assert cleared.json["risk"]["flagged"] is False
    assert (await api.post(f"{address}/approve", DISPATCHER)).json["status"] == "approved"


async def test_a_block_rejects_and_frees_the_job(api: Api) -> None:
    lines = [{"kind": "tow", "quantity": 1, "unitCents": 400_000}]
    job = api.new_payment(vendorId="v_odd", amountCents=400_000, lineItems=lines)
    payment = (await api.post("/payments", SERVICE, job)).json
    body = {"decision": "block", "note": "Nobody was there."}
    blocked = await api.post(f"/payments/{payment['id']}/review", ADMIN, body)
    assert blocked.json["status"] == "rejected"
    assert blocked.json["rejectionReason"] == "Nobody was there."
    assert (await api.post("/payments", SERVICE, job)).status == 201


async def test_the_review_list_shows_dead_letters(api: Api) -> None:
    await api.created()
    store, now = api.service.store, api.service.clock.now()
    claims = await store.claim(
        Queue.OUTBOX, now=now + timedelta(hours=1), lease_s=60, limit=1, worker="w"
    )
    await store.park(claims[0], now=now, reason="The bus refused it.")
    letters = (await api.get("/reviews", ADMIN)).json["deadLetters"]
    assert [(one["queue"], one["reason"]) for one in letters] == [("outbox", "The bus refused it.")]


async def test_an_event_that_cannot_be_applied_is_put_aside(api: Api) -> None:
    event_id = await api.waiting_event()
    address = f"/inbox-events/{event_id}/dismiss"
    for wrong in ({}, {"reason": ""}):
        refused = await api.post(address, ADMIN, wrong)
        assert (refused.status, refused.json["field"]) == (400, "reason")
    missing = await api.post("/inbox-events/evt_nowhere/dismiss", ADMIN, {"reason": "gone"})
    assert (missing.status, missing.code) == (404, "not_found")
    waiting = "/reviews?inboxStatus=waiting"
    assert [e["eventId"] for e in (await api.get(waiting, ADMIN)).json["inboxEvents"]["items"]]
    reply = await api.post(address, ADMIN, {"reason": "the shop's own"})
    assert (reply.json["status"], reply.json["reason"]) == ("dismissed", "the shop's own")
    assert (await api.get(waiting, ADMIN)).json["inboxEvents"]["items"] == []


async def test_a_confirmation_may_need_the_payer(api: Api) -> None:
    payment = await api.processing()
    api.gateway.ask_payer()
    reply = await api.post(
        f"/payments/{payment['id']}/confirm", DRIVER, {"paymentMethodId": "pm_card_3ds"}
    )
    assert (reply.status, reply.json["requiresAction"]) == (200, True)
    assert reply.json["payment"]["nextAction"] == "use_stripe_sdk"
    assert reply.json["clientSecret"]


async def test_a_cancel_with_an_open_intent_asks_stripe(api: Api) -> None:
    payment = await api.processing()
    reply = await api.post(f"/payments/{payment['id']}/cancel", DISPATCHER, {"reason": "duplicate"})
    assert (reply.status, reply.json["status"]) == (200, "cancelled")
    assert api.gateway.sent[-1].operation is Operation.CANCEL_PAYMENT_INTENT


async def test_a_failed_transfer_is_retried(api: Api) -> None:
    payment = await api.failed_transfer()
    address = f"/payments/{payment['id']}"
    assert (await api.post(f"{address}/retry", DISPATCHER)).json["status"] == "approved"
    reply = await api.post(f"{address}/process", SERVICE)
    assert reply.json["payment"]["status"] == "completed"
    assert reply.json["payment"]["attempts"] == 2


async def test_the_switch_says_who_and_why(api: Api) -> None:
    assert (await api.get("/movements", ADMIN)).json == {
        "paused": False,
        "by": None,
        "reason": "",
        "updatedAt": None,
        "heldAfterRestore": False,
    }
    paused = await api.post("/movements/pause", ADMIN, {"reason": "Stripe has an incident."})
    assert (paused.json["paused"], paused.json["by"]) == (True, "admin:maria")
    ready = await api.get("/health/ready")
    assert (ready.status, ready.json["movementsPaused"]) == (200, True)
    resumed = await api.post("/movements/resume", ADMIN)
    assert resumed.json["paused"] is False


async def test_it_is_alive_and_ready(api: Api) -> None:
    assert (await api.get("/health/live")).json == {"status": "alive"}
    assert (await api.get("/health/ready")).json["status"] == "ready"


async def test_it_is_not_ready_without_credentials_and_says_no_more_than_that(api: Api) -> None:
    api.gateway.down = CredentialsRejected("The file /secret/place is gone.")
    reply = await api.get("/health/ready")
    api.gateway.down = None
    assert reply.status == 503
    assert reply.json["checks"]["stripeCredentials"] == {
        "ok": False,
        "code": "stripe_credentials_rejected",
    }
    assert "/secret/place" not in reply.text


async def test_metrics_count_requests_by_template(api: Api) -> None:
    payment = await api.created()
    await api.get(f"/payments/{payment['id']}", ADMIN)
    await api.get("/secret/address")
    text = (await api.get("/metrics")).text
    counted = (
        'roadcall_http_requests_total{method="GET",route="/payments/{paymentId}",status="200"}'
    )
    assert counted in text
    assert 'roadcall_queue_waiting{queue="outbox"}' in text
    assert payment["id"] not in text
    assert "/secret/address" not in text


async def test_metrics_from_elsewhere_take_a_token(api: Api) -> None:
    """The server takes a proxy's word for the address, from this machine alone."""
    elsewhere = {"X-Forwarded-For": "203.0.113.7"}
    assert (await api.get("/metrics", headers=elsewhere)).status == 401
    assert (await api.get("/metrics", DISPATCHER, headers=elsewhere)).status == 403
    assert (await api.get("/metrics", AUDITOR, headers=elsewhere)).status == 200
