"""Accounts: the platform's own, and those connected to it."""

from stripe_sandbox.errors import invalid, not_modelled, refused
from stripe_sandbox.expansion import expandable
from stripe_sandbox.json_types import JsonObject, JsonValue
from stripe_sandbox.lists import list_object, list_records
from stripe_sandbox.parameters import Params, merge_metadata
from stripe_sandbox.records import Account
from stripe_sandbox.resources.account_lookup import find_account
from stripe_sandbox.resources.bank_accounts import add_bank_account, render_bank_account
from stripe_sandbox.resources.events import changed, emit
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

CAPABILITIES = ("card_payments", "transfers")
"""The capabilities that the sandbox models."""

ONBOARDING_REQUIREMENTS = ("business_type", "external_account", "tos_acceptance.date")

_DETAILS = (
    "email metadata business_type business_profile.name business_profile.url business_profile.mcc "
    "business_profile.product_description business_profile.support_phone "
    "capabilities.card_payments.requested capabilities.transfers.requested external_account "
    "settings.payouts.schedule.interval settings.payments.statement_descriptor "
    "tos_acceptance.date tos_acceptance.ip"
)


def can_receive(account: Account) -> bool:
    return account.capabilities.get("transfers") == "active"


def _charges_enabled(account: Account) -> bool:
    return account.capabilities.get("card_payments", "active") == "active" and not (
        account.requirements
    )


def render_account(world: World, account: Account) -> JsonObject:
    due: list[JsonValue] = list(account.requirements)
    platform = account.id == world.platform
    requirements: JsonObject = {
        "alternatives": [],
        "current_deadline": None,
        "currently_due": due,
        "disabled_reason": "requirements.past_due" if due else None,
        "errors": [],
        "eventually_due": due,
        "past_due": due,
        "pending_verification": [],
    }
    banks = [
        render_bank_account(world, bank)
        for bank in world.bank_accounts.where("account", account.id)
    ]
    body: JsonObject = {
        "id": account.id,
        "object": "account",
        "business_profile": {
            "annual_revenue": None,
            "estimated_worker_count": None,
            "mcc": account.mcc,
            "minority_owned_business_designation": None,
            "name": account.business_name,
            "product_description": account.product_description,
            "support_address": None,
            "support_email": None,
            "support_phone": account.support_phone,
            "support_url": None,
            "url": account.business_url,
        },
        "business_type": account.business_type,
        "capabilities": account.capabilities,
        "charges_enabled": _charges_enabled(account),
        "country": account.country,
        "default_currency": account.currency,
        "details_submitted": account.details_submitted,
        "email": account.email,
        "metadata": account.metadata,
        "payouts_enabled": not account.requirements,
        "settings": _settings(account, manual_delay=platform),
        "type": account.type,
    }
    if platform:
        body["controller"] = {"type": "account"}
        return body
    body["controller"] = _controller(account)
    body["created"] = account.created
    body["external_accounts"] = list_object(
        f"/v1/accounts/{account.id}/external_accounts", list(banks)
    )
    body["future_requirements"] = {
        **requirements,
        "currently_due": [],
        "disabled_reason": None,
        "eventually_due": [],
        "past_due": [],
    }
    body["requirements"] = requirements
    body["tos_acceptance"] = {
        "date": account.tos_accepted_at,
        "ip": None,
        "user_agent": None,
    }
    return body


def _controller(account: Account) -> JsonObject:
    dashboard = {"express": "express", "custom": "none"}.get(account.type, "full")
    platform_pays = account.type in ("express", "custom")
    return {
        "fees": {"payer": f"application_{account.type}" if platform_pays else "account"},
        "is_controller": True,
        "losses": {"payments": "application" if platform_pays else "stripe"},
        "requirement_collection": "application" if account.type == "custom" else "stripe",
        "stripe_dashboard": {"type": dashboard},
        "type": "application",
    }


def _settings(account: Account, *, manual_delay: bool) -> JsonObject:
    return {
        "bacs_debit_payments": {"display_name": None, "service_user_number": None},
        "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
        "card_issuing": {"tos_acceptance": {"date": None, "ip": None}},
        "card_payments": {
            "decline_on": {"avs_failure": False, "cvc_failure": False},
            "statement_descriptor_prefix": None,
            "statement_descriptor_prefix_kana": None,
            "statement_descriptor_prefix_kanji": None,
        },
        "dashboard": {"display_name": account.business_name, "timezone": "Etc/UTC"},
        "invoices": {"default_account_tax_ids": None, "hosted_payment_method_save": "offer"},
        "payments": {
            "statement_descriptor": account.statement_descriptor,
            "statement_descriptor_kana": None,
            "statement_descriptor_kanji": None,
        },
        "payouts": {
            "debit_negative_balances": account.type != "custom" and not manual_delay,
            "schedule": {"delay_days": 2, "interval": account.payout_interval},
            "statement_descriptor": None,
        },
        "sepa_debit_payments": {},
    }


expandable("account", "accounts", render_account)


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
        requirements=[] if onboarded else list(ONBOARDING_REQUIREMENTS),
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
        add_bank_account(world, account, params, "external_account")
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
    _request_capabilities(account, params.object("capabilities"))
    _clear_requirements(world, account)


def schedule_automatic_payout(world: World, account: Account) -> None:
    """The next midnight, UTC."""
    account.next_automatic_payout = (world.now // DAY_S + 1) * DAY_S
    world.schedule.add(account.next_automatic_payout, Duty.PAY_AUTOMATICALLY, account.id)


def _request_capabilities(account: Account, requested: Params) -> None:
    capabilities = dict(account.capabilities)
    for name in CAPABILITIES:
        wish = requested.object(name).flag("requested")
        if wish is True and capabilities.get(name) != "active":
            capabilities[name] = "inactive" if account.requirements else "active"
        elif wish is False:
            capabilities.pop(name, None)
    account.capabilities = capabilities


def _clear_requirements(world: World, account: Account) -> None:
    """Strike off what has been given; with nothing due, the requested capabilities go active."""
    if not account.requirements:
        return
    has_bank = any(True for _ in world.bank_accounts.where("account", account.id))
    given = {
        "business_type": account.business_type is not None,
        "external_account": has_bank,
        "tos_acceptance.date": account.tos_accepted_at is not None,
    }
    account.requirements = [name for name in account.requirements if not given.get(name)]
    if not account.requirements:
        account.details_submitted = True
        account.capabilities = dict.fromkeys(account.capabilities, "active")


def finish_onboarding(world: World, account: Account) -> None:
    """What a vendor does behind an account link: business, terms and a bank account that pays."""
    before = render_account(world, account)
    account.business_type = account.business_type or "individual"
    account.tos_accepted_at = account.tos_accepted_at or world.now
    if not any(True for _ in world.bank_accounts.where("account", account.id)):
        fields: JsonObject = {
            "object": "bank_account",
            "country": account.country,
            "currency": account.currency,
            "account_number": "000123456789",
            "routing_number": "110000000",
        }
        add_bank_account(world, account, Params({"external_account": fields}), "external_account")
    if not account.capabilities:
        account.capabilities = {"transfers": "inactive"}
    _clear_requirements(world, account)
    world.accounts.save(account)
    body = render_account(world, account)
    emit(world, "account.updated", body, account.id, changed(before, body))


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
    world.accounts.save(account)
    body = render_account(world, account)
    emit(world, "account.updated", body, account.id, changed(before, body))
    return body


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
