"""Webhook signatures: every live secret is tried, and the time is checked against our clock.

The HMAC is computed here, not by the SDK. The SDK reads the machine's own clock and lets a
signature from the future pass for ever; it decodes and encodes the body again for every secret;
and were the time read here and the signature there, two readers of one header could disagree.
The tests hold this file against the SDK's.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from datetime import datetime

from roadcall_payments.domain.errors import InvalidInput
from roadcall_payments.domain.stripe_objects import StripeEvent
from roadcall_payments.ports import WebhookSecret
from roadcall_payments.stripe_gateway.mapping import BadEvent, read_event

TOLERANCE_S = 300
"""How old a signature may be (Stripe's own default), and how far ahead Stripe's clock."""

HEADER = "Stripe-Signature"

_TIME_DIGITS_MAX = 12


def verified_event(
    body: bytes, header: str, secrets: Iterable[WebhookSecret], *, now: datetime
) -> StripeEvent:
    """The event in ``body``, if one of ``secrets`` signed exactly these bytes lately.

    Raises InvalidInput, code ``bad_signature`` or ``bad_event``.
    """
    _must_be_utf8(body)
    time, signatures = _parsed(header)
    if abs(now.timestamp() - int(time)) > TOLERANCE_S:
        raise _bad_signature(
            f"The signature is not within {TOLERANCE_S} seconds of now: check the clock."
        )
    signed = _signers(f"{time}.".encode() + body, signatures, secrets)
    signer = next(signed, None)
    if signer is None:
        raise _bad_signature("No live webhook secret signed these bytes.")
    event = stored_event(body)
    while not _speaks_for(signer, event):
        signer = next(signed, None)
        if signer is None:
            raise _bad_signature(
                "The endpoint whose secret signed this does not receive such events: check "
                "'origin' of the webhook secrets."
            )
    return event


def stored_event(body: bytes) -> StripeEvent:
    """The event in ``body``, unverified. Raises InvalidInput, code ``bad_event``."""
    try:
        return read_event(body)
    except BadEvent as exc:
        raise _bad_event() from exc


def _parsed(header: str) -> tuple[str, list[str]]:
    """The time and the signatures in ``t=1790000000,v1=5257...,v1=...``; other schemes are none."""
    # Signatures are compared as text, which fails on anything but ASCII.
    if not header.isascii():
        raise _bad_signature("The signature is not ASCII.")
    times: list[str] = []
    signatures: list[str] = []
    for part in header.split(","):
        name, _, value = part.partition("=")
        if name == "t":
            times.append(value)
        elif name == "v1":
            signatures.append(value)
    # Stripe sends one time; digits alone, because int() would also take signs and underscores.
    if len(times) != 1 or not times[0].isdigit() or len(times[0]) > _TIME_DIGITS_MAX:
        raise _bad_signature("The signature names no time.")
    return times[0], signatures


def _signers(
    payload: bytes, signatures: list[str], secrets: Iterable[WebhookSecret]
) -> Iterator[WebhookSecret]:
    for secret in secrets:
        expected = hmac.digest(secret.value.encode(), payload, "sha256").hex()
        for signature in signatures:
            if hmac.compare_digest(expected, signature):
                yield secret
                break


def _speaks_for(secret: WebhookSecret, event: StripeEvent) -> bool:
    """M14: a Connect endpoint's events name an account, the platform's own never do.

    Held to it, a leaked Connect secret cannot forge the platform's payments.
    """
    if secret.origin is None:
        return True
    return (secret.origin == "connect") == (event.connected_account is not None)


def _must_be_utf8(body: bytes) -> None:
    """Asked of all of it: the parser looks at no text that it skips (M37)."""
    try:
        body.decode()
    except UnicodeDecodeError as exc:
        raise _bad_event() from exc


def _bad_signature(message: str) -> InvalidInput:
    return InvalidInput(HEADER, message, code="bad_signature")


def _bad_event() -> InvalidInput:
    return InvalidInput("body", "The body is no Stripe event.", code="bad_event")
