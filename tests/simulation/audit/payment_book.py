"""One payment as its journal tells it to an auditor: decided, sent, booked. Its own fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.simulation.audit import journal_facts as facts
from tests.simulation.audit.debts import SetOffStart
from tests.simulation.audit.journal_facts import Fact
from tests.simulation.audit.money_back import MoneyBack
from tests.simulation.audit.settlements import Settlement
from tests.simulation.audit.violations import Violation

# Where a fact leaves the payment; other facts leave it where it is.
STATUS_AFTER: Mapping[str, str] = {
    "PaymentCreated": "pending_approval",
    "ReviewBlocked": "rejected",
    "PaymentRejected": "rejected",
    "PaymentApproved": "approved",
    "PaymentRetried": "approved",
    "TransferQueued": "approved",
    "ProcessingStarted": "processing",
    "AttemptAdopted": "processing",
    "PaymentIntentOpened": "processing",
    "ConfirmationStarted": "processing",
    "ActionRequired": "processing",
    "CancelRequested": "processing",
    "CancelRefused": "processing",
    "OutcomeUnknown": "processing",
    "PaymentFailed": "failed",
    "AttemptVoided": "failed",
    "PaymentCancelled": "cancelled",
    "PaymentCompleted": "completed",
}
ENDS = frozenset({"rejected", "cancelled", "completed"})
# What never means failed, as codes of Stripe's and as the service's own words for it (M5).
PROVES_NOTHING = frozenset(
    "authentication authentication_error api_key_expired permission rate_limit rate_limited "
    "lock_timeout idempotency_error idempotency_mismatch idempotency_key_in_use in_flight "
    "api_error server_error replayed_server_error timeout connection malformed_answer".split()
)
_STRIPE_NEXT = frozenset(
    {"ProcessingStarted", "AttemptAdopted", "ConfirmationStarted", "CancelRequested"}
)


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was committed before it was made: ``at`` is when. ``set_off``: by how much the
    transfer is less than the payment, in minor units (M22)."""

    key: str
    at: datetime
    account: str
    livemode: bool
    destination: str | None
    params: str
    set_off: int = 0


@dataclass(slots=True)
class PaymentBook:
    """``attempts``, ``confirmations``, ``cancellations``: the calls by idempotency key;
    ``adopted``: those that a restore lost, by the id of what Stripe has of them."""

    created: facts.Created
    status: str = "pending_approval"
    awaiting: str | None = None
    destination: str | None = None
    flagged: bool | None = None
    attempts: dict[str, Call] = field(default_factory=dict)
    adopted: dict[str, Call] = field(default_factory=dict)
    confirmations: dict[str, Call] = field(default_factory=dict)
    cancellations: dict[str, Call] = field(default_factory=dict)
    intents: list[str] = field(default_factory=list)
    completed: list[facts.Completed] = field(default_factory=list)
    strays: list[facts.Stray] = field(default_factory=list)
    booked: list[facts.Booked] = field(default_factory=list)
    reversed: list[facts.Reversed] = field(default_factory=list)
    money_back: MoneyBack = field(default_factory=MoneyBack)
    settlement: Settlement = field(default_factory=Settlement)
    types: list[str] = field(default_factory=list)
    # The attempt that waits for its object, and those that ended without one, with their end.
    open_attempt: str | None = None
    given_up: dict[str, str] = field(default_factory=dict)
    given_up_at: dict[str, datetime] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.created.payment_id

    @property
    def by_card(self) -> bool:
        return self.created.payer_type == "driver_ic"

    @property
    def opening_keys(self) -> Sequence[str]:
        return tuple(self.attempts)

    def violated(self, rule: str, sentence: str) -> None:
        self.violations.append(Violation(rule, self.id, sentence))

    def add(self, fact: Fact) -> None:
        self.types.append(fact.type)
        self._move(fact)
        note = _NOTES.get(fact.type)
        if note is not None:
            note(self, fact)
        self.money_back.add(fact, self.created.amount)
        self.settlement.add(fact, self.money_back, self.created.amount, self.id)

    def _move(self, fact: Fact) -> None:
        after = STATUS_AFTER.get(fact.type)
        if after is None:
            return
        if self.status in ENDS:
            self.violated("M16", f"{fact.type} came after it was {self.status}")
        self.status = after
        self.awaiting = "stripe" if fact.type in _STRIPE_NEXT else None


def payment_book(stream: str, told: Sequence[Fact]) -> PaymentBook:
    """Raises ValueError for a payment's stream that does not begin with its creation."""
    if not told or told[0].type != "PaymentCreated":
        raise ValueError(f"{stream} does not begin with PaymentCreated.")
    book = PaymentBook(told[0].read(facts.Created), types=["PaymentCreated"])
    for fact in told[1:]:
        book.add(fact)
    return book


Note = Callable[[PaymentBook, Fact], None]


def set_offs_of(book: PaymentBook) -> list[SetOffStart]:
    """Its transfers that were to be less by what their vendor owes (M22)."""
    vendor = book.created.vendor_id
    shares = [
        SetOffStart(one.key, book.id, vendor, one.set_off, one.at, one.status, one.failed_at)
        for one in book.settlement.keys.values()
        if one.set_off and one.key is not None
    ]
    attempts = [
        SetOffStart(one.key, book.id, vendor, one.set_off, one.at, *_end_of(book, one.key))
        for one in book.attempts.values()
        if one.set_off
    ]
    return shares + attempts + _adopted_set_offs(book)


def _adopted_set_offs(book: PaymentBook) -> list[SetOffStart]:
    """Of those that a restore lost the start of (M18)."""
    vendor = book.created.vendor_id
    calls = [
        SetOffStart(
            one.key, book.id, vendor, one.set_off, one.at, *_end_of(book, one.key), adopted=True
        )
        for one in book.adopted.values()
        if one.set_off
    ]
    shares = [
        SetOffStart(
            one.adopted_as, book.id, vendor, one.set_off, one.at, one.status, None, adopted=True
        )
        for one in book.settlement.shares.values()
        if one.set_off and one.adopted_as is not None
    ]
    return calls + shares


def _end_of(book: PaymentBook, key: str) -> tuple[str, datetime | None]:
    if key in book.given_up_at:
        return "failed", book.given_up_at[key]
    return ("open" if key == book.open_attempt else "completed"), None


def _scored(book: PaymentBook, fact: Fact) -> None:
    book.flagged = fact.read(facts.Scored).flagged


def _cleared(book: PaymentBook, _: Fact) -> None:
    book.flagged = False


def _approved(book: PaymentBook, fact: Fact) -> None:
    book.destination = fact.read(facts.Approved).destination
    if book.flagged is not False:
        seen = "flagged" if book.flagged else "not scored"
        book.violated("M12", f"it was approved while it was {seen}")
    if fact.actor == book.created.created_by:
        book.violated("M10", f"{fact.actor} approved what they had created")


def _called(calls: dict[str, Call], book: PaymentBook, fact: Fact) -> None:
    started = fact.read(facts.Started)
    sent = started.request
    if sent.idempotency_key in calls:
        book.violated("M4", f"two intents share the key {sent.idempotency_key}")
    calls[sent.idempotency_key] = Call(
        sent.idempotency_key,
        fact.at,
        sent.account,
        sent.livemode,
        started.destination,
        sent.params,
        started.set_off.amount_cents if started.set_off else 0,
    )


def _started(book: PaymentBook, fact: Fact) -> None:
    _called(book.attempts, book, fact)
    started = fact.read(facts.Started)
    book.open_attempt = started.request.idempotency_key
    named = started.destination
    if not book.by_card and book.destination not in (None, named):
        book.violated("M10", f"{book.destination} was approved, {named} is paid")


def _adopted(book: PaymentBook, fact: Fact) -> None:
    """A restore lost its intent: what was sent then is not known, when it was made is."""
    adopted = fact.read(facts.Adopted)
    sent = adopted.request
    call = Call(
        sent.idempotency_key,
        adopted.started_at,
        sent.account,
        sent.livemode,
        adopted.destination,
        sent.params,
        adopted.set_off.amount_cents if adopted.set_off else 0,
    )
    book.adopted[adopted.object_id] = call
    book.open_attempt = sent.idempotency_key


def _confirmed(book: PaymentBook, fact: Fact) -> None:
    _called(book.confirmations, book, fact)


def _cancel_requested(book: PaymentBook, fact: Fact) -> None:
    _called(book.cancellations, book, fact)


def _opened(book: PaymentBook, fact: Fact) -> None:
    book.awaiting = "payer"
    book.open_attempt = None
    book.intents.append(fact.read(facts.Opened).payment_intent)


def _action_required(book: PaymentBook, _: Fact) -> None:
    book.awaiting = "payer"


def _waits(book: PaymentBook, fact: Fact) -> None:
    book.awaiting = fact.read(facts.Waits).awaiting


def _gave_up(book: PaymentBook, fact: Fact) -> None:
    code = fact.read(facts.Failed).code
    if code in PROVES_NOTHING:
        book.violated("M5", f"{fact.type} for {code}, which proves nothing")
    if book.open_attempt is not None:
        book.given_up[book.open_attempt] = fact.type
        book.given_up_at[book.open_attempt] = fact.at
        book.open_attempt = None


def _queued(book: PaymentBook, fact: Fact) -> None:
    """Refused for want of funds: another attempt comes under a key of its own."""
    if book.open_attempt is not None:
        book.given_up[book.open_attempt] = fact.type
        book.given_up_at[book.open_attempt] = fact.at
        book.open_attempt = None


def _completed(book: PaymentBook, fact: Fact) -> None:
    book.open_attempt = None
    book.completed.append(fact.read(facts.Completed))


def _strayed(book: PaymentBook, fact: Fact) -> None:
    book.strays.append(fact.read(facts.Stray))


def _booked(book: PaymentBook, fact: Fact) -> None:
    book.booked.append(fact.read(facts.Booked))


def _reversed(book: PaymentBook, fact: Fact) -> None:
    book.reversed.append(fact.read(facts.Reversed))


_NOTES: Mapping[str, Note] = {
    "PaymentScored": _scored,
    "ReviewCleared": _cleared,
    "PaymentApproved": _approved,
    "ProcessingStarted": _started,
    "AttemptAdopted": _adopted,
    "ConfirmationStarted": _confirmed,
    "CancelRequested": _cancel_requested,
    "PaymentIntentOpened": _opened,
    "ActionRequired": _action_required,
    "OutcomeUnknown": _waits,
    "CancelRefused": _waits,
    "PaymentFailed": _gave_up,
    "AttemptVoided": _gave_up,
    "TransferQueued": _queued,
    "PaymentCompleted": _completed,
    "StrayMoneyObserved": _strayed,
    "BalanceTransactionBooked": _booked,
    "TransferReversed": _reversed,
}
