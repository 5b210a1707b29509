"""A commit whose connection was lost is still on its way; it lands while its fate is read (M24)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from roadcall_payments.commit import Commit, Committed, InboxStatus, InboxUpdate
from roadcall_payments.stores.postgres import open_postgres
from tests.builders import commit_of, new_payment_write
from tests.contracts.crash_writer import whole_commit
from tests.contracts.cutting_proxy import cutting_proxy
from tests.contracts.store_contract_rows import inbox_taken, key_opened

# The new connection's hello, its settings, and the reads: at least so many gaps to land in.
GAPS_MIN = 10


def with_streams(name: str) -> Commit:
    whole = whole_commit(name)
    return Commit(
        streams=whole.streams,
        refs_added=whole.refs_added,
        inbox=whole.inbox,
        idempotency=key_opened(f"key-{name}"),
    )


def of_a_waiting_event(name: str) -> Commit:
    told = InboxUpdate(f"evt_waits_{name}", InboxStatus.APPLIED, None, 1, f"payment/{name}-a")
    return Commit(streams=commit_of(new_payment_write(f"{name}-a")).streams, inbox=told)


def without_streams(name: str) -> Commit:
    return Commit(inbox=inbox_taken(f"evt_{name}"), idempotency=key_opened(f"key-{name}"))


@pytest.mark.parametrize("commit_named", [with_streams, of_a_waiting_event, without_streams])
async def test_m24_a_late_commit_is_never_in_conflict_with_itself(
    url: str, commit_named: Callable[[str], Commit]
) -> None:
    """Its transaction ends before each question in turn that is asked about it."""
    other = await open_postgres(url)
    at, landed = 0, True
    while landed:
        at, landed = at + 1, False
        commit = commit_named(f"late-{at}")
        waits = inbox_taken(f"evt_waits_late-{at}", InboxStatus.WAITING)
        assert await other.commit([Commit(inbox=waits)]) == [Committed()]

        async def lands(commit: Commit = commit) -> None:
            nonlocal landed
            assert await other.commit([commit]) == [Committed()]
            landed = True

        async with cutting_proxy(url) as proxy:
            store = await open_postgres(proxy.url)
            proxy.loses_question, proxy.to = True, f"late-{at}".encode()
            proxy.at, proxy.then = at, lands
            assert await store.commit([commit]) == [Committed()], f"landed before question {at}"
            assert proxy.asked is not None
            await store.close()
    assert at > GAPS_MIN
    await other.close()
