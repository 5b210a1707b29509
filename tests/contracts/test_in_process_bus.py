"""The bus inside one process."""

from __future__ import annotations

import pytest

from roadcall_payments.event_bus import InProcessBus
from roadcall_payments.ports import OutgoingEvent
from tests.contracts.event_bus_contract import EventBusContract, event


class Subscriber:
    def __init__(self) -> None:
        self.bus = InProcessBus()
        self.bus.subscribe(self.hear)
        self._heard: list[OutgoingEvent] = []
        self._failing_seq: int | None = None

    def heard(self) -> list[OutgoingEvent]:
        return self._heard

    def fail_once_at(self, seq: int) -> None:
        self._failing_seq = seq

    async def hear(self, heard: OutgoingEvent) -> None:
        if heard.seq == self._failing_seq:
            self._failing_seq = None
            raise ConnectionError("the subscriber is away")
        self._heard.append(heard)


class TestInProcessBus(EventBusContract):
    @pytest.fixture
    def listener(self) -> Subscriber:
        return Subscriber()


async def test_a_subscriber_hears_the_events_it_asked_for() -> None:
    bus = InProcessBus()
    heard: list[str] = []

    async def hear(one: OutgoingEvent) -> None:
        heard.append(one.name)

    bus.subscribe(hear, "PaymentCompleted", "PaymentFailed")
    await bus.publish([event(1), event(2, "PaymentCompleted"), event(3, "PaymentFailed")])
    assert heard == ["PaymentCompleted", "PaymentFailed"]


async def test_every_subscriber_hears_before_the_next_event() -> None:
    bus = InProcessBus()
    heard: list[tuple[str, int]] = []

    async def first(one: OutgoingEvent) -> None:
        heard.append(("first", one.seq))

    async def second(one: OutgoingEvent) -> None:
        heard.append(("second", one.seq))

    bus.subscribe(first)
    bus.subscribe(second, "PaymentCreated")
    await bus.publish([event(1), event(2)])
    assert heard == [("first", 1), ("second", 1), ("first", 2), ("second", 2)]
