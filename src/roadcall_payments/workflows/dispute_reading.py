"""Look at a dispute at Stripe, and decide what of it is news under the policy for losses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from roadcall_payments.domain import disputes_seen
from roadcall_payments.domain.events import Bearer
from roadcall_payments.domain.payment import Payment
from roadcall_payments.ports import Gateway

# The facts for the payment as it stands at the given time.
Deciding = Callable[[Payment, datetime], disputes_seen.Facts]


class NotBooked(Exception):
    """The disputed money is not in our books yet."""


class DisputeReading:
    def __init__(self, gateway: Gateway, loss_borne_by: Bearer) -> None:
        self._gateway = gateway
        self._loss_borne_by = loss_borne_by

    async def look(self, dispute_id: str) -> Deciding:
        """Fetch it, after the payment was read (M15). Deciding raises NotBooked."""
        seen = await self._gateway.dispute(dispute_id)

        def decide(payment: Payment, at: datetime) -> disputes_seen.Facts:
            if not disputes_seen.is_ready_for(payment, seen):
                raise NotBooked("The disputed money is not in our books yet.")
            return disputes_seen.dispute_seen(payment, seen, self._loss_borne_by, at)

        return decide
