"""The parts of Stripe's JSON that we read, typed. What is not named here is skipped unread."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from roadcall_payments.domain.stripe_objects import (
    DisputeStatus,
    IntentStatus,
    PayoutStatus,
    RefundStatus,
)

T = TypeVar("T")

# What we keep by these must fit every store, every log line and our own answers (M37).
Id = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,255}\Z")]
EventType = Annotated[str, Meta(pattern=r"\A[!-~]{1,255}\Z")]

UnixTime = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799)]
"""Seconds since 1970, to the end of year 9999: what a ``datetime`` can hold."""


class WirePaymentMethod(Struct):
    id: str


class WireError(Struct):
    """``error`` of a refusal, and ``last_payment_error`` of a PaymentIntent."""

    type: str
    code: str | None = None
    message: str | None = None
    decline_code: str | None = None
    charge: str | None = None
    payment_method: WirePaymentMethod | None = None
    # Kept raw, so that the error is readable even where its PaymentIntent is not.
    payment_intent: msgspec.Raw = msgspec.Raw()


class WireRefusal(Struct):
    error: WireError


class WireBalanceTransaction(Struct):
    id: str
    object: Literal["balance_transaction"]
    type: str
    amount: int
    fee: int
    net: int
    currency: str
    created: UnixTime
    available_on: UnixTime
    source: str | None = None


class WireCarriedCharge(Struct):
    source_transfer: str | None = None


class WireCarriedSource(Struct):
    """Whatever a line came from: a charge that a transfer made, or a refund of such a charge."""

    source_transfer: str | None = None
    charge: WireCarriedCharge | str | None = None


class WireCarriedLine(Struct):
    id: str
    object: Literal["balance_transaction"]
    type: str
    amount: int
    fee: int
    net: int
    currency: str
    created: UnixTime
    available_on: UnixTime
    source: WireCarriedSource | str | None = None


class WireCharge(Struct):
    id: str
    payment_intent: str | None = None
    balance_transaction: WireBalanceTransaction | str | None = None


class WireNextAction(Struct):
    type: str


class WirePaymentIntent(Struct):
    id: str
    object: Literal["payment_intent"]
    status: IntentStatus
    amount: int
    currency: str
    livemode: bool
    created: UnixTime
    metadata: dict[str, str]
    latest_charge: WireCharge | str | None = None
    last_payment_error: WireError | None = None
    next_action: WireNextAction | None = None
    client_secret: str | None = None


class WireTransfer(Struct):
    id: str
    object: Literal["transfer"]
    amount: int
    amount_reversed: int
    currency: str
    destination: str
    livemode: bool
    created: UnixTime
    metadata: dict[str, str]
    transfer_group: str | None = None
    balance_transaction: WireBalanceTransaction | str | None = None


class WireReversal(Struct):
    id: str
    object: Literal["transfer_reversal"]
    transfer: str
    amount: int
    currency: str
    created: UnixTime
    metadata: dict[str, str] | None = None
    balance_transaction: str | None = None


class WirePayout(Struct):
    id: str
    object: Literal["payout"]
    status: PayoutStatus
    amount: int
    currency: str
    created: UnixTime
    automatic: bool = False
    metadata: dict[str, str] | None = None
    arrival_date: UnixTime | None = None
    failure_code: str | None = None
    failure_message: str | None = None


class WireRefund(Struct):
    id: str
    object: Literal["refund"]
    status: RefundStatus
    amount: int
    currency: str
    created: UnixTime
    metadata: dict[str, str] | None = None
    payment_intent: str | None = None
    charge: str | None = None
    reason: str | None = None
    failure_reason: str | None = None
    balance_transaction: WireBalanceTransaction | str | None = None


class WireEvidenceDetails(Struct):
    due_by: UnixTime | None = None


class WireDispute(Struct):
    id: str
    object: Literal["dispute"]
    charge: str
    status: DisputeStatus
    amount: int
    currency: str
    reason: str
    payment_intent: str | None = None
    evidence_details: WireEvidenceDetails | None = None
    balance_transactions: list[WireBalanceTransaction] = []


class WireCapabilities(Struct):
    transfers: str | None = None
    # What accounts of before 2019 receive transfers by.
    legacy_payments: str | None = None


class WireRequirements(Struct):
    currently_due: list[str] | None = None
    past_due: list[str] | None = None
    eventually_due: list[str] | None = None
    current_deadline: UnixTime | None = None
    disabled_reason: str | None = None


class WireExternalAccount(Struct):
    """A bank account, or a debit card: that has a brand and no bank's name."""

    currency: str
    last4: str
    default_for_currency: bool | None = None
    bank_name: str | None = None
    brand: str | None = None
    fingerprint: str | None = None


class WireExternalAccounts(Struct):
    data: list[WireExternalAccount]


class WireAccount(Struct):
    """An account has no ``livemode``: it is in both modes, and the key says which is meant."""

    id: str
    object: Literal["account"]
    payouts_enabled: bool = False
    charges_enabled: bool = False
    details_submitted: bool = False
    capabilities: WireCapabilities | None = None
    requirements: WireRequirements | None = None
    external_accounts: WireExternalAccounts | None = None
    metadata: dict[str, str] | None = None
    created: UnixTime | None = None


class WireHostedPage(Struct):
    """An account link, or a login link: that one says no end."""

    object: Literal["account_link", "login_link"]
    url: str
    expires_at: UnixTime | None = None


class WireFunds(Struct):
    amount: int
    currency: str


class WireBalance(Struct):
    object: Literal["balance"]
    livemode: bool
    available: list[WireFunds]
    pending: list[WireFunds]


class WireEventData(Struct):
    object: msgspec.Raw


class WireEvent(Struct):
    id: Id
    object: Literal["event"]
    type: EventType
    livemode: bool
    created: UnixTime
    data: WireEventData
    account: Id | None = None


class WireObjectId(Struct):
    """Any object of an event; a few, such as a balance, have no id."""

    id: str | None = None


class WireList(Struct, Generic[T]):
    """One page, newest first."""

    data: list[T]
    has_more: bool
