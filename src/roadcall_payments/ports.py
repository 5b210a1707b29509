"""What the core asks of the outside: storage, Stripe, a bus, notices, secrets, time.

Every adapter of a port passes that port's contract suite in ``tests/contracts``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from roadcall_payments.commit import (
    Commit,
    CommitResult,
    IdempotencyRecord,
    InboxEvent,
    InboxStatus,
    NoticeInsert,
    State,
)
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment, Risk, Status
from roadcall_payments.domain.stripe_objects import (
    Account,
    BalanceFunds,
    BalanceTransaction,
    PaymentIntent,
    Payout,
    Refund,
    Reversal,
    StripeEvent,
    StripeFailure,
    StripeIdentity,
    StripeObject,
    StripeRequest,
    Transfer,
)
from roadcall_payments.journal import Head, JournalEntry
from roadcall_payments.ledger.posting_rules import Posting

T = TypeVar("T")

# --- time and chance ---------------------------------------------------------------------------


class Clock(Protocol):
    """The only source of time. ``now`` is UTC; ``monotonic`` is seconds and never jumps back."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...


class Ids(Protocol):
    """The only source of chance."""

    def uuid7(self) -> str: ...
    def salt(self) -> str:
        """16 random bytes in hex, for digests of personal data (M29)."""
        ...

    def fraction(self) -> float:
        """Uniform in [0, 1), for jitter."""
        ...


# --- the store ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Loaded:
    """A stream as it stands, read consistently."""

    head: Head
    state: State


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """``next_cursor`` is opaque; None on the last page."""

    items: tuple[T, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class PaymentQuery:
    """Newest first; filters are joined by AND; ``limit`` 1 to 100 (M28)."""

    company_id: str | None = None
    vendor_id: str | None = None
    driver_id: str | None = None
    incident_id: str | None = None
    status: Status | None = None
    payer_type: PayerType | None = None
    flagged: bool | None = None
    on_review: bool | None = None
    cursor: str | None = None
    limit: int = 50


class Queue(StrEnum):
    """The worker's lists. Keys: a stream, a stream, an inbox event id, a notice id."""

    OUTBOX = "outbox"
    ATTENTION = "attention"
    INBOX = "inbox"
    NOTICES = "notices"


@dataclass(frozen=True, slots=True)
class Claim:
    """A piece of work held by one worker until ``leased_until``.

    ``attempts`` counts earlier tries. ``published_seq`` (outbox only): entries up to it are out.
    A claim is spent when its lease was taken over, or when a commit has rewritten the row.
    """

    queue: Queue
    key: str
    attempts: int
    due_at: datetime
    lease: str
    leased_until: datetime
    published_seq: int = 0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Work that is parked until a person redrives it. A dead letter parks its stream (M27)."""

    queue: Queue
    key: str
    attempts: int
    parked_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class QueueAge:
    """``oldest_due_at``: the due time of the oldest piece that waits; None when empty."""

    queue: Queue
    waiting: int
    parked: int
    oldest_due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Notice:
    """A stored notice: what to send, and what became of it."""

    insert: NoticeInsert
    sent_at: datetime | None = None
    provider_id: str | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """One stream's row as the store keeps it, for ``verify``: encoded state and query columns."""

    stream: str
    head: Head
    state: bytes
    due_at: datetime | None


class Store(Protocol):
    """One write path, many reads. Raises StoreUnavailable when the database cannot be reached."""

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitResult]:
        """Write independent commits durably, one result each, in order.

        One commit's conflict never spoils its neighbours (M23). Concurrent callers share one
        durable write.
        """
        ...

    # streams
    async def load(self, stream: str) -> Loaded | None: ...
    async def journal(
        self, stream: str, after_seq: int = 0, limit: int = 1000
    ) -> Sequence[JournalEntry]: ...
    async def resolve(self, ref_key: str) -> str | None:
        """The stream that a ref leads to."""
        ...

    async def streams(self, after: str = "", limit: int = 500) -> Sequence[Stored]:
        """All streams in the order of their names, a page after ``after``, for ``verify``."""
        ...

    # queries
    async def payments(self, query: PaymentQuery) -> Page[Payment]:
        """Raises InvalidInput("cursor") for a cursor this store did not make."""
        ...

    async def payment_faults(self, stream: str) -> Sequence[str]:
        """What in the stream's rows beside the journal (projection columns, stored postings,
        work row) disagrees with its stored state and entries; empty when all agree."""
        ...

    async def orphans(self) -> Sequence[str]:
        """Rows that belong to no stream, in words: what a stream that vanished leaves behind."""
        ...

    async def vendor_was_paid(self, vendor_id: str) -> bool:
        """Whether any payment to this vendor ever completed."""
        ...

    async def balances(self, book: str | None = None) -> Sequence[Posting]:
        """Sums of all postings per (book, account, currency), zeros left out, sorted."""
        ...

    async def texts(self, ids: Sequence[str]) -> dict[str, str]:
        """Bodies of texts by id; erased and unknown ones are absent."""
        ...

    async def text_digests(self, ids: Sequence[str]) -> dict[str, str]:
        """``text_digest`` of salt and body as they are stored now, for ``verify``; erased and
        unknown texts are absent."""
        ...

    async def idempotency(self, scope: str, key: str) -> IdempotencyRecord | None: ...
    async def inbox_event(self, event_id: str) -> InboxEvent | None: ...
    async def inbox_events(
        self, status: InboxStatus | None, cursor: str | None, limit: int
    ) -> Page[InboxEvent]: ...
    async def notice(self, notice_id: str) -> Notice | None: ...

    # the worker's lists
    async def claim(
        self, queue: Queue, *, now: datetime, lease_s: int, limit: int, worker: str
    ) -> Sequence[Claim]:
        """Lease due work, oldest first; nobody else is given it until the lease ends."""
        ...

    async def finish(self, claim: Claim, *, published_seq: int | None = None) -> None:
        """Done. For the outbox: up to ``published_seq``; the stream stays listed when entries
        were added meanwhile. A spent claim changes nothing."""
        ...

    async def postpone(
        self, claim: Claim, *, due_at: datetime, reason: str, published_seq: int | None = None
    ) -> None:
        """Try again at ``due_at``, with one more attempt counted. A spent claim changes nothing."""
        ...

    async def park(self, claim: Claim, *, now: datetime, reason: str) -> None:
        """Make it a dead letter."""
        ...

    async def dead_letters(self, queue: Queue | None = None) -> Sequence[DeadLetter]: ...
    async def redrive(self, queue: Queue, key: str, *, now: datetime) -> bool:
        """Put a dead letter back, due now, attempts at zero. False when there is none."""
        ...

    async def notice_sent(self, notice_id: str, *, at: datetime, provider_id: str) -> None: ...
    async def queue_ages(self) -> Sequence[QueueAge]: ...

    # limits shared between processes (M35)
    async def count_request(self, caller: str, window: int) -> int:
        """Count one request of ``caller`` in window number ``window``; how many it now has.
        Need not be durable."""
        ...

    # life
    async def ready(self) -> None:
        """Raises StoreUnavailable, with the reason, unless reads and writes work."""
        ...

    async def close(self) -> None: ...


# --- Stripe ------------------------------------------------------------------------------------


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
    ) -> StripeRequest: ...
    def payout_request(
        self, payout_id: str, amount: Money, *, key: str, account: str, identity: StripeIdentity
    ) -> StripeRequest: ...
    def refund_request(
        self, payment: Payment, amount: Money, *, refund_id: str, key: str, identity: StripeIdentity
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

    async def payment_intents(self, created: CreatedWindow) -> Sequence[PaymentIntent]: ...
    async def transfer(self, transfer_id: str) -> Transfer: ...
    async def transfers(self, transfer_group: str) -> Sequence[Transfer]: ...
    async def reversals(self, transfer_id: str) -> Sequence[Reversal]: ...
    async def refunds(self, payment_intent: str) -> Sequence[Refund]: ...
    async def payouts(self, account: str, created: CreatedWindow) -> Sequence[Payout]: ...
    async def account(self, account_id: str | None = None) -> Account: ...
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

    async def events(self, created: CreatedWindow) -> Sequence[StripeEvent]: ...

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


# --- events, notices, risk ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OutgoingEvent:
    """An entry as the world sees it. ``detail`` is JSON: the fact, in camelCase, without secrets.

    Consumers order by (stream, seq) and drop what they know by ``event_id`` (M27).
    """

    event_id: str
    name: str
    stream: str
    seq: int
    at: datetime
    detail: str
    source: str = "roadcall.payment-service"


class EventBus(Protocol):
    async def publish(self, events: Sequence[OutgoingEvent]) -> None:
        """All of them, in order, or an exception: then all are published again."""
        ...


class Channel(StrEnum):
    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"


@dataclass(frozen=True, slots=True)
class NoticeDetails:
    """What a notice may say. ``vendor_name`` is looked up when sending, never stored with it."""

    payment_id: str | None = None
    incident_id: str | None = None
    vendor_id: str | None = None
    vendor_name: str | None = field(default=None, repr=False)
    payer_type: PayerType | None = None
    amount: Money | None = None
    code: str | None = None
    message: str | None = None
    reasons: tuple[str, ...] = ()
    retryable: bool = False
    account: str | None = None
    object_id: str | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """``subject`` and ``html`` are for e-mail alone."""

    text: str
    subject: str = ""
    html: str | None = None


class NoticeTemplates(Protocol):
    def render(
        self, template: str, channel: Channel, locale: str, details: NoticeDetails
    ) -> Rendered:
        """The notice in the reader's language, English where that is lacking. Raises FinalError
        for a template that does not exist."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """What a person gets, and where; ``notice_id`` lets a repeat be recognised."""

    to: str = field(repr=False)
    content: Rendered = field(repr=False)
    notice_id: str


class Notifier(Protocol):
    async def send(self, message: Message) -> str:
        """The provider's message id. Raises TransientError or FinalError."""
        ...


@dataclass(frozen=True, slots=True)
class ScoringInput:
    payment: Payment
    first_payment_to_vendor: bool


class FraudScorer(Protocol):
    async def score(self, scoring: ScoringInput) -> Risk: ...
