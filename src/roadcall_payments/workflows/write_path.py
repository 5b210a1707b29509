"""The one write path: load, decide, seal, commit; on a conflict load and decide again (M25).

Nothing else in the service writes to a stream. Stripe is never called in here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

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
    State,
    StreamWrite,
    TextWrite,
    Unique,
)
from roadcall_payments.domain import events as e
from roadcall_payments.domain import movements, payment, payment_fold, payout, stray, vendor
from roadcall_payments.domain.errors import (
    BrokenInvariant,
    ContendedStream,
    RoadcallError,
    StoreUnavailable,
)
from roadcall_payments.domain.people import Actor
from roadcall_payments.journal import Head, JournalEntry, seal
from roadcall_payments.ports import Clock, Ids, Loaded, Store
from roadcall_payments.workflows.refs import refs_removed, refs_to_add

# A stream that loses this often in a row has more writers than it should.
CONFLICTS_MAX = 50
UNKNOWNS_MAX = 5
UNKNOWN_PAUSE_S = 0.2

S = TypeVar("S", bound=State)


@dataclass(frozen=True, slots=True)
class Opens:
    """Open an idempotency record with the commit; ``status`` when it is answered at once (M31)."""

    scope: str
    key: str
    digest: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """Answer an idempotency record that an earlier commit opened."""

    scope: str
    key: str
    status: int


@dataclass(frozen=True, slots=True)
class Written(Generic[S]):
    """The stream after the write. ``facts`` is empty when there was nothing to write."""

    state: S
    seq: int
    facts: tuple[e.Fact, ...]


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
        caller has just read it; it is read again only after a conflict.

        Raises what ``decide`` raises; AlreadyTaken for a lost ref, inbox row or idempotency
        record; ContendedStream after many conflicts; StoreUnavailable when the fate of the commit
        cannot be found out.
        """
        for _ in range(CONFLICTS_MAX):
            loaded = loaded or await self.store.load(stream)
            state: S | None = loaded.state if loaded else None  # type: ignore[assignment] # the stream's name fixes its kind
            head = loaded.head if loaded else Head()
            facts = tuple(decide(state))
            now = self.clock.now()
            after, entries = self._sealed(stream, state, head, facts, now, actor)
            answer = answers(after) if answers else None
            if not facts and answer is None and inbox is None and opens is None:
                return Written(after, head.seq, ())
            seq = head.seq + len(facts)
            commit = Commit(
                streams=self._stream_writes(stream, head, entries, after),
                refs_added=refs_to_add(stream, state, facts, after),
                refs_removed=refs_removed(state, after, facts),
                inbox=inbox,
                idempotency=self._idempotency(stream, opens, answer, seq, now),
                texts=tuple(texts) if facts else (),
            )
            result = await self._commit(commit)
            if isinstance(result, Committed):
                return Written(after, seq, facts)
            if result.unique is not Unique.STREAM:
                raise AlreadyTaken(result)
            loaded = None
        raise ContendedStream(f"Too many writers on {stream}: try again.", retry_after_s=1)

    async def write_inbox_alone(self, row: InboxInsert | InboxUpdate) -> None:
        """Keep an event that changes no stream. Raises AlreadyTaken for a repeat."""
        result = await self._commit(Commit(inbox=row))
        if isinstance(result, Conflict):
            raise AlreadyTaken(result)

    def _sealed(
        self,
        stream: str,
        state: S | None,
        head: Head,
        facts: tuple[e.Fact, ...],
        now: datetime,
        actor: Actor,
    ) -> tuple[S, tuple[JournalEntry, ...]]:
        after = state
        for fact in facts:
            after = apply_fact(after, fact, now)
        if after is None:
            raise BrokenInvariant(f"{stream} has no state and nothing was decided for it.")
        event_ids = [self.ids.uuid7() for _ in facts]
        return after, seal(stream, head, facts, at=now, actor=str(actor), event_ids=event_ids)

    def _stream_writes(
        self, stream: str, head: Head, entries: tuple[JournalEntry, ...], after: State
    ) -> tuple[StreamWrite, ...]:
        if not entries:
            return ()
        due = payment.due_at(after, self.patience) if isinstance(after, payment.Payment) else None
        return (StreamWrite(stream, head.seq, entries, after, due),)

    @staticmethod
    def _idempotency(
        stream: str, opens: Opens | None, answers: Answers | None, seq: int, now: datetime
    ) -> IdempotencyOpened | IdempotencyAnswered | None:
        if opens is not None:
            answered_at_seq = seq if opens.status is not None else None
            return IdempotencyOpened(
                IdempotencyRecord(
                    opens.scope, opens.key, opens.digest, stream, now, opens.status, answered_at_seq
                )
            )
        if answers is not None:
            return IdempotencyAnswered(answers.scope, answers.key, answers.status, seq)
        return None

    async def _commit(self, commit: Commit) -> Committed | Conflict:
        """Commit, and find out: repeating one's own commit is answered Committed (M24)."""
        for _ in range(UNKNOWNS_MAX):
            result: CommitResult = (await self.store.commit([commit]))[0]
            if isinstance(result, Committed) and self._after_commit is not None:
                self._after_commit(commit)
            if not isinstance(result, CommitUnknown):
                return result
            await self.clock.sleep(UNKNOWN_PAUSE_S)
        raise StoreUnavailable(
            "The database did not say whether the write took effect; ask again for the current "
            "state before repeating the request.",
            code="commit_unknown",
            retry_after_s=5,
        )


def apply_fact(state: S | None, fact: e.Fact, at: datetime) -> S:
    """Fold one fact into the state of its kind of stream."""
    after: State
    match fact:
        case e.VendorRegistered() | e.VendorChanged():
            after = vendor.apply(_of(vendor.Vendor, state), fact, at)
        case e.PayoutPaid() | e.PayoutFailed():
            after = payout.apply(_of(payout.Payout, state), fact, at)
        case (
            e.MovementsPaused()
            | e.MovementsResumed()
            | e.MovementsHeld()
            | e.DriftRepaired()
            | e.HoldReleased()
        ):
            after = movements.apply(_of(movements.Movements, state), fact, at)
        case e.LostMovementFound():
            after = stray.apply(_of(stray.Stray, state), fact, at)
        case e.BalanceTransactionBooked() if isinstance(state, stray.Stray):
            after = stray.apply(state, fact, at)
        case _:
            after = payment_fold.apply(_of(payment.Payment, state), fact, at)
    return after  # type: ignore[return-value] # each apply keeps its kind


K = TypeVar("K", bound=State)


def _of(kind: type[K], state: State | None) -> K | None:
    if state is not None and not isinstance(state, kind):
        raise BrokenInvariant(f"A fact of a {kind.__name__} stands in another kind of stream.")
    return state
