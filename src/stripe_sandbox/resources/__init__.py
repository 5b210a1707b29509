"""One file a resource: its rules, its JSON and its routes. Importing the package adds them all."""

from stripe_sandbox.resources import (
    account_links,
    accounts,
    balance,
    bank_accounts,
    capabilities,
    charges,
    customers,
    disputes,
    events,
    payment_intents,
    payment_methods,
    payouts,
    refunds,
    transfer_reversals,
    transfers,
    webhook_endpoints,
)

__all__ = [
    "account_links",
    "accounts",
    "balance",
    "bank_accounts",
    "capabilities",
    "charges",
    "customers",
    "disputes",
    "events",
    "payment_intents",
    "payment_methods",
    "payouts",
    "refunds",
    "transfer_reversals",
    "transfers",
    "webhook_endpoints",
]
