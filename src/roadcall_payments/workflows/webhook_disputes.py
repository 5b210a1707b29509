"""What Stripe tells of disputes: each event leads to a look at the dispute as it is now (M15)."""

from __future__ import annotations

from roadcall_payments.commit import stripe_ref
from roadcall_payments.domain import disputes_seen
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.stripe_objects import Dispute, StripeIdentity
from roadcall_payments.ports import Store
from roadcall_payments.workflows.dispute_reading import DisputeReading, NotBooked
from roadcall_payments.workflows.webhook_delivery import Changed, Deliveries, Delivery, NotNow


class DisputeEvents:
    def __init__(self, deliveries: Deliveries, store: Store, reading: DisputeReading) -> None:
        self._deliveries = deliveries
        self._store = store
        self._reading = reading

    async def apply(self, delivery: Delivery, identity: StripeIdentity, told: Dispute) -> None:
        payment = await self._payment_of(identity, told)
        if payment is None:
            await self._deliveries.keep(delivery, "its charge is none of ours (M13)")
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

        await self._deliveries.while_changing(delivery, payment.id, once)

    async def _payment_of(self, identity: StripeIdentity, told: Dispute) -> Payment | None:
        for object_id in (told.payment_intent, told.charge):
            if object_id is None:
                continue
            ref = stripe_ref(identity.account, identity.livemode, object_id)
            stream = await self._store.resolve(ref)
            loaded = await self._store.load(stream) if stream else None
            if loaded is not None and isinstance(loaded.state, Payment):
                return loaded.state
        return None
