"""Webhook signatures: every live secret is tried, and the time is checked against our clock.

The SDK checks the signature itself (scheme, constant time); it is asked without a tolerance
because it would read the machine's clock, and lets a signature from the future pass for ever.
We read the timestamp as it does, and refuse headers that two readers could read differently.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import stripe

from roadcall_payments.domain.errors import InvalidInput
from roadcall_payments.domain.stripe_objects import StripeEvent
from roadcall_payments.ports import WebhookSecret
from roadcall_payments.stripe_gateway.mapping import BadEvent, read_event

TOLERANCE_S = 300
"""How old a signature may be (Stripe's own default), and how far ahead Stripe's clock."""

HEADER = "Stripe-Signature"


def verified_event(
    body: bytes, header: str, secrets: Iterable[WebhookSecret], *, now: datetime
) -> StripeEvent:
    """The event in ``body``, if one of ``secrets`` signed exactly these bytes lately.

    Raises InvalidInput, code ``bad_signature`` or ``bad_event``.
    """
    _must_be_recent(header, now)
    signed = _signers(body, header, secrets)
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


def _signers(body: bytes, header: str, secrets: Iterable[WebhookSecret]) -> Iterator[WebhookSecret]:
    for secret in secrets:
        try:
            stripe.WebhookSignature.verify_header(body, header, secret.value, tolerance=None)
        except stripe.SignatureVerificationError:
            continue
        except UnicodeDecodeError as exc:
            raise _bad_event() from exc
        yield secret


def _speaks_for(secret: WebhookSecret, event: StripeEvent) -> bool:
    """M14: a Connect endpoint's events name an account, the platform's own never do.

    Held to it, a leaked Connect secret cannot forge the platform's payments.
    """
    if secret.origin is None:
        return True
    return (secret.origin == "connect") == (event.connected_account is not None)


def _must_be_recent(header: str, now: datetime) -> None:
    times = [part[2:] for part in header.split(",") if part.startswith("t=")]
    # Stripe sends one time; digits alone, because int() would also take signs and underscores.
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit()) or len(times[0]) > 12:
        raise _bad_signature("The signature names no time.")
    # The SDK compares signatures as text, which fails on anything but ASCII.
    if not header.isascii():
        raise _bad_signature("The signature is not ASCII.")
    if abs(now.timestamp() - int(times[0])) > TOLERANCE_S:
        raise _bad_signature(
            f"The signature is not within {TOLERANCE_S} seconds of now: check the clock."
        )


def _bad_signature(message: str) -> InvalidInput:
    return InvalidInput(HEADER, message, code="bad_signature")


def _bad_event() -> InvalidInput:
    return InvalidInput("body", "The body is no Stripe event.", code="bad_event")
