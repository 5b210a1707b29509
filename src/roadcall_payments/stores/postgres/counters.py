"""Requests counted per caller and window, shared between processes (M35).

In an unlogged table: a crash of the server may forget a minute's counts.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from roadcall_payments.stores.lane import Submission
from roadcall_payments.stores.postgres.connection import Connections

Counted = tuple[str, int]
"""(caller, window)"""

_COUNT = """
    INSERT INTO requests (window_number, caller, requests)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS given
    ON CONFLICT (window_number, caller)
        DO UPDATE SET requests = requests.requests + excluded.requests
    RETURNING window_number, caller, requests
"""

# Rows that another process is at are its own affair.
_FORGET = """
    WITH old AS MATERIALIZED (
        SELECT window_number, caller FROM requests WHERE window_number < $1 FOR UPDATE SKIP LOCKED
    )
    DELETE FROM requests USING old
    WHERE requests.window_number = old.window_number AND requests.caller = old.caller
"""


class RequestCounters:
    """What is done with a batch of requests: one statement, in the order of the keys."""

    def __init__(self, connections: Connections, seconds_max: float) -> None:
        self._connections = connections
        self._seconds_max = seconds_max
        self._newest = 0

    async def work(self, batch: Sequence[Submission[Counted, int]]) -> None:
        asked = Counter(one.job for one in batch)
        counted = sorted((window, caller, count) for (caller, window), count in asked.items())
        newest = counted[-1][0]
        async with (
            self._connections.borrowed(self._connections.deadline()) as connection,
            asyncio.timeout(self._seconds_max),
        ):
            if newest > self._newest:
                # The window before may still be asked for by a process whose clock is behind.
                await connection.execute(_FORGET, newest - 1)
                self._newest = newest
            rows = await connection.fetch(_COUNT, *zip(*counted, strict=True))
        reached = {(caller, window): requests for window, caller, requests in rows}
        for one in reversed(batch):
            one.answer = reached[one.job]
            reached[one.job] -= 1
