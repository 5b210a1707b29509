"""What Stripe tells of connected accounts (M14): each event is a reason to look, and no more.

The account is fetched after the vendor was read, so an event that comes late, twice or out of
order records what stands now, or nothing (M15's spirit). Shares that wait for an account which can
receive by now go out with its event, in a worker's time.
"""

from __future__ import annotations

from roadcall_payments.commit import InboxStatus, stream_of, stripe_ref
from roadcall_payments.domain import connected_account as c
from roadcall_payments.domain.errors import ContendedStream
from roadcall_payments.domain.events import Source
from roadcall_payments.domain.stripe_objects import Account, StripeIdentity
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.ports import Store
from roadcall_payments.workflows.account_reading import AccountReading
from roadcall_payments.workflows.settlements import Settlements
from roadcall_payments.workflows.webhook_delivery import Deliveries, Delivery, NotNow

NEWS = frozenset(
    {
        "account.updated",
        "account.application.deauthorized",
        "account.external_account.created",
        "account.external_account.updated",
        "account.external_account.deleted",
        "capability.updated",
    }
)
"""The event types that tell of a connected account."""


class AccountEvents:
    def __init__(
        self,
        deliveries: Deliveries,
        store: Store,
        reading: AccountReading,
        settlements: Settlements,
    ) -> None:
        self._deliveries = deliveries
        self._store = store
        self._reading = reading
        self._settlements = settlements

    async def apply(self, delivery: Delivery, identity: StripeIdentity, account: str) -> None:
        stream = await self._store.resolve(stripe_ref(account, identity.livemode, account))
        if stream is None:
            await self._of_nobody(delivery)
            return
        vendor_id = stream.partition("/")[2]
        try:
            if await self._settlements.waiting_for(vendor_id):
                await self._wake(delivery, stream, vendor_id)
            else:
                row = delivery.row(InboxStatus.APPLIED, stream=stream)
                await self._reading.look(vendor_id, Source.WEBHOOK, row)
        except ContendedStream as busy:
            raise NotNow("the vendor kept changing while its account was fetched") from busy

    async def _wake(self, delivery: Delivery, stream: str, vendor_id: str) -> None:
        """The event waits until the shares were tried: a crash in between loses nothing."""
        vendor = await self._reading.look(vendor_id, Source.WEBHOOK)
        if c.cannot_receive(vendor) is None:
            if delivery.fresh:
                raise NotNow("Shares of its vendor wait for the account, and can go out now.")
            await self._settlements.resume(vendor_id)
        await self._deliveries.applied(delivery, stream)

    async def _of_nobody(self, delivery: Delivery) -> None:
        """Or of an account that is just being opened: its vendor is found once it has its id."""
        told = delivery.event.payload
        if isinstance(told, Account) and await self._is_being_opened(told):
            raise NotNow("Its account is being opened: whose it is, the answer will say.")
        await self._deliveries.keep(delivery, "its account is none of our vendors' (M13)")

    async def _is_being_opened(self, account: Account) -> bool:
        claimed = account.metadata.get("vendorId")
        loaded = await self._store.load(stream_of("vendor", claimed)) if claimed else None
        vendor = loaded.state if loaded else None
        return (
            isinstance(vendor, Vendor)
            and vendor.opening is not None
            and vendor.opening.open
            and c.is_its_account(vendor, account)
        )
