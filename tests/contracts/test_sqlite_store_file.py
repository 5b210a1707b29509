"""What is SQLite's own: the file, its schema, the processes that share it."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from roadcall_payments.commit import (
    Committed,
    InboxStatus,
)
from roadcall_payments.domain.errors import StoreUnavailable
from roadcall_payments.domain.payment import Status
from roadcall_payments.ports import PaymentQuery, Queue
from roadcall_payments.stores.sqlite import open_sqlite
from roadcall_payments.stores.sqlite.connection import connect_writer
from roadcall_payments.stores.sqlite.queries import read_inbox, read_payments
from roadcall_payments.stores.sqlite.schema_version import VERSIONS
from tests.builders import NOON, anomaly, commit_of, new_payment_write, next_write, stray_money
from tests.contracts.crash_writer import rows_of, whole_commit


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "payments.db"


# --- the file and its schema ---------------------------------------------------------------------


async def test_what_was_written_is_there_after_a_restart(path: Path) -> None:
    write = new_payment_write()
    store = open_sqlite(path)
    await store.commit([commit_of(write)])
    await store.close()
    store = open_sqlite(path)
    loaded = await store.load(write.stream)
    await store.close()
    assert loaded is not None
    assert loaded.state == write.state


async def test_the_journal_and_the_postings_are_append_only(path: Path) -> None:
    store = open_sqlite(path)
    first = new_payment_write()
    await store.commit([commit_of(first), commit_of(next_write(first, stray_money()))])
    await store.close()
    db = sqlite3.connect(path)
    for statement in (
        "UPDATE journal SET actor = 'somebody else'",
        "DELETE FROM journal",
        "UPDATE postings SET amount_cents = 0",
        "DELETE FROM postings",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            db.execute(statement)
    db.close()


async def test_the_file_is_its_owners_alone(path: Path) -> None:
    store = open_sqlite(path)
    await store.commit([whole_commit("x")])
    for name in ("payments.db", "payments.db-wal"):
        assert path.with_name(name).stat().st_mode & 0o077 == 0
    await store.close()


def test_every_commit_reaches_the_disk(path: Path) -> None:
    """The settings that durability rests on; a power cut cannot be staged here."""
    asyncio.run(open_sqlite(path).close())
    db = connect_writer(path)
    found = {
        name: db.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "fullfsync", "foreign_keys")
    }
    db.close()
    assert found == {"journal_mode": "wal", "synchronous": 2, "fullfsync": 1, "foreign_keys": 1}


def test_the_code_knows_every_migration_and_speaks_the_last() -> None:
    config = Config()
    config.set_main_option("script_location", "roadcall_payments.stores.schema:sqlite")
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [VERSIONS[-1]]
    assert {script.revision for script in scripts.walk_revisions()} == set(VERSIONS)


def test_a_newer_schema_is_refused(path: Path) -> None:
    asyncio.run(open_sqlite(path).close())
    db = sqlite3.connect(path)
    db.execute("UPDATE alembic_version SET version_num = '9999'")
    db.commit()
    db.close()
    with pytest.raises(StoreUnavailable, match="schema 9999"):
        open_sqlite(path)


async def test_an_older_file_is_brought_forward_with_all_it_holds(path: Path) -> None:
    await open_sqlite(path).close()
    write = new_payment_write()
    store = open_sqlite(path)
    assert await store.commit([commit_of(write)]) == [Committed()]
    await store.close()
    db = sqlite3.connect(path)
    db.executescript(
        "DROP INDEX payments_queued; ALTER TABLE payments DROP COLUMN queue_key;"
        "UPDATE alembic_version SET version_num = '0001'"
    )
    db.close()
    store = open_sqlite(path)
    assert (await store.payments(PaymentQuery())).items == (write.state,)
    assert await store.payment_faults(write.stream) == []
    assert await store.transfer_queue() == []
    await store.close()


def test_what_is_no_database_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(StoreUnavailable):
        open_sqlite(path)


def test_an_up_to_date_file_opens_without_alembic(path: Path) -> None:
    asyncio.run(open_sqlite(path).close())
    code = (
        "import asyncio, sys; from pathlib import Path\n"
        "from roadcall_payments.stores.sqlite import open_sqlite\n"
        "asyncio.run(open_sqlite(Path(sys.argv[1])).close())\n"
        "sys.exit(any(name in sys.modules for name in ('alembic', 'sqlalchemy')))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 0


def test_processes_that_start_at_once_migrate_once(path: Path) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path\n"
        "from roadcall_payments.stores.sqlite import open_sqlite\n"
        "async def main():\n"
        "    store = open_sqlite(Path(sys.argv[1])); await store.ready(); await store.close()\n"
        "asyncio.run(main())"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, str(path)], stderr=subprocess.PIPE
        )
        for _ in range(3)
    ]
    outcomes = [(process.communicate()[1], process.returncode) for process in started]
    assert outcomes == [(b"", 0)] * 3


@pytest.mark.parametrize(
    "query",
    [
        PaymentQuery(company_id="co_1"),
        PaymentQuery(vendor_id="ve_1"),
        PaymentQuery(driver_id="dr_1"),
        PaymentQuery(incident_id="in_1"),
        PaymentQuery(status=Status.PENDING_APPROVAL),
        PaymentQuery(status=Status.FAILED, company_id="co_1"),
        PaymentQuery(flagged=True),
        PaymentQuery(on_review=True),
        PaymentQuery(queued=True),
        PaymentQuery(company_id="co_1", cursor=None, limit=100),
    ],
)
def test_queries_use_an_index(path: Path, query: PaymentQuery) -> None:
    asyncio.run(open_sqlite(path).close())
    db = sqlite3.connect(path)
    ran: list[str] = []
    db.set_trace_callback(ran.append)
    read_payments(db, query)
    db.set_trace_callback(None)
    plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {ran[0]}")]
    db.close()
    assert any("USING INDEX payments_" in step or "COVERING INDEX" in step for step in plan), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan


@pytest.mark.parametrize("status", [InboxStatus.WAITING, InboxStatus.REVIEW, None])
def test_the_inbox_is_listed_by_an_index(path: Path, status: InboxStatus | None) -> None:
    asyncio.run(open_sqlite(path).close())
    db = sqlite3.connect(path)
    ran: list[str] = []
    db.set_trace_callback(ran.append)
    read_inbox(db, status, None, 10)
    db.set_trace_callback(None)
    plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {ran[0]}")]
    db.close()
    wanted = "inbox_open" if status else "inbox_by_time"
    assert any(wanted in step for step in plan), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan


# --- several processes ---------------------------------------------------------------------------


async def test_two_stores_share_a_file(path: Path) -> None:
    serve, worker = open_sqlite(path), open_sqlite(path)
    first = new_payment_write(due_at=NOON)
    await serve.commit([commit_of(first)])
    rivals = [next_write(first, anomaly(f"by {n}")) for n in range(40)]
    outcomes = await asyncio.gather(
        *[
            store.commit([commit_of(rival)])
            for store, rival in zip([serve, worker] * 20, rivals, strict=True)
        ]
    )
    assert [result for (result,) in outcomes].count(Committed()) == 1
    claims = await asyncio.gather(
        *[
            store.claim(Queue.OUTBOX, now=NOON, lease_s=9, limit=1, worker="w")
            for store in (serve, worker)
        ]
    )
    assert sum(len(claimed) for claimed in claims) == 1
    counts = [await store.count_request("us_1", 1) for store in (serve, worker)]
    assert counts == [1, 2]
    await serve.close()
    await worker.close()


async def test_a_writer_that_waits_too_long_says_so(path: Path) -> None:
    store = open_sqlite(path, busy_seconds_max=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        await store.commit([whole_commit("held")])
    with pytest.raises(StoreUnavailable):
        await store.ready()
    # Readers wait for nobody.
    assert await store.load("payment/held-a") is None
    other.execute("ROLLBACK")
    other.close()
    assert not any(await rows_of(store, "held"))
    assert await store.commit([whole_commit("held")]) == [Committed()]
    await store.close()


async def test_waiting_for_another_process_holds_up_nobody_else(path: Path) -> None:
    store = open_sqlite(path)
    assert await store.commit([whole_commit("before")]) == [Committed()]
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waits = asyncio.create_task(store.commit([whole_commit("waits")]))
    for _ in range(3):
        assert await store.load("payment/before-a") is not None
    assert not waits.done()
    other.execute("ROLLBACK")
    other.close()
    assert await waits == [Committed()]
    assert all(await rows_of(store, "waits"))
    await store.close()


async def test_a_damaged_counter_file_is_begun_anew(path: Path) -> None:
    store = open_sqlite(path)
    await store.count_request("us_1", 1)
    await store.close()
    path.with_name("payments.db-requests").write_bytes(b"noise" * 1000)
    store = open_sqlite(path)
    with pytest.raises(StoreUnavailable):
        await store.count_request("us_1", 1)
    assert await store.count_request("us_1", 1) == 1
    await store.close()
