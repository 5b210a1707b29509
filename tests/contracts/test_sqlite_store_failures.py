"""SQLite when something breaks: poison, overload, a full disk, SIGKILL."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from roadcall_payments.commit import (
    Commit,
    Committed,
    InboxEvent,
    InboxInsert,
    InboxStatus,
    TextWrite,
)
from roadcall_payments.domain.errors import BrokenInvariant, StoreUnavailable
from roadcall_payments.stores.sqlite import open_sqlite
from roadcall_payments.stores.sqlite.store import WAITING_MAX
from tests.builders import NOON, commit_of, new_payment_write
from tests.contracts.crash_look import crash_and_look
from tests.contracts.crash_writer import rows_of, whole_commit

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "payments.db"


def poisoned(kind: str) -> Commit:
    """Commits that only the database finds out."""
    write = new_payment_write(event_id="used-before-1")
    match kind:
        case "event id of another stream":
            return commit_of(write)
        case "text id used before":
            return Commit(texts=(TextWrite("text-used", write.stream, "b", "00"),))
        case "lone surrogate":
            return Commit(texts=(TextWrite("t", write.stream, "\ud800", "00"),))
        case "lone surrogate in a key":
            event = InboxEvent("\udfff", "t", "platform", NOON, b"", InboxStatus.KEPT)
            return Commit(inbox=InboxInsert(event))
    event = InboxEvent("evt_huge", "t", "platform", NOON, b"", InboxStatus.KEPT, attempts=2**70)
    return Commit(inbox=InboxInsert(event))


@pytest.mark.parametrize(
    "kind",
    [
        "event id of another stream",
        "text id used before",
        "lone surrogate",
        "lone surrogate in a key",
        "number too large",
    ],
)
async def test_a_poison_commit_fails_alone(path: Path, kind: str) -> None:
    store = open_sqlite(path)
    used = commit_of(new_payment_write(event_id="used-before-1"))
    text = TextWrite("text-used", used.streams[0].stream, "a", "00")
    await store.commit([used, Commit(texts=(text,))])
    answers = await asyncio.gather(
        store.commit([whole_commit("before")]),
        store.commit([poisoned(kind)]),
        store.commit([whole_commit("after")]),
        return_exceptions=True,
    )
    assert answers[0] == answers[2] == [Committed()]
    assert isinstance(answers[1], BrokenInvariant)
    assert all(await rows_of(store, "before"))
    assert all(await rows_of(store, "after"))
    await store.close()


async def test_closing_finishes_what_was_handed_in(path: Path) -> None:
    store = open_sqlite(path)
    tasks = [asyncio.create_task(store.commit([whole_commit(f"n{n}")])) for n in range(300)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*tasks) == [[Committed()]] * 300
    with pytest.raises(StoreUnavailable):
        await store.load("payment/n1-a")
    await store.close()


async def test_a_caller_that_goes_away_spoils_nothing(path: Path) -> None:
    store = open_sqlite(path)
    gone, stays = (asyncio.create_task(store.commit([whole_commit(n)])) for n in ("gone", "stays"))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == [Committed()]
    present = await rows_of(store, "gone")
    assert all(present) or not any(present)
    await store.close()


async def test_too_much_at_once_is_refused_not_hoarded(path: Path) -> None:
    store = open_sqlite(path)
    commits = [Commit() for _ in range(WAITING_MAX + 1)]
    with pytest.raises(StoreUnavailable, match="overloaded"):
        await store.commit(commits)
    assert len(await store.commit(commits[1:])) == WAITING_MAX
    await store.close()


FAILING_DISK = """
import asyncio, resource, sys
from pathlib import Path
from roadcall_payments.commit import Committed, CommitUnknown
from roadcall_payments.stores.sqlite import open_sqlite
from tests.contracts.crash_look import crash_and_look
from tests.contracts.crash_writer import rows_of, whole_commit

NAMES = [f"n{number}" for number in range(40)]

async def main():
    path, pages_free = Path(sys.argv[1]), int(sys.argv[2])
    store = open_sqlite(path)
    assert await store.commit([whole_commit("before")]) == [Committed()]
    # The log may grow by so many pages: writing more fails at COMMIT.
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = path.with_name(path.name + "-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + pages_free * 4120, hard))
    results = await store.commit([whole_commit(name) for name in NAMES])
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    print(sum(result == Committed() for result in results))
    for name, result in zip(NAMES, results, strict=True):
        if result == Committed():
            assert all(await rows_of(store, name)), name
        else:
            assert isinstance(result, CommitUnknown), result
            assert not any(await rows_of(store, name)), name
    # Who asks again with the same commit learns the truth.
    assert await store.commit([whole_commit(name) for name in NAMES]) == [Committed()] * 40
    for name in NAMES:
        assert all(await rows_of(store, name)), name
    await store.close()

asyncio.run(main())
"""


@pytest.mark.parametrize(("pages_free", "fit"), [(0, range(1)), (60, range(1, 40))])
def test_a_disk_that_fails_at_commit_leaves_it_unknown_not_guessed(
    path: Path, pages_free: int, fit: range
) -> None:
    """The batch does not fit; run one by one, some of it may."""
    done = subprocess.run(
        [sys.executable, "-c", FAILING_DISK, str(path), str(pages_free)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) in fit


def test_a_crash_loses_nothing_acknowledged_and_leaves_nothing_half(path: Path) -> None:
    crash_and_look(str(path), crashes=3)
