"""Connected accounts as Stripe shows them: asked for, and what differs recorded.

The account is always fetched after the vendor's stream was read, and written only where that has
not moved meanwhile, so an event that comes late undoes nothing (M15's spirit).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from roadcall_payments.commit import InboxInsert, InboxUpdate, Unique, stream_of
from roadcall_payments.domain import connected_account as c
from roadcall_payments.domain.errors import (
    AccountTaken,
    ContendedStream,
    NotFound,
    StripeUnavailable,
    VendorCannotReceive,
)
from roadcall_payments.domain.events import Source, VendorFact
from roadcall_payments.domain.people import STRIPE
from roadcall_payments.domain.stripe_objects import Account
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.ports import Gateway, Store
from roadcall_payments.workflows.write_path import AlreadyTaken, WritePath, Written

# A vendor that keeps changing while its account is fetched is fetched again later.
FETCHES_MAX = 5
# What a payment may wait for the answer, of the 20 s that it has for Stripe in all (M32).
LOOK_S_MAX = 5.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shown:
    """``account`` None: Stripe shows us none by that id."""

    account: Account | None
    livemode: bool


class AccountReading:
    def __init__(self, write_path: WritePath, store: Store, gateway: Gateway) -> None:
        self._write_path = write_path
        self._store = store
        self._gateway = gateway

    async def glance(self, account_id: str) -> Shown:
        """What Stripe shows of it now. Raises StripeUnavailable, CredentialsRejected."""
        livemode = (await self._gateway.identity()).livemode
        try:
            return Shown(await self._gateway.account(account_id), livemode)
        except NotFound:
            return Shown(None, livemode)

    async def look(
        self,
        vendor_id: str,
        source: Source = Source.LOOKUP,
        inbox: InboxInsert | InboxUpdate | None = None,
    ) -> Vendor:
        """Ask Stripe about the vendor's account on file, and record what is new of it.

        ``inbox``: the event that told of news, committed along. Raises NotFound, StripeUnavailable,
        CredentialsRejected, ContendedStream; AccountTaken where another vendor has the account.
        """
        for _ in range(FETCHES_MAX):
            read = await self._vendor(vendor_id)
            account = read.stripe_account
            shown = await self.glance(account) if account else None
            written = await self._recorded(read, shown, source, inbox)
            if written is not None:
                return written
        raise ContendedStream(f"Vendor {vendor_id} kept changing: try again.", retry_after_s=1)

    async def must_be_own(self, vendor: Vendor) -> Vendor:
        """Before anybody is let into the account on file, or told what is in it: an account that
        was named while Stripe could not be asked may be another vendor's.

        Raises AccountTaken then; StripeUnavailable, CredentialsRejected, ContendedStream.
        """
        livemode = (await self._gateway.identity()).livemode
        known = vendor.connected
        if vendor.stripe_account is None or (known and known.livemode == livemode):
            return vendor
        return await self.look(vendor.id)

    async def must_receive(self, vendor_id: str, account: str) -> None:
        """Refuse a transfer to ``account`` that Stripe would not let through.

        What the books say is asked again before it refuses, and where they say nothing; Stripe
        alone is asked about an account that is not the vendor's on file.

        Raises VendorCannotReceive, AccountTaken, StripeUnavailable, CredentialsRejected.
        """
        vendor = await self._found(vendor_id)
        if vendor is not None and vendor.stripe_account == account:
            livemode = (await self._gateway.identity()).livemode
            if not c.is_known_able(vendor, livemode):
                vendor = await _in_time(self.look(vendor_id))
            reason = c.cannot_receive(vendor)
        else:
            shown = await _in_time(self.glance(account))
            status = shown.account.status if shown.account else None
            reason = c.refusal_of(status) if status else c.not_connected(account)
        if reason is not None:
            known = vendor is not None and vendor.stripe_account in (None, account)
            raise refused(reason, vendor_id if known else None)

    async def _recorded(
        self,
        read: Vendor,
        shown: Shown | None,
        source: Source,
        inbox: InboxInsert | InboxUpdate | None,
    ) -> Vendor | None:
        """The vendor after it; None where the stream moved since it was read."""

        def decide(current: Vendor | None) -> Sequence[VendorFact]:
            if current != read:
                raise _Moved
            return self.facts(read, shown, source)

        stream = stream_of("vendor", read.id)
        try:
            written: Written[Vendor] = await self._write_path.write(
                stream, decide, actor=STRIPE, inbox=inbox
            )
        except _Moved:
            return None
        except AlreadyTaken as taken:
            if taken.unique is Unique.REF:
                raise taken_by_another(read.stripe_account or "") from taken
            raise
        return written.state

    def facts(self, vendor: Vendor, shown: Shown | None, source: Source) -> Sequence[VendorFact]:
        """What ``shown`` tells that is not known of the vendor's account."""
        if shown is None or vendor.stripe_account is None:
            return ()
        if shown.account is None:
            return c.account_gone(vendor, vendor.stripe_account, shown.livemode, source)
        now = self._write_path.clock.now()
        return c.account_seen(vendor, shown.account, shown.livemode, source, now)

    async def _vendor(self, vendor_id: str) -> Vendor:
        vendor = await self._found(vendor_id)
        if vendor is None:
            raise NotFound(f"There is no vendor {vendor_id}.")
        return vendor

    async def _found(self, vendor_id: str) -> Vendor | None:
        loaded = await self._store.load(stream_of("vendor", vendor_id))
        return loaded.state if loaded and isinstance(loaded.state, Vendor) else None


class _Moved(Exception):
    """The stream is not what it was when Stripe was asked."""


def refused(reason: c.Reason, vendor_id: str | None) -> VendorCannotReceive:
    """``vendor_id``: whose onboarding may mend it."""
    mendable = vendor_id if reason.code not in c.BEYOND_ONBOARDING else None
    way = f" POST /vendors/{mendable}/onboarding-link gives its page." if mendable else ""
    return VendorCannotReceive(f"{reason.message}{way}", obstacle=reason.code, vendor_id=mendable)


def taken_by_another(account: str) -> AccountTaken:
    return AccountTaken(
        f"Another vendor is paid to {account}: an account is one vendor's, so that what arrives "
        "there is explained to its owner alone. Give each vendor its own."
    )


async def _in_time(asked: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(LOOK_S_MAX):
            return await asked
    except TimeoutError as late:
        raise StripeUnavailable(
            "Stripe did not say in time whether the vendor can be paid; nothing was started.",
            retry_after_s=5,
        ) from late
