"""What a vendor does on Stripe's own pages: gives what is due, and names a bank account."""

from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.parameters import Params
from stripe_sandbox.records import Account
from stripe_sandbox.resources.account_view import render_account
from stripe_sandbox.resources.bank_accounts import add_default_bank_account, default_bank_account
from stripe_sandbox.resources.requirements import settle, tell
from stripe_sandbox.world import World

PAYING_NUMBER = "000123456789"


def finish_onboarding(world: World, account: Account, bank_number: str | None = None) -> None:
    """Give all that is due: business, terms, documents, and a bank account.

    `bank_number` is a test number in `bank_accounts.py`; none keeps the bank account that is
    there and usable, or gives one that pays.
    """
    before = render_account(world, account)
    account.business_type = account.business_type or "individual"
    account.tos_accepted_at = account.tos_accepted_at or world.now
    kept = default_bank_account(world, account.id, account.currency)
    if bank_number is not None or kept is None or kept.status == "errored":
        name_bank_account(world, account, bank_number or PAYING_NUMBER)
    if not account.capabilities:
        account.capabilities = {"transfers": "inactive"}
        account.capabilities_requested_at = {"transfers": world.now}
    account.requirements = []
    settle(world, account)
    tell(world, account, before)


def change_bank_account(world: World, account: Account, bank_number: str) -> None:
    """The vendor names another bank account, on the Express dashboard."""
    before = render_account(world, account)
    name_bank_account(world, account, bank_number)
    settle(world, account)
    tell(world, account, before)


def name_bank_account(world: World, account: Account, bank_number: str) -> None:
    fields: JsonObject = {
        "object": "bank_account",
        "country": account.country,
        "currency": account.currency,
        "account_number": bank_number,
        "routing_number": "110000000",
    }
    params = Params({"external_account": fields})
    add_default_bank_account(world, account, params, "external_account")
