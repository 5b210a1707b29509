"""Stripe's deliveries: taken once, never guessed at, whatever comes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from roadcall_payments.domain.errors import StripeUnavailable
from tests.api.harness import Api, Reply
from tests.fakes.gateway import GOOD_SIGNATURE

ADDRESS = "/payments/webhooks/stripe"


def event(event_id: str) -> bytes:
    return json.dumps({"id": event_id, "object": "event", "type": "plan.created"}).encode()


async def deliver(api: Api, body: bytes, signature: str | None = GOOD_SIGNATURE) -> Reply:
    headers = {"Stripe-Signature": signature} if signature is not None else {}
    return await api.post(ADDRESS, raw=body, headers=headers)


async def kept(api: Api, event_id: str) -> bool:
    return await api.service.store.inbox_event(event_id) is not None


async def test_an_event_is_kept_and_a_repeat_changes_nothing(api: Api) -> None:
    first = await deliver(api, event("evt_1"))
    assert (first.status, first.json) == (200, {"received": True, "eventId": "evt_1"})
    before = await api.service.store.inbox_event("evt_1")
    again = await deliver(api, event("evt_1"))
    assert again.json == first.json
    assert await api.service.store.inbox_event("evt_1") == before
    assert before is not None
    assert before.body == event("evt_1")


@pytest.mark.parametrize("signature", [None, "", "t=1,v1=bad", "x" * 10_000, "\u00e9"])
async def test_a_wrong_signature_leaves_nothing(api: Api, signature: str | None) -> None:
    reply = await deliver(api, event("evt_forged"), signature)
    assert (reply.status, reply.code) == (400, "bad_signature")
    assert not await kept(api, "evt_forged")


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe", b"no JSON", b"[]", b"{}", b'{"id": 7}', b"x" * 262_145, b"y" * 1_048_576],
)
async def test_what_is_no_event_is_a_400(api: Api, body: bytes) -> None:
    reply = await deliver(api, body)
    assert (reply.status, reply.code) == (400, "bad_event")


async def test_an_event_of_the_largest_size_is_taken_and_none_beyond(api: Api) -> None:
    largest = event("evt_large").ljust(262_144)
    assert (await deliver(api, largest)).status == 200
    reply = await deliver(api, event("evt_larger").ljust(262_145))
    assert (reply.status, reply.code) == (400, "bad_event")
    assert not await kept(api, "evt_larger")


async def test_noise_without_a_length_is_not_read_for_ever(api: Api) -> None:
    async def noise() -> Any:
        while True:
            yield b"z" * 65_536

    async with api.session.post(f"{api.base}{ADDRESS}", data=noise()) as answer:
        assert answer.status == 400


async def test_an_inbox_that_cannot_be_written_asks_for_another_delivery(api: Api) -> None:
    api.gateway.down = StripeUnavailable("The webhook secret cannot be read.")
    try:
        reply = await deliver(api, event("evt_later"))
    finally:
        api.gateway.down = None
    assert reply.status == 500
    assert not await kept(api, "evt_later")
    assert (await deliver(api, event("evt_later"))).status == 200


async def test_a_content_type_and_a_token_play_no_part(api: Api) -> None:
    headers = {"Stripe-Signature": GOOD_SIGNATURE, "Content-Type": "text/plain"}
    reply = await api.post(ADDRESS, raw=event("evt_plain"), headers=headers)
    assert reply.status == 200
