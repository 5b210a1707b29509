"""A state machine that compares a Store, step by step, with a model of a few dictionaries.

The world is small (three streams, two refs, two events, two keys, two notices), so that batches
collide all the time. A store's test module subclasses ``ModelContract``.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from msgspec.structs import replace

from roadcall_payments.commit import (
    Commit,
    CommitResult,
    Committed,
    Conflict,
    IdempotencyOpened,
    IdempotencyRecord,
    InboxEvent,
    InboxInsert,
    InboxStatus,
    InboxUpdate,
    NoticeInsert,
    RefAdded,
    StreamWrite,
    Unique,
    stream_of,
)
from roadcall_payments.ports import Claim, DeadLetter, Queue
from tests.builders import NOON, anomaly, minutes, new_id, new_payment_write, next_write
from tests.contracts.store_contract_queries import FreshStore
from tests.examples import examples

REFS, EVENTS, KEYS, NOTICES = ("r0", "r1"), ("evt_0", "evt_1"), ("k0", "k1"), ("n0", "n1")
PAYMENTS = 3
LEASE_S = 120


@dataclass
class Piece:
    """A row of the worker's lists."""

    due_at: datetime
    attempts: int = 0
    published_seq: int = 0
    lease: str | None = None
    leased_until: datetime | None = None
    parked_at: datetime | None = None

    def is_free(self, now: datetime) -> bool:
        leased = self.leased_until is not None and self.leased_until > now
        return self.parked_at is None and self.due_at <= now and not leased


@dataclass
class Model:
    """What a store should hold. ``writes``: each stream's winning writes, in order."""

    writes: dict[str, list[StreamWrite]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    inbox: dict[str, InboxEvent] = field(default_factory=dict)
    keys: dict[str, IdempotencyRecord] = field(default_factory=dict)
    notices: dict[str, NoticeInsert] = field(default_factory=dict)
    work: dict[tuple[Queue, str], Piece] = field(default_factory=dict)

    def head(self, stream: str) -> int:
        writes = self.writes.get(stream)
        return writes[-1].entries[-1].seq if writes else 0

    def is_repeat(self, commit: Commit) -> bool:
        return bool(commit.streams) and all(
            write in self.writes.get(write.stream, []) for write in commit.streams
        )

    def lost(self, commit: Commit) -> set[tuple[Unique, str]]:
        """Every uniqueness the commit would lose now."""
        lost = {
            (Unique.STREAM, write.stream)
            for write in commit.streams
            if self.head(write.stream) != write.expected_seq
        }
        held = {key: at for key, at in self.refs.items() if not self._frees(commit, key)}
        lost |= {
            (Unique.REF, ref.key)
            for ref in commit.refs_added
            if held.get(ref.key, ref.stream) != ref.stream
        }
        match commit.inbox:
            case InboxInsert(event) if event.event_id in self.inbox:
                lost.add((Unique.INBOX, event.event_id))
            case InboxUpdate(event_id=own_id) if own_id not in self.inbox or self.inbox[
                own_id
            ].status not in (InboxStatus.WAITING, InboxStatus.REVIEW):
                lost.add((Unique.INBOX, own_id))
        opened = commit.idempotency
        if isinstance(opened, IdempotencyOpened) and opened.record.key in self.keys:
            lost.add((Unique.IDEMPOTENCY, opened.record.key))
        return lost

    def _frees(self, commit: Commit, key: str) -> bool:
        own = {write.stream for write in commit.streams}
        return key in commit.refs_removed and self.refs.get(key) in own

    def apply(self, commit: Commit) -> None:
        freed = [key for key in self.refs if self._frees(commit, key)]
        for key in freed:
            del self.refs[key]
        self.refs.update({ref.key: ref.stream for ref in commit.refs_added})
        for write in commit.streams:
            self.writes.setdefault(write.stream, []).append(write)
            outbox = Piece(write.entries[0].at, published_seq=write.expected_seq)
            self.work.setdefault((Queue.OUTBOX, write.stream), outbox)
            self._list(Queue.ATTENTION, write.stream, write.due_at, 0)
        match commit.inbox:
            case InboxInsert(event=event, due_at=due_at):
                self.inbox[event.event_id] = event
                self._list(Queue.INBOX, event.event_id, due_at, event.attempts)
            case InboxUpdate(own_id, status, reason, attempts, stream, due_at):
                self.inbox[own_id] = replace(
                    self.inbox[own_id],
                    status=status,
                    reason=reason,
                    attempts=attempts,
                    stream=stream,
                )
                self._list(Queue.INBOX, own_id, due_at, attempts)
        if isinstance(commit.idempotency, IdempotencyOpened):
            self.keys[commit.idempotency.record.key] = commit.idempotency.record
        for notice in commit.notices:
            if notice.id not in self.notices:
                self.notices[notice.id] = notice
                self._list(Queue.NOTICES, notice.id, notice.due_at, 0)

    def _list(self, queue: Queue, key: str, due_at: datetime | None, attempts: int) -> None:
        self.work.pop((queue, key), None)
        if due_at is not None:
            self.work[queue, key] = Piece(due_at, attempts)


@st.composite
def commit_shapes(draw: st.DrawFn) -> dict[str, object]:
    """Which rows a commit writes; streams are numbers, for their entries depend on the state."""
    streams = draw(st.lists(st.integers(0, PAYMENTS - 1), max_size=2, unique=True))
    return {
        "streams": [
            (n, draw(st.sampled_from(["next", "next", "next", "stale"])), draw(st.booleans()))
            for n in streams
        ],
        "adds": draw(st.sampled_from([None, None, *REFS])),
        "frees": draw(st.sampled_from([None, None, *REFS])),
        "inbox": draw(st.sampled_from([None, "insert", "wait", "update"])),
        "event": draw(st.sampled_from(EVENTS)),
        "key": draw(st.sampled_from([None, None, *KEYS])),
        "notice": draw(st.sampled_from([None, None, *NOTICES])),
        "repeats": draw(st.integers(0, 9)) == 0,
    }


class StoreMachine(RuleBasedStateMachine):
    fresh_store: FreshStore

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.opened = self.fresh_store()
        self.store = self.runner.run(self.opened.__aenter__())
        self.model = Model()
        self.now = NOON
        self.ids = [new_id() for _ in range(PAYMENTS)]
        self.claims: list[Claim] = []
        self.done: list[Commit] = []

    def teardown(self) -> None:
        self.runner.run(self.opened.__aexit__(None, None, None))
        self.runner.close()

    # --- commits -------------------------------------------------------------------------------

    @rule(shapes=st.lists(commit_shapes(), min_size=1, max_size=4))
    def write_a_batch(self, shapes: list[dict[str, object]]) -> None:
        # The model moves with each commit, so that later ones of the batch may truly follow.
        batch: list[Commit] = []
        expected: list[set[tuple[Unique, str]]] = []
        for shape in shapes:
            commit = self._commit(shape)
            repeat = self.model.is_repeat(commit)
            lost = set() if repeat else self.model.lost(commit)
            if not repeat and not lost:
                self.model.apply(commit)
                self.done.append(commit)
            batch.append(commit)
            expected.append(lost)
        results = self.runner.run(self._commit_batch(batch))
        for result, lost in zip(results, expected, strict=True):
            if lost:
                assert isinstance(result, Conflict)
                assert (result.unique, result.key) in lost
            else:
                assert result == Committed()

    @rule(number=st.integers(0, PAYMENTS - 1), due=st.booleans())
    def append(self, number: int, due: bool) -> None:
        """What collides with nothing, so that the lists fill."""
        commit = Commit(streams=(self._write(number, "next", due),))
        self.model.apply(commit)
        assert self.runner.run(self._commit_batch([commit])) == [Committed()]

    async def _commit_batch(self, batch: list[Commit]) -> list[CommitResult]:
        return list(await self.store.commit(batch))

    def _commit(self, shape: dict[str, object]) -> Commit:
        if shape["repeats"] and self.done:
            return self.done[-1]
        picked = shape["streams"]
        assert isinstance(picked, list)
        writes = tuple(self._write(*each) for each in picked)
        adds, frees, notice, key = (shape[name] for name in ("adds", "frees", "notice", "key"))
        stream = writes[0].stream if writes else "payment/none"
        return Commit(
            streams=writes,
            refs_added=(RefAdded(str(adds), writes[-1].stream),) if adds and writes else (),
            refs_removed=(str(frees),) if frees else (),
            inbox=self._inbox(str(shape["inbox"]), str(shape["event"])),
            idempotency=IdempotencyOpened(IdempotencyRecord("s", str(key), "d", stream, self.now))
            if key
            else None,
            notices=(NoticeInsert(str(notice), stream, "sms", "ve_1", "t", "{}", self.now),)
            if notice
            else (),
        )

    def _write(self, number: int, mode: str, due: bool) -> StreamWrite:
        due_at = self.now + minutes(1) if due else None
        own_id = self.ids[number]
        before = self.model.writes.get(stream_of("payment", own_id), [])
        if mode == "stale":
            before = before[:-1]
        if not before:
            return new_payment_write(own_id, at=self.now, due_at=due_at)
        return next_write(before[-1], anomaly(new_id()), at=self.now, due_at=due_at)

    def _inbox(self, kind: str, event_id: str) -> InboxInsert | InboxUpdate | None:
        if kind == "update":
            return InboxUpdate(event_id, InboxStatus.APPLIED, None, 2, None)
        if kind == "None":
            return None
        status = InboxStatus.WAITING if kind == "wait" else InboxStatus.KEPT
        event = InboxEvent(event_id, "t", "platform", self.now, b"{}", status)
        return InboxInsert(event, self.now if kind == "wait" else None)

    # --- work ----------------------------------------------------------------------------------

    @rule(by=st.integers(0, 3))
    def time_passes(self, by: int) -> None:
        self.now += minutes(by)

    @rule(queue=st.sampled_from(list(Queue)), limit=st.integers(1, 3))
    def claim(self, queue: Queue, limit: int) -> None:
        claims = self.runner.run(self._claim(queue, limit))
        free = sorted(
            (piece.due_at, key)
            for (of, key), piece in self.model.work.items()
            if of is queue and piece.is_free(self.now)
        )
        assert [claim.due_at for claim in claims] == [due_at for due_at, _ in free[:limit]]
        for claim in claims:
            piece = self.model.work[queue, claim.key]
            assert piece.is_free(self.now)
            piece.attempts += piece.lease is not None
            assert (claim.attempts, claim.published_seq) == (piece.attempts, piece.published_seq)
            piece.lease, piece.leased_until = claim.lease, claim.leased_until
            self.claims.append(claim)

    async def _claim(self, queue: Queue, limit: int) -> list[Claim]:
        return list(
            await self.store.claim(queue, now=self.now, lease_s=LEASE_S, limit=limit, worker="w")
        )

    @rule(data=st.data(), end=st.sampled_from(["finish", "postpone", "park"]))
    def end_a_claim(self, data: st.DataObject, end: str) -> None:
        if not self.claims:
            return
        claim = data.draw(st.sampled_from(self.claims[-4:]))
        head = self.model.head(claim.key)
        outbox = claim.queue is Queue.OUTBOX
        published = data.draw(st.integers(claim.published_seq, head)) if outbox else None
        self.runner.run(self._end(claim, end, published))
        piece = self.model.work.get((claim.queue, claim.key))
        if piece is None or piece.lease != claim.lease:
            return
        piece.lease = piece.leased_until = None
        match end:
            case "finish" if published is None or published >= head:
                del self.model.work[claim.queue, claim.key]
            case "finish":
                assert published is not None
                piece.published_seq, piece.attempts = published, 0
                piece.due_at = self._written_at(claim.key, published + 1)
            case "postpone":
                piece.attempts += 1
                piece.due_at = self.now + minutes(1)
                piece.published_seq = piece.published_seq if published is None else published
            case _:
                piece.parked_at, piece.attempts = self.now, piece.attempts + 1

    async def _end(self, claim: Claim, end: str, published: int | None) -> None:
        if end == "finish":
            await self.store.finish(claim, published_seq=published)
        elif end == "postpone":
            later = self.now + minutes(1)
            await self.store.postpone(claim, due_at=later, reason="r", published_seq=published)
        else:
            await self.store.park(claim, now=self.now, reason="gave up")

    def _written_at(self, stream: str, seq: int) -> datetime:
        entries = [entry for write in self.model.writes[stream] for entry in write.entries]
        return entries[seq - 1].at

    @rule(data=st.data())
    def redrive(self, data: st.DataObject) -> None:
        if not self.model.work:
            return
        queue, key = data.draw(st.sampled_from(sorted(self.model.work)))
        piece = self.model.work[queue, key]
        done = self.runner.run(self.store.redrive(queue, key, now=self.now))
        assert done == (piece.parked_at is not None)
        if done:
            piece.parked_at, piece.attempts, piece.due_at = None, 0, self.now

    # --- the store holds what the model holds --------------------------------------------------

    @invariant()
    def streams_agree(self) -> None:
        self.runner.run(self._streams_agree())

    async def _streams_agree(self) -> None:
        for own_id in self.ids:
            stream = stream_of("payment", own_id)
            loaded = await self.store.load(stream)
            writes = self.model.writes.get(stream)
            if writes is None:
                assert loaded is None
                continue
            assert loaded is not None
            assert loaded.state == writes[-1].state
            entries = [entry for write in writes for entry in write.entries]
            assert list(await self.store.journal(stream)) == entries
            assert await self.store.payment_faults(stream) == []

    @invariant()
    def what_is_unique_agrees(self) -> None:
        self.runner.run(self._what_is_unique_agrees())

    async def _what_is_unique_agrees(self) -> None:
        for key in REFS:
            assert await self.store.resolve(key) == self.model.refs.get(key)
        for event_id in EVENTS:
            assert await self.store.inbox_event(event_id) == self.model.inbox.get(event_id)
        for key in KEYS:
            assert await self.store.idempotency("s", key) == self.model.keys.get(key)
        for notice_id in NOTICES:
            notice = await self.store.notice(notice_id)
            assert (notice.insert if notice else None) == self.model.notices.get(notice_id)

    @invariant()
    def lists_agree(self) -> None:
        self.runner.run(self._lists_agree())

    async def _lists_agree(self) -> None:
        letters = {
            (of, key): DeadLetter(of, key, piece.attempts, piece.parked_at, "gave up")
            for (of, key), piece in self.model.work.items()
            if piece.parked_at is not None
        }
        stored = {(letter.queue, letter.key): letter for letter in await self.store.dead_letters()}
        assert stored == letters
        for age in await self.store.queue_ages():
            pieces = [piece for (of, _), piece in self.model.work.items() if of is age.queue]
            waiting = [piece.due_at for piece in pieces if piece.parked_at is None]
            assert (age.waiting, age.parked) == (len(waiting), len(pieces) - len(waiting))
            assert age.oldest_due_at == min(waiting, default=None)


class ModelContract:
    def test_a_store_is_what_its_model_is(self, fresh_store: FreshStore) -> None:
        machine = type(
            "BoundStoreMachine", (StoreMachine,), {"fresh_store": staticmethod(fresh_store)}
        )
        run_state_machine_as_test(
            machine, settings=settings(max_examples=examples(20), stateful_step_count=30)
        )
