"""The facts of a vendor's record, and of the connected account behind it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from roadcall_payments.domain.fact_parts import Source, TextRef
from roadcall_payments.domain.stripe_objects import AccountStatus, BankAccount, StripeRequest


@dataclass(frozen=True, slots=True)
class VendorRegistered:
    """``contacts`` is the text that holds name, e-mail and phone."""

    vendor_id: str
    stripe_account: str | None
    locale: str
    contacts: TextRef | None
    by: str


@dataclass(frozen=True, slots=True)
class VendorChanged:
    stripe_account: str | None
    locale: str
    contacts: TextRef | None
    by: str


@dataclass(frozen=True, slots=True)
class VendorFeeAgreed:
    """What we keep of this vendor's driver payments: ``bps`` hundredths of a percent and
    ``fixed_cents``, in minor units of the payment's currency. None, both: what is usual."""

    bps: int | None
    fixed_cents: int | None
    by: str


@dataclass(frozen=True, slots=True)
class DebtCapAgreed:
    """How much of one transfer may pay this vendor's debts, in basis points (M22). None: what is
    usual."""

    bps: int | None
    by: str


@dataclass(frozen=True, slots=True)
class PayoutScheduleSet:
    """``daily``: its balance is paid out once a day by itself; else on demand alone."""

    daily: bool
    by: str


@dataclass(frozen=True, slots=True)
class PayoutDayClosed:
    """A day (ISO 8601, UTC) was seen to: ``payouts`` are those made in this look; ``not_made``
    says why there was none, per currency (``usd:below_minimum``) or at all."""

    day: str
    payouts: tuple[str, ...]
    not_made: tuple[str, ...]


# --- opening an account at Stripe --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AccountRequested:
    """The intent, committed before the call, with exactly what will be sent (M4)."""

    attempt: int
    request: StripeRequest
    by: str


@dataclass(frozen=True, slots=True)
class AccountOutcomeUnknown:
    """No proof either way (M5). ``absent``: Stripe's list of accounts was empty of it (M8)."""

    attempt: int
    reason: str
    absent: bool = False
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class AccountRefused:
    """It was not opened, and will not be under this key."""

    attempt: int
    code: str
    message: str
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class VendorAccountOpened:
    account: str
    livemode: bool
    source: Source
    request_id: str | None = None


# --- what Stripe says of it --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AccountStatusChanged:
    """As fetched after the stream was read: a stale event cannot undo it (M15)."""

    account: str
    livemode: bool
    status: AccountStatus
    source: Source


@dataclass(frozen=True, slots=True)
class AccountDisconnected:
    """Stripe shows it to us no more, or never did: its owner withdrew our access."""

    account: str
    livemode: bool
    source: Source


@dataclass(frozen=True, slots=True)
class BankAccountChanged:
    """Where the vendor's payouts go. ``told``: contacts of now and of the last 30 days, whom a
    thief who came first cannot have silenced all. ``replaced``: the account it was before, where
    the vendor's record names another one now."""

    account: str | None
    before: tuple[BankAccount, ...]
    after: tuple[BankAccount, ...]
    told: tuple[TextRef, ...]
    replaced: str | None = None


@dataclass(frozen=True, slots=True)
class RequirementsDeadlineNeared:
    """Somebody is told in time: past ``deadline`` Stripe disables what needs them."""

    account: str
    due: tuple[str, ...]
    deadline: datetime


AccountFact = (
    AccountRequested
    | AccountOutcomeUnknown
    | AccountRefused
    | VendorAccountOpened
    | AccountStatusChanged
    | AccountDisconnected
    | BankAccountChanged
    | RequirementsDeadlineNeared
)

ScheduleFact = PayoutScheduleSet | PayoutDayClosed
VendorFact = (
    VendorRegistered | VendorChanged | VendorFeeAgreed | DebtCapAgreed | ScheduleFact | AccountFact
)
