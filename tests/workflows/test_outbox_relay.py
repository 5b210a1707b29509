"""What was written becomes known: at least once, in order, and never with a secret."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadcall_payments.domain import events as e
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import Operation, StripeRequest
from roadcall_payments.event_bus import InProcessBus
from roadcall_payments.journal import Head, JournalEntry, encode_fact, seal
from roadcall_payments.ports import Claim, EventBus, OutgoingEvent, Queue, Store
from roadcall_payments.workflows.outbox_relay import OutboxRelay, outgoing
from tests.builders import NOON, anomaly, commit_of, new_payment_write, next_write
from tests.new_sqlite import open_new_sqlite

SENT = '{"payment_method":"pm_card_visa","receipt_email":"ann@example.com"}'


class Listener:
    """A subscriber that keeps what it hears; ``deaf_to`` fails that many events first."""

    def __init__(self, deaf_to: int = 0) -> None:
        self.heard: list[OutgoingEvent] = []
        self.deaf_to = deaf_to

    async def hear(self, event: OutgoingEvent) -> None:
        if self.deaf_to:
            self.deaf_to -= 1
            raise ConnectionError("the listener is away")
        self.heard.append(event)

    @property
    def seqs(self) -> list[int]:
        return [event.seq for event in self.heard]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_new_sqlite(tmp_path / "relay.sqlite")
    yield opened
    await opened.close()


def bus_to(listener: Listener) -> InProcessBus:
    bus = InProcessBus()
    bus.subscribe(listener.hear)
    return bus


async def write_stream(store: Store, anomalies: int) -> str:
    """A payment's stream of one creation and so many anomalies."""
    write = new_payment_write()
    await store.commit([commit_of(write)])
    for number in range(anomalies):
        write = next_write(write, anomaly(f"code_{number}"))
        await store.commit([commit_of(write)])
    return write.stream


async def claim_outbox(store: Store) -> Sequence[Claim]:
    return await store.claim(Queue.OUTBOX, now=NOON, lease_s=60, limit=10, worker="w")


async def relay_all(store: Store, bus: EventBus, batch_size: int = 100) -> None:
    relay = OutboxRelay(store, bus, batch_size)
    while claims := await claim_outbox(store):
        for claim in claims:
            await relay.relay(claim)


async def test_a_stream_is_published_in_order_and_then_forgotten(store: Store) -> None:
    listener = Listener()
    stream = await write_stream(store, anomalies=4)
    await relay_all(store, bus_to(listener))
    assert listener.seqs == [1, 2, 3, 4, 5]
    assert {event.stream for event in listener.heard} == {stream}
    journal = await store.journal(stream)
    assert [event.event_id for event in listener.heard] == [entry.event_id for entry in journal]
    assert not await claim_outbox(store)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 7])
async def test_batches_of_any_size_publish_everything_once(store: Store, batch_size: int) -> None:
    listener = Listener()
    await write_stream(store, anomalies=6)
    await relay_all(store, bus_to(listener), batch_size)
    assert listener.seqs == [1, 2, 3, 4, 5, 6, 7]


async def test_entries_written_while_publishing_are_published_next(store: Store) -> None:
    listener = Listener()
    first = new_payment_write()
    await store.commit([commit_of(first)])
    bus = bus_to(listener)

    async def write_more(event: OutgoingEvent) -> None:
        if event.seq == 1:
            await store.commit([commit_of(next_write(first, anomaly()))])

    bus.subscribe(write_more)
    await relay_all(store, bus)
    assert listener.seqs == [1, 2]


async def test_a_crash_between_publishing_and_noting_it_publishes_again(store: Store) -> None:
    listener = Listener()
    await write_stream(store, anomalies=1)
    (claim,) = await claim_outbox(store)
    entries = await store.journal(claim.key)
    await bus_to(listener).publish([outgoing(entry) for entry in entries])
    # Here the worker dies; its lease runs out, and another takes over.
    (again,) = await store.claim(
        Queue.OUTBOX, now=claim.leased_until, lease_s=60, limit=10, worker="other"
    )
    await OutboxRelay(store, bus_to(listener), 100).relay(again)
    assert listener.seqs == [1, 2, 1, 2]
    assert len({event.event_id for event in listener.heard}) == 2


async def test_a_failing_subscriber_fails_the_relay_and_nothing_is_noted(store: Store) -> None:
    listener = Listener(deaf_to=1)
    await write_stream(store, anomalies=1)
    (claim,) = await claim_outbox(store)
    relay = OutboxRelay(store, bus_to(listener), 100)
    with pytest.raises(ConnectionError):
        await relay.relay(claim)
    await store.postpone(claim, due_at=NOON, reason="the listener is away")
    (again,) = await claim_outbox(store)
    assert (again.published_seq, again.attempts) == (0, 1)
    await relay.relay(again)
    assert listener.seqs == [1, 2]


def entry_of(fact: e.Fact, stream: str = "payment/p_1") -> OutgoingEvent:
    (entry,) = seal(stream, Head(), [fact], at=NOON, actor="worker", event_ids=["ev_1"])
    return outgoing(entry)


def test_an_event_names_its_stream_and_the_fact_in_camel_case() -> None:
    fact = e.TransferReversed(
        "trr_1", "tr_1", Money(500, "kwd"), "acct_p", "acct_v", "co_1", "ve_1"
    )
    event = entry_of(fact)
    assert event.name == "PaymentTransferReversed"
    assert (event.event_id, event.stream, event.seq) == ("ev_1", "payment/p_1", 1)
    assert event.source == "roadcall.payment-service"
    assert json.loads(event.detail) == {
        "paymentId": "p_1",
        "reversalId": "trr_1",
        "transferId": "tr_1",
        "amount": {"amountCents": 500, "currency": "kwd"},
        "account": "acct_p",
        "destination": "acct_v",
        "companyId": "co_1",
        "vendorId": "ve_1",
    }


def test_other_streams_name_themselves_too() -> None:
    vendor = e.VendorRegistered("v_7", None, "en", e.TextRef("t_1", "digest"), "admin:a")
    detail = json.loads(entry_of(vendor, "vendor/v_7").detail)
    assert (detail["vendorId"], detail["contacts"]) == ("v_7", "t_1")
    paused = json.loads(entry_of(e.MovementsPaused("admin:a", "why"), "control/movements").detail)
    assert paused == {"by": "admin:a", "reason": "why"}


def test_what_was_sent_to_stripe_is_not_published() -> None:
    request = StripeRequest(
        Operation.CONFIRM_PAYMENT_INTENT,
        "/v1/payment_intents/pi_1/confirm",
        SENT,
        "confirm_p_1_1",
        "acct_p",
        False,
        "2026-10-28",
    )
    event = entry_of(e.ConfirmationStarted(1, request, "driver:d_1"))
    assert json.loads(event.detail)["request"] == {
        "operation": "payment_intent.confirm",
        "idempotencyKey": "confirm_p_1_1",
    }
    assert "ann@example.com" not in event.detail
    assert "pm_card_visa" not in event.detail


amounts = st.builds(Money, st.integers(), st.sampled_from(["usd", "jpy", "kwd"]))
instants = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # the zone is the third argument
st.register_type_strategy(Money, amounts)
st.register_type_strategy(datetime, instants)


@pytest.mark.parametrize("kind", get_args(e.Fact))
@given(data=st.data())
@settings(max_examples=10)
def test_every_fact_has_a_published_form_without_its_secrets(
    kind: type[e.Fact], data: st.DataObject
) -> None:
    fact = data.draw(st.from_type(kind))
    entry = JournalEntry(
        "payment/p_1", 1, "ev_1", kind.__name__, NOON, "a", encode_fact(fact), 1, (), "", ""
    )
    event = outgoing(entry)
    detail = json.loads(event.detail)
    assert "paymentId" in detail
    assert not any("_" in name for name in detail)
    for secret in ("params", "digest", "salt"):
        assert f'"{secret}":' not in event.detail
