"""The one write path: load, decide, seal, commit; on a conflict load and decide again (M25).

Nothing else in the service writes to a stream. Stripe is never called in here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from roadcall_payments.commit import (
    Commit,
    CommitResult,
    Committed,
    CommitUnknown,
    Conflict,
    IdempotencyAnswered,
    IdempotencyOpened,
    IdempotencyRecord,
    InboxInsert,
    InboxUpdate,
    RefAdded,
    State,
    StreamWrite,
    TextWrite,
    Unique,
    stream_of,
)
from roadcall_payments.domain import (
    debt,
    payment,
    settlement_debts,
    transfer_ends,
    vendor,
)
from roadcall_payments.domain import events as e
from roadcall_payments.domain.errors import (
    BrokenInvariant,
    ContendedStream,
    NotFound,
    RoadcallError,
    StoreUnavailable,
)
from roadcall_payments.domain.people import Actor
from roadcall_payments.journal import EMPTY, Head, JournalEntry, seal
from roadcall_payments.ports import Clock, Ids, Loaded, Store
from roadcall_payments.workflows.due import due_at
from roadcall_payments.workflows.folding import apply_fact
from roadcall_payments.workflows.refs import refs_removed, refs_to_add

# A stream that loses this often in a row has more writers than it should.
CONFLICTS_MAX = 50
UNKNOWNS_MAX = 5
UNKNOWN_PAUSE_S = 0.2

S = TypeVar("S", bound=State)
B = TypeVar("B", bound=State)
K = TypeVar("K", bound=State)
D = TypeVar("D", bound=State, covariant=True)


class Opens(msgspec.Struct, frozen=True):
    """Open an idempotency record with the commit; ``status`` when it is answered at once (M31)."""

    scope: str
    key: str
    digest: str
    status: int | None = None


class Answers(msgspec.Struct, frozen=True):
    """Answer an idempotency record that an earlier commit opened."""

    scope: str
    key: str
    status: int


class Written(msgspec.Struct, Generic[S], frozen=True):
    """The stream after the write. ``facts`` is empty when there was nothing to write."""

    state: S
    head: Head
    facts: tuple[e.Fact, ...]

    @property
    def loaded(self) -> Loaded:
        """The stream as a read would find it now, for a next write that decides on it."""
        return Loaded(self.head, self.state)


class WrittenPair(msgspec.Struct, Generic[S, B], frozen=True):
    """Both streams after the write; ``beside`` is None where there is no such stream."""

    own: Written[S]
    beside: B | None
    facts_beside: tuple[e.Fact, ...]


class _Decided(msgspec.Struct, Generic[D], frozen=True):
    """What was decided for one stream, on the state it was read in."""

    stream: str
    head: Head
    before: D | None
    facts: tuple[e.Fact, ...]
    after: D | None
    entries: tuple[JournalEntry, ...]

    @property
    def reached(self) -> D:
        if self.after is None:
            raise BrokenInvariant(f"{self.stream} has no state and nothing was decided for it.")
        return self.after

    @property
    def seq(self) -> int:
        return self.head.seq + len(self.facts)

    @property
    def written(self) -> Written[D]:
        last = self.entries[-1] if self.entries else None
        head = Head(last.seq, last.hash) if last else self.head
        return Written(self.reached, head, self.facts)


class AlreadyTaken(RoadcallError):
    """The commit lost the uniqueness of its ref, inbox row or idempotency record: none of it is
    written. Callers turn this into their own answer; it never leaves the workflows."""

    def __init__(self, conflict: Conflict) -> None:
        super().__init__(f"{conflict.unique} {conflict.key} is taken.")
        self.unique = conflict.unique
        self.key = conflict.key


class WritePath:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        ids: Ids,
        patience: payment.Patience | None = None,
        after_commit: Callable[[Commit], None] | None = None,
    ) -> None:
        """``after_commit`` hears of each commit at once, for whoever works off its outbox."""
        self.store = store
        self.clock = clock
        self.ids = ids
        self.patience = patience or payment.Patience()
        self._after_commit = after_commit

    async def write(
        self,
        stream: str,
        decide: Callable[[S | None], Sequence[e.Fact]],
        *,
        actor: Actor,
        inbox: InboxInsert | InboxUpdate | None = None,
        opens: Opens | None = None,
        answers: Callable[[S], Answers | None] | None = None,
        texts: Sequence[TextWrite] = (),
        loaded: Loaded | None = None,
    ) -> Written[S]:
        """Decide on the stream's present state and commit what was decided, all or nothing.

        ``decide`` is pure: it may run again after a conflict. ``answers`` gives the idempotency
        record's answer for the state decided, None to leave it open. ``loaded``: the stream as the
        caller has just read it; it is read again only after a conflict. What a transfer's end
        means for its vendor's debts is written with it (M22).

        Raises what ``decide`` raises; AlreadyTaken for a lost ref, inbox row or idempotency
        record; ContendedStream after many conflicts; StoreUnavailable when the fate of the commit
        cannot be found out.
        """
        for _ in range(CONFLICTS_MAX):
            loaded = loaded or await self.store.load(stream)
            facts = tuple(decide(_state(loaded)))
            own: _Decided[S] = self._decided(stream, loaded, facts, actor)
            debts: tuple[_Decided[State], ...] = ()
            concerned = _concerned_by_debts(own)
            if concerned is not None:
                debts, also = await self._debts_after(*concerned, facts, actor)
                if also:
                    facts = (*facts, *also)
                    own = self._decided(stream, loaded, facts, actor)
            commit = self._commit_of((own, *debts), inbox, opens, answers, texts)
            if commit is None or await self.is_committed(commit):
                return own.written
            loaded = None
        raise _contended(stream)

    async def write_pair(
        self,
        stream: str,
        beside: str,
        decide: Callable[[S | None, B | None], tuple[Sequence[e.Fact], Sequence[e.Fact]]],
        *,
        actor: Actor,
        inbox: InboxInsert | InboxUpdate | None = None,
        opens: Opens | None = None,
        answers: Callable[[S], Answers | None] | None = None,
        texts: Sequence[TextWrite] = (),
    ) -> WrittenPair[S, B]:
        """``write`` for two streams at once: decide on both as they stand, and commit the facts
        of each together, all or nothing (M22).

        A conflict on either loses both, and both are read and decided again. A stream for which
        nothing was decided is not written, so it may have moved meanwhile: what must hold of it
        when the other is written needs a fact of its own. ``beside`` need not exist as long as
        nothing is decided for it. The idempotency record, its answer and the inbox row belong to
        ``stream``.
        """
        for _ in range(CONFLICTS_MAX):
            first, second = await self.store.load(stream), await self.store.load(beside)
            facts, facts_beside = (tuple(part) for part in decide(_state(first), _state(second)))
            own: _Decided[S] = self._decided(stream, first, facts, actor)
            other: _Decided[B] = self._decided(beside, second, facts_beside, actor)
            commit = self._commit_of((own, other), inbox, opens, answers, texts)
            if commit is None or await self.is_committed(commit):
                return WrittenPair(own.written, other.after, facts_beside)
        raise _contended(f"{stream} and {beside}")

    def draft(
        self,
        stream: str,
        loaded: Loaded,
        facts: tuple[e.Fact, ...],
        *,
        actor: Actor,
        inbox: InboxInsert,
    ) -> Commit | None:
        """What ``write`` would commit for ``facts``, decided on ``loaded``; None where that takes
        more than this stream. For whoever decides on many streams before any is written."""
        own: _Decided[State] = self._decided(stream, loaded, facts, actor)
        if _concerned_by_debts(own) is not None:
            return None
        return self._commit_of((own,), inbox, None, None, ())

    async def is_committed(self, draft: Commit) -> bool:
        """Commit, and find out: repeating one's own commit is answered Committed (M24).

        False when a stream of it has moved on. Raises AlreadyTaken and StoreUnavailable.
        """
        for _ in range(UNKNOWNS_MAX):
            result: CommitResult = (await self.store.commit([draft]))[0]
            match result:
                case Committed():
                    if self._after_commit is not None:
                        self._after_commit(draft)
                    return True
                case Conflict(unique=Unique.STREAM):
                    return False
                case Conflict():
                    raise AlreadyTaken(result)
                case CommitUnknown():
                    await self.clock.sleep(UNKNOWN_PAUSE_S)
        raise StoreUnavailable(
            "The database did not say whether the write took effect; ask again for the current "
            "state before repeating the request.",
            code="commit_unknown",
            retry_after_s=5,
        )

    async def write_inbox_alone(self, row: InboxInsert | InboxUpdate) -> None:
        """Keep an event that changes no stream. Raises AlreadyTaken for a repeat."""
        await self.is_committed(Commit(inbox=row))

    async def _debts_after(
        self,
        before: payment.Payment,
        after: payment.Payment,
        decided: tuple[e.Fact, ...],
        actor: Actor,
    ) -> tuple[tuple[_Decided[State], ...], tuple[e.PaymentFact, ...]]:
        """A transfer's end settles in the same commit what it had reserved of debts, and what of
        a share cannot be taken back becomes one, which a credit may pay at once (M22, M18).
        Second, for the payment: what was set off, or taken back by hand, beyond the debts."""
        ends = transfer_ends.ends_of(before, decided)
        incurred = settlement_debts.incurred(before, decided)
        came_back = settlement_debts.may_reduce(before, decided)
        stream = stream_of("vendor", before.vendor_id)
        loaded = await self.store.load(stream)
        owner: vendor.Vendor | None = _state(loaded)
        if owner is None:
            raise NotFound(
                f"Vendor {before.vendor_id} is not in the books, and a debt of its has to be "
                "written: a restore may have lost it. Register it again, then repeat this."
            )
        now = self.clock.now()
        ended = transfer_ends.debt_facts(owner.debts, ends, now)
        facts: debt.Facts = (*ended, *incurred)
        also: tuple[e.PaymentFact, ...] = (
            *transfer_ends.reduced(ends, ended),
            *transfer_ends.credited(after, ended),
        )
        facts = (*facts, *debt.use_credits(debt.applied(owner.debts, facts, now)))
        if came_back:
            debts = debt.applied(owner.debts, facts, now)
            less, told = settlement_debts.reversed_by_hand(after, decided, debts)
            facts, also = (*facts, *less), (*also, *told)
        written: _Decided[State] = self._decided(stream, loaded, facts, actor)
        return (written,), also

    def _commit_of(
        self,
        decided: tuple[_Decided[S], *tuple[_Decided[State], ...]],
        inbox: InboxInsert | InboxUpdate | None,
        opens: Opens | None,
        answers: Callable[[S], Answers | None] | None,
        texts: Sequence[TextWrite],
    ) -> Commit | None:
        """None when there is nothing to write."""
        own = decided[0]
        answer = answers(own.reached) if answers else None
        moved = [one for one in decided if one.entries]
        if not moved and answer is None and inbox is None and opens is None:
            return None
        streams: list[StreamWrite] = []
        added: list[RefAdded] = []
        removed: list[str] = []
        for one in moved:
            after = one.reached
            due = due_at(after, self.patience)
            streams.append(StreamWrite(one.stream, one.head.seq, one.entries, after, due))
            added += refs_to_add(one.stream, one.before, one.facts, after)
            removed += refs_removed(one.before, after, one.facts)
        return Commit(
            streams=tuple(streams),
            refs_added=tuple(added),
            refs_removed=tuple(removed),
            inbox=inbox,
            idempotency=self._idempotency(own.stream, opens, answer, own.seq),
            texts=tuple(texts) if moved else (),
        )

    def _decided(
        self, stream: str, loaded: Loaded | None, facts: tuple[e.Fact, ...], actor: Actor
    ) -> _Decided[S]:
        head, before, now = loaded.head if loaded else EMPTY, _state(loaded), self.clock.now()
        after: S | None = before
        for fact in facts:
            after = apply_fact(after, fact, now)
        event_ids = [self.ids.uuid7() for _ in facts]
        entries = seal(stream, head, facts, at=now, actor=str(actor), event_ids=event_ids)
        return _Decided(stream, head, before, facts, after, entries)

    def _idempotency(
        self, stream: str, opens: Opens | None, answers: Answers | None, seq: int
    ) -> IdempotencyOpened | IdempotencyAnswered | None:
        if opens is not None:
            answered_at_seq, now = seq if opens.status is not None else None, self.clock.now()
            return IdempotencyOpened(
                IdempotencyRecord(
                    opens.scope, opens.key, opens.digest, stream, now, opens.status, answered_at_seq
                )
            )
        if answers is not None:
            return IdempotencyAnswered(answers.scope, answers.key, answers.status, seq)
        return None


def _state(loaded: Loaded | None) -> S | None:
    return loaded.state if loaded else None  # type: ignore[return-value] # the stream's name fixes its kind


def _concerned_by_debts(own: _Decided[S]) -> tuple[payment.Payment, payment.Payment] | None:
    """The payment before and after, where what was decided means something for its vendor's debts
    (M22): most of what is written does not."""
    before, after = own.before, own.after
    if not isinstance(before, payment.Payment) or not isinstance(after, payment.Payment):
        return None
    return (before, after) if settlement_debts.concerned(before, own.facts) else None


def _contended(streams: str) -> ContendedStream:
    return ContendedStream(f"Too many writers on {streams}: try again.", retry_after_s=1)
