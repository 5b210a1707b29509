"""How fast the service is beside what people use today: ``make bench``.

Each part measures all of its systems in turn, round by round, on one machine, and judges the
medians of the rounds' ratios. Everything is on: fsync, synchronous_commit, FULL, logs, metrics.
Exit status 1 where a figure misses what is asked of it.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import references, report
from benchmarks.contenders import (
    Contender,
    HttpContender,
    Round,
    process_calls_to_service,
    webhooks_to_bare_server,
    webhooks_to_reference,
    webhooks_to_service,
)
from benchmarks.databases import PostgresDatabase, SqliteFile
from benchmarks.ordinary import process_calls_to_ordinary
from benchmarks.pgbench import Pgbench
from benchmarks.prepared import Stage
from benchmarks.ratios import Verdict, at_least, shown, under
from benchmarks.service import Service, bare_server, service_on, stripe_stub
from tests.postgres_server import PostgresServer, running_postgres

P99_MS_MAX = 25.0
MEMORY_MB_MAX = 120.0
_MB = 1024 * 1024
_WARM_UP_S = 4

# Durability as PostgreSQL's own defaults have it; memory as anybody would give it.
_POSTGRES_SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "4GB",
    "autovacuum_naptime": "1min",
}


@dataclass(frozen=True, slots=True)
class Options:
    rounds: int
    seconds: int
    stored: int


@dataclass(frozen=True, slots=True)
class Found:
    verdicts: Sequence[Verdict]
    sections: Sequence[str]


class Machine:
    """What a part starts, and what is ended with it."""

    def __init__(self, folder: Path, opened: contextlib.ExitStack) -> None:
        self.folder = folder
        self.opened = opened
        self.stripe_url = opened.enter_context(stripe_stub(folder / "stripe.log"))

    def postgres(self) -> PostgresServer:
        return self.opened.enter_context(running_postgres(settings=_POSTGRES_SETTINGS))

    def database(self, server: PostgresServer, name: str) -> PostgresDatabase:
        return PostgresDatabase(server, name, self.folder / name)

    def sqlite(self) -> SqliteFile:
        return SqliteFile(self.folder / "sqlite")

    def service(self, database: PostgresDatabase | SqliteFile, name: str) -> Service:
        log = self.folder / f"{name}.log"
        return self.opened.enter_context(service_on(database, self.stripe_url, log))

    def reference(
        self,
        start: Callable[[str, str, Path], contextlib.AbstractContextManager[references.Reference]],
        server: PostgresServer,
        name: str,
    ) -> references.Reference:
        server.sql(f'CREATE DATABASE "{name}"')
        log = self.folder / f"{name}.log"
        return self.opened.enter_context(start(server.url(name), self.stripe_url, log))


@contextlib.contextmanager
def machine() -> Iterator[Machine]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, contextlib.ExitStack() as opened:
        yield Machine(Path(folder), opened)


def interleaved(contenders: Sequence[Contender], options: Options) -> dict[str, list[Round]]:
    """All of them in turn, round after round; the one before the first does not count."""
    rounds: dict[str, list[Round]] = {one.name: [] for one in contenders}
    for number in range(options.rounds + 1):
        for one in contenders:
            # Whatever is made at the first requests (pools, plans, modules) may take its time.
            seen = one.round(options.seconds if number else max(options.seconds, _WARM_UP_S))
            if number:
                rounds[one.name].append(seen)
            print(
                f"  round {number or 'zero'}: {one.name}: {seen.per_second:,.0f}/s, "
                f"{seen.cpu_us:.0f} us of CPU",
                flush=True,
            )
    return rounds


def webhooks(options: Options) -> Found:
    references.install()
    with machine() as here:
        server = here.postgres()
        ours, plain, dj_stripe, engine = _takers_of_webhooks(here, server)
        file = here.sqlite()
        embedded = webhooks_to_service("service, SQLite FULL", here.service(file, "file"), file)
        rounds = interleaved([ours, plain, dj_stripe, engine, embedded], options)
    rates = {name: [one.per_second for one in of_one] for name, of_one in rounds.items()}
    mine = rates[ours.name]
    what = "webhooks/s, one API process, PostgreSQL"
    verdicts = [
        at_least(what, plain.name, (mine, rates[plain.name]), 1.2),
        at_least(what, dj_stripe.name, (mine, rates[dj_stripe.name]), 50),
        at_least(what, engine.name, (mine, rates[engine.name]), 3),
        at_least(
            "webhooks/s, embedded SQLite, FULL",
            "the PostgreSQL figure",
            (rates[embedded.name], mine),
            0.8,
        ),
        *(
            under(f"p99 at 32 connections, {one.name}", _p99s(rounds[one.name]), P99_MS_MAX, "ms")
            for one in (ours, embedded)
        ),
    ]
    return Found(verdicts, [report.figures(rounds)])


def floor(options: Options) -> Found:
    """How far the same webhooks could come down here: a server that writes the same rows from
    constants, and one that drops what it takes (``bare_server``)."""
    references.install()
    with machine() as here:
        server = here.postgres()
        ours, *others = _takers_of_webhooks(here, server)
        database = here.database(server, "bare")
        bare: list[HttpContender] = []
        for kind, first_guess in (("rows", 20_000), ("answers", 40_000)):
            log = here.folder / f"{kind}.log"
            url, process = here.opened.enter_context(bare_server(kind, database, log))
            bare.append(webhooks_to_bare_server(kind, url, process, database, first_guess))
        rounds = interleaved([ours, *bare, *others], options)
    rates = {name: [one.per_second for one in of_one] for name, of_one in rounds.items()}
    ratios = [
        shown(f"webhooks/s, {one.name}", other.name, (rates[one.name], rates[other.name]))
        for one in (ours, *bare)
        for other in others
    ]
    return Found(ratios, [report.figures(rounds)])


def _takers_of_webhooks(
    here: Machine, server: PostgresServer
) -> tuple[HttpContender, Pgbench, HttpContender, HttpContender]:
    """The service, and all that it is measured against: one server has their databases."""
    own = here.database(server, "own")
    ours = webhooks_to_service("service, PostgreSQL", here.service(own, "own"), own)
    plain = Pgbench(server, here.database(server, "plain"))
    dj = here.reference(references.dj_stripe, server, "dj")
    dj_stripe = webhooks_to_reference(
        "dj-stripe 2.11, gunicorn -w 2",
        dj,
        lambda: _counted(server, "dj", "djstripe_paymentintent"),
        own.server,
        400,
    )
    node = here.reference(references.stripe_sync_engine, server, "node")
    engine = webhooks_to_reference(
        "stripe-sync-engine 0.48, fastify",
        node,
        lambda: _counted(server, "node", "stripe.payment_intents"),
        own.server,
        6_000,
    )
    return ours, plain, dj_stripe, engine


def process(options: Options) -> Found:
    references.install()
    with machine() as here:
        server = here.postgres()
        own = here.database(server, "own")
        ours = process_calls_to_service("service, PostgreSQL", here.service(own, "own"), own)
        other = here.reference(references.ordinary_handler, server, "ordinary")
        ordinary = process_calls_to_ordinary(other, server, "ordinary", own.server)
        rounds = interleaved([ours, ordinary], options)
    rates = {name: [one.per_second for one in of_one] for name, of_one in rounds.items()}
    both = rates[ours.name], rates[ordinary.name]
    verdict = at_least("process calls/s, one API process", ordinary.name, both, 10)
    return Found([verdict], [report.figures(rounds)])


def filled(options: Options) -> Found:
    """Two databases on one server, one of them with years of payments in it."""
    with machine() as here:
        server = here.postgres()
        empty, full = here.database(server, "empty"), here.database(server, "full")
        began = time.monotonic()
        full.store(Stage.COMPLETED, 0, options.stored)
        full.tidy()
        took_s = time.monotonic() - began
        print(f"  {options.stored:,} payments stored in {took_s:.0f} s", flush=True)
        before, after = (
            # The measured payments are the newest, in both: their ids come after those stored.
            webhooks_to_service(name, here.service(database, name), database, options.stored)
            for name, database in (("empty", empty), ("full", full))
        )
        rounds = interleaved([before, after], options)
    rates = {name: [one.per_second for one in of_one] for name, of_one in rounds.items()}
    verdict = at_least(
        f"webhooks/s with {options.stored:,} payments stored",
        "the same, empty",
        (rates[after.name], rates[before.name]),
        0.85,
    )
    return Found([verdict], [report.figures(rounds)])


def memory(options: Options) -> Found:
    """Of a service that has just started and was asked nothing but whether it lives."""
    seen: dict[str, list[float]] = {"SQLite": [], "PostgreSQL": []}
    with machine() as here:
        server = here.postgres()
        for number in range(options.rounds):
            name = f"idle{number}"
            for kind, database in (
                ("SQLite", SqliteFile(here.folder / f"file{number}")),
                ("PostgreSQL", here.database(server, name)),
            ):
                log = here.folder / f"{name}.log"
                with service_on(database, here.stripe_url, log) as service:
                    seen[kind].append(service.process.memory().rss / _MB)
    verdicts = [
        under(f"memory of an idle service (RSS), {kind}", found, MEMORY_MB_MAX, "MB")
        for kind, found in seen.items()
    ]
    return Found(verdicts, [])


PARTS: dict[str, Callable[[Options], Found]] = {
    "webhooks": webhooks,
    "process": process,
    "memory": memory,
    "filled": filled,
    "floor": floor,
}
USUAL = ("webhooks", "process", "memory")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", default=",".join(USUAL), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="length of a round, whole seconds")
    parser.add_argument("--stored", type=int, default=5_000_000, help="payments, for filled")
    given = parser.parse_args()
    names = [name for name in given.only.split(",") if name]
    if unknown := set(names) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    options = Options(given.rounds, given.seconds, given.stored)
    settings = f"{options.rounds} rounds of {options.seconds} s, 32 connections"
    kept = True
    for name in names:
        print(f"{name}: {settings}", flush=True)
        found = PARTS[name](options)
        sections = [report.table(found.verdicts), *found.sections]
        print("\n" + "\n\n".join(sections))
        print(f"\n{report.keep(name, settings + '.', sections)}\n", flush=True)
        kept = kept and all(one.kept for one in found.verdicts)
    sys.exit(0 if kept else 1)


def _counted(server: PostgresServer, database: str, table: str) -> int:
    return int(server.sql(f"SELECT count(*) FROM {table}", database)[0][0])  # noqa: S608


def _p99s(rounds: Sequence[Round]) -> list[float]:
    return [one.p99_ms for one in rounds if one.p99_ms is not None]


if __name__ == "__main__":
    main()
