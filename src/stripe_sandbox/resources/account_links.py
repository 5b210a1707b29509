"""Account links: where a vendor goes to be onboarded. The page is the sandbox's own."""

from stripe_sandbox.errors import invalid
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.records import AccountLink
from stripe_sandbox.resources.account_lookup import find_account
from stripe_sandbox.routes import Call, route

LINK_VALID_S = 300


@route(
    "POST",
    "/v1/account_links",
    models="account collect collection_options.fields collection_options.future_requirements "
    "refresh_url return_url type",
)
def create_account_link(call: Call) -> JsonObject:
    world, params = call.world, call.params
    account = find_account(world, params.required_text("account"))
    kind = params.required_text("type")
    if kind == "account_update" and account.type in ("standard", "express"):
        raise invalid(
            "You cannot create `account_update` type Account Links for this account.", param="type"
        )
    stamp = world.stamp("link_", account.id)
    link = AccountLink(
        **stamp,
        type=kind,
        expires_at=world.now + LINK_VALID_S,
        refresh_url=params.required_text("refresh_url"),
        return_url=params.required_text("return_url"),
    )
    world.account_links.add(link)
    return {
        "object": "account_link",
        "created": link.created,
        "expires_at": link.expires_at,
        "url": f"{world.config.base_url}/_sandbox/onboarding/{link.id}",
    }


@route("POST", "/v1/accounts/{account}/login_links")
def create_login_link(call: Call) -> JsonObject:
    """Where an Express account's vendor sees balance and payouts, and names a bank account."""
    world = call.world
    account = find_account(world, call.path_ids[0])
    if account.type != "express":
        raise invalid("Cannot create a login link for an account that is not an Express account.")
    if not account.details_submitted:
        raise invalid(
            "Cannot create a login link for an account that has not completed onboarding."
        )
    link = AccountLink(
        **world.stamp("link_", account.id), type="login", expires_at=world.now + LINK_VALID_S
    )
    world.account_links.add(link)
    return {
        "object": "login_link",
        "created": link.created,
        "url": f"{world.config.base_url}/_sandbox/express/{link.id}",
    }
