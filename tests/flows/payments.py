"""Payments carried to a point over HTTP, as a client would."""

from __future__ import annotations

import itertools

from tests.flows.stack import Reply, Stack

_jobs = itertools.count(1)


def vendor(stack: Stack, *, email: str = "office@tow.example", locale: str = "en-US") -> str:
    """A vendor with a connected account and contacts; its id."""
    vendor_id = f"ve_{next(_jobs)}"
    contacts = {"name": "Laramie Towing", "email": email, "phone": "+13075550123"}
    record = {
        "stripeAccountId": stack.connected_account(),
        "locale": locale,
        "contacts": contacts,
    }
    reply = stack.api("PUT", f"/vendors/{vendor_id}", record, as_="admin")
    assert reply.status == 200, reply
    return vendor_id


def job(
    vendor_id: str, *, driver: bool, cents: int = 12_500, currency: str = "usd"
) -> dict[str, object]:
    """What `POST /payments` is sent for a job not done before."""
    return {
        "incidentId": f"in_{next(_jobs)}",
        "vendorId": vendor_id,
        "payerType": "driver_ic" if driver else "back_office",
        "amountCents": cents,
        "currency": currency,
        "lineItems": [{"kind": "tow", "quantity": 1, "unitCents": cents}],
        **({"driverId": "dr_1"} if driver else {}),
    }


def created(
    stack: Stack,
    vendor_id: str,
    *,
    driver: bool,
    cents: int = 12_500,
    currency: str = "usd",
    key: str | None = None,
) -> str:
    """A new payment of dispatcher us_1; its id."""
    headers = {"Idempotency-Key": key} if key else {}
    asked = job(vendor_id, driver=driver, cents=cents, currency=currency)
    reply = stack.api("POST", "/payments", asked, **headers)
    assert reply.status == 201, reply
    return reply.text("id")


def approved(stack: Stack, vendor_id: str, *, driver: bool, cents: int = 12_500) -> str:
    payment_id = created(stack, vendor_id, driver=driver, cents=cents)
    reply = stack.api("POST", f"/payments/{payment_id}/approve", {}, as_="approver")
    assert reply.status == 200, reply
    assert reply.body["status"] == "approved"
    return payment_id


def process(stack: Stack, payment_id: str, as_: str = "dispatcher") -> Reply:
    return stack.api("POST", f"/payments/{payment_id}/process", {}, as_=as_)


def opened(stack: Stack, vendor_id: str, cents: int = 12_500) -> tuple[str, str]:
    """A driver's payment with its PaymentIntent open: payment id and PaymentIntent id."""
    payment_id = approved(stack, vendor_id, driver=True, cents=cents)
    reply = process(stack, payment_id, as_="service")
    assert reply.status == 200, reply
    return payment_id, reply.text("stripePaymentIntentId")


def confirm(stack: Stack, payment_id: str, method: str = "pm_card_visa") -> Reply:
    return stack.api(
        "POST", f"/payments/{payment_id}/confirm", {"paymentMethodId": method}, as_="driver"
    )


def charges_of(stack: Stack, payment_id: str) -> list[dict[str, object]]:
    """Successful charges that carry this payment's id, from the sandbox's own books."""
    return [
        charge
        for charge in stack.objects("charges")
        if _names(charge, payment_id) and charge["status"] == "succeeded"
    ]


def intents_of(stack: Stack, payment_id: str) -> list[dict[str, object]]:
    return [intent for intent in stack.objects("payment_intents") if _names(intent, payment_id)]


def transfers_of(stack: Stack, payment_id: str) -> list[dict[str, object]]:
    return [transfer for transfer in stack.objects("transfers") if _names(transfer, payment_id)]


def payment_of(found: dict[str, object]) -> object:
    """The payment that an object of Stripe's names in its metadata."""
    metadata = found["metadata"]
    assert isinstance(metadata, dict)
    return metadata.get("paymentId")


def _names(found: dict[str, object], payment_id: str) -> bool:
    return payment_of(found) == payment_id
