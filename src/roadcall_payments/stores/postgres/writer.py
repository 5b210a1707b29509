"""Many callers' commits in one statement, and what becomes of those it refuses (M23, M24).

The statement is tried as if nothing collided. Refused, it has written nothing: then what stands is
read, each commit is judged on that, and the winners alone are tried. Somebody may again have been
quicker; every round of that settles at least one commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import asyncpg

from roadcall_payments.commit import CommitResult, Committed, CommitUnknown, Conflict
from roadcall_payments.domain.errors import RoadcallError, StoreUnavailable
from roadcall_payments.stores.arbitration import Standing, accept, judge
from roadcall_payments.stores.lane import Submission
from roadcall_payments.stores.postgres.batch import Job, read_standing, rows_of, was_own
from roadcall_payments.stores.postgres.connection import (
    FAILED,
    Connections,
    classified,
    is_final,
    is_lost,
    may_try_again,
)
from roadcall_payments.stores.postgres.statement import write_statement

if TYPE_CHECKING:
    from roadcall_payments.stores.postgres.connection import Connection

Pending = Submission[Job, CommitResult]

_REFUSED = (
    asyncpg.UniqueViolationError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
)
"""Somebody else was there first, or was about to be."""

_ROUNDS_MAX = 5


class GroupWriter:
    """What is done with a batch. No two commits of it share a stream or another key, nor does any
    batch of this process that is under way at the same time."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def work(self, batch: Sequence[Pending]) -> None:
        """Settle every submission; Committed is answered only after the server said so."""
        deadline = self._connections.deadline()
        try:
            async with self._connections.borrowed(deadline) as connection:
                await _write(connection, batch)
        except _REFUSED:
            await self._settle(batch, deadline, lost=False)
        except FAILED as error:
            if is_lost(error):
                await self._settle(batch, deadline, lost=True)
            elif is_final(error):
                await self._one_by_one(batch, error, deadline, lost=False)
            else:
                _fail(batch, classified(error))

    async def _settle(self, batch: Sequence[Pending], deadline: float, *, lost: bool) -> None:
        """Read, judge and write what wins, until each is settled.

        ``lost``: an earlier try may have been done, its answer did not arrive.
        """
        rounds = 0
        while left := [one for one in batch if one.answer is None and one.error is None]:
            try:
                async with self._connections.borrowed(deadline) as connection:
                    await _judge_and_write(connection, left, lost=lost)
            except _REFUSED as error:
                rounds += 1
                if rounds == _ROUNDS_MAX:
                    await self._one_by_one(left, error, deadline, lost=lost)
            except StoreUnavailable as error:
                _give_up(left, error, lost=lost)
            except FAILED as error:
                if is_lost(error):
                    lost = True
                    if not await may_try_again(deadline):
                        _give_up(left, classified(error), lost=True)
                elif is_final(error):
                    await self._one_by_one(left, error, deadline, lost=lost)
                else:
                    _give_up(left, classified(error), lost=lost)

    async def _one_by_one(
        self, batch: Sequence[Pending], error: Exception, deadline: float, *, lost: bool
    ) -> None:
        """The one that cannot be written fails alone."""
        if len(batch) == 1:
            _fail(batch, classified(error))
            return
        for one in batch:
            await self._settle([one], deadline, lost=lost)


async def _judge_and_write(connection: Connection, batch: Sequence[Pending], *, lost: bool) -> None:
    standing = await read_standing(connection, [one.job.commit for one in batch])
    as_read = dict(standing.refs)
    winners: list[Pending] = []
    for one in batch:
        commit = one.job.commit
        try:
            result = judge(commit, standing)
        except RoadcallError as broken:
            one.error = broken
            continue
        if result is None:
            accept(commit, standing)
            winners.append(one)
        elif lost and isinstance(result, Conflict) and await was_own(connection, commit):
            one.answer = Committed()
        else:
            one.answer = result
    standing.refs = as_read
    await _write(connection, winners, standing)


async def _write(
    connection: Connection, batch: Sequence[Pending], standing: Standing | None = None
) -> None:
    text, arguments = write_statement(rows_of([one.job for one in batch], standing))
    if arguments:
        await connection.fetchval(text, *arguments)
    for one in batch:
        one.answer = Committed()


def _give_up(batch: Sequence[Pending], error: Exception, *, lost: bool) -> None:
    if lost:
        for one in batch:
            one.answer = CommitUnknown(f"The connection was lost at the commit: {error}")
    else:
        _fail(batch, error)


def _fail(batch: Sequence[Pending], error: Exception) -> None:
    for one in batch:
        one.error = error
