"""What the edge refuses before any workflow sees it: bad text, bad JSON, too much of anything."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.api.harness import ADMIN, DISPATCHER, DRIVER, SERVICE, VENDOR, Api

NUL, LONE = "\\u0000", "\\ud800"


def body_with(api: Api, **changes: Any) -> str:
    return json.dumps(api.new_payment(**changes))


@pytest.mark.parametrize("escape", [NUL, LONE, "\\udc00\\ud800"])
@pytest.mark.parametrize("field", ["description", "incidentId", "lineItems[0].description"])
async def test_m37_bad_text_in_json_is_refused_by_field(api: Api, escape: str, field: str) -> None:
    body = api.new_payment(description="DESCRIPTION", incidentId="INCIDENTID")
    body["lineItems"][0]["description"] = "LINE"
    spots = {"description": "DESCRIPTION", "incidentId": "INCIDENTID"}
    raw = json.dumps(body).replace(spots.get(field, "LINE"), f"a{escape}b").encode()
    reply = await api.post("/payments", SERVICE, raw=raw)
    assert (reply.status, reply.code, reply.json["field"]) == (400, "invalid_input", field)


async def test_a_surrogate_pair_is_a_character_and_stays(api: Api) -> None:
    raw = (
        body_with(api, description="DESCRIPTION").replace("DESCRIPTION", "\\ud83d\\ude9b").encode()
    )
    reply = await api.post("/payments", SERVICE, raw=raw)
    assert reply.status == 201
    read = await api.get(f"/payments/{reply.json['id']}", SERVICE)
    assert read.json["description"] == "\N{ARTICULATED LORRY}"


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"",
        b"\xff\xfe{}",
        b'{"reason": NaN}',
        b'{"reason": Infinity}',
        b'{"reason": "a", "reason": "b"}',
        b'{"re\\u0000ason": "a"}',
        b'{"reason": "a\\u0000"}',
        b'{"reason": 1e999}',
        b"[" * 100_000,
        b'{"a":' * 100 + b"1" + b"}" * 100,
        b'{"reason": ' + b"9" * 5_000 + b"}",
        b"[]",
        b"null",
        b'"pause"',
        b'{"reason": ""}',
        b'{"reason": "a\\u0007"}',
        b'{"reason": "' + b"x" * 501 + b'"}',
        b'{"reason": "a", "until": "tomorrow"}',
    ],
)
async def test_a_body_that_cannot_be(api: Api, raw: bytes) -> None:
    reply = await api.post("/movements/pause", ADMIN, raw=raw)
    assert reply.status == 400, reply.text
    assert reply.code in ("invalid_input", "invalid_json")
    assert (await api.get("/movements", ADMIN)).json["paused"] is False


@pytest.mark.parametrize("number", ["500.0", "5e2", "true", '"500"', "null", "-500", "0"])
async def test_amounts_are_positive_integers(api: Api, number: str) -> None:
    raw = body_with(api, amountCents=123_321).replace("123321", number).encode()
    reply = await api.post("/payments", SERVICE, raw=raw)
    assert (reply.status, reply.json["field"]) == (400, "amountCents"), reply.text


async def test_lists_are_bounded(api: Api) -> None:
    lines = [{"kind": "tow", "quantity": 1, "unitCents": 1}] * 51
    reply = await api.post("/payments", SERVICE, api.new_payment(lineItems=lines, amountCents=51))
    assert (reply.status, reply.json["field"]) == (400, "lineItems")


async def test_fifty_line_items_with_words_are_a_payment(api: Api) -> None:
    lines = [
        {"kind": "part", "quantity": 1, "unitCents": 1, "description": f"part {n}"}
        for n in range(50)
    ]
    body = api.new_payment(lineItems=lines, amountCents=50, description="parts")
    reply = await api.post("/payments", SERVICE, body)
    assert reply.status == 201, reply.text
    assert reply.json["lineItems"][49]["description"] == "part 49"


async def test_a_body_that_is_too_large_is_a_413(api: Api) -> None:
    raw = json.dumps({"reason": "x" * 1_048_570}).encode()
    reply = await api.post("/movements/pause", ADMIN, raw=raw)
    assert (reply.status, reply.code) == (413, "body_too_large")


async def test_a_body_that_grows_past_the_limit_is_a_413(api: Api) -> None:
    """Without Content-Length the size shows only while it is read."""

    async def endless() -> Any:
        for _ in range(40):
            yield b" " * 65_536

    token = api.issuer.token(ADMIN)
    async with api.session.post(
        f"{api.base}/movements/pause",
        data=endless(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    ) as answer:
        assert answer.status == 413
        assert (await answer.json(content_type=None))["code"] == "body_too_large"


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "json"])
async def test_a_body_that_is_not_json_is_a_415(api: Api, media_type: str) -> None:
    headers = {"Content-Type": media_type}
    reply = await api.post("/movements/pause", ADMIN, raw=b'{"reason": "x"}', headers=headers)
    assert (reply.status, reply.code) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "address",
    [
        "/payments/a%00b",
        "/payments/a%ED%A0%80b",
        "/payments/%FF",
        "/payments?vendorId=%00",
        "/payments?vendorId=%ED%A0%80",
        "/payments?status=%C3%28",
        "/vendors/%00",
        "/payments/" + "x" * 5_000,
        "/payments?cursor=" + "x" * 5_000,
    ],
)
async def test_a_bad_address_is_refused(api: Api, address: str) -> None:
    reply = await api.get(address, ADMIN)
    assert (reply.status, reply.code) == (400, "invalid_input")
    assert reply.json["field"] in ("path", "query")


@pytest.mark.parametrize(
    ("address", "field"),
    [
        ("/payments/-", "paymentId"),
        ("/payments/" + "x" * 129, "paymentId"),
        ("/payments/a%20b/timeline", "paymentId"),
        ("/vendors/%E2%82%AC", "vendorId"),
        ("/payments?status=paid", "status"),
        ("/payments?limit=0", "limit"),
        ("/payments?limit=101", "limit"),
        ("/payments?limit=ten", "limit"),
        ("/payments?flagged=perhaps", "flagged"),
        ("/payments?vendor_id=v_1", "vendor_id"),
        ("/payments?cursor=made-up", "cursor"),
        ("/payments/pending?status=approved", "status"),
        ("/reviews?inboxStatus=applied", "inboxStatus"),
    ],
)
async def test_an_address_with_a_wrong_value_names_it(api: Api, address: str, field: str) -> None:
    reply = await api.get(address, ADMIN)
    assert (reply.status, reply.code, reply.json["field"]) == (400, "invalid_input", field)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Idempotency-Key", "x" * 256),
        ("Idempotency-Key", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"),
        ("Idempotency-Key", "two words"),
        ("On-Behalf-Of", "d 1"),
        ("On-Behalf-Of", "x" * 129),
    ],
)
async def test_a_wrong_header_is_named(api: Api, header: str, value: str) -> None:
    payment = await api.approved()
    address = f"/payments/{payment['id']}/process"
    reply = await api.post(address, SERVICE, headers={header: value})
    assert (reply.status, reply.code, reply.json["field"]) == (400, "invalid_input", header)


async def test_a_service_names_the_payer_it_acts_for(api: Api) -> None:
    payment = await api.processing()
    address = f"/payments/{payment['id']}/client-secret"
    unnamed = await api.get(address, SERVICE)
    assert (unnamed.status, unnamed.json["field"]) == (400, "On-Behalf-Of")
    another = await api.get(address, SERVICE, headers={"On-Behalf-Of": "d_2"})
    assert (another.status, another.code) == (403, "not_allowed")
    named = await api.get(address, SERVICE, headers={"On-Behalf-Of": "d_1"})
    assert named.json["clientSecret"] == (await api.get(address, DRIVER)).json["clientSecret"]


async def test_the_secret_goes_to_the_payer_alone(api: Api) -> None:
    """M33: process answers with it only where the service acts for the payer."""

    async def secret(caller: Any, headers: dict[str, str] | None = None) -> str | None:
        payment = await api.approved()
        address = f"/payments/{payment['id']}/process"
        reply = await api.post(address, caller, headers=headers)
        assert reply.status == 200, reply.text
        found: str | None = reply.json["clientSecret"]
        return found

    assert await secret(SERVICE) is None
    assert await secret(DISPATCHER) is None
    assert await secret(ADMIN) is None
    # Only a service acts for others: from anybody else the header says nothing.
    assert await secret(DISPATCHER, {"On-Behalf-Of": "d_1"}) is None
    assert await secret(ADMIN, {"On-Behalf-Of": "d_1"}) is None
    assert await secret(SERVICE, {"On-Behalf-Of": "d_1"}) is not None


async def test_a_service_acts_for_nobody_else(api: Api) -> None:
    payment = await api.approved()
    address = f"/payments/{payment['id']}/process"
    reply = await api.post(address, SERVICE, headers={"On-Behalf-Of": "d_2"})
    assert (reply.status, reply.code) == (403, "not_allowed")


async def test_a_vendor_and_a_driver_see_no_scoring(api: Api) -> None:
    lines = [{"kind": "tow", "quantity": 1, "unitCents": 400_000}]
    payment = await api.created(amountCents=400_000, lineItems=lines)
    assert payment["risk"] == {
        "score": 0.7,
        "level": "high",
        "reasons": ["amount_over_limit", "first_payment_to_vendor"],
        "flagged": True,
    }
    for caller in (VENDOR, DRIVER):
        reply = await api.get(f"/payments/{payment['id']}", caller)
        hidden = ("risk", "approvals", "createdBy", "onReview", "anomalies")
        assert {reply.json[name] for name in hidden} == {None}
        for tells in ("/payments/flagged", "/payments?flagged=true", "/payments?flagged=false"):
            assert (await api.get(tells, caller)).json["items"] == []


async def test_a_request_id_comes_back_or_is_made(api: Api) -> None:
    given = await api.get("/health/live", headers={"X-Request-Id": "mine-1"})
    assert given.headers["x-request-id"] == "mine-1"
    for odd in ("two words", "x" * 65, "a\tb"):
        made = await api.get("/health/live", headers={"X-Request-Id": odd})
        assert re.fullmatch(r"[0-9a-f]{12}-[0-9]+", made.headers["x-request-id"])


async def test_answers_are_not_to_be_kept(api: Api) -> None:
    reply = await api.get("/payments", ADMIN)
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "server" not in reply.headers
