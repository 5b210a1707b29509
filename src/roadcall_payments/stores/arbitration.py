"""Which commits of a batch win, and what the others lost (M23, M24).

Pure but for one read: a store loads what its database holds of everything the batch names, while
it holds the lock that keeps others from writing, and asks for each commit in turn. Accepted
commits move the standing on, so later ones of the batch meet them as if they were stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from roadcall_payments.commit import (
    Commit,
    CommitResult,
    Committed,
    Conflict,
    IdempotencyAnswered,
    IdempotencyOpened,
    IdempotencyRecord,
    InboxEvent,
    InboxInsert,
    InboxStatus,
    InboxUpdate,
    StreamWrite,
    Unique,
)
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.journal import Head, JournalEntry

_EMPTY = Head()
_RETRIABLE = (InboxStatus.WAITING, InboxStatus.REVIEW)

ReadEventIds = Callable[[str, int, int], Mapping[int, str]]
"""(stream, first seq, last seq) to the journal's event ids by seq."""


@dataclass(slots=True)
class Standing:
    """What is stored of what a batch names. ``refs``: key to the stream that holds it."""

    heads: dict[str, Head]
    refs: dict[str, str]
    inbox: dict[str, InboxStatus]
    idempotency: set[tuple[str, str]]
    read_event_ids: ReadEventIds
    # Event ids of this batch's accepted commits, which the journal does not hold yet.
    accepted: dict[tuple[str, int], str] = field(default_factory=dict)

    def head(self, stream: str) -> Head:
        return self.heads.get(stream, _EMPTY)

    def holds(self, entries: Sequence[JournalEntry]) -> bool:
        """Whether these very entries are in their places."""
        first, last = entries[0], entries[-1]
        stored = self.read_event_ids(first.stream, first.seq, last.seq)
        return all(
            (self.accepted.get((entry.stream, entry.seq)) or stored.get(entry.seq))
            == entry.event_id
            for entry in entries
        )


def judge(commit: Commit, standing: Standing) -> CommitResult | None:
    """None: write it (and ``accept`` it). Else its result; then nothing of it may be written.

    A repeat of a commit that is stored already is Committed. Of several losses the one that says
    most is named: the inbox and the idempotency key mean that this very request is known.
    Raises BrokenInvariant for entries that were chained to another head than the stored one.
    """
    lost = [write for write in commit.streams if _is_behind(write, standing)]
    if lost and all(standing.holds(write.entries) for write in commit.streams):
        return Committed()
    return (
        _lost_inbox(commit, standing)
        or _lost_idempotency(commit, standing)
        or _lost_ref(commit, standing)
        or (Conflict(Unique.STREAM, lost[0].stream) if lost else None)
    )


def accept(commit: Commit, standing: Standing) -> None:
    """Move the standing on by a commit that will be written."""
    for write in commit.streams:
        last = write.entries[-1]
        standing.heads[write.stream] = Head(last.seq, last.hash)
        for entry in write.entries:
            standing.accepted[entry.stream, entry.seq] = entry.event_id
    for key in refs_freed(commit, standing.refs):
        del standing.refs[key]
    for ref in commit.refs_added:
        standing.refs[ref.key] = ref.stream
    match commit.inbox:
        case InboxInsert(event):
            standing.inbox[event.event_id] = event.status
        case InboxUpdate(event_id=event_id, status=status):
            standing.inbox[event_id] = status
    if isinstance(commit.idempotency, IdempotencyOpened):
        standing.idempotency.add(idempotency_key(commit.idempotency))


def refs_freed(commit: Commit, held: Mapping[str, str]) -> list[str]:
    """The refs to delete: those of ``refs_removed`` that one of the commit's streams holds."""
    own = {write.stream for write in commit.streams}
    return [key for key in commit.refs_removed if held.get(key) in own]


def inbox_id(inbox: InboxInsert | InboxUpdate) -> str:
    return inbox.event.event_id if isinstance(inbox, InboxInsert) else inbox.event_id


def idempotency_key(written: IdempotencyOpened | IdempotencyAnswered) -> tuple[str, str]:
    """(scope, key)"""
    row = written.record if isinstance(written, IdempotencyOpened) else written
    return row.scope, row.key


def beside_is_stored(
    commit: Commit, event: InboxEvent | None, record: IdempotencyRecord | None
) -> bool:
    """Whether a commit without streams stands as it would have written itself.

    Asked only after its COMMIT failed: a conflict then may well be with itself.
    """
    if commit.streams:
        return False
    inbox, idempotency = commit.inbox, commit.idempotency
    match inbox:
        case InboxInsert(expected) if event != expected:
            return False
        case InboxUpdate() if event is None or _fate(event) != _fate(inbox):
            return False
    match idempotency:
        case IdempotencyOpened(opened) if record != opened:
            return False
        case IdempotencyAnswered(status=status) if record is None or record.status != status:
            return False
    return inbox is not None or idempotency is not None


def _fate(row: InboxEvent | InboxUpdate) -> tuple[InboxStatus, str | None, int]:
    return row.status, row.reason, row.attempts


def _is_behind(write: StreamWrite, standing: Standing) -> bool:
    head = standing.head(write.stream)
    if head.seq != write.expected_seq:
        return True
    if head.hash != write.entries[0].prev_hash:
        raise BrokenInvariant(f"The entries of {write.stream} do not chain to its head.")
    return False


def _lost_inbox(commit: Commit, standing: Standing) -> Conflict | None:
    match commit.inbox:
        case InboxInsert(event) if event.event_id in standing.inbox:
            return Conflict(Unique.INBOX, event.event_id)
        case InboxUpdate(event_id=event_id) if standing.inbox.get(event_id) not in _RETRIABLE:
            return Conflict(Unique.INBOX, event_id)
    return None


def _lost_idempotency(commit: Commit, standing: Standing) -> Conflict | None:
    opened = commit.idempotency
    if isinstance(opened, IdempotencyOpened) and idempotency_key(opened) in standing.idempotency:
        return Conflict(Unique.IDEMPOTENCY, opened.record.key)
    return None


def _lost_ref(commit: Commit, standing: Standing) -> Conflict | None:
    if not commit.refs_added:
        return None
    freed = set(refs_freed(commit, standing.refs))
    taken: dict[str, str] = {}
    for ref in commit.refs_added:
        holder = taken.get(ref.key) or (None if ref.key in freed else standing.refs.get(ref.key))
        if holder not in (None, ref.stream):
            return Conflict(Unique.REF, ref.key)
        taken[ref.key] = ref.stream
    return None
