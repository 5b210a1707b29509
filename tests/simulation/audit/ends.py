"""Once faults stopped: no work left over, no event unanswered, and nobody told otherwise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import msgspec

from roadcall_payments.commit import InboxEvent, InboxStatus
from roadcall_payments.ports import Queue
from tests.simulation.asked import Asked, Job
from tests.simulation.audit.our_books import OurBooks
from tests.simulation.audit.payment_book import PaymentBook
from tests.simulation.audit.violations import Violation

INBOX_PAGE = 100
TypesOf = Mapping[str, frozenset[str]]
"""The types of the facts in each stream."""

_NONE: frozenset[str] = frozenset()
_FOUND = frozenset({"LostMovementFound"})
_REFUNDED = frozenset({"RefundPending", "RefundSucceeded", "RefundFailed", "LostMovementFound"})
_DISPUTED = frozenset({"DisputeOpened", "LostMovementFound"})
# An event that was applied has left one of these in its stream, or it was lost (M19).
_LEAVES: Mapping[str, frozenset[str]] = {
    "payment_intent.succeeded": frozenset({"PaymentCompleted", "StrayMoneyObserved"}),
    "payout.paid": frozenset({"PayoutPaid", "PayoutFailed"}),
    "payout.failed": frozenset({"PayoutFailed"}),
    "transfer.reversed": _FOUND | {"TransferReversed", "SettlementReversed", "StrayMoneyObserved"},
    "refund.failed": frozenset({"RefundFailed", "LostMovementFound"}),
    "refund.created": _REFUNDED,
    "charge.dispute.created": _DISPUTED,
    "charge.dispute.funds_withdrawn": _DISPUTED,
    "charge.dispute.funds_reinstated": _DISPUTED,
    "charge.dispute.closed": _DISPUTED,
}
# A command that was answered with success has left one of these in the journal.
_PROMISED: Mapping[str, frozenset[str]] = {
    "approve": frozenset({"PaymentApproved", "ApprovalRecorded"}),
    "reject": frozenset({"PaymentRejected"}),
    "review_clear": frozenset({"ReviewCleared"}),
    "review_block": frozenset({"ReviewBlocked"}),
    "process": frozenset({"ProcessingStarted"}),
    "confirm": frozenset({"ConfirmationStarted"}),
    "cancel": frozenset({"PaymentCancelled"}),
    "retry": frozenset({"PaymentRetried"}),
}


async def audit_work(ours: OurBooks) -> AsyncIterator[Violation]:
    """Every queue is empty, but for payments that rest until a day that has not come."""
    for letter in await ours.store.dead_letters():
        yield Violation(
            "M27", letter.key, f"it is a dead letter in {letter.queue}: {letter.reason}"
        )
    for age in await ours.store.queue_ages():
        rests = age.queue is Queue.ATTENTION
        overdue = age.oldest_due_at is not None and age.oldest_due_at <= ours.now
        if age.waiting and (overdue or not rests):
            yield Violation("M27", age.queue, f"{age.waiting} pieces of work are left")


async def audit_inbox(
    ours: OurBooks, types: TypesOf, whose: Callable[[str], str | None]
) -> AsyncIterator[Violation]:
    """No event waits; each that was applied is of something of ours and shows in its stream, and
    none that was kept without effect is. ``whose``: the stream that an object of Stripe's belongs
    to; None where it is nobody's of ours."""
    for status in InboxStatus:
        cursor: str | None = None
        while True:
            page = await ours.store.inbox_events(status, cursor, INBOX_PAGE)
            for event in page.items:
                wrong = _event(event, types, whose)
                if wrong is not None:
                    yield Violation(*wrong)
            cursor = page.next_cursor
            if cursor is None:
                break


def _event(
    event: InboxEvent, types: TypesOf, whose: Callable[[str], str | None]
) -> tuple[str, str, str] | None:
    leaves = _LEAVES.get(event.type)
    told = msgspec.json.decode(event.body, type=_Told).data.object.id if leaves else ""
    owner = whose(told) if leaves else None
    match event.status:
        case InboxStatus.WAITING | InboxStatus.REVIEW:
            return "M19", event.event_id, f"it is in {event.status}: {event.reason}"
        case InboxStatus.APPLIED if leaves and owner is None:
            return "M13", event.event_id, f"its {event.type} of {told}, none of ours, was applied"
        case InboxStatus.APPLIED if leaves and not leaves & types.get(event.stream or "", _NONE):
            return "M19", event.event_id, f"its {event.type} was applied and left no trace"
        case InboxStatus.KEPT if leaves and owner is not None:
            if (_FOUND | leaves) & types.get(owner, _NONE):
                # What it told was known, or was taken from Stripe itself later on.
                return None
            said = f"its {event.type} of {told} was kept without effect: {event.reason}"
            return "M16", event.event_id, said
    return None


class _Object(msgspec.Struct):
    id: str


class _Data(msgspec.Struct):
    object: _Object


class _Told(msgspec.Struct):
    """The body of an event: whose news it is."""

    data: _Data


def audit_answers(asked: Asked, books: Mapping[str, PaymentBook]) -> Iterator[Violation]:
    """What callers were told is so; what was asked twice under one key got one answer."""
    for job in asked.jobs:
        yield from _repeats(job)
        for payment_id in job.payment_ids:
            if payment_id not in books:
                yield Violation("M31", payment_id, "it was created, and is gone")
        if len(job.payment_ids) == 1 and job.payment_ids[0] in books:
            yield from _promises(job, books[job.payment_ids[0]])


def _repeats(job: Job) -> Iterator[Violation]:
    answers: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for one in job.commands:
        stored = one.status in (200, 201) or (one.status, one.code) == (400, "payment_failed")
        if one.key is not None and stored:
            answers[one.name, one.key].add(one.status)
    for (name, key), heard in answers.items():
        if len(heard) > 1:
            yield Violation("M31", job.incident_id, f"{name} under {key} was answered {heard}")


def _promises(job: Job, book: PaymentBook) -> Iterator[Violation]:
    told = {one.name for one in job.commands if one.status in (200, 201)}
    types = set(book.types)
    for name in sorted(told & _PROMISED.keys()):
        if not _PROMISED[name] & types:
            yield Violation("M31", book.id, f"{name} was answered 200, and nothing shows it")
    if "process" in told and not book.by_card and not book.completed:
        yield Violation("M5", book.id, "its transfer was answered 200, and it is not completed")
    decided = (book.created.amount.amount_cents, book.created.amount.currency)
    if decided != (job.amount.amount_cents, job.amount.currency):
        yield Violation("M4", book.id, f"{job.amount} was asked for, {decided} was written")
    approved = book.destination
    if job.destination is not None and approved not in (None, job.destination):
        yield Violation("M10", book.id, f"{approved} was approved, {job.destination} was meant")
