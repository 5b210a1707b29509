"""What Stripe tells of refunds, whoever made them: booked by id, once (M16, M17).

Success applies from the event. Anything else applies from the refunds of the PaymentIntent, listed
after the payment was read (M15): a late ``pending`` must not undo what came since.
"""

from __future__ import annotations

from roadcall_payments.commit import stream_of, stripe_ref
from roadcall_payments.domain import refunds_seen
from roadcall_payments.domain.errors import NotFound
from roadcall_payments.domain.events import Source
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.stripe_objects import Charge, RefundStatus, StripeIdentity
from roadcall_payments.domain.stripe_objects import Refund as StripeRefund
from roadcall_payments.ports import Gateway, Store
from roadcall_payments.workflows.webhook_delivery import Changed, Deliveries, Delivery, NotNow


class RefundEvents:
    def __init__(self, deliveries: Deliveries, store: Store, gateway: Gateway) -> None:
        self._deliveries = deliveries
        self._store = store
        self._gateway = gateway

    async def apply(
        self, delivery: Delivery, identity: StripeIdentity, told: StripeRefund | Charge
    ) -> None:
        """Of a charge, what it says is that there is news among its refunds."""
        intent = told.payment_intent
        charge = told.id if isinstance(told, Charge) else told.charge
        payment = await self._payment_of(identity, intent, charge)
        if payment is None or intent is None:
            await self._deliveries.keep(delivery, "its charge is none of ours (M13)")
        elif isinstance(told, StripeRefund) and told.status is RefundStatus.SUCCEEDED:
            await self._deliveries.write(delivery, payment, lambda p: self._facts(p, [told]))
        else:
            await self._list_and_apply(delivery, payment.id, intent)

    async def _list_and_apply(self, delivery: Delivery, payment_id: str, intent: str) -> None:
        async def once(read: Payment) -> None:
            listed = list(await self._gateway.refunds(intent))

            def decide(current: Payment) -> refunds_seen.Facts:
                if current != read:
                    raise Changed
                return self._facts(current, listed)

            if refunds_seen.exceeds_a_commit(read, listed):
                await self._deliveries.write(None, read, decide)
                raise Changed
            await self._deliveries.write(delivery, read, decide)

        await self._deliveries.while_changing(delivery, payment_id, once)

    def _facts(self, payment: Payment, seen: list[StripeRefund]) -> refunds_seen.Facts:
        if not all(refunds_seen.is_ready_for(payment, one) for one in seen):
            raise NotNow("The money it gives back is not in our books yet.")
        return refunds_seen.refunds_seen(payment, seen, Source.WEBHOOK, self._deliveries.now())

    async def _payment_of(
        self, identity: StripeIdentity, intent: str | None, charge: str | None
    ) -> Payment | None:
        """The payment that took the money: by our refs, or as a stray of its own (M16)."""
        for object_id in (intent, charge):
            if object_id is None:
                continue
            ref = stripe_ref(identity.account, identity.livemode, object_id)
            stream = await self._store.resolve(ref)
            if stream is not None:
                return await self._payment(stream)
        return await self._of_a_stray(intent, charge)

    async def _of_a_stray(self, intent: str | None, charge: str | None) -> Payment | None:
        """A second charge for one payment has no name of ours: its PaymentIntent says whose it
        claims to be, and the payment whether it booked it."""
        if intent is None:
            return None
        try:
            claimed = (await self._gateway.payment_intent(intent)).metadata.get("paymentId")
        except NotFound:
            return None
        payment = await self._payment(stream_of("payment", claimed)) if claimed else None
        if payment is None:
            return None
        return payment if {intent, charge} & set(payment.strays) else None

    async def _payment(self, stream: str) -> Payment | None:
        loaded = await self._store.load(stream)
        return loaded.state if loaded and isinstance(loaded.state, Payment) else None
