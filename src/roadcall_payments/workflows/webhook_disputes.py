"""What Stripe tells of disputes: each event leads to a look at the dispute as it is now (M15)."""

from __future__ import annotations

from roadcall_payments.domain import disputes_seen, drift
from roadcall_payments.domain.errors import NotFound
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.people import STRIPE
from roadcall_payments.domain.stray import Stray
from roadcall_payments.domain.stripe_objects import Dispute, StripeIdentity
from roadcall_payments.ports import Gateway, Store
from roadcall_payments.workflows.dispute_reading import DisputeReading, NotBooked
from roadcall_payments.workflows.suspense import Suspense, owner_of
from roadcall_payments.workflows.webhook_delivery import Changed, Deliveries, Delivery, NotNow


class DisputeEvents:
    def __init__(
        self,
        deliveries: Deliveries,
        store: Store,
        gateway: Gateway,
        reading: DisputeReading,
        suspense: Suspense,
    ) -> None:
        self._deliveries = deliveries
        self._store = store
        self._gateway = gateway
        self._reading = reading
        self._suspense = suspense

    async def apply(self, delivery: Delivery, identity: StripeIdentity, told: Dispute) -> None:
        owner = await owner_of(self._store, identity, told.payment_intent, told.charge)
        if owner is None:
            await self._must_be_a_strangers(told)
            await self._deliveries.keep(delivery, "its charge is none of ours (M13)")
            return
        if isinstance(owner, Stray):
            taken = await self._suspense.take_dispute(STRIPE, owner, told.id)
            await self._deliveries.write_stray(delivery, owner, taken)
            return

        async def once(read: Payment) -> None:
            decided = await self._reading.look(told.id)

            def decide(current: Payment) -> disputes_seen.Facts:
                if current != read:
                    raise Changed
                try:
                    return decided(current, self._deliveries.now())
                except NotBooked as early:
                    raise NotNow(str(early)) from early

            await self._deliveries.write(delivery, read, decide)

        await self._deliveries.while_changing(delivery, owner.id, once)

    async def _must_be_a_strangers(self, told: Dispute) -> None:
        """Raises NotNow for a charge that a service like ours made: its payment may be one that a
        restore lost, and the repair learns of a dispute from its events alone (M18)."""
        if told.payment_intent is None:
            return
        try:
            claim = drift.claim_of(await self._gateway.payment_intent(told.payment_intent))
        except NotFound:
            return
        if claim is not None:
            raise NotNow(f"Its charge is not in our books, and says payment {claim.payment_id}.")
