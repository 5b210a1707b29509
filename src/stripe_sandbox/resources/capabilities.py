"""Capabilities: what a connected account was asked to be able to do, and whether it is."""

from stripe_sandbox.errors import missing_object, not_modelled
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.lists import list_object
from stripe_sandbox.records import Account
from stripe_sandbox.resources.account_lookup import find_account
from stripe_sandbox.resources.account_view import render_account, render_capability
from stripe_sandbox.resources.requirements import CAPABILITIES, settle, tell
from stripe_sandbox.routes import Call, route
from stripe_sandbox.world import World


def request_capability(world: World, account: Account, name: str, *, wanted: bool) -> None:
    """Ask for it, or do without it from now on; `settle` decides whether it is active."""
    requested_at = dict(account.capabilities_requested_at)
    capabilities = dict(account.capabilities)
    if wanted:
        capabilities.setdefault(name, "inactive")
        requested_at.setdefault(name, world.now)
    else:
        capabilities.pop(name, None)
        requested_at.pop(name, None)
    account.capabilities, account.capabilities_requested_at = capabilities, requested_at


def _find(call: Call) -> tuple[Account, str]:
    account, name = find_account(call.world, call.path_ids[0]), call.path_ids[1]
    if name not in CAPABILITIES:
        if name.endswith(("_payments", "_issuing")) or name in ("treasury", "app_distribution"):
            raise not_modelled(f"the capability {name}")
        raise missing_object("capability", name, "capability", in_path=True)
    return account, name


@route("GET", "/v1/accounts/{account}/capabilities/{capability}")
def retrieve_capability(call: Call) -> JsonObject:
    return render_capability(*_find(call))


@route("POST", "/v1/accounts/{account}/capabilities/{capability}", models="requested")
def update_capability(call: Call) -> JsonObject:
    world = call.world
    account, name = _find(call)
    before = render_account(world, account)
    wanted = call.params.flag("requested")
    if wanted is not None:
        request_capability(world, account, name, wanted=wanted)
        settle(world, account)
        tell(world, account, before)
    return render_capability(account, name)


@route("GET", "/v1/accounts/{account}/capabilities")
def list_capabilities(call: Call) -> JsonObject:
    account = find_account(call.world, call.path_ids[0])
    shown = [render_capability(account, name) for name in sorted(account.capabilities)]
    return list_object(call.path, list(shown))
