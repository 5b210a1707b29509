"""Payouts as Stripe shows them: each into its one stream, whichever answer or event comes first.

An object of Stripe's is ours if our refs know it, or if the open request made it (M13). Any other
is booked all the same, under Stripe's id (M16): the vendor's schedule at Stripe, or a dashboard.
"""

from __future__ import annotations

from dataclasses import replace

from roadcall_payments.commit import (
    InboxInsert,
    InboxUpdate,
    Unique,
    former_account_prefix,
    payout_day_ref,
    stream_of,
    stripe_ref,
)
from roadcall_payments.domain import payouts_seen
from roadcall_payments.domain.events import Source
from roadcall_payments.domain.payout import Payout
from roadcall_payments.domain.payouts_seen import Seen
from roadcall_payments.domain.people import STRIPE, WORKER
from roadcall_payments.domain.stripe_objects import Payout as StripePayout
from roadcall_payments.ports import Gateway, Store
from roadcall_payments.workflows.write_path import AlreadyTaken, WritePath, Written

KIND = "payout"


class PayoutReading:
    def __init__(self, write_path: WritePath, store: Store, gateway: Gateway) -> None:
        self._write_path = write_path
        self._store = store
        self._gateway = gateway

    async def fetch(self, payout: Payout) -> Payout:
        """As it is at Stripe now. Raises StripeUnavailable, CredentialsRejected, NotFound."""
        if payout.stripe_payout is None or payout.livemode is None:
            return payout
        shown = await self._gateway.payout(payout.account, payout.stripe_payout)
        seen = Seen(shown, payout.account, payout.livemode, Source.LOOKUP)
        return await self.see(stream_of(KIND, payout.id), seen)

    async def close_return_period(self, payout: Payout) -> Payout:
        """The payout as it was, unless it is paid for so long that it will not come back."""

        def decide(current: Payout | None) -> payouts_seen.Facts:
            now = self._write_path.clock.now()
            return payouts_seen.return_period_over(current, now) if current else ()

        written: Written[Payout] = await self._write_path.write(
            stream_of(KIND, payout.id), decide, actor=WORKER
        )
        return written.state

    async def stream_for(self, seen: Seen) -> str:
        """The stream of this object, which may not be there yet."""
        ref = stripe_ref(seen.account, seen.livemode, seen.payout.id)
        stream = await self._store.resolve(ref)
        if stream is not None:
            return stream
        if seen.claims is not None:
            claimed = await self.payout_at(stream_of(KIND, seen.claims))
            held = claimed is not None and claimed.stripe_payout == seen.payout.id
            if claimed is not None and (held or payouts_seen.is_ours(claimed, seen)):
                return stream_of(KIND, claimed.id)
        return stream_of(KIND, seen.payout.id)

    async def payout_at(self, stream: str) -> Payout | None:
        loaded = await self._store.load(stream)
        return loaded.state if loaded and isinstance(loaded.state, Payout) else None

    async def vendor_of(self, account: str, livemode: bool) -> str | None:
        """Whose account it is, where a vendor's record names it, or was the last to do so."""
        stream = await self._store.resolve(stripe_ref(account, livemode, account))
        if stream is None:
            former = await self._store.listed(former_account_prefix(account), None, 1)
            stream = next(iter(former.items), None)
        return stream.partition("/")[2] if stream else None

    async def owned(self, payout: Payout) -> Payout:
        """With the vendor whose account it left by now, where none was known when we first heard
        of it: the account was registered later."""
        if payout.vendor_id is not None:
            return payout
        vendor_id = await self.vendor_of(payout.account, bool(payout.livemode))
        return replace(payout, vendor_id=vendor_id)

    async def see(
        self, stream: str, seen: Seen, inbox: InboxInsert | InboxUpdate | None = None
    ) -> Payout:
        """Apply it; nothing is written where it is no news."""

        def decide(current: Payout | None) -> payouts_seen.Facts:
            return payouts_seen.payout_seen(current, seen, self._write_path.clock.now())

        try:
            written: Written[Payout] = await self._write_path.write(
                stream, decide, actor=STRIPE, inbox=inbox
            )
        except AlreadyTaken as taken:
            if taken.unique is not Unique.REF or taken.key != _day_ref(seen):
                raise
            # A second payout of its day left all the same: it is booked as any other (M16).
            return await self.see(stream, replace(seen, takes_day=False), inbox)
        return written.state


def _day_ref(seen: Seen) -> str | None:
    if seen.day is None or seen.vendor_id is None:
        return None
    return payout_day_ref(seen.vendor_id, seen.payout.amount.currency, seen.day)


def shown_in(payout: Payout, shown: StripePayout, source: Source, request_id: str | None) -> Seen:
    """An object of this payout's own account and mode."""
    livemode = bool(payout.livemode)
    return Seen(shown, payout.account, livemode, source, payout.vendor_id, request_id=request_id)
