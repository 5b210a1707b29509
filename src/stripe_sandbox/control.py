"""The control API under `/_sandbox`: the clock, faults, keys, and the parts that people and banks
play. JSON in, JSON out; it needs no API key and is no part of Stripe."""

from collections.abc import Callable
from urllib.parse import parse_qs

import msgspec

from stripe_sandbox import control_parts, page, startup, state, webhooks
from stripe_sandbox.clock import ClockError, SandboxClock
from stripe_sandbox.control_routes import ACTIONS, Order, action, find
from stripe_sandbox.errors import StripeError, invalid, missing_object
from stripe_sandbox.faults import Fault, FaultKind
from stripe_sandbox.json_types import JsonObject, encode_json
from stripe_sandbox.messages import Request, Response
from stripe_sandbox.resources.webhook_endpoints import roll_secret
from stripe_sandbox.world import World

__all__ = ["ACTIONS", "control_parts", "respond"]


def respond(
    world: World, clock: SandboxClock, run_due: Callable[[], None], request: Request
) -> Response:
    """Carry out a control request, or show a page."""
    shown = page.respond(world, clock, request)
    if shown is not None:
        return shown
    try:
        for method, _, pattern, function in ACTIONS:
            match = pattern.fullmatch(request.path)
            if match is not None and method == request.method:
                query = {name: values[-1] for name, values in parse_qs(request.query).items()}
                order = Order(world, clock, run_due, match.groups(), query, request.body)
                return _json(200, function(order))
        raise missing_object("control route", f"{request.method} {request.path}", "", in_path=True)
    except StripeError as error:
        return _json(error.status, error.body())


def _json(status: int, body: JsonObject) -> Response:
    return Response(status, encode_json(body), {"Content-Type": "application/json"})


class ClockOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`advance` and `to` in seconds; they work in either mode."""

    mode: str | None = None
    advance: float | None = None
    to: int | None = None


@action("GET", "/_sandbox/clock")
def show_clock(order: Order) -> JsonObject:
    clock = order.clock
    return {"now": clock.now_ms() // 1000, "now_ms": clock.now_ms(), "mode": clock.mode.value}


@action("POST", "/_sandbox/clock")
def set_clock(order: Order) -> JsonObject:
    wanted, clock = order.read(ClockOrder), order.clock
    try:
        if wanted.mode == "standing":
            clock.stand()
        elif wanted.mode == "running":
            clock.run()
        elif wanted.mode is not None:
            raise invalid("Bad control request: mode is running or standing", param="mode")
        if wanted.advance is not None:
            clock.advance(int(wanted.advance * 1000))
        if wanted.to is not None:
            clock.jump_to(wanted.to * 1000)
    except ClockError as error:
        raise invalid(str(error)) from None
    order.run_due()
    startup.keep_clock(order.world, clock)
    return show_clock(order)


class FaultOrder(msgspec.Struct, forbid_unknown_fields=True):
    kind: str
    route: str = "*"
    key: str = "*"
    event: str = "*"
    probability: float = 1.0
    count: int | None = None
    skip: int = 0
    seconds: float = 1.0
    should_retry: bool | None = None
    saved: bool = True


@action("POST", "/_sandbox/faults")
def add_fault(order: Order) -> JsonObject:
    wanted, plan = order.read(FaultOrder), order.world.faults
    try:
        kind = FaultKind(wanted.kind)
    except ValueError:
        kinds = ", ".join(each.value for each in FaultKind)
        raise invalid(f"Bad control request: kind is one of {kinds}", param="kind") from None
    if not 0.0 <= wanted.probability <= 1.0:
        raise invalid("Bad control request: probability is 0 to 1", param="probability")
    if not 0.0 <= wanted.seconds <= 3_600.0:
        raise invalid("Bad control request: seconds is 0 to 3600", param="seconds")
    fault = Fault(
        plan.next_id(),
        kind,
        wanted.route,
        wanted.key,
        wanted.event,
        wanted.probability,
        wanted.count,
        wanted.skip,
        wanted.seconds,
        wanted.should_retry,
        wanted.saved,
    )
    plan.add(fault)
    return _fault(fault)


def _fault(fault: Fault) -> JsonObject:
    return {
        "id": fault.id,
        "kind": fault.kind.value,
        "route": fault.route,
        "key": fault.key,
        "event": fault.event,
        "probability": fault.probability,
        "count": fault.count,
        "skip": fault.skip,
        "seconds": fault.seconds,
        "should_retry": fault.should_retry,
        "saved": fault.saved,
        "struck": fault.struck,
    }


@action("GET", "/_sandbox/faults")
def list_faults(order: Order) -> JsonObject:
    return {"faults": [_fault(fault) for fault in order.world.faults.all()]}


@action("DELETE", "/_sandbox/faults")
def clear_faults(order: Order) -> JsonObject:
    return {"cleared": order.world.faults.clear()}


@action("DELETE", "/_sandbox/faults/{id}")
def clear_fault(order: Order) -> JsonObject:
    return {"cleared": order.world.faults.clear(order.ids[0])}


class KeysOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`accept` adds keys (from then on only listed ones pass), `revoke` ends them for ever, `any`
    lets every test key pass again that was not revoked."""

    accept: list[str] = []
    revoke: list[str] = []
    any: bool = False


@action("POST", "/_sandbox/keys")
def set_keys(order: Order) -> JsonObject:
    wanted, world = order.read(KeysOrder), order.world
    access = world.access["access"]
    if wanted.any:
        access.accepted = []
    access.accepted = [*access.accepted, *wanted.accept]
    access.revoked = [key for key in [*access.revoked, *wanted.revoke] if key not in wanted.accept]
    world.access.save(access)
    return {"accepted": len(access.accepted), "revoked": len(access.revoked)}


@action("GET", "/_sandbox/state")
def show_state(order: Order) -> JsonObject:
    return state.render_state(order.world, order.query.get("kinds"))


@action("GET", "/_sandbox/deliveries")
def list_deliveries(order: Order) -> JsonObject:
    return {"deliveries": state.render_deliveries(order.world, order.query)}


@action("POST", "/_sandbox/deliveries/retry")
def retry_deliveries(order: Order) -> JsonObject:
    """Make everything still pending due now, without moving the clock."""
    world = order.world
    retried = 0
    for delivery in world.deliveries:
        if delivery.state == "pending" and delivery.due_ms > world.now_ms:
            delivery.due_ms = world.now_ms
            world.deliveries.save(delivery)
            world.outgoing.push(delivery)
            retried += 1
    return {"retried": retried}


class ResendOrder(msgspec.Struct, forbid_unknown_fields=True):
    endpoint: str | None = None


@action("POST", "/_sandbox/events/{id}/resend")
def resend_event(order: Order) -> JsonObject:
    world, wanted = order.world, order.read(ResendOrder)
    event = find(world.events, order.ids[0])
    endpoint = find(world.webhook_endpoints, wanted.endpoint) if wanted.endpoint else None
    deliveries = webhooks.resend(world, event, endpoint)
    return {"deliveries": [delivery.id for delivery in deliveries]}


class RollOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`overlap`: seconds for which the old secret signs along; none: the configured time."""

    overlap: int | None = None


@action("POST", "/_sandbox/webhook_endpoints/{id}/roll")
def roll(order: Order) -> JsonObject:
    world, wanted = order.world, order.read(RollOrder)
    endpoint = find(world.webhook_endpoints, order.ids[0])
    overlap_s = world.config.secret_overlap_s if wanted.overlap is None else wanted.overlap
    return {"id": endpoint.id, "secret": roll_secret(world, endpoint, overlap_s)}
