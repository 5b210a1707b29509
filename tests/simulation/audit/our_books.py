"""Our side, as the auditor is given it: an open store, what was published, what was asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from roadcall_payments.journal import JournalEntry
from roadcall_payments.ports import Store
from tests.simulation.asked import Asked
from tests.simulation.audit.lost import LostSpan
from tests.simulation.audit.publications import Publications

STREAMS_PAGE = 500
JOURNAL_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Stream:
    name: str
    head: tuple[int, str]
    entries: Sequence[JournalEntry]

    @property
    def kind(self) -> str:
        return self.name.partition("/")[0]


@dataclass(frozen=True, slots=True)
class OurBooks:
    """``now`` is the service's clock; ``published`` and ``asked`` are None where nobody listened
    (real processes); ``strangers`` are the ids of Stripe's objects that others made on purpose;
    ``verify_faults`` is what ``verify`` said; ``lost`` is what a restore took; ``reserve_cents``
    is never released to transfers that wait for funds."""

    store: Store
    now: datetime
    verify_faults: Sequence[str]
    published: Publications | None = None
    asked: Asked | None = None
    strangers: frozenset[str] = field(default_factory=frozenset)
    lost: LostSpan | None = None
    reserve_cents: int = 0

    async def streams(self) -> AsyncIterator[Stream]:
        """Every stream with its whole journal, one at a time."""
        after = ""
        while page := await self.store.streams(after, STREAMS_PAGE):
            for stored in page:
                entries = await self._journal(stored.stream)
                yield Stream(stored.stream, (stored.head.seq, stored.head.hash), entries)
            after = page[-1].stream

    async def _journal(self, stream: str) -> Sequence[JournalEntry]:
        entries: list[JournalEntry] = []
        while True:
            page = await self.store.journal(stream, len(entries), JOURNAL_PAGE)
            entries += page
            if len(page) < JOURNAL_PAGE:
                return entries
