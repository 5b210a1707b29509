"""Accounts and their capabilities as JSON, and what an account in its state may do."""

from stripe_sandbox.expansion import expandable
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.lists import list_object
from stripe_sandbox.records import Account
from stripe_sandbox.resources.bank_account_view import render_bank_account
from stripe_sandbox.world import World


def disabled_reason(account: Account) -> str | None:
    if account.rejected is not None:
        return f"rejected.{account.rejected}"
    return "requirements.past_due" if account.past_due else None


def can_receive(account: Account) -> bool:
    return account.capabilities.get("transfers") == "active"


def can_pay_out(account: Account) -> bool:
    return disabled_reason(account) is None


def can_charge(account: Account) -> bool:
    return (
        account.capabilities.get("card_payments", "active") == "active"
        and disabled_reason(account) is None
    )


def render_account(world: World, account: Account) -> JsonObject:
    platform = account.id == world.platform
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
        "charges_enabled": can_charge(account),
        "country": account.country,
        "default_currency": account.currency,
        "details_submitted": account.details_submitted,
        "email": account.email,
        "metadata": account.metadata,
        "payouts_enabled": can_pay_out(account),
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
    body["future_requirements"] = _requirements([], [], None, None)
    body["requirements"] = _requirements(
        account.requirements,
        account.past_due,
        account.requirements_due_at,
        disabled_reason(account),
    )
    body["tos_acceptance"] = {
        "date": account.tos_accepted_at,
        "ip": None,
        "user_agent": None,
    }
    return body


def _requirements(
    due: list[str], past: list[str], deadline: int | None, reason: str | None
) -> JsonObject:
    return {
        "alternatives": [],
        "current_deadline": deadline,
        "currently_due": list(due),
        "disabled_reason": reason,
        "errors": [],
        "eventually_due": list(due),
        "past_due": list(past),
        "pending_verification": [],
    }


def render_capability(account: Account, name: str) -> JsonObject:
    """What a capability needs is what the account owes, but for the bank account."""
    status = account.capabilities.get(name)
    due = needed_by_capabilities(account.requirements) if status is not None else []
    past = needed_by_capabilities(account.past_due) if status is not None else []
    reason = "requirements.fields_needed" if past else None
    if account.rejected is not None:
        reason = "rejected.other"
    deadline = account.requirements_due_at if due else None
    return {
        "id": name,
        "object": "capability",
        "account": account.id,
        "future_requirements": _requirements([], [], None, None),
        "requested": status is not None,
        "requested_at": account.capabilities_requested_at.get(name),
        "requirements": _requirements(due, past, deadline, reason if status is not None else None),
        "status": status or "unrequested",
    }


def needed_by_capabilities(requirements: list[str]) -> list[str]:
    """Without a bank account only payouts are disabled."""
    return [name for name in requirements if name != "external_account"]


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
