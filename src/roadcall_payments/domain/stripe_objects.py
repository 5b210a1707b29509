"""What we send to Stripe and what Stripe says, in our own words.

``stripe_gateway/mapping.py`` translates; nothing further in ever sees Stripe's own types.
Amounts are in our minor units (ISO 4217), already converted from Stripe's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from roadcall_payments.domain.money import Money
from roadcall_payments.domain.records import quickly_made


class Operation(StrEnum):
    """The POSTs we make, by what they do."""

    CREATE_PAYMENT_INTENT = "payment_intent.create"
    CONFIRM_PAYMENT_INTENT = "payment_intent.confirm"
    CANCEL_PAYMENT_INTENT = "payment_intent.cancel"
    CREATE_TRANSFER = "transfer.create"
    CREATE_PAYOUT = "payout.create"
    CANCEL_PAYOUT = "payout.cancel"
    CREATE_REFUND = "refund.create"
    CREATE_REVERSAL = "transfer_reversal.create"
    CREATE_ACCOUNT = "account.create"


@dataclass(frozen=True, slots=True)
class StripeIdentity:
    """The account our credentials speak for, learned at each credential load (M18)."""

    account: str
    livemode: bool


@quickly_made
@dataclass(frozen=True, slots=True)
class StripeRequest:
    """One POST, exactly as it was decided and will be repeated (M4).

    ``params`` is canonical JSON of the form parameters. ``account`` and ``livemode`` are the
    credentials' own; ``connected_account`` is the ``Stripe-Account`` header where one is sent.
    """

    operation: Operation
    path: str
    params: str
    idempotency_key: str
    account: str
    livemode: bool
    api_version: str
    connected_account: str | None = None


class IntentStatus(StrEnum):
    """Stripe's PaymentIntent statuses."""

    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CONFIRMATION = "requires_confirmation"
    REQUIRES_ACTION = "requires_action"
    REQUIRES_CAPTURE = "requires_capture"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class StripeFailure:
    """Why Stripe refused. ``message`` is Stripe's, for people; branch on the codes."""

    code: str
    message: str
    decline_code: str | None = None
    charge_id: str | None = None
    payment_method_id: str | None = None


@dataclass(frozen=True, slots=True)
class BalanceTransaction:
    """One line of a Stripe account's own books. ``net`` = ``amount`` - ``fee``."""

    id: str
    type: str
    source: str | None
    amount: Money
    fee: Money
    net: Money
    created: datetime
    available_on: datetime


@quickly_made
@dataclass(frozen=True, slots=True)
class PaymentIntent:
    id: str
    status: IntentStatus
    amount: Money
    livemode: bool
    created: datetime
    metadata: Mapping[str, str]
    latest_charge: str | None = None
    failure: StripeFailure | None = None
    next_action: str | None = None
    balance_transaction: BalanceTransaction | None = None
    # Never stored, logged or published; repr=False keeps it out of tracebacks too.
    client_secret: str | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Reversal:
    id: str
    transfer: str
    amount: Money
    created: datetime
    balance_transaction: str | None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Transfer:
    id: str
    amount: Money
    destination: str
    livemode: bool
    created: datetime
    metadata: Mapping[str, str]
    transfer_group: str | None
    amount_reversed: Money
    balance_transaction: BalanceTransaction | None = None


class PayoutStatus(StrEnum):
    """Stripe's. ``paid`` may still become ``failed``."""

    PENDING = "pending"
    IN_TRANSIT = "in_transit"
    PAID = "paid"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Payout:
    """``automatic``: Stripe's own schedule made it."""

    id: str
    status: PayoutStatus
    amount: Money
    arrival_date: datetime | None
    failure_code: str | None
    failure_message: str | None
    created: datetime
    automatic: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CarriedLine:
    """A line of a connected account's books that an automatic payout took to the bank.

    ``transfer``: the platform's transfer behind it, or behind what it takes back.
    """

    line: BalanceTransaction
    transfer: str | None

    @property
    def id(self) -> str:
        return self.line.id


class RefundStatus(StrEnum):
    """Stripe's. ``succeeded`` may still become ``failed``."""

    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Refund:
    """``drawn``: Stripe's books have a line for it; ``balance_transaction`` where it came along."""

    id: str
    status: RefundStatus
    amount: Money
    created: datetime
    metadata: Mapping[str, str]
    payment_intent: str | None
    charge: str | None
    reason: str | None = None
    failure_reason: str | None = None
    drawn: bool = False
    balance_transaction: BalanceTransaction | None = None


class DisputeStatus(StrEnum):
    """Stripe's. Those with ``warning`` are inquiries: the bank asks, and takes nothing yet."""

    WARNING_NEEDS_RESPONSE = "warning_needs_response"
    WARNING_UNDER_REVIEW = "warning_under_review"
    WARNING_CLOSED = "warning_closed"
    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"
    PREVENTED = "prevented"


@dataclass(frozen=True, slots=True)
class Dispute:
    """``lines`` are what Stripe's books took and gave back for it."""

    id: str
    charge: str
    payment_intent: str | None
    amount: Money
    reason: str
    status: DisputeStatus
    evidence_due: datetime | None
    lines: tuple[BalanceTransaction, ...]


@dataclass(frozen=True, slots=True)
class Charge:
    """What an event about a charge says of it: where to look for its refunds."""

    id: str
    payment_intent: str | None


@dataclass(frozen=True, slots=True)
class BankAccount:
    """Where an account's payouts of one currency go. Without Stripe's id of it, which changes
    when the same bank account is named again."""

    currency: str
    last4: str
    bank_name: str | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Requirements:
    """What an account's owner still has to give, by Stripe's names; due at ``deadline``."""

    currently_due: tuple[str, ...] = ()
    past_due: tuple[str, ...] = ()
    eventually_due: tuple[str, ...] = ()
    deadline: datetime | None = None
    disabled_reason: str | None = None


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """What an account may do. ``transfers`` is the capability's status at Stripe; None where it
    was never asked for. ``banks``: the default one of each currency, by currency."""

    transfers: str | None
    payouts_enabled: bool
    charges_enabled: bool = False
    details_submitted: bool = False
    requirements: Requirements = Requirements()
    banks: tuple[BankAccount, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """An account has no mode: it is in both, and the key that asked says which is meant."""

    id: str
    status: AccountStatus
    created: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HostedPage:
    """A page of Stripe's for one visitor. Who holds the address acts as the account's owner: it
    is given to its owner, and never stored, logged or published."""

    url: str = field(repr=False)
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class BalanceFunds:
    """A Stripe account's balance per currency, from ``GET /v1/balance``."""

    available: tuple[Money, ...]
    pending: tuple[Money, ...]


StripeObject = PaymentIntent | Transfer | Reversal | Payout | Refund | Dispute | Charge | Account


@quickly_made
@dataclass(frozen=True, slots=True)
class StripeEvent:
    """A verified webhook event.

    ``connected_account`` is set on Connect events (M14). ``payload`` is the translated object of
    the event types we apply; None for types we only keep. ``untranslatable`` says why an object
    that we should apply could not be translated (a status we do not know, say): such an event
    is genuine and waits in the inbox with this reason (M19), until we learn to read it.
    """

    id: str
    type: str
    livemode: bool
    created: datetime
    connected_account: str | None
    object_id: str | None
    payload: StripeObject | None
    untranslatable: str | None = None
    # Of an event that was listed: as a webhook would have brought it.
    body: bytes = field(default=b"", repr=False, compare=False)
