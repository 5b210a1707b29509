"""What was written becomes known: at least once, in order, stream by stream (M27)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Final

import msgspec

from roadcall_payments.commit import stream_kind
from roadcall_payments.domain.events import TextRef
from roadcall_payments.domain.publication import published_name
from roadcall_payments.domain.stripe_objects import StripeRequest
from roadcall_payments.journal import JournalEntry, instant
from roadcall_payments.ports import Claim, EventBus, OutgoingEvent, Store

JsonValue = None | bool | int | str | list["JsonValue"] | dict[str, "JsonValue"]

_PLAIN: Final = (str, int, bool)
_UNDERSCORE: Final = re.compile(r"_([a-z0-9])")

# The fields of facts, and of records in them, each with its published name; found once.
_names: dict[type[object], Sequence[tuple[str, str]]] = {}


class OutboxRelay:
    def __init__(self, store: Store, bus: EventBus, batch_size: int) -> None:
        self._store = store
        self._bus = bus
        self._batch_size = batch_size

    async def relay(self, claim: Claim) -> None:
        """Publish the stream's next entries, a batch at most, and note how far they went.

        Whatever the bus raises is raised: the worker tries again and in the end parks the
        stream. A crash before ``finish`` publishes the batch again; consumers know an event by
        its id. A stream with more entries than a batch stays listed.
        """
        entries = await self._store.journal(
            claim.key, after_seq=claim.published_seq, limit=self._batch_size
        )
        published_seq = claim.published_seq
        if entries:
            await self._bus.publish([outgoing(entry) for entry in entries])
            published_seq = entries[-1].seq
        await self._store.finish(claim, published_seq=published_seq)


def outgoing(entry: JournalEntry) -> OutgoingEvent:
    """The entry as the world sees it: the fact in camelCase, with the id of its stream."""
    kind, _, own_id = entry.stream.partition("/")
    fact = entry.fact
    detail = _published(fact)
    if isinstance(detail, dict) and kind != "control":
        detail = {f"{stream_kind(entry.stream)}Id": own_id, **detail}
    return OutgoingEvent(
        event_id=entry.event_id,
        name=published_name(fact),
        stream=entry.stream,
        seq=entry.seq,
        at=entry.at,
        detail=msgspec.json.encode(detail).decode(),
    )


def _published(value: object) -> JsonValue:
    # First what most fields are: this runs for every field of every fact.
    if value is None or type(value) in _PLAIN:
        return value  # type: ignore[return-value]  # one of these types, just asked
    match value:
        case StripeRequest():
            # What was sent stays in the journal: parameters name payment methods and people.
            return {"operation": value.operation.value, "idempotencyKey": value.idempotency_key}
        case TextRef():
            return value.id
        case datetime():
            return instant(value)
        case Enum():
            return _published(value.value)
        case tuple():
            return [_published(item) for item in value]
    kind = type(value)
    names = _names.get(kind) or _names.setdefault(kind, _names_of(kind))
    return {name: _published(getattr(value, own)) for own, name in names}


def _names_of(kind: type[object]) -> Sequence[tuple[str, str]]:
    if not dataclasses.is_dataclass(kind):
        raise TypeError(f"A fact holds a {kind.__name__}, which has no published form.")
    return [(field.name, _camel_case(field.name)) for field in dataclasses.fields(kind)]


def _camel_case(name: str) -> str:
    return _UNDERSCORE.sub(lambda found: found[1].upper(), name)
