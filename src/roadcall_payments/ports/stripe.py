"""Stripe and its credentials. Three outcomes, not two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.refund import Refund
from roadcall_payments.domain.settling import ShareParts
from roadcall_payments.domain.stripe_objects import (
    Account,
    BalanceFunds,
    BalanceTransaction,
    CarriedLine,
    Dispute,
    HostedPage,
    PaymentIntent,
    Payout,
    Reversal,
    StripeEvent,
    StripeFailure,
    StripeIdentity,
    StripeObject,
    StripeRequest,
    Transfer,
)
from roadcall_payments.domain.stripe_objects import Refund as StripeRefund
from roadcall_payments.domain.vendor_share import TakeBackDue


@dataclass(frozen=True, slots=True)
class Answered:
    """2xx: it happened. ``replayed``: by an earlier try with the same key."""

    object: StripeObject
    request_id: str | None
    replayed: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Definitely not: a 4xx that proves it (M5), never 401, 403, 409, 429 or idempotency_error.

    ``object`` is the PaymentIntent that a decline leaves behind.
    """

    failure: StripeFailure
    http_status: int
    request_id: str | None
    replayed: bool
    object: PaymentIntent | None = None


class UnknownReason(StrEnum):
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    MALFORMED_ANSWER = "malformed_answer"
    SERVER_ERROR = "server_error"
    # A replayed 500 never turns into a success: look it up at once (M8).
    REPLAYED_SERVER_ERROR = "replayed_server_error"
    IN_FLIGHT = "in_flight"
    RATE_LIMITED = "rate_limited"
    AUTHENTICATION = "authentication"
    PERMISSION = "permission"
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"
    # A 4xx after a try whose fate is unknown proves nothing unless it is a replay (M5).
    UNPROVEN_REFUSAL = "unproven_refusal"
    BREAKER_OPEN = "breaker_open"


@dataclass(frozen=True, slots=True)
class Unknown:
    """No proof either way: the attempt stays open (M5)."""

    reason: UnknownReason
    detail: str
    request_id: str | None = None


Outcome = Answered | Refused | Unknown


@dataclass(frozen=True, slots=True)
class CreatedWindow:
    """A list filter on ``created``, both ends included."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class ReturnAddresses:
    """Where Stripe's onboarding page sends its visitor: ``done`` when leaving it, also with
    things left to give; ``expired`` when the page's address was used or is too old."""

    done: str
    expired: str


class Gateway(Protocol):
    """Stripe. Requests are derived purely, then sent as they are; one retry layer, in here.

    Reads raise StripeUnavailable (also while the breaker is open) or CredentialsRejected.
    """

    async def identity(self) -> StripeIdentity:
        """Account and mode of the live credentials, cached until these change (M18)."""
        ...

    async def connect_enabled(self) -> bool:
        """False refuses transfers before anything is written. Raises CredentialsRejected."""
        ...

    def ensure_available(self) -> None:
        """Ask the breaker before committing an intent (M32). Raises StripeUnavailable."""
        ...

    def refusal_of(self, amount: Money) -> str | None:
        """Why Stripe cannot carry this amount, in words; None when it can."""
        ...

    def refund_refusal_of(self, amount: Money) -> str | None:
        """The same for giving some of a payment back, which knows no smallest amount."""
        ...

    def payout_refusal_of(self, amount: Money) -> str | None:
        """The same for a payout to a bank."""
        ...

    def payable_of(self, available: Money) -> Money:
        """The most of a balance that a payout can carry; nothing of a negative one."""
        ...

    def multiple_of(self, currency: str) -> int:
        """What an amount that we send must be a multiple of, in our minor units (M38)."""
        ...

    # Pure: what would be sent. ``identity`` goes into the stored request (M4, M18).
    def payment_intent_request(
        self, payment: Payment, *, key: str, attempt: int, identity: StripeIdentity
    ) -> StripeRequest: ...
    def confirm_request(
        self, payment: Payment, *, key: str, payment_method: str, identity: StripeIdentity
    ) -> StripeRequest: ...
    def cancel_request(
        self, payment: Payment, *, key: str, identity: StripeIdentity
    ) -> StripeRequest: ...
    def transfer_request(
        self,
        payment: Payment,
        *,
        key: str,
        attempt: int,
        destination: str,
        identity: StripeIdentity,
        set_off: Money | None = None,
    ) -> StripeRequest: ...
    def payout_request(
        self,
        payout_id: str,
        amount: Money,
        *,
        key: str,
        account: str,
        identity: StripeIdentity,
        day: str | None = None,
    ) -> StripeRequest: ...
    def cancel_payout_request(
        self, stripe_payout: str, *, key: str, account: str, identity: StripeIdentity
    ) -> StripeRequest: ...
    def refund_request(
        self, payment: Payment, refund: Refund, *, key: str, identity: StripeIdentity
    ) -> StripeRequest: ...
    def settlement_request(
        self,
        payment: Payment,
        parts: ShareParts,
        *,
        key: str,
        charge: str | None,
        identity: StripeIdentity,
    ) -> StripeRequest: ...
    def reversal_request(
        self, payment: Payment, due: TakeBackDue, *, key: str, identity: StripeIdentity
    ) -> StripeRequest: ...

    def account_request(
        self,
        vendor_id: str,
        country: str | None,
        *,
        key: str,
        attempt: int,
        identity: StripeIdentity,
    ) -> StripeRequest: ...

    async def send(self, request: StripeRequest, *, first_try: bool, budget_s: float) -> Outcome:
        """Send a stored request, with retries under the same key within ``budget_s`` seconds.

        ``first_try`` False: an earlier try of this key may have reached Stripe, so only proof
        counts (M5). Credentials of another account or mode than the request's: Unknown (M18).
        """
        ...

    async def payment_intent(self, intent_id: str) -> PaymentIntent:
        """Raises NotFound."""
        ...

    async def payment_intents(self, created: CreatedWindow) -> Sequence[PaymentIntent]:
        """Everybody's: without Stripe's lines for their charges."""
        ...

    async def transfer(self, transfer_id: str) -> Transfer: ...
    async def transfers(self, transfer_group: str) -> Sequence[Transfer]: ...
    async def transfers_created(self, created: CreatedWindow) -> Sequence[Transfer]: ...
    async def reversals(self, transfer_id: str) -> Sequence[Reversal]: ...
    async def refunds(self, payment_intent: str) -> Sequence[StripeRefund]: ...
    async def dispute(self, dispute_id: str) -> Dispute:
        """With Stripe's lines for it. Raises NotFound."""
        ...

    async def payout(self, account: str, payout_id: str) -> Payout:
        """A payout of a connected account, or of the platform itself. Raises NotFound."""
        ...

    async def carried_lines(self, account: str, payout_id: str) -> Sequence[CarriedLine]:
        """What an *automatic* payout took along, its own line included; of a manual one Stripe
        does not say. Raises NotFound."""
        ...

    async def payouts(self, account: str, created: CreatedWindow) -> Sequence[Payout]: ...
    async def account(self, account_id: str | None = None) -> Account:
        """Our own without an id. Raises NotFound for one that is not connected to us."""
        ...

    async def accounts(self, created: CreatedWindow) -> Sequence[Account]:
        """The connected accounts."""
        ...

    async def onboarding_page(self, account_id: str, returns_to: ReturnAddresses) -> HostedPage:
        """A page of Stripe's on which the account's owner gives what is due; for one visit.

        Raises NotFound, AccountRefused; StripeUnavailable and CredentialsRejected as reads do.
        """
        ...

    async def dashboard_page(self, account_id: str) -> HostedPage:
        """The way into the Express dashboard, for one visit. Raises the same."""
        ...

    async def balance(self, account: str | None = None) -> BalanceFunds: ...
    async def balance_transactions(
        self,
        *,
        source: str | None = None,
        created: CreatedWindow | None = None,
        account: str | None = None,
    ) -> Sequence[BalanceTransaction]:
        """All lines that match; ``account`` reads a connected account's books."""
        ...

    async def events(self, created: CreatedWindow) -> Sequence[StripeEvent]:
        """The account's own events, each with its body; Stripe keeps them for 30 days."""
        ...

    async def verified_event(self, body: bytes, signature: str, *, now: datetime) -> StripeEvent:
        """Check raw body against every live secret (M36, 300 s tolerance) and translate.

        Raises InvalidInput with code ``bad_signature`` or ``bad_event``, and CredentialsRejected
        while no webhook secret is to be had (Stripe delivers again). Waits only where the secrets
        are not yet read, or may have been rolled.
        """
        ...

    def stored_event(self, body: bytes) -> StripeEvent:
        """Translate a body that was verified when it was taken, for a retry from the inbox."""
        ...

    async def reload_credentials(self) -> None:
        """Read the secret source again, now."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """``origin`` says which endpoint signs with it: ``platform`` or ``connect`` (M36)."""

    value: str = field(repr=False)
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class StripeCredentials:
    """The seed's secret: ``apiKey``, ``webhookSecret`` (one or several), ``connectEnabled``."""

    api_key: str = field(repr=False)
    webhook_secrets: tuple[WebhookSecret, ...] = field(repr=False)
    connect_enabled: bool


class SecretSource(Protocol):
    async def stripe_credentials(self) -> StripeCredentials:
        """Read now. Raises CredentialsRejected when there are none, saying what is missing."""
        ...
