"""What happened to a vendor's record and its connected account, in words."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from roadcall_payments.cli.source_words import absence, learned
from roadcall_payments.domain import vendor_events as v
from roadcall_payments.domain.connected_account import in_words
from roadcall_payments.domain.stripe_objects import BankAccount


def of_a_vendor(fact: v.VendorFact) -> str:
    """What happened, in one sentence."""
    match fact:
        case v.VendorRegistered():
            return f"Registered: paid to {fact.stripe_account or 'no account yet'}, {fact.locale}"
        case v.VendorChanged():
            return f"Changed: paid to {fact.stripe_account or 'no account yet'}, {fact.locale}"
        case v.VendorFeeAgreed():
            return _fee(fact)
        case v.DebtCapAgreed():
            return _cap(fact)
        case v.PayoutScheduleSet():
            return "Paid out once a day" if fact.daily else "Paid out when somebody asks for it"
        case v.PayoutDayClosed():
            none = f"; none for {', '.join(fact.not_made)}" if fact.not_made else ""
            return f"Daily payouts of {fact.day}: {len(fact.payouts)} made{none}"
        case (
            v.AccountRequested()
            | v.AccountOutcomeUnknown()
            | v.AccountRefused()
            | v.VendorAccountOpened()
        ):
            return _opening(fact)
        case v.AccountStatusChanged():
            return _status(fact)
        case v.AccountDisconnected():
            return f"Stripe shows us no account {fact.account}{learned(fact.source)}"
        case v.BankAccountChanged():
            return (
                f"Bank changed from {_banks(fact.before)} to {_banks(fact.after)}; "
                f"{len(fact.told)} contacts to tell"
            )
        case v.RequirementsDeadlineNeared():
            return f"Stripe wants {in_words(fact.due)} by {fact.deadline:%Y-%m-%d}"


def _fee(fact: v.VendorFeeAgreed) -> str:
    if fact.bps is None:
        return "Our usual fee applies"
    percent = Decimal(fact.bps).scaleb(-2)
    return f"Our fee: {percent} % and {fact.fixed_cents or 0} minor units a driver's payment"


def _cap(fact: v.DebtCapAgreed) -> str:
    if fact.bps is None:
        return "Our usual part of a transfer pays its debts"
    return f"At most {Decimal(fact.bps).scaleb(-2)} % of a transfer pays its debts"


def _opening(
    fact: v.AccountRequested | v.AccountOutcomeUnknown | v.AccountRefused | v.VendorAccountOpened,
) -> str:
    match fact:
        case v.AccountRequested():
            return f"Attempt {fact.attempt}: decided to ask Stripe for a connected account"
        case v.AccountOutcomeUnknown():
            return f"Connected account: outcome unknown ({fact.reason}){absence(fact.absent)}"
        case v.AccountRefused():
            return f"Stripe opened no account: {fact.message} ({fact.code})"
        case v.VendorAccountOpened():
            return f"Account {fact.account} opened{learned(fact.source)}"


def _status(fact: v.AccountStatusChanged) -> str:
    status = fact.status
    payouts = "enabled" if status.payouts_enabled else "disabled"
    due = status.requirements.currently_due
    wanted = f"; Stripe wants {in_words(due)}" if due else ""
    return (
        f"Account {fact.account}: transfers {status.transfers or 'not asked for'}, payouts "
        f"{payouts}, bank {_banks(status.banks)}{wanted}{learned(fact.source)}"
    )


def _banks(banks: Sequence[BankAccount]) -> str:
    named = [f"{one.bank_name or 'bank'} ...{one.last4} ({one.currency})" for one in banks]
    return ", ".join(named) or "none"
