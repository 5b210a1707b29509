"""Accounts: the platform's own, and those connected to it."""

from stripe_sandbox.errors import invalid, not_modelled, refused
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.lists import list_records
from stripe_sandbox.parameters import Params, merge_metadata
from stripe_sandbox.records import Account
from stripe_sandbox.resources.account_lookup import find_account
from stripe_sandbox.resources.account_view import render_account
from stripe_sandbox.resources.bank_accounts import add_default_bank_account
from stripe_sandbox.resources.capabilities import request_capability
from stripe_sandbox.resources.requirements import CAPABILITIES, ONBOARDING, settle, tell
from stripe_sandbox.routes import Call, route
from stripe_sandbox.schedule import Duty
from stripe_sandbox.world import World

DAY_S = 86_400

CURRENCY_OF = {
    "US": "usd", "CA": "cad", "GB": "gbp", "AU": "aud", "JP": "jpy", "MX": "mxn", "CH": "chf",
    "NZ": "nzd", "SE": "sek", "DK": "dkk", "NO": "nok", "PL": "pln", "SG": "sgd", "HK": "hkd",
    "BR": "brl", "IN": "inr", "CZ": "czk", "HU": "huf", "RO": "ron", "AE": "aed", "TH": "thb",
}  # fmt: skip
EURO_COUNTRIES = frozenset("AT BE BG CY DE EE ES FI FR GR HR IE IT LT LU LV MT NL PT SI SK".split())

_DETAILS = (
    "email metadata business_type business_profile.name business_profile.url business_profile.mcc "
    "business_profile.product_description business_profile.support_phone "
    "capabilities.card_payments.requested capabilities.transfers.requested external_account "
    "settings.payouts.schedule.interval settings.payments.statement_descriptor "
    "tos_acceptance.date tos_acceptance.ip"
)


@route("POST", "/v1/accounts", models=f"type country default_currency {_DETAILS}")
def create_account(call: Call) -> JsonObject:
    """Without parameters, or without a type, the account can receive transfers at once; an
    Express, Custom or Standard one that asks for capabilities must be onboarded first."""
    world, params = call.world, call.params
    if call.account != world.platform:
        raise invalid("Only a platform can create connected accounts.")
    country = params.text("country") or world.config.country
    if country not in CURRENCY_OF and country not in EURO_COUNTRIES:
        raise refused(
            f"Country '{country}' is unknown.", code="country_unsupported", param="country"
        )
    kind = params.text("type") or "standard"
    onboarded = "type" not in params
    stamp = world.stamp("acct_", "")
    stamp["account"] = stamp["id"] = "acct_1" + stamp["id"][-15:]
    account = Account(
        **stamp,
        type=kind,
        country=country,
        currency=params.text("default_currency") or CURRENCY_OF.get(country, "eur"),
        capabilities={"transfers": "active"} if onboarded else {},
        requirements=[] if onboarded else list(ONBOARDING),
        past_due=[] if onboarded else list(ONBOARDING),
        details_submitted=onboarded,
    )
    _apply(world, account, params)
    world.accounts.add(account)
    return render_account(world, account)


def _apply(world: World, account: Account, params: Params) -> None:
    """All that can be refused is, before anything changes."""
    metadata = merge_metadata(account.metadata, params)
    settings = params.object("settings")
    interval = settings.object("payouts").object("schedule").text("interval")
    if interval not in (None, "manual", "daily"):
        raise not_modelled(f"the payout interval {interval}")
    if "external_account" in params:
        add_default_bank_account(world, account, params, "external_account")
    account.metadata = metadata
    for name in ("email", "business_type"):
        if name in params:
            setattr(account, name, params.text(name))
    profile = params.object("business_profile")
    if "name" in profile:
        account.business_name = profile.text("name")
    if "url" in profile:
        account.business_url = profile.text("url")
    for name in ("mcc", "product_description", "support_phone"):
        if name in profile:
            setattr(account, name, profile.text(name))
    descriptor = settings.object("payments").text("statement_descriptor")
    account.statement_descriptor = descriptor or account.statement_descriptor
    account.payout_interval = interval or account.payout_interval
    if interval == "daily":
        schedule_automatic_payout(world, account)
    accepted_at = params.object("tos_acceptance").integer("date")
    account.tos_accepted_at = accepted_at or account.tos_accepted_at
    for name in CAPABILITIES:
        wish = params.object("capabilities").object(name).flag("requested")
        if wish is not None:
            request_capability(world, account, name, wanted=wish)
    settle(world, account)


def schedule_automatic_payout(world: World, account: Account) -> None:
    """The next midnight, UTC."""
    account.next_automatic_payout = (world.now // DAY_S + 1) * DAY_S
    world.schedule.add(account.next_automatic_payout, Duty.PAY_AUTOMATICALLY, account.id)


@route("GET", "/v1/account")
def retrieve_own_account(call: Call) -> JsonObject:
    return render_account(call.world, call.world.accounts[call.account])


@route("GET", "/v1/accounts/{account}")
def retrieve_account(call: Call) -> JsonObject:
    return render_account(call.world, find_account(call.world, call.path_ids[0]))


@route("POST", "/v1/accounts/{account}", models=f"default_currency {_DETAILS}")
def update_account(call: Call) -> JsonObject:
    world = call.world
    account = find_account(world, call.path_ids[0])
    if account.id == world.platform:
        raise invalid("You cannot update your own account through the API.")
    before = render_account(world, account)
    _apply(world, account, call.params)
    account.currency = call.params.text("default_currency") or account.currency
    tell(world, account, before)
    return render_account(world, account)


@route("DELETE", "/v1/accounts/{account}")
def delete_account(call: Call) -> JsonObject:
    world = call.world
    account = find_account(world, call.path_ids[0])
    if account.id == world.platform:
        raise invalid("You cannot delete your own account through the API.")
    if any(money.available or money.pending for money in world.funds.get(account.id, {}).values()):
        raise invalid("This account cannot be deleted: its balance is not zero.")
    world.accounts.remove(account)
    return {"id": account.id, "object": "account", "deleted": True}


@route("GET", "/v1/accounts", models="created ending_before limit starting_after")
def list_accounts(call: Call) -> JsonObject:
    world = call.world
    connected = [account for account in world.accounts if account.id != world.platform]
    connected.reverse()
    return list_records(
        call,
        world.accounts,
        lambda account: render_account(world, account),
        found=connected,
        owned=False,
    )
