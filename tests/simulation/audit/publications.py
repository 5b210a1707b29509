"""What came out of the outbox, as a consumer keeps it: by stream and sequence (M27)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol

from tests.simulation.audit.violations import Violation


class PublishedEvent(Protocol):
    """An event as the bus carried it."""

    @property
    def stream(self) -> str: ...
    @property
    def seq(self) -> int: ...
    @property
    def event_id(self) -> str: ...


class Publications:
    """At least once and in order per stream: a repeat is no news, a gap is a violation."""

    def __init__(self, events: Iterable[PublishedEvent] = ()) -> None:
        self._heard: defaultdict[str, list[str]] = defaultdict(list)
        self.violations: list[Violation] = []
        for event in events:
            self.hear(event)

    def hear(self, event: PublishedEvent) -> None:
        heard = self._heard[event.stream]
        if event.seq == len(heard) + 1:
            heard.append(event.event_id)
        elif event.seq > len(heard):
            self._violated(event, f"seq {event.seq} was published after seq {len(heard)}")
        elif heard[event.seq - 1] != event.event_id:
            self._violated(event, f"seq {event.seq} was published as two different events")

    def missing(self, stream: str, event_ids: Sequence[str]) -> list[Violation]:
        """What of a stream's journal no consumer was told, or was told otherwise."""
        heard = self._heard.get(stream, [])
        if heard == list(event_ids):
            return []
        told = list(event_ids[: len(heard)])
        if heard != told:
            return [Violation("M27", stream, "what was published is not what the journal holds")]
        count = len(event_ids) - len(heard)
        return [Violation("M27", stream, f"its last {count} facts were never published")]

    def _violated(self, event: PublishedEvent, sentence: str) -> None:
        self.violations.append(Violation("M27", event.stream, sentence))
