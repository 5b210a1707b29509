"""A vendor as callers see it: its record, its connected account, and whether it can be paid."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from roadcall_payments.api.schemas import EXAMPLE_AT, Instant, View, with_example
from roadcall_payments.domain.connected_account import Obstacle, cannot_receive, outlook
from roadcall_payments.domain.stripe_objects import AccountStatus
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.workflows.vendors import Contacts

RECORD_EXAMPLE: dict[str, JsonValue] = {
    "stripeAccountId": "acct_1A2b3C4d5E6f7G8h",
    "locale": "en-US",
    "contacts": {
        "name": "Laramie Towing",
        "email": "office@laramie-towing.example",
        "phone": "+13075550123",
    },
}
_DUE_EXAMPLE = ["individual.verification.document"]


class ContactsView(View):
    name: str
    email: str | None
    phone: str | None
    push_token: str | None


class BankAccountView(View):
    currency: str
    bank_name: str | None
    last4: str


class RequirementsView(View):
    """By Stripe's names. What is due by `deadline` and not given disables what needs it."""

    currently_due: list[str]
    past_due: list[str]
    eventually_due: list[str]
    deadline: Instant | None
    disabled_reason: str | None


class ConnectedAccountView(View):
    """As Stripe showed it at `asOf`, when it last changed."""

    connected: bool = Field(description="False once Stripe shows it to this platform no more.")
    transfers: str | None = Field(description="The capability's status at Stripe.")
    payouts_enabled: bool
    details_submitted: bool
    requirements: RequirementsView
    bank_accounts: list[BankAccountView] = Field(description="Where its payouts go, by currency.")
    as_of: Instant


class ObstacleView(View):
    """`reason` is stable; `message` is for people."""

    reason: Obstacle
    message: str
    due: list[str]
    deadline: Instant | None


class PlatformFeeView(View):
    """`bps` in hundredths of a percent, `fixedCents` in minor units of the payment's currency."""

    bps: int
    fixed_cents: int


class VendorView(View):
    """`contacts` is null once they were erased; `account` while Stripe was not asked about it."""

    model_config = with_example(
        {
            "id": "v_7",
            **RECORD_EXAMPLE,
            "contacts": {
                "name": "Laramie Towing",
                "email": "office@laramie-towing.example",
                "phone": "+13075550123",
                "pushToken": None,
            },
            "canBePaid": True,
            "obstacle": None,
            "outlook": "It can be paid. Stripe asks for individual verification document by "
            "2026-03-09, and may stop payments to it after that.",
            "account": {
                "connected": True,
                "transfers": "active",
                "payoutsEnabled": True,
                "detailsSubmitted": True,
                "requirements": {
                    "currentlyDue": [*_DUE_EXAMPLE],
                    "pastDue": [],
                    "eventuallyDue": [*_DUE_EXAMPLE],
                    "deadline": "2026-03-09T12:00:00.000000Z",
                    "disabledReason": None,
                },
                "bankAccounts": [
                    {"currency": "usd", "bankName": "STRIPE TEST BANK", "last4": "6789"}
                ],
                "asOf": EXAMPLE_AT,
            },
            "platformFee": None,
            "debtCapBps": None,
            "payoutSchedule": "manual",
            "createdAt": EXAMPLE_AT,
            "updatedAt": EXAMPLE_AT,
        }
    )

    id: str
    stripe_account_id: str | None
    locale: str
    contacts: ContactsView | None
    can_be_paid: bool
    obstacle: ObstacleView | None = Field(description="Why it cannot be paid.")
    outlook: str = Field(description="All of that in words.")
    account: ConnectedAccountView | None
    platform_fee: PlatformFeeView | None = Field(
        description="Kept of its driver payments; null: the usual."
    )
    debt_cap_bps: int | None = Field(
        description="How much of one transfer may pay its debts, in hundredths of a percent; null: "
        "the usual."
    )
    payout_schedule: Literal["manual", "daily"]
    created_at: Instant
    updated_at: Instant


class OnboardingLinkView(View):
    """`url` works once, for a few minutes. Null while Stripe has not said whether the account is
    open: ask again."""

    model_config = with_example(
        {
            "vendorId": "v_7",
            "stripeAccountId": "acct_1A2b3C4d5E6f7G8h",
            "url": "https://connect.stripe.com/setup/e/acct_1A2b3C4d5E6f7G8h/example",
            "expiresAt": EXAMPLE_AT,
        }
    )

    vendor_id: str
    stripe_account_id: str | None
    url: str | None = Field(
        description="Who opens it acts as the account's owner: give it to the vendor alone, and "
        "keep it out of logs and mail.",
        repr=False,
    )
    expires_at: Instant | None


class LoginLinkView(View):
    model_config = with_example(
        {
            "vendorId": "v_7",
            "url": "https://connect.stripe.com/express/acct_1A2b3C4d5E6f7G8h/example",
        }
    )

    vendor_id: str
    url: str = Field(description="Works once: keep it out of logs and mail.", repr=False)


def vendor_view(vendor: Vendor, contacts: Contacts | None) -> VendorView:
    reason = cannot_receive(vendor)
    return VendorView(
        id=vendor.id,
        stripe_account_id=vendor.stripe_account,
        locale=vendor.locale.replace("_", "-"),
        contacts=contacts
        and ContactsView(
            name=contacts.name,
            email=contacts.email,
            phone=contacts.phone,
            push_token=contacts.push_token,
        ),
        can_be_paid=reason is None,
        obstacle=reason
        and ObstacleView(
            reason=reason.code,
            message=reason.message,
            due=list(reason.due),
            deadline=reason.deadline,
        ),
        outlook=outlook(vendor),
        account=_account_view(vendor),
        platform_fee=vendor.fee
        and PlatformFeeView(bps=vendor.fee.bps, fixed_cents=vendor.fee.fixed_cents),
        debt_cap_bps=vendor.debt_cap_bps,
        payout_schedule="daily" if vendor.pays_daily else "manual",
        created_at=vendor.created_at,
        updated_at=vendor.updated_at,
    )


def _account_view(vendor: Vendor) -> ConnectedAccountView | None:
    known = vendor.connected
    if known is None:
        return None
    status = known.status or AccountStatus(None, payouts_enabled=False)
    needs = status.requirements
    return ConnectedAccountView(
        connected=known.connected,
        transfers=status.transfers,
        payouts_enabled=status.payouts_enabled,
        details_submitted=status.details_submitted,
        requirements=RequirementsView(
            currently_due=list(needs.currently_due),
            past_due=list(needs.past_due),
            eventually_due=list(needs.eventually_due),
            deadline=needs.deadline,
            disabled_reason=needs.disabled_reason,
        ),
        bank_accounts=[
            BankAccountView(currency=one.currency, bank_name=one.bank_name, last4=one.last4)
            for one in status.banks
        ],
        as_of=known.seen_at,
    )
