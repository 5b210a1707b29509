"""Commits with a row of every kind, for the contract of every store."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from roadcall_payments.commit import (
    Commit,
    Conflict,
    IdempotencyOpened,
    IdempotencyRecord,
    InboxEvent,
    InboxInsert,
    InboxStatus,
    NoticeInsert,
    RefAdded,
    StreamWrite,
    TextWrite,
    Unique,
)
from roadcall_payments.ports import Claim, Queue, Store
from tests.builders import (
    NOON,
    commit_of,
    minutes,
    new_id,
    new_payment_write,
    payment_of,
)


def inbox_taken(event_id: str, status: InboxStatus = InboxStatus.APPLIED) -> InboxInsert:
    event = InboxEvent(
        event_id=event_id,
        type="payment_intent.succeeded",
        origin="platform",
        received_at=NOON,
        body=b'{"id": "\x00\xff not even text"}',
        status=status,
        reason="stripe_unavailable" if status is InboxStatus.WAITING else None,
        stream="payment/of_the_event",
    )
    return InboxInsert(event, NOON + minutes(1) if status is InboxStatus.WAITING else None)


def key_opened(key: str, scope: str = "us_1 POST /payments") -> IdempotencyOpened:
    return IdempotencyOpened(IdempotencyRecord(scope, key, "digest", "payment/keyed", NOON))


def notice_for(stream: str, notice_id: str) -> NoticeInsert:
    return NoticeInsert(
        notice_id, stream, "email", "ve_1", "payment_completed", '{"amount": 1}', NOON
    )


@dataclass(frozen=True)
class Laden:
    """A commit with a row of every kind."""

    first: StreamWrite
    second: StreamWrite
    ref: str
    event_id: str
    key: str
    text_id: str
    notice_id: str
    commit: Commit


def laden() -> Laden:
    name = new_id()
    first, second = new_payment_write(due_at=NOON), new_payment_write(due_at=NOON)
    commit = Commit(
        streams=(first, second),
        refs_added=(RefAdded(f"ref-{name}", first.stream),),
        inbox=inbox_taken(f"evt_{name}"),
        idempotency=key_opened(f"key-{name}"),
        texts=(TextWrite(f"text-{name}", first.stream, "torn tyre", "00ff"),),
        notices=(notice_for(first.stream, f"notice-{name}"),),
    )
    return Laden(
        first,
        second,
        f"ref-{name}",
        f"evt_{name}",
        f"key-{name}",
        f"text-{name}",
        f"notice-{name}",
        commit,
    )


SCOPE = "us_1 POST /payments"


async def rows_present(store: Store, rows: Laden) -> list[bool]:
    """For each row of a laden commit whether it is there."""
    queued = {(claim.queue, claim.key) for claim in await everything_due(store)}
    streams = [rows.first.stream, rows.second.stream]
    work = [(queue, key) for queue in (Queue.OUTBOX, Queue.ATTENTION) for key in streams]
    work.append((Queue.NOTICES, rows.notice_id))
    return [
        *[await store.load(write.stream) is not None for write in (rows.first, rows.second)],
        *[bool(await store.journal(write.stream)) for write in (rows.first, rows.second)],
        await store.resolve(rows.ref) is not None,
        await store.inbox_event(rows.event_id) is not None,
        await store.idempotency(SCOPE, rows.key) is not None,
        rows.text_id in await store.texts([rows.text_id]),
        await store.notice(rows.notice_id) is not None,
        *[piece in queued for piece in work],
    ]


async def everything_due(store: Store) -> list[Claim]:
    """Claims all that is due, with leases that have run out at once."""
    later = NOON + minutes(60 * 24 * 365)
    return [
        claim
        for queue in Queue
        for claim in await store.claim(queue, now=later, lease_s=0, limit=1000, worker="looker")
    ]


def rival_of(rows: Laden, lost: str) -> tuple[Commit, Conflict]:
    """Who takes one of the rows before, and what the laden commit must then hear."""
    match lost:
        case "first stream" | "second stream":
            mine = rows.first if lost == "first stream" else rows.second
            theirs = new_payment_write(payment_of(mine.state).id, due_at=NOON)
            return commit_of(theirs), Conflict(Unique.STREAM, mine.stream)
        case "ref":
            theirs = new_payment_write()
            ref = RefAdded(rows.ref, theirs.stream)
            return replace(commit_of(theirs), refs_added=(ref,)), Conflict(Unique.REF, rows.ref)
        case "inbox insert" | "inbox update":
            return Commit(inbox=inbox_taken(rows.event_id)), Conflict(Unique.INBOX, rows.event_id)
        case "key":
            return Commit(idempotency=key_opened(rows.key)), Conflict(Unique.IDEMPOTENCY, rows.key)
    raise ValueError(lost)


def rows_of_rival(rows: Laden, rival: Commit) -> list[bool]:
    """Which of the laden commit's rows the rival has put there itself."""
    streams = {write.stream for write in rival.streams}
    first, second = rows.first.stream in streams, rows.second.stream in streams
    return [
        *[first, second],
        *[first, second],
        bool(rival.refs_added),
        rival.inbox is not None,
        rival.idempotency is not None,
        False,
        False,
        *[first, second],
        *[first, second],
        False,
    ]
