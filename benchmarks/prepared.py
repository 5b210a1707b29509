"""Payments in the middle of their life, made by the million: one true payment, copied by SQL.

The first goes through the service's own store, fact by fact. The copies are its rows with other
ids, so that they have every column, index and length of real ones. Only their hashes are the
first one's: no figure depends on them, and ``verify`` would say so.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from benchmarks.identifiers import ACCOUNT, DIGEST_MARK, NUMBER_MARK, payment_id, stripe_id
from benchmarks.stripe_events import AMOUNT
from roadcall_payments.commit import Commit, Committed, StreamWrite, encode_state, stream_of
from roadcall_payments.domain import events as e
from roadcall_payments.domain import payment_fold
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Patience, Payment, due_at
from roadcall_payments.domain.stripe_objects import StripeIdentity
from roadcall_payments.journal import Head, JournalEntry, seal
from roadcall_payments.ports import Queue, Store
from roadcall_payments.stripe_gateway.requests import Redirects, payment_intent_request
from roadcall_payments.workflows.refs import refs_added

COMPANY = "c_example"
# Payments live side by side: so many have their first fact before one of them has its second. Row
# after row of one payment would leave each page of the journal with a hole that fits a later fact,
# and each webhook would write into an old page (0227).
LIVE_AT_ONCE = 1_000
_AT = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
_MARKED_INTENT = f"pi_{DIGEST_MARK}"
_MARKED_ID = payment_id(0)[:24] + NUMBER_MARK


class Stage(StrEnum):
    """How far the prepared payments have come."""

    APPROVED = "approved"
    AWAITS_SUCCESS = "processing"
    COMPLETED = "completed"


def _facts(stage: Stage) -> Sequence[e.PaymentFact]:
    amount = Money(AMOUNT, "usd")
    items = (
        e.LineItem("tow", 1, 9_500, 9_500),
        e.LineItem("mileage", 20, 150, 3_000),
    )
    created = e.PaymentCreated(
        payment_id=_MARKED_ID,
        company_id=COMPANY,
        incident_id=f"in_{NUMBER_MARK}",
        vendor_id="v_example",
        driver_id="d_example",
        payer_type=e.PayerType.DRIVER_IC,
        amount=amount,
        line_items=items,
        description=None,
        created_by="service:service-example",
    )
    approver = "dispatcher:dispatcher-example"
    before: list[e.PaymentFact] = [
        created,
        e.PaymentScored(20, "low", ("first payment to this vendor",), False, "rules"),
        e.PaymentApproved((e.Approval(approver, "dispatcher"),), None),
    ]
    if stage is Stage.APPROVED:
        return before
    request = payment_intent_request(
        _folded(before),
        key=f"payment_{_MARKED_ID}",
        attempt=1,
        identity=StripeIdentity(ACCOUNT, False),
        redirects=Redirects(),
    )
    before += [
        e.ProcessingStarted(1, request, None, "service:service-example"),
        e.PaymentIntentOpened(1, _MARKED_INTENT, ACCOUNT, False, e.Source.ANSWER, "req_Bench01"),
    ]
    return [*before, _completed(_folded(before))] if stage is Stage.COMPLETED else before


def _completed(before: Payment) -> e.PaymentCompleted:
    return e.PaymentCompleted(
        attempt=1,
        payer_type=e.PayerType.DRIVER_IC,
        object_id=_MARKED_INTENT,
        amount=before.amount,
        account=ACCOUNT,
        livemode=False,
        company_id=before.company_id,
        vendor_id=before.vendor_id,
        source=e.Source.WEBHOOK,
        charge_id=f"ch_{DIGEST_MARK}",
    )


def _folded(facts: Sequence[e.PaymentFact]) -> Payment:
    payment: Payment | None = None
    for fact in facts:
        payment = payment_fold.apply(payment, fact, _AT)
    assert payment is not None
    return payment


def completion() -> tuple[JournalEntry, bytes]:
    """The journal entry and the state that the awaited success brings, as stored."""
    before = _folded(_facts(Stage.AWAITS_SUCCESS))
    done = _completed(before)
    stream, event_id = stream_of("payment", _MARKED_ID), payment_id(0)
    (entry,) = seal(stream, Head(5), [done], at=_AT, actor="system:stripe", event_ids=[event_id])
    return entry, encode_state(payment_fold.apply(before, done, _AT))


async def write_template(store: Store, stage: Stage) -> None:
    """Write the one payment that all others are copied from. Its ids are marks."""
    facts, stream = _facts(stage), stream_of("payment", _MARKED_ID)
    after = _folded(facts)
    event_ids = [f"0190000{n:x}-0000-7000-9000-{NUMBER_MARK}" for n in range(len(facts))]
    entries = seal(stream, Head(), facts, at=_AT, actor="system", event_ids=event_ids)
    write = StreamWrite(stream, 0, entries, after, due_at(after, Patience()))
    commit = Commit(streams=(write,), refs_added=refs_added(stream, facts, after))
    (result,) = await store.commit([commit])
    if not isinstance(result, Committed):
        raise RuntimeError(f"the template was not written: {result}")


Value = str | bytes | int | bool | datetime | uuid.UUID | None


@dataclass(frozen=True, slots=True)
class TemplateTable:
    """The template's rows of one table. The columns that the database fills are left out."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]

    def copies(self, numbers: Sequence[int]) -> Iterator[tuple[Value, ...]]:
        """The rows of the payments of these numbers, in the order in which they come in life."""
        marked = [[_is_marked(value) for value in row] for row in self.rows]
        for start in range(0, len(numbers), LIVE_AT_ONCE):
            some = numbers[start : start + LIVE_AT_ONCE]
            marks = [(f"{n:012d}", stripe_id("pi", n).removeprefix("pi_")) for n in some]
            for row, are_marked in zip(self.rows, marked, strict=True):
                for digits, digest in marks:
                    yield tuple(
                        _copied(value, digits, digest) if is_marked else value
                        for value, is_marked in zip(row, are_marked, strict=True)
                    )


def template_of(
    name: str, columns: Sequence[str], rows: Iterable[Sequence[Value]]
) -> TemplateTable | None:
    """Those of a table's rows that are the template's; None where there are none.

    The outbox's are left out: the relay has long published what was written before.
    """
    own = tuple(
        tuple(row) for row in rows if any(map(_is_marked, row)) and Queue.OUTBOX.value not in row
    )
    return TemplateTable(name, tuple(columns), own) if own else None


def _is_marked(value: Value) -> bool:
    match value:
        case str():
            return NUMBER_MARK in value or DIGEST_MARK in value
        case bytes():
            return _is_marked(value.decode("utf-8", "replace"))
        case uuid.UUID():
            return _is_marked(str(value))
        case _:
            return False


def _copied(value: Value, digits: str, digest: str) -> Value:
    match value:
        case str():
            return value.replace(NUMBER_MARK, digits).replace(DIGEST_MARK, digest)
        case bytes():
            changed = value.replace(NUMBER_MARK.encode(), digits.encode())
            return changed.replace(DIGEST_MARK.encode(), digest.encode())
        case uuid.UUID():
            return uuid.UUID(str(value).replace(NUMBER_MARK, digits))
        case _:
            return value
