"""Webhooks: signed by a live secret, lately, these very bytes; and read without losing any."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stripe import WebhookSignature

from roadcall_payments.domain.errors import CredentialsRejected, InvalidInput
from roadcall_payments.domain.stripe_objects import PaymentIntent, Payout, StripeEvent, Transfer
from roadcall_payments.ports import WebhookSecret
from roadcall_payments.stripe_gateway.signature import TOLERANCE_S, stored_event, verified_event
from tests.adapters.scripted_stripe import START, Safe, intent_json, rigged, transfer_json

OURS = WebhookSecret("whsec_ours")
CONNECT = WebhookSecret("whsec_connect", "connect")
PLATFORM = WebhookSecret("whsec_platform", "platform")


def event_body(
    event_type: str = "payment_intent.succeeded",
    thing: object = None,
    *,
    account: str | None = None,
) -> bytes:
    event: dict[str, object] = {
        "id": "evt_1",
        "object": "event",
        "type": event_type,
        "livemode": False,
        "created": 1_790_000_000,
        "api_version": "2026-10-28.endive",
        "pending_webhooks": 1,
        "request": {"id": "req_1", "idempotency_key": None},
        "data": {"object": intent_json() if thing is None else thing},
    }
    if account is not None:
        event["account"] = account
    return json.dumps(event).encode()


def signed(body: bytes, secret: WebhookSecret = OURS, *, at: datetime = START) -> str:
    text = body.decode()
    header: str = WebhookSignature.generate_signature_header(
        text, secret.value, int(at.timestamp())
    )
    return header


def taken(body: bytes, header: str, *secrets: WebhookSecret) -> StripeEvent:
    return verified_event(body, header, secrets or (OURS,), now=START)


def refused(body: bytes, header: str, *secrets: WebhookSecret) -> str:
    with pytest.raises(InvalidInput) as invalid:
        taken(body, header, *secrets)
    return invalid.value.code


def test_a_signed_event_is_translated() -> None:
    event = taken(event_body(), signed(event_body()))
    assert (event.id, event.type, event.object_id) == ("evt_1", "payment_intent.succeeded", "pi_1")
    assert isinstance(event.payload, PaymentIntent)
    assert event.connected_account is None
    assert event.created == datetime.fromtimestamp(1_790_000_000, UTC)


def test_any_live_secret_may_have_signed() -> None:
    body = event_body()
    assert taken(body, signed(body, PLATFORM), OURS, PLATFORM).id == "evt_1"


def test_a_header_with_the_old_and_the_new_signature_passes_with_either() -> None:
    body = event_body()
    both = signed(body, WebhookSecret("whsec_old")) + "," + signed(body).split(",")[1]
    assert taken(body, both).id == "evt_1"


@pytest.mark.parametrize("seconds", [-TOLERANCE_S, 0, TOLERANCE_S])
def test_a_signature_near_now_passes(seconds: int) -> None:
    body = event_body()
    assert taken(body, signed(body, at=START + timedelta(seconds=seconds))).id == "evt_1"


@pytest.mark.parametrize("seconds", [-TOLERANCE_S - 1, TOLERANCE_S + 1, -(10**9), 10**9])
def test_a_signature_far_from_now_is_refused(seconds: int) -> None:
    body = event_body()
    assert refused(body, signed(body, at=START + timedelta(seconds=seconds))) == "bad_signature"


NOW_S = int(START.timestamp())


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=",
        "nonsense",
        f"t={NOW_S}",
        f"t={NOW_S},v1=",
        f"t={NOW_S},v1=00",
        f"t={NOW_S},v0=00",
        f"t={NOW_S},v1=é",
        f"t={NOW_S},t={NOW_S},v1=00",
        f"t=+{NOW_S},v1=00",
        "t=" + "9" * 5000 + ",v1=00",
        "t=١٢٣,v1=00",
        f"t={NOW_S},v1",
    ],
)
def test_headers_that_sign_nothing_are_refused(header: str) -> None:
    assert refused(event_body(), header) == "bad_signature"


def test_a_second_time_cannot_make_an_old_signature_new() -> None:
    body = event_body()
    old = signed(body, at=START - timedelta(days=1))
    assert refused(body, f"{old},t={NOW_S}") == "bad_signature"
    assert refused(body, f"t={NOW_S},{old}") == "bad_signature"


def test_the_older_scheme_is_not_taken_for_the_newer() -> None:
    body = event_body()
    assert refused(body, signed(body).replace("v1=", "v0=")) == "bad_signature"


@given(
    body=st.text(), secret=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)
)
def test_what_the_sdk_signs_is_taken_and_what_it_refuses_is_refused(body: str, secret: str) -> None:
    """The body is no event, so passing the signature shows as a bad event."""
    content = body.encode(errors="ignore")
    theirs = WebhookSignature.generate_signature_header(content.decode(), secret, NOW_S)
    assert refused(content, theirs, WebhookSecret(secret)) == "bad_event"
    assert refused(content + b" ", theirs, WebhookSecret(secret)) == "bad_signature"


@given(position=st.integers(0, len(event_body()) - 1), flipped=st.integers(1, 127))
def test_any_changed_byte_breaks_the_signature(position: int, flipped: int) -> None:
    body = bytearray(event_body())
    header = signed(bytes(body))
    body[position] ^= flipped
    assert refused(bytes(body), header) in {"bad_signature", "bad_event"}


@given(
    noise=st.binary(max_size=200),
    header=st.text(max_size=100) | st.text(max_size=99).map(lambda text: f"t={NOW_S},v1={text}"),
)
def test_noise_is_refused_and_nothing_else(noise: bytes, header: str) -> None:
    assert refused(noise, header) in {"bad_signature", "bad_event"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"event"',
        b"{}",
        b'{"id": "evt_1", "object": "event"}',
        b'{"id": "v2_1", "object": "v2.core.event", "type": "x", "livemode": false}',
        b"[" * 1_000_000,
        b'{"a":' * 100_000,
        event_body(thing=[]),
        event_body(thing="pi_1"),
    ],
    ids=lambda body: body[:40].decode(),
)
def test_signed_bytes_that_are_no_event_are_a_bad_event(body: bytes) -> None:
    assert refused(body, signed(body)) == "bad_event"
    with pytest.raises(InvalidInput):
        stored_event(body)


def test_bytes_that_are_no_utf8_are_a_bad_event() -> None:
    assert refused(b"\xff\xfe{}", f"t={NOW_S},v1=00") == "bad_event"
    unread = event_body().replace(b"api_version", b"api_v\xffrsion")
    assert refused(unread, f"t={NOW_S},v1=00") == "bad_event"


def test_each_type_that_we_apply_carries_its_object() -> None:
    payout = {"id": "po_1", "object": "payout", "status": "paid", "amount": 5}
    payout |= {"currency": "usd", "created": 1_790_000_000}
    for event_type, thing, kind in [
        ("payment_intent.succeeded", intent_json(), PaymentIntent),
        ("payment_intent.payment_failed", intent_json(), PaymentIntent),
        ("payment_intent.canceled", intent_json(status="canceled"), PaymentIntent),
        ("payment_intent.requires_action", intent_json(status="requires_action"), PaymentIntent),
        ("transfer.created", transfer_json(), Transfer),
        ("transfer.reversed", transfer_json(amount_reversed=100), Transfer),
        ("payout.created", payout | {"status": "pending"}, Payout),
        ("payout.updated", payout | {"status": "in_transit"}, Payout),
        ("payout.canceled", payout | {"status": "canceled"}, Payout),
        ("payout.paid", payout, Payout),
        ("payout.failed", payout | {"status": "failed"}, Payout),
    ]:
        event = stored_event(event_body(event_type, thing))
        assert isinstance(event.payload, kind), event_type


@pytest.mark.parametrize("event_type", ["customer.created", "payment_intent.created", "x"])
def test_an_event_that_we_do_not_apply_is_kept_without_its_object(event_type: str) -> None:
    event = stored_event(event_body(event_type, {"id": "cus_1", "object": "customer"}))
    assert event.object_id == "cus_1"
    assert event.payload is None
    assert event.untranslatable is None


def test_an_object_without_id_is_kept() -> None:
    event = stored_event(event_body("balance.available", {"object": "balance"}))
    assert event.object_id is None


def test_an_event_with_a_status_that_we_do_not_know_is_kept_with_the_reason() -> None:
    event = stored_event(event_body(thing=intent_json(status="pondering")))
    assert event.payload is None
    assert event.untranslatable is not None
    assert "pondering" in event.untranslatable
    assert event.object_id == "pi_1"


def test_a_connect_event_names_its_account() -> None:
    body = event_body("payout.paid", account="acct_vendor")
    assert taken(body, signed(body)).connected_account == "acct_vendor"


@pytest.mark.parametrize(("secret", "account"), [(CONNECT, "acct_vendor"), (PLATFORM, None)])
def test_a_secret_speaks_for_events_of_its_origin(
    secret: WebhookSecret, account: str | None
) -> None:
    body = event_body(account=account)
    assert taken(body, signed(body, secret), OURS, PLATFORM, CONNECT).id == "evt_1"


@pytest.mark.parametrize(("secret", "account"), [(CONNECT, None), (PLATFORM, "acct_vendor")])
def test_a_secret_speaks_for_no_event_of_another_origin(
    secret: WebhookSecret, account: str | None
) -> None:
    body = event_body(account=account)
    assert refused(body, signed(body, secret), OURS, PLATFORM, CONNECT) == "bad_signature"


def test_one_secret_for_both_endpoints_speaks_for_both() -> None:
    both = (WebhookSecret("whsec_x", "platform"), WebhookSecret("whsec_x", "connect"))
    for account in (None, "acct_vendor"):
        body = event_body(account=account)
        assert taken(body, signed(body, both[0]), *both).connected_account == account


# --- with the gateway's credentials ---------------------------------------------------------------


async def test_the_gateway_checks_with_the_live_secrets() -> None:
    async with rigged(safe=Safe(webhook=(OURS,))) as rig:
        event = await rig.gateway.verified_event(event_body(), signed(event_body()), now=START)
    assert event.id == "evt_1"
    assert rig.stripe.asked_who == []


async def test_a_rolled_secret_is_found_after_a_bad_signature() -> None:
    body, rolled = event_body(), WebhookSecret("whsec_rolled")
    async with rigged(safe=Safe(webhook=(OURS,))) as rig:
        await rig.gateway.verified_event(body, signed(body), now=START)
        rig.safe.webhook = (rolled, OURS)
        rig.clock.elapsed_s += 10
        event = await rig.gateway.verified_event(body, signed(body, rolled), now=START)
    assert event.id == "evt_1"


async def test_bad_signatures_do_not_hammer_the_secret_source() -> None:
    body = event_body()
    async with rigged(safe=Safe(webhook=(OURS,))) as rig:
        for _ in range(50):
            with pytest.raises(InvalidInput):
                await rig.gateway.verified_event(body, "t=1,v1=00", now=START)
    assert rig.safe.reads == 1


async def test_without_a_webhook_secret_stripe_is_asked_to_come_again() -> None:
    body = event_body()
    async with rigged(safe=Safe()) as rig:
        with pytest.raises(CredentialsRejected, match="webhookSecret"):
            await rig.gateway.verified_event(body, signed(body), now=START)
        rig.safe.webhook = (OURS,)
        rig.clock.elapsed_s += 10
        assert (await rig.gateway.verified_event(body, signed(body), now=START)).id == "evt_1"
