"""The control API under `/_sandbox`: the clock, faults, keys, and the parts that people and banks
play. JSON in, JSON out; it needs no API key and is no part of Stripe."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qs

import msgspec

from stripe_sandbox import page, startup, state, webhooks
from stripe_sandbox.clock import ClockError
from stripe_sandbox.errors import StripeError, invalid, missing_object
from stripe_sandbox.faults import Fault, FaultKind
from stripe_sandbox.json_types import JsonObject, encode_json
from stripe_sandbox.messages import Request, Response
from stripe_sandbox.records import Record
from stripe_sandbox.resources.accounts import finish_onboarding, render_account
from stripe_sandbox.resources.disputes import OPEN, decide_dispute, open_dispute, render_dispute
from stripe_sandbox.resources.payment_intent_life import authenticate
from stripe_sandbox.resources.payment_intent_view import render_payment_intent
from stripe_sandbox.resources.payouts import fail_payout, pay_payout, render_payout
from stripe_sandbox.resources.refunds import fail_refund, render_refund
from stripe_sandbox.resources.webhook_endpoints import roll_secret

if TYPE_CHECKING:
    from stripe_sandbox.collection import Collection
    from stripe_sandbox.sandbox import Sandbox

R = TypeVar("R", bound=Record)
S = TypeVar("S", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Order:
    """One control request: the ids in its path, its query and its body."""

    sandbox: "Sandbox"
    ids: tuple[str, ...]
    query: dict[str, str]
    body: bytes

    def read(self, struct: type[S]) -> S:
        """The JSON body as `struct`. Raises StripeError (400) with the field that is wrong."""
        try:
            return msgspec.json.decode(self.body or b"{}", type=struct)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise invalid(f"Bad control request: {error}") from None


Action = Callable[[Order], JsonObject]

ACTIONS: list[tuple[str, str, re.Pattern[str], Action]] = []
"""Method, path template, its pattern and what it does."""


def action(method: str, template: str) -> Callable[[Action], Action]:
    pattern = re.compile(re.sub(r"\{\w+\}", "([^/]+)", template))

    def declare(function: Action) -> Action:
        ACTIONS.append((method, template, pattern, function))
        return function

    return declare


def respond(sandbox: "Sandbox", request: Request) -> Response:
    """Carry out a control request, or show a page."""
    shown = page.respond(sandbox, request)
    if shown is not None:
        return shown
    try:
        for method, _, pattern, function in ACTIONS:
            match = pattern.fullmatch(request.path)
            if match is not None and method == request.method:
                query = {name: values[-1] for name, values in parse_qs(request.query).items()}
                order = Order(sandbox, match.groups(), query, request.body)
                return _json(200, function(order))
        raise missing_object("control route", f"{request.method} {request.path}", "", in_path=True)
    except StripeError as error:
        return _json(error.status, error.body())


def _json(status: int, body: JsonObject) -> Response:
    return Response(status, encode_json(body), {"Content-Type": "application/json"})


def _get(collection: "Collection[R]", record_id: str) -> R:
    record = collection.get(record_id)
    if record is None:
        raise missing_object(collection.kind.replace("_", " "), record_id, "id", in_path=True)
    return record


class ClockOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`advance` and `to` in seconds; they work in either mode."""

    mode: str | None = None
    advance: float | None = None
    to: int | None = None


@action("GET", "/_sandbox/clock")
def show_clock(order: Order) -> JsonObject:
    clock = order.sandbox.clock
    return {"now": clock.now_ms() // 1000, "now_ms": clock.now_ms(), "mode": clock.mode.value}


@action("POST", "/_sandbox/clock")
def set_clock(order: Order) -> JsonObject:
    wanted, clock = order.read(ClockOrder), order.sandbox.clock
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
    order.sandbox.run_due()
    startup.keep_clock(order.sandbox.world, clock)
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
    wanted, plan = order.read(FaultOrder), order.sandbox.world.faults
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
    return {"faults": [_fault(fault) for fault in order.sandbox.world.faults.all()]}


@action("DELETE", "/_sandbox/faults")
def clear_faults(order: Order) -> JsonObject:
    return {"cleared": order.sandbox.world.faults.clear()}


@action("DELETE", "/_sandbox/faults/{id}")
def clear_fault(order: Order) -> JsonObject:
    return {"cleared": order.sandbox.world.faults.clear(order.ids[0])}


class KeysOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`accept` adds keys (from then on only listed ones pass), `revoke` ends them for ever, `any`
    lets every test key pass again that was not revoked."""

    accept: list[str] = []
    revoke: list[str] = []
    any: bool = False


@action("POST", "/_sandbox/keys")
def set_keys(order: Order) -> JsonObject:
    wanted, world = order.read(KeysOrder), order.sandbox.world
    access = world.access["access"]
    if wanted.any:
        access.accepted = []
    access.accepted = [*access.accepted, *wanted.accept]
    access.revoked = [key for key in [*access.revoked, *wanted.revoke] if key not in wanted.accept]
    world.access.save(access)
    return {"accepted": len(access.accepted), "revoked": len(access.revoked)}


@action("GET", "/_sandbox/state")
def show_state(order: Order) -> JsonObject:
    return state.render_state(order.sandbox, order.query.get("kinds"))


@action("GET", "/_sandbox/deliveries")
def list_deliveries(order: Order) -> JsonObject:
    return {"deliveries": state.render_deliveries(order.sandbox.world, order.query)}


@action("POST", "/_sandbox/deliveries/retry")
def retry_deliveries(order: Order) -> JsonObject:
    """Make everything still pending due now, without moving the clock."""
    world = order.sandbox.world
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
    world, wanted = order.sandbox.world, order.read(ResendOrder)
    event = _get(world.events, order.ids[0])
    endpoint = _get(world.webhook_endpoints, wanted.endpoint) if wanted.endpoint else None
    deliveries = webhooks.resend(world, event, endpoint)
    return {"deliveries": [delivery.id for delivery in deliveries]}


class AuthenticateOrder(msgspec.Struct, forbid_unknown_fields=True):
    outcome: str = "succeed"


@action("POST", "/_sandbox/payment_intents/{id}/authenticate")
def authenticate_payment_intent(order: Order) -> JsonObject:
    world, wanted = order.sandbox.world, order.read(AuthenticateOrder)
    intent = _get(world.payment_intents, order.ids[0])
    if wanted.outcome not in ("succeed", "fail"):
        raise invalid("Bad control request: outcome is succeed or fail", param="outcome")
    authenticate(world, intent, approved=wanted.outcome == "succeed")
    return render_payment_intent(world, intent)


class FailureOrder(msgspec.Struct, forbid_unknown_fields=True):
    failure_code: str = "could_not_process"


@action("POST", "/_sandbox/payouts/{id}/pay")
def pay(order: Order) -> JsonObject:
    world = order.sandbox.world
    payout = _get(world.payouts, order.ids[0])
    pay_payout(world, payout)
    return render_payout(world, payout)


@action("POST", "/_sandbox/payouts/{id}/fail")
def fail(order: Order) -> JsonObject:
    world, wanted = order.sandbox.world, order.read(FailureOrder)
    payout = _get(world.payouts, order.ids[0])
    fail_payout(world, payout, wanted.failure_code)
    return render_payout(world, payout)


class RefundOrder(msgspec.Struct, forbid_unknown_fields=True):
    failure_reason: str = "expired_or_canceled_card"


@action("POST", "/_sandbox/refunds/{id}/fail")
def fail_a_refund(order: Order) -> JsonObject:
    world, wanted = order.sandbox.world, order.read(RefundOrder)
    refund = _get(world.refunds, order.ids[0])
    fail_refund(world, refund, wanted.failure_reason)
    return render_refund(world, refund)


class DisputeOrder(msgspec.Struct, forbid_unknown_fields=True):
    reason: str = "fraudulent"
    inquiry: bool = False


@action("POST", "/_sandbox/charges/{id}/dispute")
def dispute_charge(order: Order) -> JsonObject:
    world, wanted = order.sandbox.world, order.read(DisputeOrder)
    charge = _get(world.charges, order.ids[0])
    left = charge.amount_captured - charge.amount_refunded
    if charge.status != "succeeded" or charge.card is None or left <= 0 or charge.disputed:
        raise invalid("This charge cannot be disputed: it holds no money, or it already was.")
    dispute = open_dispute(world, charge, wanted.reason, inquiry=wanted.inquiry)
    return render_dispute(world, dispute)


class VerdictOrder(msgspec.Struct, forbid_unknown_fields=True):
    outcome: str


@action("POST", "/_sandbox/disputes/{id}/decide")
def decide(order: Order) -> JsonObject:
    world, wanted = order.sandbox.world, order.read(VerdictOrder)
    dispute = _get(world.disputes, order.ids[0])
    if wanted.outcome not in ("won", "lost") or dispute.status not in OPEN:
        raise invalid("An open dispute is decided as won or lost.", param="outcome")
    decide_dispute(world, dispute, won=wanted.outcome == "won")
    return render_dispute(world, dispute)


@action("POST", "/_sandbox/accounts/{id}/onboard")
def onboard(order: Order) -> JsonObject:
    world = order.sandbox.world
    account = _get(world.accounts, order.ids[0])
    finish_onboarding(world, account)
    return render_account(world, account)


class RollOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`overlap`: seconds for which the old secret signs along; none: the configured time."""

    overlap: int | None = None


@action("POST", "/_sandbox/webhook_endpoints/{id}/roll")
def roll(order: Order) -> JsonObject:
    world, wanted = order.sandbox.world, order.read(RollOrder)
    endpoint = _get(world.webhook_endpoints, order.ids[0])
    overlap_s = world.config.secret_overlap_s if wanted.overlap is None else wanted.overlap
    return {"id": endpoint.id, "secret": roll_secret(world, endpoint, overlap_s)}
