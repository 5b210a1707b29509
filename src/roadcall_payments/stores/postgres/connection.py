"""Connections to the server: made, kept, lost and made anew; what its errors mean."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from roadcall_payments.domain.errors import BrokenInvariant, RoadcallError, StoreUnavailable

if TYPE_CHECKING:
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]

T = TypeVar("T")

WAIT_SECONDS_MAX = 5.0
"""How long a call waits for a server that is gone before it says StoreUnavailable."""

CONNECT_SECONDS_MAX = 5.0
_PAUSE_SECONDS = 0.05
_IDLE_SECONDS_MAX = 300.0
_KEPT_SHARE = 0.2
_STATEMENTS_CACHED = 300

LOST: tuple[type[Exception], ...] = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    # The server has become a standby: another one is the primary now.
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.TargetServerAttributeNotMatched,
    OSError,
    TimeoutError,
)
FAILED: tuple[type[Exception], ...] = (asyncpg.PostgresError, *LOST)
"""All that asyncpg raises."""


def is_lost(error: BaseException) -> bool:
    """The connection is of no use any more; what was under way on it may have been done."""
    # asyncpg's error for a value that cannot be sent is an InterfaceError too, and a ValueError.
    return isinstance(error, LOST) and not isinstance(error, ValueError)


def is_final(error: BaseException) -> bool:
    """The same statement with the same values would fail again."""
    refused = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, ValueError)
    return isinstance(error, refused)


def classified(error: Exception) -> Exception:
    """Our own error for what the server said: its trouble is transient, bad data is final."""
    if isinstance(error, RoadcallError):
        return error
    if isinstance(error, FAILED) and not is_final(error):
        return StoreUnavailable(f"The database failed: {_told(error)}", retry_after_s=1)
    return BrokenInvariant(f"Data that cannot be stored or read: {_told(error)}")


def _told(error: Exception) -> str:
    """The error's own words without the values, which may be personal."""
    if isinstance(error, (asyncpg.DataError, ValueError)) and error.__cause__:
        # asyncpg quotes what it could not send; what was wrong with it is the cause.
        return str(error.__cause__)
    if isinstance(error, asyncpg.PostgresError) and error.args:
        # Without DETAIL, which may quote a row.
        return str(error.args[0])
    return str(error) or type(error).__name__


class Connections:
    """A pool that outlives its server. Belongs to one event loop.

    ``settings`` are made on each new connection. ``query_seconds_max`` bounds a statement here,
    and a little earlier in the server, so that a server that is merely slow answers itself. One
    that is idle for ``idle_seconds_max``, and a fifth of it more, is closed.
    """

    def __init__(
        self,
        url: str,
        *,
        size: int,
        query_seconds_max: float,
        wait_seconds_max: float,
        settings: dict[str, str] | None = None,
        idle_seconds_max: float = _IDLE_SECONDS_MAX,
    ) -> None:
        self._wait_seconds_max = wait_seconds_max
        self._kept_seconds_max = idle_seconds_max * _KEPT_SHARE
        self._settings = {
            "statement_timeout": f"{int(query_seconds_max * 900)}ms",
            "lock_timeout": f"{int(wait_seconds_max * 1000)}ms",
            **(settings or {}),
        }
        self._pool: Pool = asyncpg.create_pool(
            url,
            min_size=0,
            max_size=size,
            init=self._set_up,
            reset=_leave_as_it_is,
            timeout=CONNECT_SECONDS_MAX,
            command_timeout=query_seconds_max,
            max_queries=10**9,
            max_inactive_connection_lifetime=idle_seconds_max,
            statement_cache_size=_STATEMENTS_CACHED,
            max_cached_statement_lifetime=0,
            max_cacheable_statement_size=0,
            target_session_attrs=SessionAttribute.primary,
        )
        self._kept: list[Connection] = []
        self._wait_for_one = 0
        self._giving_back: asyncio.Handle | None = None
        self._given_back: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self._pool

    def deadline(self) -> float:
        """Until when to wait, in seconds of the event loop's clock."""
        return asyncio.get_running_loop().time() + self._wait_seconds_max

    def borrowed(self, deadline: float) -> Borrowed:
        """A connection for a block. Raises StoreUnavailable when there is none until ``deadline``.

        One on which the block fails as lost is not used again.
        """
        return Borrowed(self, deadline)

    async def run(
        self, job: Callable[[Connection], Awaitable[T]], *, seconds_max: float | None = None
    ) -> T:
        """What may be done twice (reads, ends of claims): again on a new connection when one is
        lost, as long as the wait allows. Raises our own errors only.

        ``seconds_max``: how long the job itself may take, where that is less than a query may.
        """
        deadline = self.deadline()
        while True:
            try:
                async with self.borrowed(deadline) as connection, asyncio.timeout(seconds_max):
                    return await job(connection)
            except FAILED as error:
                if not is_lost(error) or not await may_try_again(deadline):
                    raise classified(error) from error

    async def close(self) -> None:
        if self._giving_back is not None:
            self._giving_back.cancel()
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                await self._give_kept_back()
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def acquire(self, deadline: float) -> Connection:
        while self._kept:
            connection = self._kept.pop()
            if not _is_closed(connection):
                return connection
            await self._pool.release(connection)
        last: Exception | None = None
        while True:
            self._wait_for_one += 1
            try:
                async with asyncio.timeout_at(deadline):
                    return await self._pool.acquire()
            except FAILED as error:
                # The deadline's own error says least.
                last = last if last and isinstance(error, TimeoutError) else error
                if not await may_try_again(deadline):
                    raise StoreUnavailable(
                        f"No connection to the database: {_told(last)}", retry_after_s=1
                    ) from error
            finally:
                self._wait_for_one -= 1

    async def release(self, connection: Connection) -> None:
        """Kept for the next borrower, which spares the pool's tasks and timers: for a while, and
        not while somebody waits at the pool. One that broke is found out when it is lent next."""
        if self._wait_for_one or self._pool.is_closing():
            await self._pool.release(connection)
            return
        self._kept.append(connection)
        if self._giving_back is None:
            loop = asyncio.get_running_loop()
            self._giving_back = loop.call_later(self._kept_seconds_max, self._give_back)

    def _give_back(self) -> None:
        self._giving_back = None
        self._given_back = asyncio.get_running_loop().create_task(self._give_kept_back())

    async def _give_kept_back(self) -> None:
        while self._kept:
            await self._pool.release(self._kept.pop())

    async def _set_up(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        names, values = list(self._settings), list(self._settings.values())
        await connection.execute(
            "SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[])"
            " AS wanted (name, value)",
            names,
            values,
        )
        # A database that was told to answer before its log is on the disk: not to us.
        await connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') = 'off'"
        )


class Borrowed:
    """A connection for the length of a block."""

    __slots__ = ("_connection", "_deadline", "_lender")

    def __init__(self, lender: Connections, deadline: float) -> None:
        self._lender = lender
        self._deadline = deadline

    async def __aenter__(self) -> Connection:
        self._connection = await self._lender.acquire(self._deadline)
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: object
    ) -> None:
        if error is not None and (is_lost(error) or isinstance(error, asyncio.CancelledError)):
            self._connection.terminate()
        await self._lender.release(self._connection)


def _is_closed(connection: Connection) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        # It broke, and the pool took it back at once.
        return True


async def may_try_again(deadline: float) -> bool:
    """A short pause, unless the time is over."""
    if asyncio.get_running_loop().time() + _PAUSE_SECONDS > deadline:
        return False
    await asyncio.sleep(_PAUSE_SECONDS)
    return True


async def _leave_as_it_is(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Our connections keep their settings and hold nothing: the reset would be a round trip."""
