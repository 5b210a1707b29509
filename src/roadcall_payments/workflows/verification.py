"""Does everything stored follow from the journal? Fold it again from genesis and compare.

Each stream is read with its journal, and everything kept beside the journal is worked out anew:
the state, the postings, the hashes, the projections' columns, the texts' digests; at the end the
balances. What differs is said in words, with the row it stands in. The service may run meanwhile:
a stream that changed under the reader is read again before anything is said of it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime

import msgspec

from roadcall_payments.commit import State, decode_state, encode_state, stream_kind
from roadcall_payments.domain import events as e
from roadcall_payments.domain.errors import FinalError, RoadcallError
from roadcall_payments.domain.payment import Patience
from roadcall_payments.journal import Head, JournalEntry, chain_breaks
from roadcall_payments.ledger.posting_rules import RULES_VERSION, Posting, postings, unbalanced
from roadcall_payments.ports import Store, Stored
from roadcall_payments.workflows.debt_verification import DebtSums
from roadcall_payments.workflows.due import due_at
from roadcall_payments.workflows.folding import apply_fact
from roadcall_payments.workflows.refs import refs_added, refs_removed
from roadcall_payments.workflows.texts import text_refs

STREAMS_PAGE = 500
# Enough to keep the store's threads busy while we fold.
STREAMS_AT_ONCE = 50
JOURNAL_PAGE = 1000
TEXTS_PAGE = 500
# How often a stream, or the books, may change under the reader before we say so.
READS_MAX = 5

_KINDS = ("payment", "vendor", "payout", "stray", "control")
# Tampered rows can fail to decode in any of these ways.
_UNREADABLE = (RoadcallError, msgspec.DecodeError, ValueError, TypeError)

_AccountKey = tuple[str, str, str]


@dataclass(slots=True)
class _Fold:
    """A stream's journal, worked through entry by entry."""

    state: State | None = None
    head: Head = field(default_factory=Head)
    faults: list[str] = field(default_factory=list)
    postings: list[Posting] = field(default_factory=list)
    texts: list[e.TextRef] = field(default_factory=list)
    refs: set[str] = field(default_factory=set)
    broken: bool = False

    def add(self, entry: JournalEntry) -> None:
        self.faults += chain_breaks([entry], self.head)
        self.head = Head(entry.seq, entry.hash)
        where = f"{entry.stream} seq {entry.seq}"
        try:
            fact = entry.fact
            recomputed = postings(fact)
        except _UNREADABLE as unreadable:
            self.broken = True
            self.faults.append(f"{where}: its {entry.type} cannot be read: {unreadable}")
            return
        self.postings += recomputed
        self.texts += text_refs(fact)
        self._compare_postings(where, entry, recomputed)
        self._apply(where, fact, entry)

    def _compare_postings(
        self, where: str, entry: JournalEntry, recomputed: tuple[Posting, ...]
    ) -> None:
        if entry.rules_version != RULES_VERSION:
            self.faults.append(f"{where}: posting rules {entry.rules_version} are not known")
        elif entry.postings != recomputed:
            self.faults.append(
                f"{where}: its postings are {_lines(entry.postings)}, "
                f"but {entry.type} posts {_lines(recomputed)}"
            )
        for (book, currency), total in unbalanced(entry.postings).items():
            self.faults.append(f"{where}: book {book} is off balance by {total} {currency}")

    def _apply(self, where: str, fact: e.Fact, entry: JournalEntry) -> None:
        if self.broken:
            return
        before = self.state
        try:
            self.state = apply_fact(before, fact, entry.at)
        except _UNREADABLE as impossible:
            self.broken = True
            self.faults.append(f"{where}: {impossible}")
            return
        self.refs |= {ref.key for ref in refs_added(entry.stream, [fact], self.state)}
        self.refs -= set(refs_removed(before, self.state, [fact]))


class Verification:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def count(self) -> int:
        """How many streams there are to verify, for whoever shows progress."""
        return sum([len(page) async for page in self._pages()])

    async def verify(self, progress: Callable[[int], None]) -> Sequence[str]:
        """Every fault in words; empty when all is clean. ``progress`` gets the number of streams
        checked since its last call."""
        faults: list[str] = []
        seen: dict[str, int] = {}
        sums: Counter[_AccountKey] = Counter()
        debts = DebtSums()
        async for page in self._pages():
            for start in range(0, len(page), STREAMS_AT_ONCE):
                some = page[start : start + STREAMS_AT_ONCE]
                judged = await asyncio.gather(*map(self._judged, some))
                for stored, (fold, found) in zip(some, judged, strict=True):
                    faults += found
                    seen[stored.stream] = fold.head.seq
                    _add(sums, fold.postings)
                    debts.add(stored.stream, fold.state, fold.postings)
                progress(len(some))
        faults += await self._debt_faults(debts, seen)
        return [*faults, *await self._store.orphans(), *await self._books(sums, seen)]

    async def _pages(self) -> AsyncIterator[Sequence[Stored]]:
        after = ""
        while page := await self._store.streams(after, STREAMS_PAGE):
            yield page
            after = page[-1].stream

    async def _judged(self, stored: Stored) -> tuple[_Fold, list[str]]:
        try:
            return await self._stream(stored)
        except FinalError as unreadable:
            fault = f"{stored.stream}: it cannot be read: {unreadable}"
            return _Fold(head=stored.head), [fault]

    async def _stream(self, stored: Stored) -> tuple[_Fold, list[str]]:
        """The stream's fold and faults, from a reading in which it stood still."""
        reads = 1
        while True:
            fold = await self._fold(stored.stream)
            found = await self._faults_of(stored, fold)
            now = await self._load(stored.stream) if found else None
            if now is None or now.head == stored.head:
                return fold, found
            if reads == READS_MAX:
                return fold, [f"{stored.stream}: it changed {READS_MAX} times while being read"]
            stored, reads = now, reads + 1

    async def _load(self, stream: str) -> Stored | None:
        try:
            loaded = await self._store.load(stream)
        except _UNREADABLE:
            return None
        if loaded is None:
            return None
        # Its row among the worker's work was read with the page; it is not read again.
        return Stored(stream, loaded.head, encode_state(loaded.state), _due_at(loaded.state))

    async def _fold(self, stream: str, after_seq: int = 0) -> _Fold:
        fold = _Fold(head=Head(after_seq))
        while True:
            page = await self._store.journal(stream, fold.head.seq, JOURNAL_PAGE)
            for entry in page:
                fold.add(entry)
            if len(page) < JOURNAL_PAGE:
                return fold

    async def _faults_of(self, stored: Stored, fold: _Fold) -> list[str]:
        faults = [*fold.faults, *_head_faults(stored, fold.head), *_due_faults(stored, fold.state)]
        if not fold.broken:
            faults += _state_faults(stored, fold.state)
        if stream_kind(stored.stream) == "payment":
            faults += await self._store.payment_faults(stored.stream)
        faults += await self._ref_faults(stored.stream, fold.refs)
        return faults + await self._text_faults(stored.stream, fold.texts)

    async def _ref_faults(self, stream: str, keys: set[str]) -> list[str]:
        leads = [(key, await self._store.resolve(key)) for key in sorted(keys)]
        return [
            f"{stream}: {key} leads to {found or 'nothing'} instead of here"
            for key, found in leads
            if found != stream
        ]

    async def _text_faults(self, stream: str, refs: Sequence[e.TextRef]) -> list[str]:
        faults: list[str] = []
        for start in range(0, len(refs), TEXTS_PAGE):
            page = refs[start : start + TEXTS_PAGE]
            digests = await self._store.text_digests([ref.id for ref in page])
            faults += [
                f"{stream}: text {ref.id} is not the one that the journal was given"
                for ref in page
                if digests.get(ref.id, ref.digest) != ref.digest
            ]
        return faults

    async def _debt_faults(self, debts: DebtSums, seen: Mapping[str, int]) -> list[str]:
        """Of a vendor whose streams stood still while they were read, which only then agree."""
        return [
            fault
            for vendor_id, fault in debts.disagreeing()
            if await self._stood_still(debts.streams(vendor_id), seen)
        ]

    async def _stood_still(self, streams: Sequence[str], seen: Mapping[str, int]) -> bool:
        for stream in streams:
            loaded = await self._store.load(stream)
            if loaded is None or loaded.head.seq != seen[stream]:
                return False
        return True

    async def _books(self, sums: Counter[_AccountKey], seen: dict[str, int]) -> list[str]:
        """The stored balances against the journal's sums, brought up to date until both stand."""
        for _ in range(READS_MAX):
            before = await self._store.balances()
            await self._catch_up(sums, seen)
            after = await self._store.balances()
            faults = _balance_faults(sums, after)
            if not faults or before == after:
                return faults
        return [f"the books: they changed {READS_MAX} times while being read"]

    async def _catch_up(self, sums: Counter[_AccountKey], seen: dict[str, int]) -> None:
        """Add what streams gained since they were read; their next verification judges it."""
        async for page in self._pages():
            for stored in page:
                known = seen.get(stored.stream, 0)
                if stored.head.seq > known:
                    fold = await self._fold(stored.stream, known)
                    _add(sums, fold.postings)
                    seen[stored.stream] = max(known, fold.head.seq)


def _add(sums: Counter[_AccountKey], lines: Sequence[Posting]) -> None:
    for line in lines:
        sums[line.book, line.account, line.currency] += line.amount_cents


def _head_faults(stored: Stored, head: Head) -> Iterator[str]:
    if stored.head.seq != head.seq:
        yield (
            f"{stored.stream}: its journal ends at seq {head.seq}, "
            f"but the stream stands at seq {stored.head.seq}"
        )
    elif stored.head.hash != head.hash:
        yield f"{stored.stream}: its journal's last hash is not the stream's"


def _due_at(state: State | None) -> datetime | None:
    # When it is due depends on settings; whether it is, on the stream alone.
    return due_at(state, Patience()) if state is not None else None


def _due_faults(stored: Stored, folded: State | None) -> Iterator[str]:
    if stored.due_at is None and _due_at(folded) is not None:
        yield f"{stored.stream}: it is not finished, and no worker will look at it again"


def _state_faults(stored: Stored, folded: State | None) -> Iterator[str]:
    if stream_kind(stored.stream) not in _KINDS:
        yield f"{stored.stream}: no stream has such a name"
        return
    try:
        state = decode_state(stored.stream, stored.state)
    except _UNREADABLE as unreadable:
        yield f"{stored.stream}: its stored state cannot be read: {unreadable}"
        return
    # By what it means: an earlier version wrote it in its own way (0226).
    if state == folded:
        return
    yield from _differing_fields(stored.stream, state, folded)


def _differing_fields(stream: str, state: State, folded: State | None) -> Iterator[str]:
    for one in fields(state):
        stored_value, folded_value = getattr(state, one.name), getattr(folded, one.name, None)
        if stored_value != folded_value:
            yield (
                f"{stream}: its stored {one.name} is {stored_value!r}, "
                f"but the journal folds to {folded_value!r}"
            )


def _balance_faults(sums: Counter[_AccountKey], balances: Sequence[Posting]) -> list[str]:
    stored = {(line.book, line.account, line.currency): line.amount_cents for line in balances}
    faults = [
        f"book {book}, account {account}: its balance is {stored.get(key, 0)} {currency}, "
        f"but the journal sums to {sums[key]}"
        for key in sorted(stored.keys() | sums.keys())
        if stored.get(key, 0) != sums[key]
        for book, account, currency in [key]
    ]
    return faults + [
        f"book {book}: its balances sum to {total} {currency}, not to zero"
        for (book, currency), total in sorted(unbalanced(balances).items())
    ]


def _lines(lines: Sequence[Posting]) -> str:
    return (
        "; ".join(
            f"{line.book} {line.account} {line.amount_cents} {line.currency}" for line in lines
        )
        or "nothing"
    )
