"""Small valid things for tests: ids that count, facts, payments, sealed commits."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from roadcall_payments.commit import Commit, State, StreamWrite, stream_of
from roadcall_payments.domain import events as e
from roadcall_payments.domain import payment_fold
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment
from roadcall_payments.journal import Head, seal

NOON = datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=UTC)

_numbers = itertools.count(1)


def new_id() -> str:
    """An id shaped like a UUIDv7 that sorts after every earlier one."""
    number = next(_numbers)
    return f"0195{number >> 16:04x}-{number & 0xFFFF:04x}-7000-8000-{number:012x}"


def new_ids() -> Iterator[str]:
    while True:
        yield new_id()


def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


def payment_created(
    payment_id: str,
    *,
    company_id: str = "co_1",
    vendor_id: str = "ve_1",
    driver_id: str | None = "dr_1",
    incident_id: str = "in_1",
    payer_type: e.PayerType = e.PayerType.DRIVER_IC,
    amount: Money = Money(12_500, "usd"),  # noqa: B008  # frozen, so it can be shared
    created_by: str = "us_creator",
) -> e.PaymentCreated:
    return e.PaymentCreated(
        payment_id=payment_id,
        company_id=company_id,
        incident_id=incident_id,
        vendor_id=vendor_id,
        driver_id=driver_id,
        payer_type=payer_type,
        amount=amount,
        line_items=(e.LineItem("labour", 1, amount.amount_cents, amount.amount_cents),),
        description=None,
        created_by=created_by,
    )


def scored(*, flagged: bool = False) -> e.PaymentScored:
    return e.PaymentScored(
        risk_percent=75 if flagged else 5,
        level="high" if flagged else "low",
        reasons=("first payment to this vendor",) if flagged else (),
        flagged=flagged,
        scorer="rules",
    )


def stray_money(amount_cents: int = 700, object_id: str = "ch_stray") -> e.StrayMoneyObserved:
    """A fact with postings that fits every status."""
    return e.StrayMoneyObserved(
        object_id=object_id,
        kind="charge",
        amount=Money(amount_cents, "usd"),
        account="acct_platform",
        reason="no decision of ours",
        proposed="refund",
    )


def anomaly(code: str = "amount_differs") -> e.AnomalyRecorded:
    return e.AnomalyRecorded(code=code, detail="seen in a test")


def payment_write(
    payment: Payment | None,
    head: Head,
    facts: Sequence[e.PaymentFact],
    *,
    at: datetime = NOON,
    due_at: datetime | None = None,
    event_ids: Sequence[str] | None = None,
) -> StreamWrite:
    """Fold ``facts`` behind ``head`` into a stream's write; the first may create the payment."""
    after = payment
    for fact in facts:
        after = payment_fold.apply(after, fact, at)
    assert after is not None
    stream = stream_of("payment", after.id)
    ids = event_ids or list(itertools.islice(new_ids(), len(facts)))
    entries = seal(stream, head, facts, at=at, actor="us_tester", event_ids=ids)
    return StreamWrite(stream, head.seq, entries, after, due_at)


def new_payment_write(
    payment_id: str | None = None,
    *,
    at: datetime = NOON,
    due_at: datetime | None = None,
    company_id: str = "co_1",
    vendor_id: str = "ve_1",
    driver_id: str | None = "dr_1",
    incident_id: str = "in_1",
    event_id: str | None = None,
) -> StreamWrite:
    created = payment_created(
        payment_id or new_id(),
        company_id=company_id,
        vendor_id=vendor_id,
        driver_id=driver_id,
        incident_id=incident_id,
    )
    event_ids = [event_id or new_id()]
    return payment_write(None, Head(), [created], at=at, due_at=due_at, event_ids=event_ids)


def next_write(
    before: StreamWrite,
    *facts: e.PaymentFact,
    at: datetime = NOON,
    due_at: datetime | None = None,
) -> StreamWrite:
    """What truly follows ``before`` on a payment's stream."""
    assert isinstance(before.state, Payment)
    return payment_write(before.state, head_after(before), facts, at=at, due_at=due_at)


def head_after(write: StreamWrite) -> Head:
    return Head(write.entries[-1].seq, write.entries[-1].hash)


def commit_of(*writes: StreamWrite) -> Commit:
    return Commit(streams=writes)


def payment_of(state: State) -> Payment:
    assert isinstance(state, Payment)
    return state
