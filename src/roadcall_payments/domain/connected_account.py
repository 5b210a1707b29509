"""Vendors' connected accounts: opened once, followed at Stripe, asked before money goes there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from roadcall_payments.domain import vendor_events as v
from roadcall_payments.domain.fact_parts import Source, TextRef
from roadcall_payments.domain.outcomes import KEY_DEADLINE
from roadcall_payments.domain.people import Actor
from roadcall_payments.domain.stripe_objects import Account, AccountStatus, StripeRequest
from roadcall_payments.domain.vendor import FORMER_CONTACTS_KEPT, AccountOpening, Vendor

Facts = Sequence[v.VendorFact]
Decision = Callable[[Vendor, datetime], Facts]

ACTIVE = "active"
# How long before requirements fall due their vendor is told.
REMINDED_BEFORE = timedelta(days=7)
# Of what Stripe asks for, the first so many are kept (M28).
REQUIREMENTS_MAX = 50
PURPOSE = "vendor_account"


class Obstacle(StrEnum):
    """Why a vendor cannot be paid. Stable: callers branch on it."""

    NO_ACCOUNT = "no_account"
    ACCOUNT_OPENING = "account_opening"
    # Stripe was not asked yet: ask before deciding.
    NOT_SEEN = "account_not_seen"
    DISCONNECTED = "account_disconnected"
    REJECTED = "account_rejected"
    NOT_ONBOARDED = "not_onboarded"
    TRANSFERS_INACTIVE = "transfers_inactive"


# The vendor's own onboarding changes nothing about these.
BEYOND_ONBOARDING = frozenset({Obstacle.DISCONNECTED, Obstacle.REJECTED})


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a vendor cannot be paid, in words; ``due`` by Stripe's names for what it waits for."""

    code: Obstacle
    message: str
    due: tuple[str, ...] = ()
    deadline: datetime | None = None


def cannot_receive(vendor: Vendor) -> Reason | None:
    """Why no transfer may go to the vendor's account on file; None when one may."""
    if vendor.stripe_account is None:
        if vendor.opening and vendor.opening.open:
            return Reason(
                Obstacle.ACCOUNT_OPENING,
                "Its account is being opened at Stripe: whether it is there is not known yet.",
            )
        return Reason(Obstacle.NO_ACCOUNT, "The vendor has no connected account yet.")
    known = vendor.connected
    if known is None or (known.connected and known.status is None):
        return Reason(Obstacle.NOT_SEEN, "Stripe has not been asked about its account yet.")
    if not known.connected:
        return not_connected(vendor.stripe_account)
    return refusal_of(known.status) if known.status else None


def is_known_able(vendor: Vendor, livemode: bool) -> bool:
    """Whether the books say, for this mode, that a transfer may go there."""
    known = vendor.connected
    return known is not None and known.livemode == livemode and cannot_receive(vendor) is None


def not_connected(account: str) -> Reason:
    return Reason(
        Obstacle.DISCONNECTED,
        f"Stripe shows us no account {account}: its owner withdrew our access, it is another "
        "platform's, or there is none by that id.",
    )


def refusal_of(status: AccountStatus) -> Reason | None:
    """The same of any account as Stripe shows it."""
    if status.transfers == ACTIVE:
        return None
    needs = status.requirements
    due = tuple(dict.fromkeys((*needs.past_due, *needs.currently_due)))
    why = needs.disabled_reason or ""
    if why.startswith("rejected"):
        return Reason(Obstacle.REJECTED, f"Stripe rejected the account ({why}).")
    if not status.details_submitted:
        return Reason(
            Obstacle.NOT_ONBOARDED,
            "The vendor has not finished Stripe's onboarding.",
            due,
            needs.deadline,
        )
    missing = f" Stripe still asks for {in_words(due)}." if due else ""
    return Reason(
        Obstacle.TRANSFERS_INACTIVE,
        f"Stripe lets no transfers through to the account at present.{missing}",
        due,
        needs.deadline,
    )


def outlook(vendor: Vendor) -> str:
    """Whether the vendor can be paid, what Stripe waits for and until when, in words."""
    reason = cannot_receive(vendor)
    known = vendor.connected
    needs = known.status.requirements if known and known.status else None
    parts = [reason.message if reason else "It can be paid."]
    if needs is not None and needs.deadline is not None and needs.currently_due:
        parts.append(
            f"Stripe asks for {in_words(needs.currently_due)} by {needs.deadline:%Y-%m-%d}, and "
            "may stop payments to it after that."
        )
    if reason is None and known and known.status and not known.status.payouts_enabled:
        parts.append("What it is paid stays at Stripe: payouts to its bank are disabled.")
    return " ".join(parts)


def in_words(requirements: Sequence[str]) -> str:
    """Stripe's names, readable: ``individual.verification.document`` has its dots for Stripe."""
    return ", ".join(one.replace(".", " ").replace("_", " ") for one in requirements)


# --- opening -----------------------------------------------------------------------------------


def account_key(vendor: Vendor) -> str:
    """``account_{vendorId}``; after a definite refusal, which Stripe would replay, ``_2`` ..."""
    number = next_attempt(vendor)
    return f"account_{vendor.id}" + (f"_{number}" if number > 1 else "")


def next_attempt(vendor: Vendor) -> int:
    return vendor.opening.attempt + 1 if vendor.opening else 1


def request_account(vendor: Vendor, request: StripeRequest, actor: Actor) -> Facts:
    """The intent to open one; nothing where the vendor has one, or one is being opened."""
    if vendor.stripe_account is not None or (vendor.opening and vendor.opening.open):
        return ()
    return (v.AccountRequested(next_attempt(vendor), request, str(actor)),)


def account_opened(
    vendor: Vendor, account: Account, source: Source, request_id: str | None = None
) -> Facts:
    """Stripe has it. Where the record names another account by now, that one stays."""
    opening = vendor.opening
    if opening is None or vendor.stripe_account == account.id:
        return ()
    if vendor.stripe_account is not None:
        named = f"{account.id} was opened, but the record names {vendor.stripe_account} by now."
        return account_refused(vendor, opening.attempt, "account_superseded", named, request_id)
    livemode = opening.request.livemode
    return (
        v.VendorAccountOpened(account.id, livemode, source, request_id),
        v.AccountStatusChanged(account.id, livemode, kept_of(account.status), source),
    )


def vendor_of(account: Account) -> str | None:
    """The vendor that a service like ours opened the account for; None for all others."""
    told = account.metadata
    return told.get("vendorId") if told.get("purpose") == PURPOSE else None


def account_found(vendor: Vendor, account: Account, livemode: bool) -> Facts:
    """Stripe has an account of the vendor's that a restore lost, perhaps with the request for it
    (M18); nothing where the record names one."""
    if vendor.stripe_account is not None or vendor_of(account) != vendor.id:
        return ()
    return (
        v.VendorAccountOpened(account.id, livemode, Source.LOOKUP),
        v.AccountStatusChanged(account.id, livemode, kept_of(account.status), Source.LOOKUP),
    )


def is_its_account(vendor: Vendor, account: Account) -> bool:
    """Whether an account found at Stripe is the one that the vendor's open request made (M13)."""
    unnamed = vendor.opening is not None and vendor.stripe_account is None
    return unnamed and vendor_of(account) == vendor.id


def account_refused(
    vendor: Vendor, attempt: int, code: str, message: str, request_id: str | None
) -> Facts:
    if not _is_open(vendor, attempt):
        return ()
    return (v.AccountRefused(attempt, code, message, request_id),)


def account_unknown(vendor: Vendor, attempt: int, reason: str, request_id: str | None) -> Facts:
    if not _is_open(vendor, attempt) or (vendor.opening and vendor.opening.unknown == reason):
        return ()
    return (v.AccountOutcomeUnknown(attempt, reason, request_id=request_id),)


def account_absent(vendor: Vendor, attempt: int, now: datetime) -> Facts:
    """Stripe's list has it not: the second time, an hour later and 25 h after the start, it never
    happened (M8)."""
    opening = vendor.opening
    if opening is None or not _is_open(vendor, attempt):
        return ()
    if not opening.absences:
        return (v.AccountOutcomeUnknown(attempt, "absent", absent=True),)
    if now < second_look_at(opening):
        return ()
    return (v.AccountRefused(attempt, "account_not_received", "The request never reached Stripe."),)


def past_key_deadline(opening: AccountOpening, now: datetime) -> bool:
    return now - opening.started_at >= KEY_DEADLINE


def second_look_at(opening: AccountOpening) -> datetime:
    first = opening.absences[-1] if opening.absences else opening.started_at
    return max(first + timedelta(hours=1), opening.started_at + timedelta(hours=25))


def _is_open(vendor: Vendor, attempt: int) -> bool:
    opening = vendor.opening
    return opening is not None and opening.open and opening.attempt == attempt


# --- what Stripe shows -------------------------------------------------------------------------


def account_seen(
    vendor: Vendor, seen: Account, livemode: bool, source: Source, now: datetime
) -> Facts:
    """What differs from what is known of the account on file; nothing where nothing does."""
    if seen.id != vendor.stripe_account:
        return ()
    known = vendor.connected
    if known is not None and known.livemode != livemode:
        known = None
    status = kept_of(seen.status)
    facts: list[v.VendorFact] = []
    if known is None or not known.connected or known.status != status:
        facts.append(v.AccountStatusChanged(seen.id, livemode, status, source))
    before = known.status.banks if known and known.status else ()
    if known is not None and known.banks and status.banks != before:
        told = whom_to_tell(vendor, now)
        facts.append(v.BankAccountChanged(seen.id, before or known.banks, status.banks, told))
    return facts


def account_gone(vendor: Vendor, account: str, livemode: bool, source: Source) -> Facts:
    """Stripe shows it to us no more, or never did."""
    if account != vendor.stripe_account:
        return ()
    known = vendor.connected
    if known is not None and not known.connected and known.livemode == livemode:
        return ()
    return (v.AccountDisconnected(account, livemode, source),)


def account_replaced(before: Vendor, after: Vendor, now: datetime) -> Facts:
    """The record comes to name another account: payouts leave the bank accounts of before."""
    left, account = before.stripe_account, after.stripe_account
    if left in (None, account):
        return ()
    banks = before.connected.banks if before.connected else ()
    told = whom_to_tell(after, now)
    return (v.BankAccountChanged(account, banks, (), told, replaced=left),)


def whom_to_tell(vendor: Vendor, now: datetime) -> tuple[TextRef, ...]:
    """The vendor's contacts, and those of the last 30 days."""
    former = (
        one.contacts for one in vendor.former_contacts if one.until > now - FORMER_CONTACTS_KEPT
    )
    present = (vendor.contacts,) if vendor.contacts else ()
    return tuple(dict.fromkeys((*present, *former)))


def reminder(vendor: Vendor, now: datetime) -> Facts:
    """Once for each deadline, in time."""
    at = reminder_due_at(vendor)
    known = vendor.connected
    if at is None or at > now or known is None or known.status is None:
        return ()
    needs = known.status.requirements
    if needs.deadline is None:
        return ()
    return (v.RequirementsDeadlineNeared(known.id, needs.currently_due, needs.deadline),)


def reminder_due_at(vendor: Vendor) -> datetime | None:
    known = vendor.connected
    if known is None or not known.connected or known.status is None:
        return None
    needs = known.status.requirements
    if needs.deadline is None or known.reminded_of == needs.deadline or not needs.currently_due:
        return None
    return needs.deadline - REMINDED_BEFORE


def due_at(vendor: Vendor, patience: timedelta) -> datetime | None:
    """When the worker must look at the vendor again; None while nobody waits for us.

    ``patience``: how long an answer of Stripe's may take before it is looked for.
    """
    times: list[datetime] = []
    opening = vendor.opening
    if opening is not None and opening.open:
        waits = opening.updated_at + patience
        times.append(second_look_at(opening) if opening.absences else waits)
    reminded = reminder_due_at(vendor)
    if reminded is not None:
        times.append(reminded)
    return min(times, default=None)


def kept_of(status: AccountStatus) -> AccountStatus:
    """What the books keep of it: in one order, and within bounds (M28)."""
    needs = status.requirements
    return replace(
        status,
        requirements=replace(
            needs,
            currently_due=_bounded(needs.currently_due),
            past_due=_bounded(needs.past_due),
            eventually_due=_bounded(needs.eventually_due),
        ),
    )


def _bounded(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(names)[:REQUIREMENTS_MAX])
