"""The write set: everything one decision changes, written atomically or not at all (M23)."""

from __future__ import annotations

import hashlib
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

import msgspec

from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.movements import Movements
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.payout import Payout
from roadcall_payments.domain.stray import Stray
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.journal import JournalEntry
from roadcall_payments.sparse_json import SparseJson

STREAMS_MAX = 3
ITEMS_MAX = 90
# Of recently read streams; some kilobytes each.
STATES_KEPT = 512

State = Payment | Vendor | Payout | Stray | Movements

_KINDS: dict[str, type[State]] = {
    "payment": Payment,
    "vendor": Vendor,
    "payout": Payout,
    "stray": Stray,
    "control": Movements,
}
_forms: dict[str, SparseJson[State]] = {kind: SparseJson(state) for kind, state in _KINDS.items()}
_form_of = {state: _forms[kind] for kind, state in _KINDS.items()}


def stream_of(kind: str, own_id: str) -> str:
    """A stream's name: ``payment/0190...``, ``vendor/v_7``."""
    return f"{kind}/{own_id}"


def stream_kind(stream: str) -> str:
    return stream.partition("/")[0]


def encode_state(state: State) -> bytes:
    """Its JSON without what is at its default; one state may be written in several ways."""
    return _form_of[type(state)].encode(state)


@lru_cache(maxsize=STATES_KEPT)
def decode_state(stream: str, data: bytes) -> State:
    """The state of ``stream`` back from its stored JSON.

    One request looks at a payment several times, and mostly finds it as it was: states never
    change, so the same bytes are the same record.
    """
    return _forms[stream_kind(stream)].decode(data)


class StreamWrite(msgspec.Struct, frozen=True):
    """New entries behind ``expected_seq`` (0: a new stream) and the state they fold to.

    ``due_at``: when the worker looks at this stream again; None takes it off the worker's list.
    The store also puts the stream on the relay's list: every entry is published.
    """

    stream: str
    expected_seq: int
    entries: tuple[JournalEntry, ...]
    state: State
    due_at: datetime | None


class RefAdded(msgspec.Struct, frozen=True):
    """A name that leads to a stream: a Stripe object (M14) or a job (M11). Unique while held."""

    key: str
    stream: str


def stripe_ref(account: str, livemode: bool, object_id: str) -> str:
    """The key of a Stripe object (M14): account, mode and id together."""
    return f"stripe:{account}:{'live' if livemode else 'test'}:{object_id}"


def job_ref(incident_id: str, vendor_id: str) -> str:
    """The key that one live payment a job holds (M11)."""
    return f"job:{len(incident_id)}:{incident_id}:{vendor_id}"


def refund_ref(refund_id: str) -> str:
    """The key under which a refund's payment is found."""
    return f"refund:{refund_id}"


def funds_turns_prefix(currency: str) -> str:
    """What the keys of one currency's turns at the platform's funds begin with."""
    return f"funds_turn:{currency}:"


def funds_turn_ref(currency: str, turn: int) -> str:
    """The key that one transfer holds for good, of all that start above a reserve."""
    return f"{funds_turns_prefix(currency)}{turn:012d}"


def payout_day_ref(vendor_id: str, currency: str, day: str) -> str:
    """The key that one payout a day holds, for each vendor and currency."""
    return f"payout_day:{len(vendor_id)}:{vendor_id}:{currency}:{day}"


def former_account_prefix(account: str) -> str:
    """What the keys of the vendors begin with that had this account once."""
    return f"former_account:{account}:"


def former_account_ref(account: str, until: datetime, vendor_id: str) -> str:
    """The key under which a vendor is found by an account that was its until then."""
    micros = int(until.timestamp() * 1_000_000)
    return f"{former_account_prefix(account)}{micros:020d}:{vendor_id}"


def payout_ref(stripe_payout: str) -> str:
    """The key under which a payout of ours is found by Stripe's name of it alone: a bank, and the
    vendor's mail, know no account."""
    return f"payout:{stripe_payout}"


def payouts_prefix(account: str) -> str:
    """What the listing keys of one account's payouts begin with."""
    return f"payout_of:{account}:"


def listed_payout_ref(account: str, created_at: datetime, payout_id: str) -> str:
    """The key under which an account's payouts are listed, in the order of their making."""
    seconds = int(created_at.timestamp())
    return f"{payouts_prefix(account)}{seconds:012d}:{payout_id}"


class InboxStatus(StrEnum):
    """``applied``: took effect. ``kept``: nothing to apply, ever. ``waiting``: to be retried.
    ``review``: retries are used up, a person decides. ``dismissed``: a person put it aside."""

    APPLIED = "applied"
    KEPT = "kept"
    WAITING = "waiting"
    REVIEW = "review"
    DISMISSED = "dismissed"


class InboxEvent(msgspec.Struct, frozen=True):
    """One webhook or incoming event, unique on ``event_id``; ``body`` is the raw bytes."""

    event_id: str
    type: str
    origin: str
    received_at: datetime
    body: bytes
    status: InboxStatus
    reason: str | None = None
    attempts: int = 0
    stream: str | None = None


class InboxInsert(msgspec.Struct, frozen=True):
    """Take an event once; conflicts when ``event_id`` is already there. ``due_at`` when waiting."""

    event: InboxEvent
    due_at: datetime | None = None


class InboxUpdate(msgspec.Struct, frozen=True):
    """The later fate of a waiting event; conflicts unless it is still ``waiting``."""

    event_id: str
    status: InboxStatus
    reason: str | None
    attempts: int
    stream: str | None
    due_at: datetime | None = None


class IdempotencyRecord(msgspec.Struct, frozen=True):
    """What an Idempotency-Key stands for (M31). ``status`` None: still open.

    ``scope`` is caller and route, ``digest`` the request's; ``seq`` is where the stream stood
    at the answer, so that the same body can be folded again.
    """

    scope: str
    key: str
    digest: str
    stream: str
    opened_at: datetime
    status: int | None = None
    seq: int | None = None


class IdempotencyOpened(msgspec.Struct, frozen=True):
    """Conflicts when (scope, key) exists. May be opened and answered in one commit."""

    record: IdempotencyRecord


class IdempotencyAnswered(msgspec.Struct, frozen=True):
    scope: str
    key: str
    status: int
    seq: int


class TextWrite(msgspec.Struct, frozen=True):
    """An erasable text beside the journal (M29); ``salt`` (hex) is erased with it."""

    id: str
    stream: str
    body: str
    salt: str


def text_digest(salt: str, body: str) -> str:
    """What the journal keeps of a text: hex SHA-256, no use for guessing once the salt is gone."""
    return hashlib.sha256((salt + body).encode()).hexdigest()


class NoticeInsert(msgspec.Struct, frozen=True):
    """A notice to send, once per ``id`` (event, channel, recipient): a repeat is no conflict.

    ``params`` is JSON of ids and amounts; the recipient's address is looked up when sending.
    """

    id: str
    stream: str
    channel: str
    recipient: str
    template: str
    params: str
    due_at: datetime


class Commit(msgspec.Struct, frozen=True):
    """One decision's whole write set: at most 3 streams and 90 items (M28)."""

    streams: tuple[StreamWrite, ...] = ()
    refs_added: tuple[RefAdded, ...] = ()
    refs_removed: tuple[str, ...] = ()
    inbox: InboxInsert | InboxUpdate | None = None
    idempotency: IdempotencyOpened | IdempotencyAnswered | None = None
    texts: tuple[TextWrite, ...] = ()
    notices: tuple[NoticeInsert, ...] = ()

    def __post_init__(self) -> None:
        if len(self.streams) > 1:
            _must_be_few_and_apart(self.streams)
        if self.items > ITEMS_MAX:
            raise BrokenInvariant(f"A commit writes at most {ITEMS_MAX} items (M28).")
        for write in self.streams:
            _must_follow(write)

    @property
    def items(self) -> int:
        """Rows written: per entry itself and its postings, per stream its state and work."""
        items = len(self.refs_added) + len(self.refs_removed) + len(self.texts)
        items += 2 * len(self.notices)
        for write in self.streams:
            items += 3
            for entry in write.entries:
                items += 1 + len(entry.postings)
        return items + 2 * (self.inbox is not None) + 2 * (self.idempotency is not None)


def _must_be_few_and_apart(writes: tuple[StreamWrite, ...]) -> None:
    if len(writes) > STREAMS_MAX:
        raise BrokenInvariant(f"A commit touches at most {STREAMS_MAX} streams (M28).")
    if len({write.stream for write in writes}) != len(writes):
        raise BrokenInvariant("A commit names a stream once.")


def _must_follow(write: StreamWrite) -> None:
    seq = write.expected_seq
    for entry in write.entries:
        seq += 1
        if entry.stream != write.stream:
            raise BrokenInvariant(f"An entry of another stream is written to {write.stream}.")
        if entry.seq != seq:
            raise BrokenInvariant(f"The entries of {write.stream} do not follow {seq - 1}.")
    if not write.entries:
        raise BrokenInvariant(
            f"Entries that do not follow {seq} of {write.stream}: there are none."
        )


class Unique(StrEnum):
    """Which uniqueness a commit lost."""

    STREAM = "stream"
    REF = "ref"
    INBOX = "inbox"
    IDEMPOTENCY = "idempotency"


class Committed(msgspec.Struct, frozen=True):
    """All of it is durable."""


class Conflict(msgspec.Struct, frozen=True):
    """None of it is there, proved by reading what stands in its place (M24)."""

    unique: Unique
    key: str


class CommitUnknown(msgspec.Struct, frozen=True):
    """The connection was lost at COMMIT and reading did not answer either (M24)."""

    reason: str


CommitResult = Committed | Conflict | CommitUnknown
