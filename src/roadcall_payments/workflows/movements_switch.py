"""The one switch that holds every outgoing movement, kept in the journal like all else."""

from __future__ import annotations

from collections.abc import Sequence

from roadcall_payments.commit import stream_of
from roadcall_payments.domain import errors
from roadcall_payments.domain.errors import InvalidInput
from roadcall_payments.domain.events import Fact, MovementsPaused, MovementsResumed
from roadcall_payments.domain.movements import Movements
from roadcall_payments.domain.people import Actor
from roadcall_payments.ports import Store
from roadcall_payments.workflows.write_path import WritePath, Written

MOVEMENTS = stream_of("control", "movements")
REASON_LENGTH_MAX = 500


class MovementsSwitch:
    """Pausing twice, or resuming what runs, changes nothing and is no error."""

    def __init__(self, write_path: WritePath, store: Store) -> None:
        self._write_path = write_path
        self._store = store

    async def pause(self, actor: Actor, reason: str) -> Movements:
        """Hold every movement from now on. Raises InvalidInput without a reason.

        A pause that stands keeps its first reason: it says why the money has been waiting.
        """
        reason = reason.strip()
        if not reason or len(reason) > REASON_LENGTH_MAX:
            raise InvalidInput(
                "reason", f"Say why movements pause, in 1 to {REASON_LENGTH_MAX} characters."
            )

        def decide(switch: Movements | None) -> Sequence[Fact]:
            return () if switch and switch.paused else (MovementsPaused(str(actor), reason),)

        written: Written[Movements] = await self._write_path.write(MOVEMENTS, decide, actor=actor)
        return written.state

    async def resume(self, actor: Actor) -> Movements:
        """Let movements go again; the worker takes up what waited."""

        def decide(switch: Movements | None) -> Sequence[Fact]:
            return () if switch and not switch.paused else (MovementsResumed(str(actor)),)

        written: Written[Movements] = await self._write_path.write(MOVEMENTS, decide, actor=actor)
        return written.state

    async def state(self) -> Movements | None:
        """How the switch stands; None while it was never touched, which means running."""
        loaded = await self._store.load(MOVEMENTS)
        return loaded.state if loaded and isinstance(loaded.state, Movements) else None

    async def held(self) -> bool:
        """Whether every outgoing movement is held now."""
        switch = await self.state()
        return switch is not None and switch.paused

    async def must_flow(self) -> None:
        """Raises MovementsPaused while an operator holds every outgoing movement."""
        switch = await self.state()
        if switch is not None and switch.paused:
            raise errors.MovementsPaused(
                f"Outgoing movements are paused ({switch.reason}): an admin has to resume them."
            )
