"""What every ``EventBus`` keeps: all events, in order, or an exception."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pytest

from roadcall_payments.ports import EventBus, OutgoingEvent
from tests.builders import NOON


class Listener(Protocol):
    """The bus under test and what its consumers have heard."""

    @property
    def bus(self) -> EventBus: ...
    def heard(self) -> Sequence[OutgoingEvent]: ...
    def fail_once_at(self, seq: int) -> None:
        """The next event with this seq fails on its way, once."""
        ...


def event(seq: int, name: str = "PaymentCreated", stream: str = "payment/p_1") -> OutgoingEvent:
    return OutgoingEvent(f"ev_{stream}_{seq}", name, stream, seq, NOON, f'{{"seq":{seq}}}')


class EventBusContract:
    async def test_everything_arrives_whole_and_in_order(self, listener: Listener) -> None:
        events = [event(seq) for seq in range(1, 26)]
        await listener.bus.publish(events[:20])
        await listener.bus.publish(events[20:])
        assert list(listener.heard()) == events

    async def test_nothing_to_publish_is_no_error(self, listener: Listener) -> None:
        await listener.bus.publish([])
        assert list(listener.heard()) == []

    async def test_a_failure_is_raised_and_publishing_again_brings_the_rest(
        self, listener: Listener
    ) -> None:
        events = [event(seq) for seq in (1, 2, 3)]
        listener.fail_once_at(2)
        with pytest.raises(ConnectionError):
            await listener.bus.publish(events)
        await listener.bus.publish(events)
        first_heard = list(dict.fromkeys(one.seq for one in listener.heard()))
        assert first_heard == [1, 2, 3]
