"""The benchmark's own parts: what it compares must be what it says it is."""

from __future__ import annotations

import http.client
import json
import sqlite3
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from benchmarks import stripe_events
from benchmarks.databases import PostgresDatabase, SqliteFile
from benchmarks.identifiers import payment_id, stripe_id
from benchmarks.load import http_post, kept_in_memory
from benchmarks.pgbench import Pgbench
from benchmarks.prepared import Stage
from benchmarks.ratios import at_least, ratio_of_rounds, under
from benchmarks.service import WEBHOOK_PATH, service_on, stripe_stub, webhook_requests
from tests.postgres_server import running_postgres


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


def _answer(connection: http.client.HTTPConnection, request: bytes) -> int:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, path, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status
