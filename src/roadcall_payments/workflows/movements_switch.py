"""The one switch that holds every outgoing movement, kept in the journal like all else.

Two reasons may hold them, each with its own end: an operator's pause, and a database that was
restored, until what Stripe did since the backup is in the books (M18). One stream, one read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from roadcall_payments.commit import InboxUpdate, stream_of
from roadcall_payments.domain import errors
from roadcall_payments.domain.errors import InvalidInput, StatusForbids
from roadcall_payments.domain.events import (
    DriftRepaired,
    EventsCompared,
    Fact,
    HoldReleased,
    InboxEventDismissed,
    MovementsHeld,
    MovementsPaused,
    MovementsResumed,
)
from roadcall_payments.domain.movements import Movements
from roadcall_payments.domain.people import WORKER, Actor
from roadcall_payments.ports import Loaded, Store
from roadcall_payments.workflows.write_path import WritePath, Written

MOVEMENTS = stream_of("control", "movements")
REASON_LENGTH_MAX = 500

_Decide = Callable[[Movements | None], Sequence[Fact]]


class MovementsSwitch:
    """Pausing twice, or resuming what runs, changes nothing and is no error."""

    def __init__(self, write_path: WritePath, store: Store) -> None:
        self._write_path = write_path
        self._store = store

    async def pause(self, actor: Actor, reason: str) -> Movements:
        """Hold every movement from now on. Raises InvalidInput without a reason.

        A pause that stands keeps its first reason: it says why the money has been waiting.
        """
        reason = said(reason, "Say why movements pause")

        def decide(switch: Movements | None) -> Sequence[Fact]:
            return () if switch and switch.paused else (MovementsPaused(str(actor), reason),)

        return await self._write(decide, actor)

    async def resume(self, actor: Actor) -> Movements:
        """Let movements go again; the worker takes up what waited. A hold stays."""

        def decide(switch: Movements | None) -> Sequence[Fact]:
            return () if switch and not switch.paused else (MovementsResumed(str(actor)),)

        return await self._write(decide, actor)

    async def hold(self, actor: Actor, reason: str, since: datetime) -> Movements:
        """Hold every movement since the database is older than what was done with it (M18).

        ``since``: from when on the books may lack what Stripe did. A hold that stands is renewed,
        and needs a repair of its own.
        """
        reason = said(reason, "Say why movements are held")

        def decide(switch: Movements | None) -> Sequence[Fact]:
            return (MovementsHeld(str(actor), reason, since),)

        return await self._write(decide, actor)

    async def repaired(self, actor: Actor, fact: DriftRepaired, held_at: datetime) -> Movements:
        """Note that drift repair passed. Raises StatusForbids where another hold stands now."""

        def decide(switch: Movements | None) -> Sequence[Fact]:
            if switch is None or switch.hold is None or switch.hold.held_at != held_at:
                raise StatusForbids("The hold changed during the repair: repair again.")
            return (fact,)

        return await self._write(decide, actor)

    async def release(self, actor: Actor) -> Movements:
        """Lift the hold. Raises StatusForbids before drift repair has passed (M18)."""

        def decide(switch: Movements | None) -> Sequence[Fact]:
            _must_be_releasable(switch)
            return (HoldReleased(str(actor)),)

        return await self._write(decide, actor)

    async def dismissed(self, actor: Actor, fact: InboxEventDismissed, row: InboxUpdate) -> None:
        """Note in the same commit who put an event aside, and that it waits no more. Raises
        AlreadyTaken where it waits for nothing by now."""
        _: Written[Movements] = await self._write_path.write(
            MOVEMENTS, lambda _: (fact,), actor=actor, inbox=row
        )

    async def compared(self, fact: EventsCompared) -> None:
        """Note until when the inbox knows all of Stripe's events; never back in time."""

        def decide(switch: Movements | None) -> Sequence[Fact]:
            until = switch.events_compared_until if switch else None
            return () if until is not None and until >= fact.until else (fact,)

        await self._write(decide, WORKER)

    async def must_be_releasable(self) -> None:
        """Raises StatusForbids where nothing is held, or drift repair has not passed."""
        _must_be_releasable(await self.state())

    async def state(self) -> Movements | None:
        """How the switch stands; None while it was never touched, which means running."""
        return _state(await self._store.load(MOVEMENTS))

    async def state_beside(self, stream: str) -> tuple[Movements | None, Loaded | None]:
        """How the switch stands, and another stream, in one look-up."""
        found = await self._store.load_all((stream, MOVEMENTS))
        return _state(found.get(MOVEMENTS)), found.get(stream)

    async def held(self) -> bool:
        """Whether every outgoing movement is held now, for whatever reason."""
        switch = await self.state()
        return switch is not None and not switch.flow

    async def must_flow(self) -> None:
        """Raises MovementsPaused while every outgoing movement is held."""
        must_flow(await self.state())

    async def must_be_whole(self) -> None:
        """Raises MovementsPaused while the books may lack what Stripe did: what gives a payment up
        would free its job to be paid again (M11, M18)."""
        must_be_whole(await self.state())

    async def _write(self, decide: _Decide, actor: Actor) -> Movements:
        written: Written[Movements] = await self._write_path.write(MOVEMENTS, decide, actor=actor)
        return written.state


def must_flow(switch: Movements | None) -> None:
    """Raises MovementsPaused where ``switch`` holds every outgoing movement."""
    if switch is None or switch.flow:
        return
    must_be_whole(switch)
    raise errors.MovementsPaused(
        f"Outgoing movements are paused ({switch.reason}): an admin has to resume them."
    )


def must_be_whole(switch: Movements | None) -> None:
    """Raises MovementsPaused where ``switch`` is held after a restore."""
    if switch is not None and switch.hold is not None:
        raise errors.MovementsPaused(
            f"Held after a restore ({switch.hold.reason}): what Stripe did since may be missing in "
            "the books. An operator has to run roadcall-payments repair-drift, then release.",
            code="held_after_restore",
        )


def _state(loaded: Loaded | None) -> Movements | None:
    return loaded.state if loaded and isinstance(loaded.state, Movements) else None


def _must_be_releasable(switch: Movements | None) -> None:
    if switch is None or switch.hold is None:
        raise StatusForbids("Nothing is held: there is nothing to release.")
    if switch.hold.repaired_until is None:
        raise StatusForbids(
            "Drift repair has not passed yet: run roadcall-payments repair-drift first."
        )


def said(reason: str, ask: str) -> str:
    """A person's reason, fit for the journal. Raises InvalidInput("reason")."""
    reason = reason.strip()
    if not reason or len(reason) > REASON_LENGTH_MAX:
        raise InvalidInput("reason", f"{ask}, in 1 to {REASON_LENGTH_MAX} characters.")
    return reason
