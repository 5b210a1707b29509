"""What a connected account still owes, and what is disabled until it is given.

Source: docs.stripe.com/connect/handling-api-verification.
"""

from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.records import Account, BankAccount
from stripe_sandbox.resources.account_view import (
    needed_by_capabilities,
    render_account,
    render_capability,
)
from stripe_sandbox.resources.bank_account_view import render_bank_account
from stripe_sandbox.resources.events import changed, emit
from stripe_sandbox.schedule import Duty
from stripe_sandbox.world import World

CAPABILITIES = ("card_payments", "transfers")
"""The capabilities that the sandbox models."""

ONBOARDING = ("business_type", "external_account", "tos_acceptance.date")


def settle(world: World, account: Account) -> None:
    """Strike off what has been given; let the requested capabilities follow what is past due."""
    banks = world.bank_accounts.where("account", account.id)
    given = {
        "business_type": account.business_type is not None,
        "external_account": any(bank.default and bank.status != "errored" for bank in banks),
        "tos_acceptance.date": account.tos_accepted_at is not None,
    }
    account.requirements = [name for name in account.requirements if not given.get(name)]
    account.past_due = [name for name in account.past_due if name in account.requirements]
    if account.requirements == account.past_due:
        account.requirements_due_at = None
    if not account.requirements:
        account.details_submitted = True
    disabled = account.rejected is not None or needed_by_capabilities(account.past_due)
    status = "inactive" if disabled else "active"
    account.capabilities = dict.fromkeys(account.capabilities, status)


def demand(world: World, account: Account, due: list[str], due_at: int | None) -> None:
    """Ask the account for `due`, and for nothing else, until `due_at` (seconds; None: it is past
    due at once). An empty `due` asks for nothing any more."""
    before = render_account(world, account)
    account.requirements = list(due)
    account.past_due = [] if due_at is not None else list(due)
    account.requirements_due_at = due_at
    settle(world, account)
    schedule_deadline(world, account)
    tell(world, account, before)


def schedule_deadline(world: World, account: Account) -> None:
    """Put the deadline into the schedule, new or read back from storage."""
    if account.requirements_due_at is not None:
        world.schedule.add(account.requirements_due_at, Duty.EXPIRE_REQUIREMENTS, account.id)


def expire_requirements(world: World, account_id: str) -> None:
    """The deadline has come: what is still due disables the account."""
    account = world.accounts.get(account_id)
    if account is None or account.requirements_due_at is None:
        return
    if account.requirements_due_at <= world.now:
        demand(world, account, account.requirements, None)


def bank_refused(world: World, bank: BankAccount) -> None:
    """A payout came back: the bank account is errored, and the account owes another one."""
    before = render_bank_account(world, bank)
    bank.status = "errored"
    world.bank_accounts.save(bank)
    body = render_bank_account(world, bank)
    emit(world, "account.external_account.updated", body, bank.account, changed(before, body))
    account = world.accounts[bank.account]
    if account.id != world.platform and bank.default:
        shown = render_account(world, account)
        for owed in (account.requirements, account.past_due):
            if "external_account" not in owed:
                owed.append("external_account")
        settle(world, account)
        tell(world, account, shown)


def tell(world: World, account: Account, before: JsonObject) -> None:
    """Save the account, and send the events of how it differs from `before`, its former JSON."""
    world.accounts.save(account)
    body = render_account(world, account)
    differences = changed(before, body)
    emit(world, "account.updated", body, account.id, differences)
    former = before["capabilities"]
    for name, status in account.capabilities.items():
        if not isinstance(former, dict) or former.get(name) == status:
            continue
        capability = render_capability(account, name)
        emit(world, "capability.updated", capability, account.id, {"status": former.get(name)})
