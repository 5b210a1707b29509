"""The same rows as a webhook writes, by pgbench: one plain statement a row, nothing else.

Plain SQL has no signature to check, no JSON to read, nothing to decide and nothing to answer; its
statements are prepared, and its 32 clients are written in C.
"""

from __future__ import annotations

import re
import resource
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.contenders import Round
from benchmarks.databases import PostgresDatabase
from benchmarks.identifiers import ACCOUNT
from benchmarks.load import CONNECTIONS, LoadFailed
from benchmarks.prepared import Stage, completion
from benchmarks.processes import cpu_seconds
from benchmarks.stripe_events import body
from tests.postgres_server import PostgresServer

_SCRIPT = Path(__file__).with_name("pgbench.sql")
# Transactions a second that are not reached: a client past its share writes a neighbour's.
_FIRST_GUESS = 10_000.0


class Pgbench:
    """32 clients on payments of their own."""

    name = "pgbench, a plain statement a row"

    def __init__(self, server: PostgresServer, database: PostgresDatabase) -> None:
        self._server = server
        self._database = database
        self._next = 0
        self._rate = _FIRST_GUESS

    def round(self, seconds: float) -> Round:
        share = int(self._rate * 1.6 * seconds) // CONNECTIONS + 50
        first, count = self._next, share * CONNECTIONS
        self._database.fill(Stage.AWAITS_SUCCESS, first, count)
        self._next += count
        before = self._done()
        used, own = cpu_seconds(self._database.server()), _own_children()
        transactions, rate = self._run(first, share, seconds)
        used, own = cpu_seconds(self._database.server()) - used, _own_children() - own
        done = self._done() - before
        if done != transactions:
            raise LoadFailed(f"pgbench: {transactions} transactions, but {done} rows")
        self._rate = rate
        each = 1_000_000 / transactions
        return Round(rate, None, own * each, used * each)

    def _done(self) -> int:
        return self._database.counted("journal", "type = 'PaymentCompleted'")

    def _run(self, first: int, share: int, seconds: float) -> tuple[int, float]:
        """Transactions in all, and a second."""
        values = {**_values(), "first": str(first), "share": str(share), "i": "0"}
        defined = [word for name, value in values.items() for word in ("-D", f"{name}={value}")]
        done = subprocess.run(
            [
                self._server.installation.program("pgbench"),
                *("--no-vacuum", "--protocol=prepared", f"--file={_SCRIPT}"),
                *(f"--client={CONNECTIONS}", "--jobs=1", f"--time={max(int(seconds), 1)}"),
                *defined,
                self._database.url,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        counted = re.search(r"number of transactions actually processed: (\d+)", done.stdout)
        rate = re.search(r"tps = ([\d.]+)", done.stdout)
        if done.returncode or counted is None or rate is None:
            raise LoadFailed(f"pgbench: {done.stdout[-500:]}{done.stderr[-1_500:]}")
        return int(counted[1]), float(rate[1])


def _own_children() -> float:
    """Processor seconds of the programs that we ran and that have ended: pgbench's, in between."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _values() -> dict[str, str]:
    """What the rows hold beside their ids: as long as the service's own."""
    entry, state = completion()
    return {
        "body": body(0).decode(),
        "state": state.decode(),
        "fact": entry.data.decode(),
        "hash": entry.hash,
        "actor": entry.actor,
        "account": ACCOUNT,
        # A colon within the script would name a variable.
        "object": f"stripe:{ACCOUNT}:test:",
        "payable": "vendor_payable:v_example",
        "at": str(int(datetime.now(UTC).timestamp() * 1_000_000)),
    }
