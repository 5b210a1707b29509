"""A connected account's bank account as JSON."""

from hashlib import blake2b

from stripe_sandbox.expansion import expandable
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.records import BankAccount
from stripe_sandbox.world import World


def render_bank_account(world: World, bank: BankAccount) -> JsonObject:
    nothing_due: JsonObject = {
        "currently_due": [],
        "errors": [],
        "past_due": [],
        "pending_verification": [],
    }
    return {
        "id": bank.id,
        "object": "bank_account",
        "account": bank.account,
        "account_holder_name": bank.holder_name,
        "account_holder_type": bank.holder_type,
        "account_type": None,
        "available_payout_methods": ["standard"],
        "bank_name": "STRIPE TEST BANK",
        "country": bank.country,
        "currency": bank.currency,
        "default_for_currency": bank.default,
        "fingerprint": blake2b(
            f"{bank.routing_number}{bank.last4}{bank.outcome}".encode(), digest_size=8
        ).hexdigest(),
        "future_requirements": nothing_due,
        "last4": bank.last4,
        "metadata": bank.metadata,
        "requirements": nothing_due,
        "routing_number": bank.routing_number,
        "status": bank.status,
    }


expandable("bank_account", "bank_accounts", render_bank_account)
