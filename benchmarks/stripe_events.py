"""A realistic ``payment_intent.succeeded`` of about 3 KB, signed as Stripe signs."""

from __future__ import annotations

import hashlib
import hmac
import json

from benchmarks.identifiers import WEBHOOK_SECRET, payment_id, stripe_id

AMOUNT = 12_500


def payment_intent(number: int) -> dict[str, object]:
    """The PaymentIntent of prepared payment ``number``, as an event shows it."""
    intent = stripe_id("pi", number)
    return {
        "id": intent,
        "object": "payment_intent",
        "amount": AMOUNT,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": AMOUNT,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": {"allow_redirects": "never", "enabled": True},
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": f"{intent}_secret_{'c' * 25}",
        "confirmation_method": "automatic",
        "created": 1_790_000_000,
        "currency": "usd",
        "customer": None,
        "description": "Roadside assistance: tow of a class 8 tractor, I-80 eastbound, mile 214",
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": stripe_id("ch", number),
        "livemode": False,
        "metadata": {
            "attempt": "1",
            "paymentId": payment_id(number),
            "purpose": "driver_payment",
        },
        "next_action": None,
        "on_behalf_of": None,
        "payment_details": {"customer_reference": None, "order_reference": "inc-2026-118204"},
        "payment_method": stripe_id("pm", number),
        "payment_method_configuration_details": {"id": "pmc_1BenchDefault", "parent": None},
        "payment_method_options": {
            "card": {
                "installments": None,
                "mandate_options": None,
                "network": None,
                "request_three_d_secure": "automatic",
            },
            "link": {"persistent_token": None},
        },
        "payment_method_types": ["card", "link"],
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": {
            "address": {
                "city": "Rock Springs",
                "country": "US",
                "line1": "1400 Interchange Road",
                "line2": "Bay 7",
                "postal_code": "82901",
                "state": "WY",
            },
            "carrier": None,
            "name": "Interstate Towing and Recovery",
            "phone": None,
            "tracking_number": None,
        },
        "source": None,
        "statement_descriptor": "ROADCALL",
        "statement_descriptor_suffix": "TOW",
        "status": "succeeded",
        "transfer_data": None,
        "transfer_group": payment_id(number),
    }


def body(number: int) -> bytes:
    """The event as Stripe sends it: indented JSON."""
    return json.dumps(
        {
            "id": stripe_id("evt", number),
            "object": "event",
            "api_version": "2026-10-28.endive",
            "created": 1_790_000_000,
            "data": {"object": payment_intent(number)},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": "req_BenchConfirm01", "idempotency_key": "confirm_bench_1"},
            "type": "payment_intent.succeeded",
        },
        indent=2,
    ).encode()


_BODY = body(0)
_MARKED = {stripe_id(prefix, 0).encode(): prefix for prefix in ("evt", "pi", "ch", "pm")}


def bodies(first: int, count: int) -> list[bytes]:
    """``count`` distinct events; made from one by replacement, which is a tenth of the work."""
    made: list[bytes] = []
    for number in range(first, first + count):
        text = _BODY.replace(payment_id(0).encode(), payment_id(number).encode())
        for mark, prefix in _MARKED.items():
            text = text.replace(mark, stripe_id(prefix, number).encode())
        made.append(text)
    return made


def signature(event: bytes, at: int) -> str:
    """The ``Stripe-Signature`` header over ``event`` at ``at`` seconds since 1970."""
    payload = f"{at}.".encode() + event
    return f"t={at},v1={hmac.digest(WEBHOOK_SECRET.encode(), payload, hashlib.sha256).hex()}"
