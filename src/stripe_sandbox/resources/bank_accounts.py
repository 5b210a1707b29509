"""External bank accounts of connected accounts, with what becomes of payouts to them.

Source of the test numbers: docs.stripe.com/connect/testing.
"""

from stripe_sandbox.currencies import check_currency
from stripe_sandbox.errors import invalid, missing_object, refused
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.lists import list_object
from stripe_sandbox.parameters import Params, merge_metadata
from stripe_sandbox.records import Account, BankAccount
from stripe_sandbox.resources.account_lookup import find_account
from stripe_sandbox.resources.account_view import render_account
from stripe_sandbox.resources.bank_account_view import render_bank_account
from stripe_sandbox.resources.events import changed, emit
from stripe_sandbox.resources.requirements import settle, tell
from stripe_sandbox.routes import Call, route
from stripe_sandbox.world import World

TEST_NUMBERS = {
    "000123456789": "paid",
    "000111111116": "no_account",
    "000111111113": "account_closed",
    "000222222227": "insufficient_funds",
    "000333333335": "debit_not_authorized",
    "000444444440": "invalid_currency",
}
"""What becomes of a payout, by account number; every other number is paid too."""

TEST_TOKENS = {
    "btok_us_verified": "000123456789",
    "btok_us": "000123456789",
    "btok_us_verified_noAccount": "000111111116",
    "btok_us_verified_accountClosed": "000111111113",
    "btok_us_verified_insufficientFunds": "000222222227",
}


def add_bank_account(world: World, account: Account, params: Params, name: str) -> BankAccount:
    """The bank account in the parameter `name`: a test token, or its details as an object."""
    token = params.text(name)
    if token is not None:
        number = TEST_TOKENS.get(token)
        if number is None:
            raise missing_object("token", token, name)
        details = Params({"country": account.country, "currency": account.currency})
    else:
        details = params.object(name)
        if details.required_text("object") != "bank_account":
            raise refused("Invalid object: must be bank_account", param=f"{name}[object]")
        number = details.required_text("account_number")
    currency = check_currency(details.text("currency") or account.currency)
    country = details.text("country") or account.country
    if country == "US":
        _check_us_numbers(number, details.text("routing_number") or "110000000", name)
    siblings = list(world.bank_accounts.where("account", account.id))
    bank = BankAccount(
        **world.stamp("ba_", account.id),
        country=country,
        currency=currency,
        routing_number=details.text("routing_number") or "110000000",
        last4=number[-4:],
        outcome=TEST_NUMBERS.get(number, "paid"),
        holder_name=details.text("account_holder_name"),
        holder_type=details.text("account_holder_type"),
        default=not any(sibling.currency == currency for sibling in siblings),
    )
    return world.bank_accounts.add(bank)


def add_default_bank_account(world: World, account: Account, params: Params, name: str) -> None:
    """The bank account in the parameter `name` takes the place of its currency's default, which
    is deleted."""
    bank = add_bank_account(world, account, params, name)
    for former in list(world.bank_accounts.where("account", account.id)):
        if former.default and former.currency == bank.currency and former.id != bank.id:
            world.bank_accounts.remove(former)
            shown = render_bank_account(world, former)
            emit(world, "account.external_account.deleted", shown, account.id)
    bank.default = True
    emit(world, "account.external_account.created", render_bank_account(world, bank), account.id)


def _check_us_numbers(number: str, routing_number: str, name: str) -> None:
    if not (number.isascii() and number.isdigit() and 4 <= len(number) <= 17):
        raise invalid(
            "You must use a test bank account number in test mode.",
            code="account_number_invalid",
            param=f"{name}[account_number]",
        )
    if not (routing_number.isascii() and routing_number.isdigit() and len(routing_number) == 9):
        raise invalid(
            "Routing number must have 9 digits",
            code="routing_number_invalid",
            param=f"{name}[routing_number]",
        )


def default_bank_account(world: World, account: str, currency: str) -> BankAccount | None:
    for bank in world.bank_accounts.where("account", account):
        if bank.currency == currency and bank.default:
            return bank
    return None


def _account(call: Call) -> Account:
    return find_account(call.world, call.path_ids[0])


def _find(call: Call) -> BankAccount:
    account = _account(call)
    bank = call.world.bank_accounts.get(call.path_ids[1])
    if bank is None or bank.account != account.id:
        raise missing_object("external account", call.path_ids[1], "id", in_path=True)
    return bank


@route(
    "POST",
    "/v1/accounts/{account}/external_accounts",
    models="external_account default_for_currency metadata",
)
def create_bank_account(call: Call) -> JsonObject:
    world, params = call.world, call.params
    account = _account(call)
    metadata = merge_metadata({}, params)
    if "external_account" not in params:
        raise refused(
            "Missing required param: external_account.",
            code="parameter_missing",
            param="external_account",
        )
    bank = add_bank_account(world, account, params, "external_account")
    bank.metadata = metadata
    if params.flag("default_for_currency"):
        _make_default(world, bank)
    body = render_bank_account(world, bank)
    emit(world, "account.external_account.created", body, account.id)
    _settle(world, account)
    return body


def _settle(world: World, account: Account) -> None:
    """A bank account may be all that the account still owed."""
    if "external_account" in account.requirements:
        before = render_account(world, account)
        settle(world, account)
        tell(world, account, before)


def _make_default(world: World, bank: BankAccount) -> None:
    for sibling in world.bank_accounts.where("account", bank.account):
        if sibling.currency == bank.currency:
            sibling.default = sibling.id == bank.id
            world.bank_accounts.save(sibling)


@route("GET", "/v1/accounts/{account}/external_accounts/{id}")
def retrieve_bank_account(call: Call) -> JsonObject:
    return render_bank_account(call.world, _find(call))


@route(
    "POST",
    "/v1/accounts/{account}/external_accounts/{id}",
    models="account_holder_name account_holder_type default_for_currency metadata",
)
def update_bank_account(call: Call) -> JsonObject:
    world, params = call.world, call.params
    bank = _find(call)
    before = render_bank_account(world, bank)
    bank.metadata = merge_metadata(bank.metadata, params)
    bank.holder_name = params.text("account_holder_name") or bank.holder_name
    bank.holder_type = params.text("account_holder_type") or bank.holder_type
    if bank.status == "errored" and ("account_holder_name" in params):
        bank.status = "new"
    world.bank_accounts.save(bank)
    if params.flag("default_for_currency"):
        _make_default(world, bank)
    body = render_bank_account(world, bank)
    emit(world, "account.external_account.updated", body, bank.account, changed(before, body))
    _settle(world, _account(call))
    return body


@route("DELETE", "/v1/accounts/{account}/external_accounts/{id}")
def delete_bank_account(call: Call) -> JsonObject:
    world = call.world
    bank = _find(call)
    if bank.default:
        raise invalid(
            "You cannot delete the default external account for a currency. Make another external "
            "account the default using the `default_for_currency` parameter first."
        )
    world.bank_accounts.remove(bank)
    emit(world, "account.external_account.deleted", render_bank_account(world, bank), bank.account)
    return {"id": bank.id, "object": "bank_account", "deleted": True, "currency": bank.currency}


@route(
    "GET",
    "/v1/accounts/{account}/external_accounts",
    models="limit object",
)
def list_bank_accounts(call: Call) -> JsonObject:
    world = call.world
    account = _account(call)
    banks = [
        render_bank_account(world, bank)
        for bank in world.bank_accounts.where("account", account.id)
    ]
    if call.params.text("object") == "card":
        banks = []
    return list_object(call.path, list(banks))
