"""Between the write set's types and the rows of the tables, the same in each relational store.

Pure. Times are whole microseconds (``instants.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from roadcall_payments.commit import IdempotencyRecord, InboxEvent, InboxStatus, NoticeInsert
from roadcall_payments.domain.funding import queue_key
from roadcall_payments.domain.payment import Payment
from roadcall_payments.journal import JournalEntry
from roadcall_payments.ledger.posting_rules import Posting
from roadcall_payments.ports import Notice
from roadcall_payments.stores.instants import (
    from_micros,
    maybe_instant,
    to_micros,
)

Value = str | int | bytes | None
Row = tuple[Value, ...]


JOURNAL_COLUMNS = "stream, seq, event_id, type, at, actor, data, rules_version, prev_hash, hash"


def journal_row(entry: JournalEntry) -> Row:
    return (
        entry.stream,
        entry.seq,
        entry.event_id,
        entry.type,
        to_micros(entry.at),
        entry.actor,
        entry.data,
        entry.rules_version,
        entry.prev_hash,
        entry.hash,
    )


def journal_entry(
    row: tuple[str, int, str, str, int, str, bytes, int, str, str],
    postings: Iterable[Posting],
) -> JournalEntry:
    stream, seq, event_id, type_name, at, actor, data, rules_version, prev_hash, own_hash = row
    return JournalEntry(
        stream=stream,
        seq=seq,
        event_id=event_id,
        type=type_name,
        at=from_micros(at),
        actor=actor,
        data=data,
        rules_version=rules_version,
        postings=tuple(postings),
        prev_hash=prev_hash,
        hash=own_hash,
    )


def posting_rows(entry: JournalEntry) -> list[Row]:
    return [
        (
            entry.stream,
            entry.seq,
            line,
            posting.book,
            posting.account,
            posting.currency,
            posting.amount_cents,
        )
        for line, posting in enumerate(entry.postings)
    ]


PAYMENT_COLUMNS = (
    "id, company_id, vendor_id, driver_id, incident_id, payer_type, status, flagged, on_review,"
    " queue_key"
)


def payment_row(payment: Payment) -> Row:
    """The columns that payments are found by."""
    return payment_fixed(payment) + payment_searched(payment)


def payment_fixed(payment: Payment) -> Row:
    """Those of them that never change."""
    return (
        payment.id,
        payment.company_id,
        payment.vendor_id,
        payment.driver_id,
        payment.incident_id,
        payment.payer_type,
    )


def payment_searched(payment: Payment) -> Row:
    """Those of them that do: status, flagged, on_review, queue_key."""
    return payment.status, payment.flagged, payment.on_review, _queue_key(payment)


def _queue_key(payment: Payment) -> str | None:
    funding = payment.funding
    if funding is None or not payment.queued:
        return None
    return queue_key(payment.id, payment.amount.currency, funding.priority, funding.since)


def queue_bounds(currency: str) -> tuple[str, str]:
    """The first and the last key that a currency's queue may have."""
    return f"{currency}/", f"{currency}/~"


INBOX_COLUMNS = "event_id, type, origin, received_at, body, status, reason, attempts, stream"


def inbox_row(event: InboxEvent) -> Row:
    return (
        event.event_id,
        event.type,
        event.origin,
        to_micros(event.received_at),
        event.body,
        event.status,
        event.reason,
        event.attempts,
        event.stream,
    )


def inbox_event(
    row: tuple[str, str, str, int, bytes, str, str | None, int, str | None],
) -> InboxEvent:
    event_id, type_name, origin, received_at, body, status, reason, attempts, stream = row
    return InboxEvent(
        event_id=event_id,
        type=type_name,
        origin=origin,
        received_at=from_micros(received_at),
        body=body,
        status=InboxStatus(status),
        reason=reason,
        attempts=attempts,
        stream=stream,
    )


IDEMPOTENCY_COLUMNS = "scope, key, digest, stream, opened_at, status, seq"


def idempotency_row(record: IdempotencyRecord) -> Row:
    return (
        record.scope,
        record.key,
        record.digest,
        record.stream,
        to_micros(record.opened_at),
        record.status,
        record.seq,
    )


def idempotency_record(
    row: tuple[str, str, str, str, int, int | None, int | None],
) -> IdempotencyRecord:
    scope, key, digest, stream, opened_at, status, seq = row
    return IdempotencyRecord(scope, key, digest, stream, from_micros(opened_at), status, seq)


NOTICE_COLUMNS = "id, stream, channel, recipient, template, params, due_at"


def notice_row(notice: NoticeInsert) -> Row:
    return (
        notice.id,
        notice.stream,
        notice.channel,
        notice.recipient,
        notice.template,
        notice.params,
        to_micros(notice.due_at),
    )


def notice(
    row: tuple[str, str, str, str, str, str, int, int | None, str | None],
) -> Notice:
    own_id, stream, channel, recipient, template, params, due_at, sent_at, provider_id = row
    insert = NoticeInsert(own_id, stream, channel, recipient, template, params, from_micros(due_at))
    return Notice(insert, maybe_instant(sent_at), provider_id)


def flattened(rows: Sequence[Row]) -> list[Value]:
    return [value for row in rows for value in row]
