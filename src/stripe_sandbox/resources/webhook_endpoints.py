"""Webhook endpoints: where events go, and the secrets that sign them."""

from stripe_sandbox.errors import invalid, missing_object, refused
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.lists import list_records
from stripe_sandbox.parameters import merge_metadata
from stripe_sandbox.records import Secret, WebhookEndpoint
from stripe_sandbox.routes import Call, route
from stripe_sandbox.world import World

ENDPOINTS_MAX = 16


def render_endpoint(world: World, endpoint: WebhookEndpoint) -> JsonObject:
    """The secret is shown once, by the creation alone."""
    return {
        "id": endpoint.id,
        "object": "webhook_endpoint",
        "api_version": endpoint.api_version,
        "application": None,
        "created": endpoint.created,
        "description": endpoint.description,
        "enabled_events": endpoint.enabled_events,
        "livemode": False,
        "metadata": endpoint.metadata,
        "status": endpoint.status,
        "url": endpoint.url,
    }


def add_endpoint(
    world: World, url: str, *, connect: bool, secret: str | None = None
) -> WebhookEndpoint:
    endpoint = WebhookEndpoint(
        **world.stamp("we_", world.platform),
        url=url,
        connect=connect,
        enabled_events=["*"],
        secrets=[Secret(value=secret or world.ids.new("whsec_", 32))],
    )
    return world.webhook_endpoints.add(endpoint)


def roll_secret(world: World, endpoint: WebhookEndpoint, overlap_s: int) -> str:
    """A new secret; the old one signs along for `overlap_s` seconds."""
    old = endpoint.secrets[0]
    old.expires_at = world.now + overlap_s
    new = Secret(value=world.ids.new("whsec_", 32))
    endpoint.secrets = [new, old]
    world.webhook_endpoints.save(endpoint)
    return new.value


def _find(call: Call) -> WebhookEndpoint:
    endpoint = call.world.webhook_endpoints.get(call.path_ids[0])
    if endpoint is None or endpoint.account != call.account:
        raise missing_object("webhook endpoint", call.path_ids[0], "id", in_path=True)
    return endpoint


def _check_url(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise refused(
            "Invalid URL: An explicit scheme (such as https) must be provided.",
            code="url_invalid",
            param="url",
        )
    return url


@route(
    "POST",
    "/v1/webhook_endpoints",
    models="api_version connect description enabled_events metadata url",
)
def create_endpoint(call: Call) -> JsonObject:
    world, params = call.world, call.params
    url = _check_url(params.required_text("url"))
    if len(world.webhook_endpoints) >= ENDPOINTS_MAX:
        raise invalid(f"You have reached the maximum of {ENDPOINTS_MAX} test webhook endpoints.")
    metadata = merge_metadata({}, params)
    endpoint = add_endpoint(world, url, connect=bool(params.flag("connect")))
    endpoint.enabled_events = params.texts("enabled_events")
    endpoint.description = params.text("description")
    endpoint.api_version = params.text("api_version")
    endpoint.metadata = metadata
    return {**render_endpoint(world, endpoint), "secret": endpoint.secrets[0].value}


@route("GET", "/v1/webhook_endpoints/{webhook_endpoint}")
def retrieve_endpoint(call: Call) -> JsonObject:
    return render_endpoint(call.world, _find(call))


@route(
    "POST",
    "/v1/webhook_endpoints/{webhook_endpoint}",
    models="description disabled enabled_events metadata url",
)
def update_endpoint(call: Call) -> JsonObject:
    world, params = call.world, call.params
    endpoint = _find(call)
    metadata = merge_metadata(endpoint.metadata, params)
    endpoint.url = _check_url(params.text("url") or endpoint.url)
    endpoint.metadata = metadata
    if "enabled_events" in params:
        endpoint.enabled_events = params.texts("enabled_events")
    if "description" in params:
        endpoint.description = params.text("description")
    if "disabled" in params:
        endpoint.status = "disabled" if params.flag("disabled") else "enabled"
    world.webhook_endpoints.save(endpoint)
    return render_endpoint(world, endpoint)


@route("DELETE", "/v1/webhook_endpoints/{webhook_endpoint}")
def delete_endpoint(call: Call) -> JsonObject:
    endpoint = _find(call)
    call.world.webhook_endpoints.remove(endpoint)
    return {"id": endpoint.id, "object": "webhook_endpoint", "deleted": True}


@route("GET", "/v1/webhook_endpoints", models="ending_before limit starting_after")
def list_endpoints(call: Call) -> JsonObject:
    world = call.world
    return list_records(
        call, world.webhook_endpoints, lambda endpoint: render_endpoint(world, endpoint)
    )
