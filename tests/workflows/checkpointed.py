"""A written world with its checkpoints in a directory of their own, to be tampered with by
somebody who has the whole database, or the whole directory, in their hands."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from roadcall_payments.checkpoint import SignedCheckpoint, decode_checkpoint
from roadcall_payments.checkpoint_files.head_index import ScratchHeadIndex
from roadcall_payments.checkpoint_files.keys import FileCheckpointKeys
from roadcall_payments.checkpoint_files.log import FileCheckpointLog
from roadcall_payments.clock import SystemClock
from roadcall_payments.commit import State, encode_state, stream_of
from roadcall_payments.journal import Head, JournalEntry, decode_fact, seal
from roadcall_payments.ports import CheckpointLog, Clock, Store
from roadcall_payments.stores.sqlite.queries import read_journal
from roadcall_payments.stores.sqlite.store import open_sqlite
from roadcall_payments.workflows.checkpoints import Checkpoints
from roadcall_payments.workflows.folding import apply_fact
from roadcall_payments.workflows.verification import Verification
from tests.builders import stray_money
from tests.workflows.stories import Storyteller, World

HOUR = timedelta(hours=1)


@dataclass
class Checkpointed:
    """The database at ``path``; log and key beside it, each where its setting would say."""

    path: Path
    world: World
    clock: Clock = field(default_factory=SystemClock)

    @property
    def directory(self) -> Path:
        return self.path.parent / "checkpoints"

    @property
    def key_file(self) -> Path:
        return self.path.parent / "key" / "checkpoint-key.pem"

    def file(self, number: int) -> Path:
        return FileCheckpointLog(self.directory).path(number)

    @property
    def newest_copy(self) -> Path:
        return self.directory / "newest.json"

    def process(self, store: Store, log: CheckpointLog | None = None) -> Checkpoints:
        """What one process holds: an index of its own."""
        return Checkpoints(
            store,
            log or FileCheckpointLog(self.directory),
            FileCheckpointKeys(self.key_file, makes_key=True),
            ScratchHeadIndex(),
            self.clock,
            HOUR,
        )

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        opened = open_sqlite(self.path)
        try:
            yield opened
        finally:
            await opened.close()

    async def make(self) -> Sequence[str]:
        """Make a checkpoint in a new process; the faults it met."""
        async with self.store() as store:
            return (await self.process(store).make()).faults

    async def faults(self) -> list[str]:
        """What `verify` says of the checkpoints; the rest must have nothing to say."""
        async with self.store() as store:
            assert await Verification(store).verify(lambda _: None) == []
            return list((await self.process(store).hold()).faults)


def signed_in(books: Checkpointed, number: int) -> SignedCheckpoint:
    return decode_checkpoint(books.file(number).read_bytes())


async def more_of(store: Store, stream: str) -> None:
    # One object of Stripe's is one stream's.
    await Storyteller(store).facts(stream, stray_money(object_id=f"ch_of_{stream}"))


async def heads_in(store: Store) -> dict[str, Head]:
    return {stored.stream: stored.head for stored in await store.streams()}


async def three_checkpoints(books: Checkpointed) -> tuple[str, str]:
    """The world; one stream grown; another one grown. The two streams."""
    first, second = (
        stream_of("payment", one) for one in (books.world.driver_payment, books.world.open_payment)
    )
    assert await books.make() == ()
    for stream in (first, second):
        async with books.store() as store:
            await more_of(store, stream)
        assert await books.make() == ()
    return first, second


def open_falsified(path: Path) -> sqlite3.Connection:
    """The closed file, without the triggers that forbid it."""
    db = sqlite3.connect(path)
    for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    db.commit()
    return db


def delete_stream(path: Path, stream: str) -> None:
    """Every row of the stream in every table: as if it had never been."""
    db = open_falsified(path)
    tables = [
        (name, {column[1] for column in db.execute(f"PRAGMA table_info({name})")})
        for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    ]
    with db:
        for name, columns in tables:
            if "stream" in columns:
                db.execute(f"DELETE FROM {name} WHERE stream = ?", (stream,))
        db.execute("DELETE FROM payments WHERE 'payment/' || id = ?", (stream,))
        db.execute("DELETE FROM work WHERE key = ?", (stream,))
    db.close()


def rewrite_stream(path: Path, stream: str, old: bytes, new: bytes) -> None:
    """Another history, sealed anew from the first entry on: each hash fits, and so does the
    state."""
    db = open_falsified(path)
    head = Head()
    entries: list[JournalEntry] = []
    for entry in read_journal(db, stream, 0, 1_000):
        fact = decode_fact(entry.type, entry.data.replace(old, new))
        entries += seal(
            stream, head, [fact], at=entry.at, actor=entry.actor, event_ids=[entry.event_id]
        )
        head = Head(entries[-1].seq, entries[-1].hash)
    with db:
        for one in entries:
            db.execute(
                "UPDATE journal SET data = ?, prev_hash = ?, hash = ? WHERE stream = ? AND seq = ?",
                (one.data, one.prev_hash, one.hash, stream, one.seq),
            )
        _stand_at(db, stream, entries)
    db.close()


def cut_back(path: Path, stream: str, seq: int) -> None:
    """Nothing after ``seq`` ever happened."""
    db = open_falsified(path)
    with db:
        for table in ("postings", "journal"):
            db.execute(f"DELETE FROM {table} WHERE stream = ? AND seq > ?", (stream, seq))
        _stand_at(db, stream, read_journal(db, stream, 0, 1_000))
    db.close()


def _stand_at(db: sqlite3.Connection, stream: str, entries: Sequence[JournalEntry]) -> None:
    state: State | None = None
    for entry in entries:
        state = apply_fact(state, entry.fact, entry.at)
    assert state is not None
    db.execute(
        "UPDATE streams SET seq = ?, hash = ?, state = ? WHERE stream = ?",
        (entries[-1].seq, entries[-1].hash, encode_state(state), stream),
    )
