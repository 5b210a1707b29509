"""After a COMMIT that failed, a commit without streams may meet itself (M24)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from roadcall_payments.commit import (
    Commit,
    IdempotencyAnswered,
    IdempotencyOpened,
    IdempotencyRecord,
    InboxEvent,
    InboxInsert,
    InboxStatus,
    InboxUpdate,
)
from roadcall_payments.stores.arbitration import beside_is_stored
from tests.builders import NOON, commit_of, minutes, new_payment_write

EVENT = InboxEvent("evt_1", "t", "platform", NOON, b"{}", InboxStatus.KEPT)
RECORD = IdempotencyRecord("scope", "key", "digest", "payment/1", NOON)
APPLIED = replace(EVENT, status=InboxStatus.APPLIED, attempts=2)
ANSWERED = replace(RECORD, status=201, seq=1)

INSERT = Commit(inbox=InboxInsert(EVENT))
UPDATE = Commit(inbox=InboxUpdate("evt_1", InboxStatus.APPLIED, None, 2, None))
OPEN = Commit(idempotency=IdempotencyOpened(RECORD))
ANSWER = Commit(idempotency=IdempotencyAnswered("scope", "key", 201, 1))
BOTH = Commit(inbox=InboxInsert(EVENT), idempotency=IdempotencyOpened(RECORD))


@pytest.mark.parametrize(
    ("commit", "event", "record", "own"),
    [
        (INSERT, EVENT, None, True),
        (INSERT, replace(EVENT, received_at=NOON + minutes(1)), None, False),
        (INSERT, None, None, False),
        (UPDATE, APPLIED, None, True),
        (UPDATE, replace(APPLIED, attempts=3), None, False),
        (UPDATE, None, None, False),
        (OPEN, None, RECORD, True),
        (OPEN, None, replace(RECORD, digest="another request's"), False),
        (ANSWER, None, ANSWERED, True),
        (ANSWER, None, RECORD, False),
        (BOTH, EVENT, RECORD, True),
        (BOTH, EVENT, None, False),
        (BOTH, None, RECORD, False),
        (Commit(), None, None, False),
    ],
)
def test_rows_without_a_stream_are_recognised(
    commit: Commit, event: InboxEvent | None, record: IdempotencyRecord | None, own: bool
) -> None:
    assert beside_is_stored(commit, event, record) is own


def test_a_commit_with_streams_is_judged_by_its_entries_alone() -> None:
    commit = replace(commit_of(new_payment_write()), inbox=InboxInsert(EVENT))
    assert not beside_is_stored(commit, EVENT, None)
