"""Webhook deliveries: to whom an event goes, when, signed how, and what came of each attempt.

Nothing here opens a connection: a carrier takes what is due, sends it and reports back.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256

from stripe_sandbox.faults import Fault, FaultKind
from stripe_sandbox.own_records import Attempt, Delivery
from stripe_sandbox.records import Event, WebhookEndpoint
from stripe_sandbox.world import World

NEVER_VALID_SECRET = "whsec_never_valid"
"""Signs where a fault asks for the old secret of an endpoint that never had another one."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One attempt, ready to be posted. `in_order`: await its answer before sending the next."""

    delivery: str
    url: str
    headers: dict[str, str]
    body: bytes
    in_order: bool


def fan_out(world: World, event: Event) -> None:
    """Make a delivery of `event` to each endpoint that wants it."""
    endpoints = [endpoint for endpoint in world.webhook_endpoints if _wants(endpoint, event)]
    if not endpoints:
        return
    faults = world.faults.for_event(event.type)
    for endpoint in endpoints:
        delivery = _schedule(world, event, endpoint, faults)
        if FaultKind.WEBHOOK_DUPLICATE in faults and delivery.state == "pending":
            _schedule(world, event, endpoint, faults)


def resend(world: World, event: Event, endpoint: WebhookEndpoint | None = None) -> list[Delivery]:
    """Deliver an event again, now, to one endpoint or to all that want it; no fault strikes."""
    endpoints = [endpoint] if endpoint is not None else list(world.webhook_endpoints)
    return [_schedule(world, event, target, {}) for target in endpoints if _wants(target, event)]


def _wants(endpoint: WebhookEndpoint, event: Event) -> bool:
    return (
        endpoint.status == "enabled"
        and endpoint.connect == event.connect
        and ("*" in endpoint.enabled_events or event.type in endpoint.enabled_events)
    )


def _schedule(
    world: World, event: Event, endpoint: WebhookEndpoint, faults: dict[FaultKind, Fault]
) -> Delivery:
    stamp = world.stamp("whd_", event.account)
    delivery = Delivery(
        **stamp,
        event=event.id,
        endpoint=endpoint.id,
        due_ms=world.now_ms,
        rank=stamp["sequence"],
        old_secret=FaultKind.WEBHOOK_OLD_SECRET in faults,
    )
    world.deliveries.add(delivery)
    if FaultKind.WEBHOOK_DROP in faults:
        delivery.state = "dropped"
    elif FaultKind.WEBHOOK_EARLY in faults:
        world.outgoing.early.append(delivery.id)
    else:
        if FaultKind.WEBHOOK_DELAY in faults:
            delivery.due_ms += int(faults[FaultKind.WEBHOOK_DELAY].seconds * 1000)
        if FaultKind.WEBHOOK_REORDER in faults:
            _mirror(delivery, faults[FaultKind.WEBHOOK_REORDER])
        world.outgoing.push(delivery)
    return delivery


def _mirror(delivery: Delivery, fault: Fault) -> None:
    """Put the delivery as far behind the end of the window as it is before it."""
    if delivery.due_ms >= fault.window_ends_ms:
        fault.window_ends_ms = delivery.due_ms + int(fault.seconds * 1000)
    delivery.due_ms = 2 * fault.window_ends_ms - delivery.due_ms
    delivery.rank = -delivery.rank
    delivery.in_order = True


def parcel(world: World, delivery: Delivery, body: bytes, now_ms: int) -> Parcel | None:
    """The attempt to make now; None where the endpoint is gone or disabled."""
    endpoint = world.webhook_endpoints.get(delivery.endpoint)
    if endpoint is None or endpoint.status != "enabled":
        return None
    timestamp = now_ms // 1000
    signatures = ",".join(
        f"v1={signature(body, secret, timestamp)}"
        for secret in _signing_secrets(endpoint, delivery, timestamp)
    )
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        "Stripe-Signature": f"t={timestamp},{signatures}",
    }
    return Parcel(delivery.id, endpoint.url, headers, body, delivery.in_order)


def _signing_secrets(endpoint: WebhookEndpoint, delivery: Delivery, now: int) -> list[str]:
    if delivery.old_secret:
        return [endpoint.secrets[1].value if len(endpoint.secrets) > 1 else NEVER_VALID_SECRET]
    return [
        secret.value
        for secret in endpoint.secrets
        if secret.expires_at is None or secret.expires_at > now
    ]


def signature(body: bytes, secret: str, timestamp: int) -> str:
    """Stripe's `v1`: HMAC-SHA256 over the timestamp, a dot and the body, in hexadecimal."""
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, sha256).hexdigest()


def report(
    world: World, delivery: Delivery, status: int | None, error: str | None, duration_ms: int
) -> None:
    """Record what came of an attempt; schedule the next one unless it was a 2xx."""
    delivery.attempts.append(
        Attempt(at_ms=world.now_ms, status=status, error=error, duration_ms=duration_ms)
    )
    retries_s = world.config.webhook_retries_s
    if status is not None and 200 <= status < 300:
        delivery.state = "delivered"
    elif len(delivery.attempts) > len(retries_s):
        delivery.state = "failed"
    else:
        delivery.due_ms = world.now_ms + retries_s[len(delivery.attempts) - 1] * 1000
        world.outgoing.push(delivery)
    world.deliveries.save(delivery)
