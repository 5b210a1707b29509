"""The worker's look at a stream that is due: handed on by its kind, put back where nothing came.

Whatever a look commits gives the stream its next due time. Where there was nothing to commit, it
is looked at again, less and less often.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeAlias

from roadcall_payments.commit import State
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.payout import Payout
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.ports import Claim, Clock, Store
from roadcall_payments.workflows.due import look_again_at
from roadcall_payments.workflows.movement import UNREACHABLE
from roadcall_payments.workflows.movements_switch import MovementsSwitch

FIRST_WAIT_S = 5
WAIT_MAX_S = 3_600
# What a pause or an outage holds goes on within a minute of its end, however long that was.
HELD_WAIT_MAX_S = 60

PaymentCare: TypeAlias = Callable[[Payment], Awaitable[Payment]]
PayoutCare: TypeAlias = Callable[[Payout], Awaitable[Payout]]
VendorCare: TypeAlias = Callable[[Vendor], Awaitable[Vendor]]


def in_turn(*cares: VendorCare) -> VendorCare:
    """One after the other, each on what the one before left."""

    async def attended(vendor: Vendor) -> Vendor:
        for care in cares:
            vendor = await care(vendor)
        return vendor

    return attended


class Attention:
    """``payments``, ``payouts``, ``vendors``: what a due one needs, done; the one after it."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        switch: MovementsSwitch,
        payments: PaymentCare,
        payouts: PayoutCare,
        vendors: VendorCare,
    ) -> None:
        self._store = store
        self._clock = clock
        self._switch = switch
        self._payments = payments
        self._payouts = payouts
        self._vendors = vendors

    async def attend(self, claim: Claim) -> None:
        """Do what one due stream needs, or put it back for later."""
        before = await self._state(claim.key)
        held = await self._switch.held()
        again_at: datetime | None = None
        try:
            after = await self._attended(claim.key, before)
            reason = "nothing new"
            again_at = look_again_at(after, self._clock.now())
        except UNREACHABLE as failure:
            after, reason, held = before, failure.message, True
        if after == before:
            longest_s = HELD_WAIT_MAX_S if held else WAIT_MAX_S
            wait_s = min(FIRST_WAIT_S * 2**claim.attempts, longest_s)
            due_at = again_at or self._clock.now() + timedelta(seconds=wait_s)
            await self._store.postpone(claim, due_at=due_at, reason=reason)

    async def _attended(self, stream: str, before: State) -> State:
        match before:
            case Payment():
                return await self._payments(before)
            case Vendor():
                return await self._vendors(before)
            case Payout():
                return await self._payouts(before)
            case _:
                raise BrokenInvariant(f"{stream} is due, but nobody looks after its kind.")

    async def _state(self, stream: str) -> State:
        loaded = await self._store.load(stream)
        if loaded is None:
            raise BrokenInvariant(f"{stream} is due, but there is no such stream.")
        return loaded.state
