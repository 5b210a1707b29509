"""Transfers that wait for the platform's funds, over HTTP: asked with a priority, and listed."""

from __future__ import annotations

import pytest

from roadcall_payments.domain.people import Actor
from tests.api import harness as h
from tests.api.harness import Api, Json, Reply

# Each test has a currency of its own, and so a queue of its own.
ACCOUNT = "acct_1"


async def processed(api: Api, currency: str, body: Json = None, **changes: Json) -> Reply:
    payment = await api.created_for_back_office(currency=currency, **changes)
    address = f"/payments/{payment['id']}"
    named = {"vendorStripeAccountId": ACCOUNT}
    assert (await api.post(f"{address}/approve", h.DISPATCHER, named)).status == 200
    return await api.post(f"{address}/process", h.SERVICE, body)


async def test_what_waits_is_202_with_its_place_and_reason(api: Api) -> None:
    api.gateway.platform_funds["eur"] = 18_499
    reply = await processed(api, "eur")
    payment = reply.json["payment"]
    assert (reply.status, payment["status"]) == (202, "approved")
    queue = dict(payment["queue"])
    since = queue.pop("since")
    assert queue == {
        "place": 1,
        "reason": "insufficient_funds",
        "priority": "normal",
        "neededCents": 18_500,
        "availableCents": 18_499,
    }
    read = (await api.get(f"/payments/{payment['id']}", h.DISPATCHER)).json
    assert read["queue"] == queue | {"since": since}
    shown = (await api.get(f"/payments/{payment['id']}", h.VENDOR)).json
    # What the platform has is none of a vendor's business.
    assert shown["queue"] == read["queue"] | {"availableCents": None}

    api.gateway.platform_funds["eur"] = 18_500
    await api.service.transfers.attend()
    gone = (await api.get(f"/payments/{payment['id']}", h.DISPATCHER)).json
    assert (gone["status"], gone["queue"]) == ("completed", None)


async def test_priority_goes_first_and_can_be_changed_later(api: Api) -> None:
    api.gateway.platform_funds["cad"] = 0
    bodies: list[Json] = [{}, {"priority": "low"}, {"priority": "high"}, None]
    waiting = [(await processed(api, "cad", body)).json["payment"] for body in bodies]
    usual, low, high, later = (one["id"] for one in waiting)
    assert await places(api, "cad") == {high: 1, usual: 2, later: 3, low: 4}
    again = await api.post(f"/payments/{low}/process", h.SERVICE, {"priority": "high"})
    assert (again.status, again.json["payment"]["queue"]["priority"]) == (202, "high")
    kept = await api.post(f"/payments/{low}/process", h.SERVICE, {})
    assert kept.json["payment"]["queue"]["priority"] == "high"
    order = await places(api, "cad")
    assert {order[low], order[high]} == {1, 2}
    assert (order[usual], order[later]) == (3, 4)


async def places(api: Api, currency: str) -> dict[str, int]:
    listed = await api.get("/payments?queued=true&limit=100", h.ADMIN)
    mine = [one for one in listed.json["items"] if one["currency"] == currency]
    return {one["id"]: one["queue"]["place"] for one in mine}


@pytest.mark.parametrize("priority", ["urgent", "HIGH", "", 1, ["high"]])
async def test_a_priority_that_there_is_not_is_400_and_names_the_three(
    api: Api, priority: Json
) -> None:
    reply = await processed(api, "usd", {"priority": priority})
    assert (reply.status, reply.code, reply.json["field"]) == (400, "invalid_input", "priority")
    assert all(name in reply.json["detail"] for name in ("high", "normal", "low"))


async def test_queued_lists_what_waits_page_by_page_within_the_callers_reach(api: Api) -> None:
    api.gateway.platform_funds["jpy"] = 0
    waiting = {
        (await processed(api, "jpy", incidentId=f"i_page_{n}")).json["payment"]["id"]
        for n in range(3)
    }
    gone = (await processed(api, "usd")).json["payment"]["id"]
    for caller in (h.SERVICE, h.DISPATCHER, h.ADMIN, h.AUDITOR, h.VENDOR):
        shown = {one["id"] for one in (await walk(api, "queued=true", caller, 2))}
        assert shown >= waiting, caller
        assert gone not in shown, caller
        assert gone in {one["id"] for one in await walk(api, "queued=false", caller, 50)}
    for stranger in (h.OTHER_SERVICE, h.OTHER_DISPATCHER, h.OTHER_VENDOR, h.OTHER_DRIVER):
        assert await walk(api, "queued=true", stranger, 50) == [], stranger
    both = await walk(api, "queued=true&status=completed", h.ADMIN, 50)
    assert both == [], "filters are joined by AND"


async def walk(api: Api, query: str, caller: Actor, limit: int) -> list[Json]:
    """All pages of a list of payments."""
    found: list[Json] = []
    cursor = ""
    while True:
        page = (await api.get(f"/payments?{query}&limit={limit}{cursor}", caller)).json
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["nextCursor"] is None:
            return found
        cursor = f"&cursor={page['nextCursor']}"


@pytest.mark.parametrize("query", ["queued=maybe", "queued=", "queued=true&queue=1"])
async def test_a_filter_that_there_is_not_is_400(api: Api, query: str) -> None:
    reply = await api.get(f"/payments?{query}", h.ADMIN)
    assert (reply.status, reply.code) == (400, "invalid_input")
    assert reply.json["field"] in ("queued", "queue")


async def test_a_repeat_under_one_key_waits_once_and_tells_how_it_ended(api: Api) -> None:
    api.gateway.platform_funds["kwd"] = 0
    payment = await api.created_for_back_office(currency="kwd")
    address = f"/payments/{payment['id']}"
    await api.post(f"{address}/approve", h.DISPATCHER, {"vendorStripeAccountId": ACCOUNT})
    key = {"Idempotency-Key": payment["id"]}
    for _ in range(2):
        reply = await api.post(f"{address}/process", h.SERVICE, {"priority": "low"}, headers=key)
        assert (reply.status, reply.json["payment"]["queue"]["place"]) == (202, 1)
    other = await api.post(f"{address}/process", h.SERVICE, {"priority": "high"}, headers=key)
    assert other.code == "idempotency_key_reused"
    api.gateway.platform_funds["kwd"] = 18_500
    await api.service.transfers.attend()
    done = await api.post(f"{address}/process", h.SERVICE, {"priority": "low"}, headers=key)
    assert (done.status, done.json["payment"]["status"]) == (200, "completed")
    assert done.headers["idempotency-replayed"] == "true"
