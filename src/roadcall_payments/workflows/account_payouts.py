"""The payouts that Stripe lists for one vendor's account, put into the books.

Stripe's schedule and the vendor's own dashboard make payouts that an event alone tells of, and
Stripe lists those events under the connected account only: the account's payouts are what can be
looked through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from roadcall_payments.commit import decode_state, stream_kind, stream_of
from roadcall_payments.domain import payouts_seen
from roadcall_payments.domain.errors import NotFound, RoadcallError
from roadcall_payments.domain.events import Source
from roadcall_payments.domain.payout import Payout
from roadcall_payments.domain.payouts_seen import Seen
from roadcall_payments.domain.stripe_objects import Payout as StripePayout
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.ports import CreatedWindow, Gateway, Store
from roadcall_payments.workflows.created_lists import listed
from roadcall_payments.workflows.payout_reading import PayoutReading
from roadcall_payments.workflows.write_path import WritePath

# What every vendor's stream comes after.
BEFORE_VENDORS = stream_of("vendor", "")
PAGE = 100
AT_ONCE = 8


class AccountPayouts:
    def __init__(self, write_path: WritePath, gateway: Gateway) -> None:
        self._write_path = write_path
        self._gateway = gateway
        self._reading = PayoutReading(write_path, write_path.store, gateway)

    async def read(self, account: str, created: CreatedWindow) -> Sequence[Payout]:
        """Book what the list has and the books have not; those that it changed.

        Raises StripeUnavailable; CredentialsRejected and NotFound, of which ``withdrawn`` tells
        whether the account's owner ended our access.
        """
        identity = await self._gateway.identity()

        async def listing(window: CreatedWindow) -> Sequence[StripePayout]:
            return await self._gateway.payouts(account, window)

        shown = await listed(listing, created)
        vendor_id = await self._reading.vendor_of(account, identity.livemode)
        news: list[Payout] = []
        for one in sorted(shown, key=lambda payout: payout.created):
            seen = Seen(one, account, identity.livemode, Source.LOOKUP, vendor_id)
            stream = await self._reading.stream_for(seen)
            known = await self._reading.payout_at(stream)
            if payouts_seen.payout_seen(known, seen, self._write_path.clock.now()):
                news.append(await self._reading.see(stream, seen))
        return news


@dataclass(slots=True)
class PayoutsTaken:
    """``warnings`` say which accounts Stripe shows us no more."""

    news: list[Payout] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class LostPayouts:
    """After a restore: what left the vendors' accounts since the backup (M18)."""

    def __init__(self, write_path: WritePath, gateway: Gateway) -> None:
        self._store = write_path.store
        self._payouts = AccountPayouts(write_path, gateway)

    async def take(self, created: CreatedWindow) -> PayoutsTaken:
        """Of all accounts that the books' vendors have, or had. Raises StripeUnavailable,
        CredentialsRejected; what was found so far is in the books."""
        taken, after = PayoutsTaken(), BEFORE_VENDORS
        while vendors := await vendors_after(self._store, after, PAGE):
            after = stream_of("vendor", vendors[-1].id)
            accounts = [account for vendor in vendors for account in accounts_of(vendor)]
            for start in range(0, len(accounts), AT_ONCE):
                some = accounts[start : start + AT_ONCE]
                await asyncio.gather(*(self._take(one, created, taken) for one in some))
        return taken

    async def _take(self, account: str, created: CreatedWindow, taken: PayoutsTaken) -> None:
        try:
            taken.news += await self._payouts.read(account, created)
        except RoadcallError as refused:
            if not withdrawn(refused):
                raise
            taken.warnings.append(
                f"Stripe shows us no payouts of {account} any more: its owner knows of those since."
            )


async def vendors_after(store: Store, after: str, limit: int) -> Sequence[Vendor]:
    """The next vendors in the order of their streams' names; none behind the last."""
    page = await store.streams(after, limit)
    states = (
        decode_state(one.stream, one.state) for one in page if stream_kind(one.stream) == "vendor"
    )
    return [one for one in states if isinstance(one, Vendor)]


def accounts_of(vendor: Vendor) -> tuple[str, ...]:
    """The present one, and those that it replaced: what is left in them leaves them still."""
    known = (vendor.stripe_account, *(one.id for one in vendor.former_accounts))
    return tuple(dict.fromkeys(account for account in known if account is not None))


def withdrawn(refused: RoadcallError) -> bool:
    """Whether it says that this account is not ours to see, and nothing of our key."""
    return isinstance(refused, NotFound) or refused.code == "stripe_permission"
