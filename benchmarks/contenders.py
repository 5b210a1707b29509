"""The systems under measurement, each able to prepare and to run one round."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from benchmarks import load
from benchmarks.databases import Database, PostgresDatabase
from benchmarks.load import LoadFailed
from benchmarks.prepared import Stage
from benchmarks.processes import Process, Started, cpu_seconds
from benchmarks.references import Reference
from benchmarks.service import WEBHOOK_PATH, Service, process_requests, webhook_requests

# Requests are prepared for more than the last round needed, since running out spoils a round: on a
# machine with other work the next one may be twice as fast.
_MARGIN = 2.5


@dataclass(frozen=True, slots=True)
class Round:
    """What one round showed. CPU is microseconds a request, of the system's own processes and of
    its database's; the load generator's is in neither."""

    per_second: float
    p99_ms: float | None
    cpu_us: float
    database_cpu_us: float


class Contender(Protocol):
    @property
    def name(self) -> str: ...

    def round(self, seconds: float) -> Round:
        """Prepare, then measure for ``seconds``. Raises LoadFailed when not all of it counts."""
        ...


class HttpContender:
    """A server that takes prepared requests; one of ours or a reference."""

    def __init__(
        self,
        name: str,
        url: str,
        *,
        prepare: Callable[[int, int], Sequence[bytes]],
        done: Callable[[], int] | None,
        processes: Callable[[], list[Process]],
        database: Callable[[], list[Process]],
        first_guess: int,
        first: int = 0,
    ) -> None:
        """``prepare(first, count)`` fills what is needed and gives the requests; ``done`` counts
        in the database what has taken effect, None where nothing does; ``first_guess`` is a rate
        that is not exceeded; ``first`` is the number of the first payment."""
        self.name = name
        self._url = url
        self._prepare = prepare
        self._done = done
        self._processes = processes
        self._database = database
        self._rate = first_guess / _MARGIN
        self._next = first

    def round(self, seconds: float) -> Round:
        count = int(self._rate * _MARGIN * seconds) + 10 * load.CONNECTIONS
        requests = self._prepare(self._next, count)
        self._next += count
        before = self._done() if self._done else 0
        own, its = self._used()
        measured = load.run(self._url, requests, seconds)
        own, its = (now - before for now, before in zip(self._used(), (own, its), strict=True))
        if self._done:
            self._must_have_worked(self._done, measured.requests, before)
        self._rate = max(measured.per_second, self._rate / 4)
        return Round(
            measured.per_second,
            measured.p99_us / 1_000,
            own * 1_000_000 / measured.requests,
            its * 1_000_000 / measured.requests,
        )

    def _used(self) -> tuple[float, float]:
        """Processor seconds of the system, and of its database. Asked anew each time: either may
        have started processes meanwhile, a connection's own for one."""
        return cpu_seconds(self._processes()), cpu_seconds(self._database())

    def _must_have_worked(self, count: Callable[[], int], answered: int, before: int) -> None:
        """Every answer stands for a row; requests that were cut off at the end may have one too."""
        deadline = time.monotonic() + 10
        while (done := count() - before) < answered and time.monotonic() < deadline:
            time.sleep(0.1)
        if not answered <= done <= answered + 2 * load.CONNECTIONS:
            raise LoadFailed(f"{self.name}: {answered} answers, but {done} rows")


def webhooks_to_service(
    name: str, service: Service, database: Database, first: int = 0
) -> HttpContender:
    def prepare(first: int, count: int) -> Sequence[bytes]:
        database.fill(Stage.AWAITS_SUCCESS, first, count)
        return webhook_requests(service.url, WEBHOOK_PATH, first, count)

    return HttpContender(
        name,
        service.url,
        prepare=prepare,
        done=lambda: database.counted("journal", "type = 'PaymentCompleted'"),
        processes=lambda: service.process.tree,
        database=database.server,
        first_guess=16_000,
        first=first,
    )


def webhooks_to_bare_server(
    kind: str, url: str, process: Started, database: PostgresDatabase, first_guess: int
) -> HttpContender:
    """``kind``: ``rows`` or ``answers``, see ``bare_server``."""
    writes = kind == "rows"

    def prepare(first: int, count: int) -> Sequence[bytes]:
        if writes:
            database.fill(Stage.AWAITS_SUCCESS, first, count)
        return webhook_requests(url, WEBHOOK_PATH, first, count)

    def done() -> int:
        return database.counted("journal", "type = 'PaymentCompleted'")

    return HttpContender(
        "the same rows from constants" if writes else "an answer and nothing else",
        url,
        prepare=prepare,
        done=done if writes else None,
        processes=lambda: process.tree,
        database=database.server,
        first_guess=first_guess,
    )


def process_calls_to_service(name: str, service: Service, database: Database) -> HttpContender:
    def prepare(first: int, count: int) -> Sequence[bytes]:
        database.fill(Stage.APPROVED, first, count)
        return process_requests(service, first, count)

    return HttpContender(
        name,
        service.url,
        prepare=prepare,
        done=lambda: database.counted("journal", "type = 'PaymentIntentOpened'"),
        processes=lambda: service.process.tree,
        database=database.server,
        first_guess=5_000,
    )


def webhooks_to_reference(
    name: str,
    reference: Reference,
    done: Callable[[], int],
    server: Callable[[], list[Process]],
    first_guess: int,
) -> HttpContender:
    return HttpContender(
        name,
        reference.url,
        prepare=lambda first, count: webhook_requests(reference.url, reference.path, first, count),
        done=done,
        processes=lambda: reference.process.tree,
        database=server,
        first_guess=first_guess,
    )
