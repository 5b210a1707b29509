"""What Stripe tells of payouts, whoever made them: each in its one stream (M14, M16).

Every step applies from the event but an end without money at the bank: a failure and a cancel apply
from the payout fetched (M15).
"""

from __future__ import annotations

from roadcall_payments.commit import InboxStatus
from roadcall_payments.domain import payouts_seen
from roadcall_payments.domain.events import Source
from roadcall_payments.domain.payouts_seen import Seen
from roadcall_payments.domain.stripe_objects import Payout as StripePayout
from roadcall_payments.domain.stripe_objects import StripeIdentity
from roadcall_payments.ports import Gateway
from roadcall_payments.workflows.payout_reading import PayoutReading
from roadcall_payments.workflows.webhook_delivery import Deliveries, Delivery


class PayoutEvents:
    def __init__(self, deliveries: Deliveries, gateway: Gateway, reading: PayoutReading) -> None:
        self._deliveries = deliveries
        self._gateway = gateway
        self._reading = reading

    async def apply(self, delivery: Delivery, identity: StripeIdentity, told: StripePayout) -> None:
        """An event without an account is of the platform's own payout (M16)."""
        account = delivery.event.connected_account or identity.account
        livemode = identity.livemode
        if not payouts_seen.may_come_early(told):
            told = await self._gateway.payout(account, told.id)
        vendor_id = await self._reading.vendor_of(account, livemode)
        event_id = delivery.event.id
        seen = Seen(told, account, livemode, Source.WEBHOOK, vendor_id, event_id)
        stream = await self._reading.stream_for(seen)
        known = await self._reading.payout_at(stream)
        if known and not payouts_seen.payout_seen(known, seen, self._deliveries.now()):
            await self._deliveries.keep(delivery, "a payout's news that needs no entry")
            return
        row = delivery.row(InboxStatus.APPLIED, stream=stream)
        await self._reading.see(stream, seen, row)
