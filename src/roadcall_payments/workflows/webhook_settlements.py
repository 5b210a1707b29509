"""What Stripe tells of a share's transfers: applied to the payment's settlement alone (M13, M20).

A share's transfer is known by our refs, or as an open try's own; its ``purpose`` keeps it apart
from back-office transfers, which share the event's type.
"""

from __future__ import annotations

from roadcall_payments.commit import stream_of, stripe_ref
from roadcall_payments.domain import shares_seen, take_backs_seen
from roadcall_payments.domain.events import Source
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.payment_fold import apply
from roadcall_payments.domain.stripe_objects import Reversal, StripeIdentity, Transfer
from roadcall_payments.ports import Gateway, Store
from roadcall_payments.workflows.webhook_delivery import Deliveries, Delivery


class SettlementEvents:
    def __init__(self, deliveries: Deliveries, store: Store, gateway: Gateway) -> None:
        self._deliveries = deliveries
        self._store = store
        self._gateway = gateway

    async def apply(self, delivery: Delivery, identity: StripeIdentity, transfer: Transfer) -> bool:
        """False for a transfer that is no share of any payment in our books."""
        payment = await self._owner(identity, transfer)
        if payment is None:
            return False
        listed: list[Reversal] = []
        if delivery.event.type == "transfer.reversed":
            listed = list(await self._gateway.reversals(transfer.id))

        def decide(current: Payment) -> shares_seen.Facts:
            made = shares_seen.transfer_seen(current, transfer, Source.WEBHOOK)
            for fact in made:
                current = apply(current, fact, self._deliveries.now())
            back = take_backs_seen.reversals_seen(current, transfer.id, listed, Source.WEBHOOK)
            return (*made, *back)

        while take_backs_seen.exceeds_a_commit(payment, listed):
            before = payment
            payment = await self._deliveries.write(None, payment, decide)
            if payment == before:
                break
        await self._deliveries.write(delivery, payment, decide)
        return True

    async def _owner(self, identity: StripeIdentity, transfer: Transfer) -> Payment | None:
        """The payment whose share it is: by our refs, or as the open try's own (M13)."""
        ref = stripe_ref(identity.account, identity.livemode, transfer.id)
        stream = await self._store.resolve(ref)
        if stream is not None:
            payment = await self._payment(stream)
            settlement = payment.settlement if payment else None
            return payment if settlement and settlement.transfer(transfer.id) else None
        if not shares_seen.claims_to_be_one(transfer):
            return None
        payment = await self._payment(stream_of("payment", transfer.metadata.get("paymentId", "")))
        if payment is None or payment.settlement is None:
            return None
        held = payment.settlement.transfer(transfer.id) is not None
        own = shares_seen.own_try(payment, transfer, identity.account)
        return payment if held or own is not None else None

    async def _payment(self, stream: str) -> Payment | None:
        loaded = await self._store.load(stream)
        return loaded.state if loaded and isinstance(loaded.state, Payment) else None
