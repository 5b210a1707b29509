"""Events: what happened, with the object as it was then. Listed for 30 days."""

from collections.abc import Callable
from fnmatch import fnmatchcase

import msgspec

from stripe_sandbox.errors import missing_object, refused
from stripe_sandbox.expansion import expandable
from stripe_sandbox.json_types import JsonObject, JsonValue
from stripe_sandbox.lists import list_records
from stripe_sandbox.records import Event
from stripe_sandbox.routes import Call, route
from stripe_sandbox.webhooks import fan_out
from stripe_sandbox.world import World


def emit(
    world: World,
    event_type: str,
    body: JsonObject,
    account: str,
    previous: JsonObject | None = None,
) -> None:
    """Record an event of `account` about the rendered object `body`, and send it out.

    `previous` holds the former values of what an update changed.
    """
    data: dict[str, JsonValue] = {"object": body}
    if previous is not None:
        data["previous_attributes"] = previous
    object_id = body.get("id")
    event = Event(
        **world.stamp("evt_", account),
        type=event_type,
        data=msgspec.Raw(msgspec.json.encode(data)),
        api_version=world.config.api_versions[0],
        connect=account != world.platform,
        object_id=object_id if isinstance(object_id, str) else account,
    )
    world.events.add(event)
    fan_out(world, event)


def changed(before: JsonObject, after: JsonObject) -> JsonObject:
    """The former values of the fields that an update changed."""
    return {name: value for name, value in before.items() if after.get(name) != value}


def render_event(world: World, event: Event) -> JsonObject:
    pending = sum(
        delivery.state == "pending" for delivery in world.deliveries.where("event", event.id)
    )
    body: JsonObject = {
        "id": event.id,
        "object": "event",
        "api_version": event.api_version,
        "created": event.created,
        "data": event.data,
        "livemode": False,
        "pending_webhooks": pending,
        "request": {"id": event.request, "idempotency_key": event.idempotency_key},
        "type": event.type,
    }
    if event.connect:
        body["account"] = event.account
    return body


expandable("event", "events", render_event)


@route("GET", "/v1/events/{id}")
def retrieve_event(call: Call) -> JsonObject:
    event = call.world.events.get(call.path_ids[0])
    if event is None or event.account != call.account or _expired(call.world, event):
        raise missing_object("event", call.path_ids[0], "id", in_path=True)
    return render_event(call.world, event)


@route(
    "GET",
    "/v1/events",
    models="created delivery_success ending_before limit starting_after type types",
)
def list_events(call: Call) -> JsonObject:
    world = call.world
    wanted = _wanted(call)

    def keep(event: Event) -> bool:
        return not _expired(world, event) and wanted(event)

    return list_records(call, world.events, lambda event: render_event(world, event), keep)


def _wanted(call: Call) -> Callable[[Event], bool]:
    params, world = call.params, call.world
    one, several = params.text("type"), params.texts("types")
    if one is not None and several:
        raise refused("You may only specify one of these parameters: type, types.")
    patterns = [one] if one is not None else several
    delivered = params.flag("delivery_success")

    def wanted(event: Event) -> bool:
        if patterns and not any(fnmatchcase(event.type, pattern) for pattern in patterns):
            return False
        if delivered is None:
            return True
        states = [delivery.state for delivery in world.deliveries.where("event", event.id)]
        return all(state == "delivered" for state in states) == delivered

    return wanted


def _expired(world: World, event: Event) -> bool:
    return event.created <= world.now - world.config.events_kept_s
