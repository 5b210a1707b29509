"""The vendor's record: which connected account is paid, how it stands, and how to reach it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from roadcall_payments.domain import debt
from roadcall_payments.domain import vendor_events as v
from roadcall_payments.domain.debt_events import DebtFact
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.fact_parts import TextRef
from roadcall_payments.domain.platform_fee import FeePolicy
from roadcall_payments.domain.stripe_objects import AccountStatus, BankAccount, StripeRequest

# Whoever was the vendor's contact within this time hears of a new bank account.
FORMER_CONTACTS_KEPT = timedelta(days=30)
# Past this the oldest stay, so that many changes in a row push nobody out (M28).
FORMER_CONTACTS_MAX = 10
# Of accounts that were replaced, the last so many are kept (M28).
FORMER_ACCOUNTS_MAX = 20


@dataclass(frozen=True, slots=True)
class FormerContacts:
    """Contacts that were replaced at ``until``, and the language they were written to in."""

    contacts: TextRef
    locale: str
    until: datetime


@dataclass(frozen=True, slots=True)
class AccountOpening:
    """Our request to Stripe for a connected account. ``open``: whether it has one is not known."""

    attempt: int
    request: StripeRequest
    # Of the first attempt: an account of any of them is the vendor's.
    since: datetime
    started_at: datetime
    updated_at: datetime
    open: bool = True
    unknown: str | None = None
    # Empty lists at Stripe since it became unknown: two of them end it (M8).
    absences: tuple[datetime, ...] = ()
    refusal: str | None = None
    refusal_code: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectedAccount:
    """The account on file as Stripe showed it last; ``connected`` False once it does no more.

    ``banks``: the last bank accounts it had, also while it has none.
    """

    id: str
    livemode: bool
    connected: bool
    seen_at: datetime
    status: AccountStatus | None = None
    banks: tuple[BankAccount, ...] = ()
    # The requirements' deadline of which somebody was told.
    reminded_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class FormerAccount:
    """A connected account that was on file until another one replaced it, at ``until``."""

    id: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Vendor:
    """``contacts`` refers to the erasable text with name, e-mail and phone (M29)."""

    id: str
    stripe_account: str | None
    locale: str
    contacts: TextRef | None
    created_at: datetime
    updated_at: datetime
    # None until Stripe was asked about the account on file.
    connected: ConnectedAccount | None = None
    opening: AccountOpening | None = None
    former_contacts: tuple[FormerContacts, ...] = ()
    # The oldest first; what is left in them is paid out, taken back and told as before.
    former_accounts: tuple[FormerAccount, ...] = ()
    debts: debt.Debts = debt.NONE
    pays_daily: bool = False
    # The last day whose daily payouts were seen to, or on which the schedule was set.
    payout_day: str | None = None
    # None: our usual one.
    fee: FeePolicy | None = None
    debt_cap_bps: int | None = None

    def debt_cap(self, usual_bps: int) -> int:
        """How much of one transfer may pay its debts, in basis points (M22)."""
        return usual_bps if self.debt_cap_bps is None else self.debt_cap_bps


def apply(vendor: Vendor | None, fact: v.VendorFact | DebtFact, at: datetime) -> Vendor:
    """The vendor after ``fact``. Pure."""
    after = _applied(vendor, fact, at)
    replaced = vendor.stripe_account if vendor else None
    if vendor is None or replaced == after.stripe_account:
        return after
    # One that comes back is present again, and no former one.
    kept = tuple(one for one in vendor.former_accounts if one.id != after.stripe_account)
    if replaced is not None:
        kept = (*kept, FormerAccount(replaced, at))
    return replace(after, former_accounts=kept[-FORMER_ACCOUNTS_MAX:])


def _applied(vendor: Vendor | None, fact: v.VendorFact | DebtFact, at: datetime) -> Vendor:
    if isinstance(fact, v.VendorRegistered):
        if vendor is not None:
            raise BrokenInvariant("A vendor is registered once.")
        return Vendor(fact.vendor_id, fact.stripe_account, fact.locale, fact.contacts, at, at)
    if vendor is None:
        raise BrokenInvariant("A vendor starts with VendorRegistered.")
    if isinstance(fact, v.VendorChanged):
        return _changed(vendor, fact, at)
    if isinstance(fact, v.VendorFeeAgreed):
        usual = fact.bps is None or fact.fixed_cents is None
        fee = None if usual else FeePolicy(fact.bps or 0, fact.fixed_cents or 0)
        return replace(vendor, fee=fee, updated_at=at)
    if isinstance(fact, v.DebtCapAgreed):
        return replace(vendor, debt_cap_bps=fact.bps, updated_at=at)
    if isinstance(fact, v.PayoutScheduleSet):
        # The first daily payout is the next day's.
        today = at.date().isoformat()
        return replace(vendor, pays_daily=fact.daily, payout_day=today, updated_at=at)
    if isinstance(fact, v.PayoutDayClosed):
        return replace(vendor, payout_day=fact.day, updated_at=at)
    if isinstance(fact, DebtFact):
        return replace(vendor, debts=debt.apply(vendor.debts, fact, at), updated_at=at)
    return replace(_with_account(vendor, fact, at), updated_at=at)


def _changed(vendor: Vendor, fact: v.VendorChanged, at: datetime) -> Vendor:
    same_account = fact.stripe_account == vendor.stripe_account
    return replace(
        vendor,
        stripe_account=fact.stripe_account,
        locale=fact.locale,
        contacts=fact.contacts,
        updated_at=at,
        connected=vendor.connected if same_account else None,
        former_contacts=_former_contacts(vendor, fact.contacts, at),
    )


def _former_contacts(
    vendor: Vendor, contacts: TextRef | None, at: datetime
) -> tuple[FormerContacts, ...]:
    kept = tuple(one for one in vendor.former_contacts if one.until > at - FORMER_CONTACTS_KEPT)
    if vendor.contacts is not None and vendor.contacts != contacts:
        kept = (*kept, FormerContacts(vendor.contacts, vendor.locale, at))
    return kept[:FORMER_CONTACTS_MAX]


def _with_account(vendor: Vendor, fact: v.AccountFact, at: datetime) -> Vendor:
    match fact:
        case v.AccountRequested():
            since = vendor.opening.since if vendor.opening else at
            opening = AccountOpening(fact.attempt, fact.request, since, at, at)
            return replace(vendor, opening=opening)
        case v.AccountOutcomeUnknown() | v.AccountRefused():
            return replace(vendor, opening=_opening_after(vendor.opening, fact, at))
        case v.VendorAccountOpened():
            asked = vendor.opening
            return replace(
                vendor,
                stripe_account=fact.account,
                connected=None,
                opening=replace(asked, open=False, updated_at=at) if asked else None,
            )
        case v.AccountStatusChanged():
            known = _known(vendor, fact)
            seen = replace(known, connected=True, seen_at=at, status=fact.status)
            return replace(vendor, connected=replace(seen, banks=fact.status.banks or seen.banks))
        case v.AccountDisconnected():
            return replace(
                vendor, connected=replace(_known(vendor, fact), connected=False, seen_at=at)
            )
        case v.RequirementsDeadlineNeared() if vendor.connected:
            return replace(vendor, connected=replace(vendor.connected, reminded_of=fact.deadline))
    # What a bank account's change tells, the account's status holds already.
    return vendor


def _opening_after(
    opening: AccountOpening | None, fact: v.AccountOutcomeUnknown | v.AccountRefused, at: datetime
) -> AccountOpening:
    if opening is None or opening.attempt != fact.attempt:
        raise BrokenInvariant("No account was asked for by that attempt.")
    if isinstance(fact, v.AccountRefused):
        return replace(
            opening, open=False, refusal=fact.message, refusal_code=fact.code, updated_at=at
        )
    absences = (*opening.absences, at) if fact.absent else opening.absences
    return replace(opening, unknown=fact.reason, absences=absences, updated_at=at)


def _known(
    vendor: Vendor, fact: v.AccountStatusChanged | v.AccountDisconnected
) -> ConnectedAccount:
    known = vendor.connected
    if known is not None and (known.id, known.livemode) == (fact.account, fact.livemode):
        return known
    return ConnectedAccount(fact.account, fact.livemode, False, vendor.updated_at)
