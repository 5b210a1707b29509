"""Defects in what is written together, what is unique, and what a worker holds."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from msgspec import structs

from roadcall_payments.commit import (
    Commit,
    CommitResult,
    Committed,
    CommitUnknown,
    Conflict,
    InboxInsert,
    RefAdded,
    State,
    StreamWrite,
    Unique,
)
from roadcall_payments.domain.events import Fact
from roadcall_payments.event_bus import InProcessBus
from roadcall_payments.journal import GENESIS, Head, JournalEntry, entry_hash
from roadcall_payments.ports import Claim, OutgoingEvent, Queue, Store
from roadcall_payments.stores.sqlite import batch as sqlite_batch
from roadcall_payments.stores.sqlite import writer as sqlite_writer
from roadcall_payments.workflows import refs, verification
from tests.simulation.defects.planted import Planted, Wrong, swapped, wrong_function, wrong_store
from tests.simulation.faults import Kind
from tests.simulation.world import Defect, Parts

_numbers = itertools.count(1)

STORE_FAILS = {
    Kind.CRASH: 1 / 2_000,
    Kind.COMMIT_REFUSED: 0.02,
    Kind.COMMIT_UNKNOWN_AFTER: 0.03,
    Kind.WRITE_FAILS: 0.02,
}


def _behind(entries: Sequence[JournalEntry], head: Head) -> tuple[JournalEntry, ...]:
    """The same facts as new entries behind ``head``."""
    placed: list[JournalEntry] = []
    for entry in entries:
        event_id = f"{entry.event_id[:-6]}{next(_numbers):06x}"
        moved = structs.replace(
            entry, seq=head.seq + 1, prev_hash=head.hash, event_id=event_id, hash=GENESIS
        )
        moved = structs.replace(moved, hash=entry_hash(moved))
        placed.append(moved)
        head = Head(moved.seq, moved.hash)
    return tuple(placed)


class _AppendsBlindly(Wrong):
    """Writes behind whatever stands there by now, as decided on what stood there before."""

    right: Store

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitResult]:
        return [await self._one(commit) for commit in batch]

    async def _one(self, commit: Commit) -> CommitResult:
        result = (await self.right.commit([commit]))[0]
        while isinstance(result, Conflict) and result.unique is Unique.STREAM:
            writes = [await self._moved(write) for write in commit.streams]
            result = (await self.right.commit([structs.replace(commit, streams=tuple(writes))]))[0]
        return result

    async def _moved(self, write: StreamWrite) -> StreamWrite:
        loaded = await self.right.load(write.stream)
        head = loaded.head if loaded else Head()
        entries = _behind(write.entries, head)
        return structs.replace(write, expected_seq=head.seq, entries=entries)


class _ConflictsWithItself(_AppendsBlindly):
    """After a lost answer its own commit looks like another's, and is written behind it (M24)."""

    async def _one(self, commit: Commit) -> CommitResult:
        result = (await self.right.commit([commit]))[0]
        if isinstance(result, CommitUnknown) and commit.streams:
            writes = [await self._moved(write) for write in commit.streams]
            bare = structs.replace(commit, streams=tuple(writes), inbox=None, idempotency=None)
            return (await self.right.commit([bare]))[0]
        return result


class _PartitionedKey(_AppendsBlindly):
    """The journal's unique key holds a span of time, as in a table partitioned by month (M26):
    on the two sides of a boundary two writers get one place, and both are written. A span is
    a fifth of a second here, since no world's writers meet at midnight of a month's last day."""

    async def _one(self, commit: Commit) -> CommitResult:
        result = (await self.right.commit([commit]))[0]
        if isinstance(result, Conflict) and result.unique is Unique.STREAM:
            for write in commit.streams:
                after = write.expected_seq
                stored = await self.right.journal(write.stream, after_seq=after, limit=1)
                if stored and _span(stored[0].at) == _span(write.entries[0].at):
                    return result
            return await super()._one(commit)
        return result


def _span(at: datetime) -> int:
    return int(at.timestamp() * 5)


class _OutboxLater(Wrong):
    """What is to be published is listed after the commit, in a write of its own."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts.store)
        self._database = parts.database

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitResult]:
        results: Sequence[CommitResult] = await self.right.commit(batch)
        await asyncio.sleep(0.5)
        for commit, result in zip(batch, results, strict=True):
            if isinstance(result, Committed):
                self._list(self._database, commit)
        return results

    @staticmethod
    def _list(db: sqlite3.Connection, commit: Commit) -> None:
        for write in commit.streams:
            at = int(write.entries[0].at.timestamp() * 1_000_000)
            db.execute(
                "INSERT INTO work (queue, key, due_at, attempts, published_seq)"
                " VALUES ('outbox', ?, ?, 0, ?) ON CONFLICT DO NOTHING",
                (write.stream, at, write.expected_seq),
            )


class _Nothing:
    def run(self, db: sqlite3.Connection, rows: object) -> None:
        """The outbox is somebody else's to write."""


class _InboxFirst(Wrong):
    """The event is taken in one commit, its effect written in the next (M19)."""

    right: Store

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitResult]:
        return [await self._one(commit) for commit in batch]

    async def _one(self, commit: Commit) -> CommitResult:
        if isinstance(commit.inbox, InboxInsert) and commit.streams:
            taken = (await self.right.commit([Commit(inbox=commit.inbox)]))[0]
            if not isinstance(taken, Committed):
                return taken
            commit = structs.replace(commit, inbox=None)
        return (await self.right.commit([commit]))[0]


class _EndlessLease(Wrong):
    """A lease of ten years: what a dead worker held is never done."""

    right: Store

    async def claim(
        self, queue: Queue, *, now: datetime, lease_s: int, limit: int, worker: str
    ) -> Sequence[Claim]:
        return await self.right.claim(
            queue, now=now, lease_s=10 * 365 * 86_400, limit=limit, worker=worker
        )


class _TakesForCommitted(Wrong):
    """A commit of which the database said nothing is taken for done (M24)."""

    right: Store

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitResult]:
        results = await self.right.commit(batch)
        return [Committed() if isinstance(one, CommitUnknown) else one for one in results]


_right_write_batch = sqlite_batch.write_batch


def _drops_a_neighbour(db: sqlite3.Connection, batch: Sequence[Any]) -> list[CommitResult]:
    """A conflict in a batch takes the commit behind it along, which is told it is written."""
    db.execute("SAVEPOINT whole")
    results = _right_write_batch(db, batch)
    lost = [place for place, one in enumerate(results) if isinstance(one, Conflict)]
    if not lost or lost[0] + 1 >= len(batch):
        db.execute("RELEASE whole")
        return results
    db.execute("ROLLBACK TO whole")
    kept = [one for place, one in enumerate(batch) if place != lost[0] + 1]
    _right_write_batch(db, kept)
    db.execute("RELEASE whole")
    return results


_right_refs_added = refs.refs_added


def _no_job(stream: str, facts: Sequence[Fact], after: State) -> tuple[RefAdded, ...]:
    added = _right_refs_added(stream, facts, after)
    return tuple(ref for ref in added if not ref.key.startswith("job:"))


async def _swallows(self: InProcessBus, events: Sequence[OutgoingEvent]) -> None:
    for event in events:
        for subscriber in (*self._to_all, *self._by_name.get(event.name, ())):
            with contextlib.suppress(Exception):
                await subscriber(event)


STORING = (
    Planted(
        wrong_store("duplicate at a month's boundary", lambda parts: _PartitionedKey(parts.store)),
        "M26",
        "the journal's unique key holds a span of time",
        neighbours=(
            "verify",
            "M16",
        ),
        boosts={Kind.DOUBLE_CLICK: 0.5, Kind.COMMIT_SLOW: 0.1},
    ),
    Planted(
        wrong_store(
            "a Conflict with one's own commit", lambda parts: _ConflictsWithItself(parts.store)
        ),
        "M24",
        "a commit whose answer was lost is written once more, behind itself",
        neighbours=(
            "verify",
            "M16",
        ),
        boosts=STORE_FAILS,
    ),
    Planted(
        wrong_store("unknown commit is committed", lambda parts: _TakesForCommitted(parts.store)),
        "M24",
        "a commit that the database said nothing of is taken for done",
        neighbours=("M31",),
        boosts={Kind.COMMIT_UNKNOWN_BEFORE: 0.03},
    ),
    Planted(
        wrong_store("sequence check left out", lambda parts: _AppendsBlindly(parts.store)),
        "M23",
        "what was decided on an older state is written behind the newer",
        neighbours=(
            "verify",
            "M16",
        ),
        boosts={Kind.DOUBLE_CLICK: 0.5},
    ),
    Planted(
        Defect(
            "outbox after commit",
            parts=lambda right: replace(right, store=cast(Store, _OutboxLater(right))),
            during=lambda: swapped([(sqlite_batch, "_OUTBOX", _Nothing())]),
        ),
        "M27",
        "what is to be published is listed after the commit",
        boosts=STORE_FAILS,
    ),
    Planted(
        wrong_store("inbox insert apart from effect", lambda parts: _InboxFirst(parts.store)),
        "M19",
        "an event is taken in one commit and applied in the next",
        boosts={Kind.CRASH: 1 / 250, Kind.COMMIT_REFUSED: 0.2},
    ),
    Planted(
        wrong_store("a lease that never expires", lambda parts: _EndlessLease(parts.store)),
        "M27",
        "what a dead worker held is never done",
        boosts={Kind.CRASH: 1 / 1_000, Kind.WRITE_FAILS: 0.02},
    ),
    Planted(
        wrong_function(
            "a conflict drops its neighbour", (sqlite_writer, "write_batch", _drops_a_neighbour)
        ),
        "M23",
        "a conflict in a batch takes the commit behind it along",
        neighbours=("M31",),
        boosts={Kind.DOUBLE_CLICK: 0.8},
        payments=120,
    ),
    Planted(
        wrong_function(
            "a job paid twice",
            (refs, "refs_added", _no_job),
            (verification, "refs_added", _no_job),
        ),
        "M11",
        "a job has no name that one payment holds",
        payments=120,
    ),
    Planted(
        wrong_function("a lost event is published", (InProcessBus, "publish", _swallows)),
        "M27",
        "what the bus refused is ticked off",
        boosts={Kind.BUS_FAILS: 0.05},
    ),
)
