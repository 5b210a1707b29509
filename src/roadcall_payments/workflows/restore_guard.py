"""A restored database starts held (M18): how it is known, and how the hold ends.

`restore` marks what it restores. A database restored by other means is known by the signed
checkpoints, which stand outside it (M30): where they know more than the journal, it is older than
it was.
"""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from roadcall_payments.commit import decode_state
from roadcall_payments.domain.errors import BrokenInvariant, RoadcallError
from roadcall_payments.domain.movements import Movements
from roadcall_payments.domain.people import WORKER, Actor
from roadcall_payments.ports import Store
from roadcall_payments.workflows.checkpoints import Ahead, Checkpoints
from roadcall_payments.workflows.movements_switch import REASON_LENGTH_MAX, MovementsSwitch

STREAMS_PAGE = 500
HELD_LOOK_S = 60.0
# Stripe opened to the public: an empty database may lack everything since.
NOTHING_BEFORE = datetime(2011, 9, 29, tzinfo=UTC)

_log = structlog.get_logger()


class RestoreGuard:
    def __init__(self, store: Store, checkpoints: Checkpoints, switch: MovementsSwitch) -> None:
        self._store = store
        self._checkpoints = checkpoints
        self._switch = switch

    async def examine(self) -> None:
        """Hold every movement if the checkpoints know more than the journal.

        For a process's start, before it can move money. Checkpoints that cannot be reached, or
        a key that is missing, hold nothing: a lost disk of checkpoints must not stop payments.
        They are logged, and the checkpoint duty's alarm goes on telling of them.
        """
        switch = await self._switch.state()
        if switch is not None and switch.hold is not None:
            _log.warning("movements_held", reason=switch.hold.reason)
            return
        ahead = await self._ahead()
        if ahead is not None:
            reason = f"the signed checkpoints know more than the database: {ahead.fault}"
            await self._hold(WORKER, reason[:REASON_LENGTH_MAX], ahead)

    async def hold(self, actor: Actor, reason: str) -> datetime:
        """Hold movements, as the operator says; from when on the books may lack what Stripe did.

        That is worked out from the books, and from the checkpoints where these can be read.
        """
        return await self._hold(actor, reason, await self._ahead())

    async def release(self, actor: Actor) -> Movements:
        """Begin the checkpoints anew, then lift the hold.

        Raises StatusForbids before drift repair has passed, InvalidInput without the key that
        signs, BrokenInvariant when the log of checkpoints is not whole.
        """
        await self._switch.must_be_releasable()
        await self._checkpoints.restart()
        return await self._switch.release(actor)

    async def attend(self) -> float:
        """The checkpoint duty, which meets a database that went back while we run."""
        switch = await self._switch.state()
        if switch is not None and switch.hold is not None:
            return HELD_LOOK_S
        try:
            return await self._checkpoints.attend()
        except BrokenInvariant:
            await self.examine()
            raise

    async def at_end(self) -> None:
        """One more checkpoint, unless the journal contradicts them until its drift is repaired."""
        switch = await self._switch.state()
        if switch is None or switch.hold is None:
            await self._checkpoints.make_or_raise()

    async def _ahead(self) -> Ahead | None:
        try:
            return await self._checkpoints.ahead()
        except RoadcallError as unreadable:
            _log.error("checkpoints_unreadable", code=unreadable.code, reason=unreadable.message)
            return None

    async def _hold(self, actor: Actor, reason: str, ahead: Ahead | None) -> datetime:
        since = await self._newest_change()
        if ahead is not None:
            since = min(since, ahead.sound_at or NOTHING_BEFORE)
        await self._switch.hold(actor, reason, since)
        _log.error("movements_held", reason=reason, since=since.isoformat())
        return since

    async def _newest_change(self) -> datetime:
        """When the newest fact of any stream was committed; NOTHING_BEFORE without one."""
        newest, after = NOTHING_BEFORE, ""
        while page := await self._store.streams(after, STREAMS_PAGE):
            after = page[-1].stream
            for stored in page:
                changed_at = getattr(decode_state(stored.stream, stored.state), "updated_at", None)
                newest = max(newest, changed_at or newest)
        return newest
