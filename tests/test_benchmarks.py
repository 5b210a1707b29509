"""The benchmark's own parts: what it compares must be what it says it is."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import sqlite3
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from benchmarks import issuer, stripe_events
from benchmarks.databases import PostgresDatabase, SqliteFile
from benchmarks.identifiers import payment_id, stripe_id
from benchmarks.load import http_post, kept_in_memory
from benchmarks.pgbench import Pgbench
from benchmarks.prepared import COMPANY, LIVE_AT_ONCE, Stage
from benchmarks.ratios import at_least, ratio_of_rounds, under
from benchmarks.service import WEBHOOK_PATH, bare_server, service_on, stripe_stub, webhook_requests
from roadcall_payments.api.jwks import RemoteKeys
from roadcall_payments.api.tokens import TokenRules, TokenVerifier
from roadcall_payments.domain.people import Actor, Role
from tests.postgres_server import PostgresServer, running_postgres


def test_a_ratio_is_the_median_of_what_each_round_showed() -> None:
    # The machine halved its speed in the second round: both met it.
    assert ratio_of_rounds([100, 50, 90], [50, 25, 30]) == 2.0


def test_a_round_that_one_of_them_lacks_is_no_ratio() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio_of_rounds([1, 2], [1])
    with pytest.raises(ValueError, match="no round"):
        ratio_of_rounds([], [])


def test_a_floor_is_kept_when_it_is_reached_and_a_limit_when_it_is_not() -> None:
    assert at_least("a", "b", ([12], [10]), 1.2).kept
    assert not at_least("a", "b", ([11.9], [10]), 1.2).kept
    assert under("p99", [10, 24.9, 30], 25, "ms").kept
    assert not under("p99", [25, 25, 25], 25, "ms").kept


def test_events_are_distinct_and_of_one_length() -> None:
    bodies = stripe_events.bodies(7, 3)
    told = [json.loads(body) for body in bodies]
    assert [one["id"] for one in told] == [stripe_id("evt", number) for number in (7, 8, 9)]
    assert told[2] == json.loads(stripe_events.body(9))
    assert len({len(body) for body in bodies}) == 1
    assert 2_800 < len(bodies[0]) < 3_300


def test_requests_of_different_lengths_cannot_be_replayed() -> None:
    requests = [http_post("http://127.0.0.1:1", "/", {}, body) for body in (b"{}", b"{ }")]
    with pytest.raises(ValueError, match="different lengths"), kept_in_memory(requests):
        pass


async def test_a_token_holds_by_the_key_set_that_its_issuer_publishes() -> None:
    with issuer.published_keys() as url:
        verifier = TokenVerifier(RemoteKeys(url), TokenRules(issuer.ISSUER, issuer.AUDIENCE))
        caller = await verifier.caller(f"Bearer {issuer.token()}")
    assert caller == Actor("service-example", Role.SERVICE, company_id=COMPANY)


def test_each_event_completes_its_own_prepared_payment(tmp_path: Path) -> None:
    database = SqliteFile(tmp_path / "data")
    database.fill(Stage.AWAITS_SUCCESS, 0, 5)
    with (
        stripe_stub(tmp_path / "stripe.log") as stripe_url,
        service_on(database, stripe_url, tmp_path / "service.log") as service,
    ):
        connection = http.client.HTTPConnection(urlsplit(service.url).netloc, timeout=30)
        for request in webhook_requests(service.url, WEBHOOK_PATH, 0, 3):
            assert _answer(connection, request) == 200
        connection.close()
    assert database.counted("journal", "type = 'PaymentCompleted'") == 3
    assert database.counted("inbox", "status = 'applied'") == 3
    assert database.counted("postings", "TRUE") == 6
    with sqlite3.connect(tmp_path / "data" / "roadcall.sqlite") as db:
        found = db.execute("SELECT stream FROM journal WHERE type = 'PaymentCompleted'").fetchall()
    db.close()
    assert found == [(f"payment/{payment_id(number)}",) for number in range(3)]


def test_pgbench_writes_the_rows_that_the_service_writes(tmp_path: Path) -> None:
    """Its statements stand beside the schema: a column that is renamed shows here."""
    with running_postgres() as server:
        plain = PostgresDatabase(server, "plain", tmp_path / "plain")
        seen = Pgbench(server, plain).round(1)
    assert seen.per_second > 0
    # Its 32 backends end with it; their time is the server's all the same.
    assert seen.cpu_us > 0
    assert seen.database_cpu_us > seen.cpu_us


_TOLD = {
    "streams": "stream, seq, status, flagged, on_review, queue_key, length(state) / 500",
    "refs": "key, stream",
    "inbox": "event_id, type, origin, length(body) / 500, status, reason, attempts, stream",
    "journal": "stream, seq, type, actor, length(data), rules_version",
    "postings": "stream, seq, line, book, account, currency, amount_cents",
    "work": "queue, key, attempts, published_seq, head_seq",
}


def test_the_bare_server_writes_the_rows_that_the_service_writes(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    written: dict[str, dict[str, list[list[str]]]] = {}
    log = tmp_path / "log"
    with stripe_stub(tmp_path / "stripe.log") as stripe_url:
        for name in ("whole", "bare"):
            database = PostgresDatabase(postgres, name, tmp_path / name)
            database.fill(Stage.AWAITS_SUCCESS, 0, 3)
            with contextlib.ExitStack() as opened:
                if name == "whole":
                    url = opened.enter_context(service_on(database, stripe_url, log)).url
                else:
                    url, _ = opened.enter_context(bare_server("rows", database, log))
                connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
                for request in webhook_requests(url, WEBHOOK_PATH, 0, 3):
                    assert _answer(connection, request) == 200
                connection.close()
            written[name] = {
                table: sorted(postgres.sql(f"SELECT {columns} FROM {table}", name))
                for table, columns in _TOLD.items()
            }
    assert len(written["whole"]["inbox"]) == 3
    assert written["bare"] == written["whole"]


def test_what_the_server_copies_is_what_python_copies_in_the_order_of_life(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    database, count = PostgresDatabase(postgres, "copied", tmp_path), LIVE_AT_ONCE + 2
    database.store(Stage.COMPLETED, 0, count)
    database.tidy()
    facts = postgres.sql("SELECT seq FROM journal ORDER BY ctid", "copied")
    # Payment by payment it would be each row; a few still fit where others left room.
    assert sum(before != after for before, after in pairwise(facts)) < count / 10
    database.fill(Stage.COMPLETED, 500_000, count)
    for table in ("journal", "postings", "refs", "streams", "payments", "work"):
        rows = [" ".join(map(_readable, row)) for row in postgres.sql(f"TABLE {table}", "copied")]
        filled = [row for row in rows if "9e4a-0000005" in row]
        assert sorted(map(_unnumbered, filled)) == sorted(map(_unnumbered, set(rows) - {*filled}))
    ((held,),) = postgres.sql(
        f"SELECT stream FROM refs WHERE key ~ '{stripe_id('pi', 3)}'", "copied"
    )
    assert held == f"payment/{payment_id(3)}"


def _readable(value: str) -> str:
    return bytes.fromhex(value[2:]).decode() if value.startswith("\\x") else value


def _unnumbered(row: str) -> str:
    return re.sub(r"[0-9a-f]{24}|[0-9]{12}", "...", row)


def _answer(connection: http.client.HTTPConnection, request: bytes) -> int:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, path, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status
