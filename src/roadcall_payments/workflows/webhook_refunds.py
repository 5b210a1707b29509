"""What Stripe tells of refunds, whoever made them: booked by id, once (M16, M17).

Success applies from the event. Anything else applies from the refunds of the PaymentIntent, listed
after the payment was read (M15): a late ``pending`` must not undo what came since.
"""

from __future__ import annotations

from roadcall_payments.domain import refunds_seen
from roadcall_payments.domain.events import Source
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.people import STRIPE
from roadcall_payments.domain.stray import Stray
from roadcall_payments.domain.stripe_objects import Charge, RefundStatus, StripeIdentity
from roadcall_payments.domain.stripe_objects import Refund as StripeRefund
from roadcall_payments.ports import Gateway, Store
from roadcall_payments.workflows.suspense import Suspense, owner_of
from roadcall_payments.workflows.webhook_delivery import Changed, Deliveries, Delivery, NotNow


class RefundEvents:
    def __init__(
        self, deliveries: Deliveries, store: Store, gateway: Gateway, suspense: Suspense
    ) -> None:
        self._deliveries = deliveries
        self._store = store
        self._gateway = gateway
        self._suspense = suspense

    async def apply(
        self, delivery: Delivery, identity: StripeIdentity, told: StripeRefund | Charge
    ) -> None:
        """Of a charge, what it says is that there is news among its refunds."""
        intent = told.payment_intent
        charge = told.id if isinstance(told, Charge) else told.charge
        owner = await owner_of(self._store, identity, intent, charge)
        if owner is None or intent is None:
            await self._deliveries.keep(delivery, "its charge is none of ours (M13)")
        elif isinstance(owner, Stray):
            taken = await self._suspense.take_refunds(STRIPE, owner, intent)
            await self._deliveries.write_stray(delivery, owner, taken)
        elif isinstance(told, StripeRefund) and told.status is RefundStatus.SUCCEEDED:
            await self._deliveries.write(delivery, owner, lambda p: self._facts(p, [told]))
        else:
            await self._list_and_apply(delivery, owner.id, intent)

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
