"""What is PostgreSQL's own: the schema, its plans, its settings."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from roadcall_payments.commit import Committed, InboxStatus
from roadcall_payments.domain.errors import StoreUnavailable
from roadcall_payments.domain.payment import Status
from roadcall_payments.ports import PaymentQuery, Queue
from roadcall_payments.stores.cursors import make_cursor
from roadcall_payments.stores.postgres import open_postgres, work
from roadcall_payments.stores.postgres.connection import Connections
from roadcall_payments.stores.postgres.queries import inbox_statement, payments_statement
from roadcall_payments.stores.postgres.schema_version import VERSIONS
from roadcall_payments.stores.postgres.statement import PARTS, row_type, write_statement
from roadcall_payments.stores.postgres.store import WRITER_SETTINGS
from roadcall_payments.stores.rows import Row, Value
from tests.builders import NOON, commit_of, new_payment_write, next_write, stray_money
from tests.contracts.crash_writer import rows_of, whole_commit
from tests.postgres_server import PostgresServer, installations, running_postgres

# --- the schema ----------------------------------------------------------------------------------


def test_the_code_knows_every_migration_and_speaks_the_last() -> None:
    config = Config()
    config.set_main_option("script_location", "roadcall_payments.stores.schema:postgres")
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [VERSIONS[-1]]
    assert {script.revision for script in scripts.walk_revisions()} == set(VERSIONS)


async def test_a_newer_schema_is_refused(postgres: PostgresServer) -> None:
    with postgres.fresh_database() as url:
        await (await open_postgres(url)).close()
        connection = await asyncpg.connect(url)
        await connection.execute("UPDATE alembic_version SET version_num = '9999'")
        await connection.close()
        with pytest.raises(StoreUnavailable, match="schema 9999"):
            await open_postgres(url)


async def test_an_older_database_is_brought_forward_while_it_is_written(
    postgres: PostgresServer,
) -> None:
    with postgres.fresh_database() as url:
        old = await open_postgres(url)
        write = new_payment_write()
        assert await old.commit([commit_of(write)]) == [Committed()]
        owner = await asyncpg.connect(url)
        await owner.execute("DROP TYPE streams_written_row")
        await owner.execute("DROP INDEX streams_queued")
        await owner.execute("ALTER TABLE streams DROP COLUMN queue_key")
        await owner.execute("UPDATE alembic_version SET version_num = '0002'")
        writing = owner.transaction()
        await writing.start()
        await owner.execute("UPDATE work SET attempts = attempts")
        opening = asyncio.create_task(open_postgres(url))
        # The transaction of somebody who writes stays open for a while: nobody waits for ever.
        await asyncio.sleep(0.1)
        await writing.commit()
        await owner.close()
        store = await opening
        # By which a process of the version before writes on.
        await store.writing.run(lambda db: db.execute("SELECT NULL::streams_moved_row_2[]"))
        assert (await store.payments(PaymentQuery())).items == (write.state,)
        assert await store.payment_faults(write.stream) == []
        assert await store.transfer_queue() == []
        await store.close()
        await old.close()


async def test_another_encoding_is_refused(postgres: PostgresServer) -> None:
    name = "latin"
    postgres.sql(f"CREATE DATABASE {name} ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
    with pytest.raises(StoreUnavailable, match="ENCODING 'UTF8'"):
        await open_postgres(postgres.url(name))
    postgres.drop_database(name)


async def test_a_database_that_is_not_there_is_named_without_a_secret(
    postgres: PostgresServer,
) -> None:
    url = re.sub("//[^@]+@", "//postgres:s3cret-word@", postgres.url("nobody_made_this"))
    with pytest.raises(StoreUnavailable, match="nobody_made_this") as refused:
        await open_postgres(url)
    assert "s3cret-word" not in str(refused.value)


def test_an_up_to_date_database_opens_without_alembic(url: str) -> None:
    code = (
        "import asyncio, sys\n"
        "from roadcall_payments.stores.postgres import open_postgres\n"
        "async def main(): await (await open_postgres(sys.argv[1])).close()\n"
        "asyncio.run(main())\n"
        "sys.exit(any(name in sys.modules for name in ('alembic', 'sqlalchemy')))"
    )
    assert subprocess.run([sys.executable, "-c", code, url], check=False).returncode == 0


def test_processes_that_start_at_once_migrate_once(postgres: PostgresServer) -> None:
    code = (
        "import asyncio, sys\n"
        "from roadcall_payments.stores.postgres import open_postgres\n"
        "async def main():\n"
        "    store = await open_postgres(sys.argv[1]); await store.ready(); await store.close()\n"
        "asyncio.run(main())"
    )
    with postgres.fresh_database() as url:
        started = [
            subprocess.Popen(
                [sys.executable, "-W", "error", "-c", code, url], stderr=subprocess.PIPE
            )
            for _ in range(3)
        ]
        outcomes = [(process.communicate()[1], process.returncode) for process in started]
    assert outcomes == [(b"", 0)] * 3


@pytest.mark.parametrize("version", [one.version for one in installations()])
async def test_it_works_on_every_version_at_hand(version: int) -> None:
    installation = next(one for one in installations() if one.version == version)
    if version < 15:
        pytest.skip("older than what is promised")
    with running_postgres(installation) as server:
        store = await open_postgres(server.url(server.create_database()))
        assert await store.commit([whole_commit("x"), whole_commit("y")]) == [Committed()] * 2
        assert all(await rows_of(store, "x"))
        assert await store.payment_faults("payment/y-a") == []
        await store.close()


async def test_a_role_that_owns_nothing_serves_but_does_not_migrate(
    postgres: PostgresServer,
) -> None:
    """As docs/postgresql.md sets it up: the journal is out of its reach, triggers or not."""
    name = postgres.create_database()
    owner = postgres.url(name)
    service = re.sub("//[^@]+@", "//serves@", owner)
    postgres.sql("CREATE ROLE serves LOGIN")
    with pytest.raises(StoreUnavailable, match="run: roadcall-payments migrate"):
        await open_postgres(service)
    postgres.sql(
        "ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO serves", name
    )
    await (await open_postgres(owner)).close()
    postgres.sql("REVOKE UPDATE, DELETE ON journal, postings FROM serves", name)
    postgres.sql("REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM serves", name)

    store = await open_postgres(service)
    await store.ready()
    assert await store.commit([whole_commit("x")]) == [Committed()]
    # What loses is read and judged with these rights too.
    assert await store.commit([whole_commit("x")]) == [Committed()]
    assert all(await rows_of(store, "x"))
    (claim,) = await store.claim(Queue.ATTENTION, now=NOON, lease_s=9, limit=1, worker="w")
    await store.finish(claim)
    assert await store.count_request("us_1", 1) == 1
    assert await store.payment_faults("payment/x-a") == []
    await store.close()


async def test_the_journal_and_the_postings_are_append_only(url: str) -> None:
    store = await open_postgres(url)
    first = new_payment_write()
    await store.commit([commit_of(first), commit_of(next_write(first, stray_money()))])
    await store.close()
    connection = await asyncpg.connect(url)
    for statement in (
        "UPDATE journal SET actor = 'somebody else'",
        "DELETE FROM journal",
        "TRUNCATE journal",
        "UPDATE postings SET amount_cents = 0",
        "DELETE FROM postings",
        "TRUNCATE postings",
    ):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="append-only"):
            await connection.execute(statement)
    await connection.close()


async def test_connections_are_shared_waited_for_and_closed_when_idle(url: str) -> None:
    watcher = await asyncpg.connect(url)

    async def opened() -> int:
        count: int = await watcher.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return count

    connections = Connections(
        url, size=3, query_seconds_max=60, wait_seconds_max=60, idle_seconds_max=0.2
    )
    await connections.open()

    async def asked(number: int) -> int:
        answer: int = await connections.run(
            lambda db: db.fetchval("SELECT $1::int FROM pg_sleep(0.01)", number)
        )
        return answer

    for _ in range(2):
        assert await asyncio.gather(*map(asked, range(20))) == list(range(20))
        assert await opened() <= 3
        while await opened():  # noqa: ASYNC110  # only the server knows
            await asyncio.sleep(0.01)
    await connections.close()
    await watcher.close()


async def test_a_connection_that_broke_while_it_was_kept_is_not_used(url: str) -> None:
    connections = Connections(url, size=1, query_seconds_max=60, wait_seconds_max=60)
    await connections.open()
    axe = await asyncpg.connect(url)
    lost = await connections.run(lambda db: db.fetchval("SELECT pg_backend_pid()"))
    for _ in range(3):
        assert await axe.fetchval("SELECT pg_terminate_backend($1, 60000)", lost)
        another = await connections.run(lambda db: db.fetchval("SELECT pg_backend_pid()"))
        assert another != lost
        lost = another
    await connections.close()
    await axe.close()


async def test_a_commit_waits_for_the_disk_whatever_the_database_was_told(url: str) -> None:
    connection = await asyncpg.connect(url)
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    try:
        store = await open_postgres(url)
        async with store.writing.borrowed(store.writing.deadline()) as borrowed:
            assert await borrowed.fetchval("SHOW synchronous_commit") == "on"
        await store.close()
    finally:
        await connection.execute(f"ALTER DATABASE {name} RESET synchronous_commit")
        await connection.close()


# --- the plans -----------------------------------------------------------------------------------

FILL = (
    """
    INSERT INTO payments SELECT 'id' || lpad(n::text, 9, '0'), 'co_' || n % 50, 've_' || n % 500,
        'dr_' || n % 2000, 'in_' || n, 'driver_ic' FROM generate_series(1, 30000) n
    """,
    """
    INSERT INTO streams SELECT 'payment/id' || lpad(n::text, 9, '0'), 'payment', 3, 'hash',
        repeat('x', 400)::bytea, CASE WHEN n % 100 = 0 THEN 'processing'
        WHEN n % 101 = 0 THEN 'failed' ELSE 'completed' END, n % 997 = 0, n % 1009 = 0
        FROM generate_series(1, 30000) n
    """,
    """
    INSERT INTO inbox SELECT 'evt_' || n, 't', 'platform', n, 'body',
        CASE WHEN n % 500 = 0 THEN 'waiting' WHEN n % 501 = 0 THEN 'review' ELSE 'applied' END,
        NULL, 0, NULL FROM generate_series(1, 30000) n
    """,
    """
    INSERT INTO journal SELECT 'payment/id' || lpad(n::text, 9, '0'), 1, 'event' || n, 'T', 1,
        'a', 'data', 1, 'p', 'h' FROM generate_series(1, 30000) n
    """,
    """
    INSERT INTO postings SELECT 'payment/id' || lpad(n::text, 9, '0'), 1, l, 'book_' || n % 90,
        'clearing', 'usd', 5 FROM generate_series(1, 30000) n, generate_series(1, 2) l
    """,
    """
    INSERT INTO work SELECT CASE WHEN n % 2 = 0 THEN 'outbox' ELSE 'attention' END,
        'payment/id' || lpad(n::text, 9, '0'), n, 0, 0, 3, NULL, NULL,
        CASE WHEN n % 700 = 0 THEN 5 END, NULL FROM generate_series(1, 30000) n
    """,
    "INSERT INTO refs SELECT 'ref' || n, 'payment/x' FROM generate_series(1, 30000) n",
    """
    INSERT INTO idempotency SELECT 's', 'key' || n, 'd', 'payment/x', 1, NULL, NULL
        FROM generate_series(1, 30000) n
    """,
    """
    INSERT INTO notices SELECT 'n' || n, 'payment/x', 'sms', 'r', 't', '{}', 1, NULL, NULL
        FROM generate_series(1, 30000) n
    """,
    "INSERT INTO texts SELECT 't' || n, 'payment/x', 'b', 's' FROM generate_series(1, 30000) n",
)


@pytest.fixture(scope="module")
def filled(postgres: PostgresServer) -> str:
    """A database with enough rows for an honest plan."""
    url = postgres.url(postgres.create_database())

    async def fill() -> None:
        await (await open_postgres(url)).close()
        connection = await asyncpg.connect(url)
        for statement in FILL:
            await connection.execute(statement)
        await connection.execute("VACUUM ANALYZE")
        await connection.close()

    asyncio.run(fill())
    return url


async def plan_of(url: str, text: str, values: list[Value] | list[object]) -> str:
    connection = await asyncpg.connect(url)
    try:
        lines = await connection.fetch(f"EXPLAIN {text}", *values)
    finally:
        await connection.close()
    return "\n".join(line[0] for line in lines)


CURSOR = make_cursor("payments", "id000015000")


@pytest.mark.parametrize(
    "query",
    [
        PaymentQuery(),
        PaymentQuery(cursor=CURSOR),
        PaymentQuery(company_id="co_1"),
        PaymentQuery(company_id="co_1", cursor=CURSOR, limit=100),
        PaymentQuery(vendor_id="ve_1"),
        PaymentQuery(driver_id="dr_1"),
        PaymentQuery(incident_id="in_1"),
        PaymentQuery(status=Status.PROCESSING),
        PaymentQuery(status=Status.FAILED, company_id="co_1"),
        PaymentQuery(status=Status.COMPLETED, vendor_id="ve_1"),
        PaymentQuery(flagged=True),
        PaymentQuery(queued=True),
        PaymentQuery(on_review=True, cursor=CURSOR),
        PaymentQuery(flagged=False, company_id="co_1"),
    ],
    ids=lambda query: str({k: v for k in query.__slots__ if (v := getattr(query, k))}),
)
async def test_payments_are_listed_by_an_index(filled: str, query: PaymentQuery) -> None:
    plan = await plan_of(filled, *payments_statement(query))
    assert "Seq Scan" not in plan, plan
    # Where one index has the order too. Somebody's own are few enough to be sorted.
    if not (query.vendor_id or query.driver_id or query.incident_id):
        assert "Sort" not in plan, plan


@pytest.mark.parametrize("status", [InboxStatus.WAITING, InboxStatus.REVIEW, None])
async def test_the_inbox_is_listed_by_an_index(filled: str, status: InboxStatus | None) -> None:
    for cursor in (None, make_cursor("inbox", 20_000, "evt_1")):
        plan = await plan_of(filled, *inbox_statement(status, cursor, 10))
        assert ("inbox_open" if status else "inbox_by_time") in plan, plan
        assert "Sort" not in plan, plan


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (work.CLAIM, ["outbox", 100, 10, "lease", 200]),
        (work.FINISH, [["outbox"], ["payment/id000000007"], ["lease"], [3]]),
        ("SELECT * FROM work WHERE parked_at IS NOT NULL ORDER BY parked_at, queue, key", []),
        ("SELECT queue_key FROM streams WHERE queue_key BETWEEN 'usd/' AND 'usd/~'", []),
        ("SELECT state FROM streams WHERE stream = ANY($1::text[])", [["payment/id000000007"]]),
        ("SELECT stream FROM streams WHERE stream > $1 ORDER BY stream LIMIT 500", ["p"]),
        ("SELECT stream FROM refs WHERE key = ANY($1::text[])", [["ref5", "ref6"]]),
        ("SELECT sum(amount_cents) FROM postings WHERE book = $1", ["book_1"]),
        ("SELECT seq FROM journal WHERE stream = $1 AND seq > 0", ["payment/id000000007"]),
    ],
)
async def test_the_other_reads_use_an_index(filled: str, text: str, values: list[object]) -> None:
    plan = await plan_of(filled, text, values)
    assert "Seq Scan" not in plan, plan
    assert "Index" in plan, plan


@pytest.mark.parametrize("is_empty", [True, False])
async def test_a_batch_is_written_in_the_order_of_its_keys(
    filled: str, url: str, is_empty: bool
) -> None:
    """No hash and no scan of a table comes between: two processes meet its rows in one order,
    however many there are. The plan is made once, perhaps while the tables are empty."""
    rows: dict[str, list[Row]] = {part: [("of whatever columns",)] * 3 for part in PARTS}
    text, arrays = write_statement(rows)
    connection = await asyncpg.connect(url if is_empty else filled)
    for name, value in WRITER_SETTINGS.items():
        await connection.execute(f"SET {name} = '{value}'")
    kinds = ", ".join(f"{row_type(part)}[]" for part in PARTS)
    await connection.execute(f"PREPARE batch ({kinds}) AS {text}")
    empty = ", ".join("'{}'" for _ in arrays)
    plan = "\n".join(line[0] for line in await connection.fetch(f"EXPLAIN EXECUTE batch ({empty})"))
    await connection.close()
    assert "Seq Scan" not in plan, plan
    assert "Hash" not in plan, plan
    assert "Sort" not in plan, plan
    assert plan.count("Nested Loop") == 7, plan
