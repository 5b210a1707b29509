"""The bus inside one process: every event to every subscriber that asked for it, in order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from roadcall_payments.ports import OutgoingEvent

Subscriber = Callable[[OutgoingEvent], Awaitable[None]]


class InProcessBus:
    """Awaits each subscriber in turn.

    A subscriber's exception fails the publish, so the relay publishes again: subscribers take
    an event any number of times (``event_id`` tells them).
    """

    def __init__(self) -> None:
        self._by_name: dict[str, list[Subscriber]] = {}
        self._to_all: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber, *names: str) -> None:
        """Call ``subscriber`` for the events so named; for every event when none is named."""
        if not names:
            self._to_all.append(subscriber)
        for name in names:
            self._by_name.setdefault(name, []).append(subscriber)

    async def publish(self, events: Sequence[OutgoingEvent]) -> None:
        for event in events:
            for subscriber in (*self._to_all, *self._by_name.get(event.name, ())):
                await subscriber(event)
