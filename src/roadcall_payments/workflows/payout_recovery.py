"""What a due payout needs: its open call carried on, or a look at Stripe (M5-M8)."""

from __future__ import annotations

from roadcall_payments.domain.errors import CredentialsRejected
from roadcall_payments.domain.payout import Payout
from roadcall_payments.workflows.payout_movement import PayoutMovement
from roadcall_payments.workflows.payout_reading import PayoutReading


class PayoutRecovery:
    def __init__(self, movement: PayoutMovement, reading: PayoutReading) -> None:
        self._movement = movement
        self._reading = reading

    async def attended(self, payout: Payout) -> Payout:
        """The payout after it, the same where nothing is new.

        Raises StripeUnavailable, CredentialsRejected, NotFound.
        """
        try:
            payout = await self._looked_after(payout)
        except CredentialsRejected as refused:
            if refused.code != "stripe_permission":
                raise
            # Its owner withdrew our access: there is nothing to see, now or soon.
        return await self._reading.close_return_period(payout)

    async def _looked_after(self, payout: Payout) -> Payout:
        if payout.answer_open:
            return (await self._movement.carry(payout, first_try=False)).payout
        if payout.cancelling:
            return (await self._movement.carry_cancellation(payout, first_try=False)).payout
        return await self._reading.fetch(payout)
