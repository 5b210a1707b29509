"""Onboard a vendor: open its connected account once, then send it to Stripe's own pages.

The pages' addresses are secrets, since who opens one acts as the account's owner. Each is made
when it is asked for, given to who asked, and kept nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from roadcall_payments.commit import stream_of
from roadcall_payments.domain import connected_account as c
from roadcall_payments.domain.errors import (
    AccountRefused,
    InvalidInput,
    NotAllowed,
    NotFound,
    StatusForbids,
)
from roadcall_payments.domain.events import VendorFact
from roadcall_payments.domain.people import WORKER, Actor
from roadcall_payments.domain.stripe_objects import HostedPage
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.ports import Gateway, ReturnAddresses
from roadcall_payments.workflows.account_opening import AccountOpenings, CarriedOpening
from roadcall_payments.workflows.account_reading import AccountReading
from roadcall_payments.workflows.movements_switch import MovementsSwitch
from roadcall_payments.workflows.write_path import WritePath, Written

_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Onboarded:
    """``page`` None: whether Stripe has opened the account is not known yet."""

    vendor: Vendor
    page: HostedPage | None
    refused_credentials: bool = False


class Onboarding:
    def __init__(
        self,
        write_path: WritePath,
        gateway: Gateway,
        openings: AccountOpenings,
        reading: AccountReading,
        switch: MovementsSwitch,
        returns_to: ReturnAddresses | None,
    ) -> None:
        self._write_path = write_path
        self._store = write_path.store
        self._gateway = gateway
        self._openings = openings
        self._reading = reading
        self._switch = switch
        self._returns_to = returns_to

    async def page(self, actor: Actor, vendor_id: str, country: str | None = None) -> Onboarded:
        """A fresh page for the vendor; its account is opened first where it has none.

        ``country``: ISO 3166, two letters; of the account to be opened, for good. Raises NotFound,
        InvalidInput, NotAllowed, AccountRefused; before anything is written MovementsPaused,
        StripeUnavailable, CredentialsRejected.
        """
        if country is not None and not _COUNTRY.fullmatch(country):
            raise InvalidInput("country", "A country is its two letters in ISO 3166, such as US.")
        returns_to = self._must_return()
        vendor = await self._vendor(vendor_id)
        if vendor.stripe_account is None:
            carried = await self._opened(actor, vendor, country)
            vendor = carried.vendor
            if vendor.stripe_account is None:
                return self._not_opened(carried)
        vendor = await self._reading.must_be_own(vendor)
        page = await self._gateway.onboarding_page(_account_of(vendor), returns_to)
        return Onboarded(vendor, page)

    async def dashboard(self, vendor_id: str) -> HostedPage:
        """The way into the vendor's Express dashboard. Raises NotFound, StatusForbids without an
        account, AccountRefused, AccountTaken; StripeUnavailable, CredentialsRejected."""
        vendor = await self._vendor(vendor_id)
        account = _account_of(vendor)
        await self._reading.must_be_own(vendor)
        return await self._gateway.dashboard_page(account)

    async def attended(self, vendor: Vendor) -> Vendor:
        """What a due vendor's account needs: an opening finished, requirements told of in time."""
        if vendor.opening and vendor.opening.open:
            vendor = (await self._openings.carry(vendor, first_try=False)).vendor
        due_at = c.reminder_due_at(vendor)
        if due_at is None or due_at > self._write_path.clock.now():
            return vendor
        # The event that told of their end may have been lost: as they stand at Stripe.
        await self._reading.look(vendor.id)

        def decide(current: Vendor | None) -> Sequence[VendorFact]:
            return c.reminder(current or vendor, self._write_path.clock.now())

        written: Written[Vendor] = await self._write_path.write(
            stream_of("vendor", vendor.id), decide, actor=WORKER
        )
        return written.state

    async def _opened(self, actor: Actor, vendor: Vendor, country: str | None) -> CarriedOpening:
        if not await self._gateway.connect_enabled():
            raise NotAllowed(
                "Connected accounts are switched off: connectEnabled is false in the Stripe "
                "credentials.",
                code="connect_disabled",
            )
        await self._switch.must_be_whole()
        self._gateway.ensure_available()
        identity = await self._gateway.identity()
        asked = False

        def decide(current: Vendor | None) -> Sequence[VendorFact]:
            nonlocal asked
            now = current or vendor
            request = self._gateway.account_request(
                now.id,
                country,
                key=c.account_key(now),
                attempt=c.next_attempt(now),
                identity=identity,
            )
            facts = c.request_account(now, request, actor)
            asked = bool(facts)
            return facts

        written: Written[Vendor] = await self._write_path.write(
            stream_of("vendor", vendor.id), decide, actor=actor
        )
        return await self._openings.carry(written.state, first_try=asked)

    @staticmethod
    def _not_opened(carried: CarriedOpening) -> Onboarded:
        opening = carried.vendor.opening
        if opening is not None and not opening.open and opening.refusal is not None:
            raise AccountRefused(opening.refusal, stripe_code=opening.refusal_code or "refused")
        return Onboarded(carried.vendor, None, carried.refused_credentials)

    def _must_return(self) -> ReturnAddresses:
        if self._returns_to is None:
            raise NotAllowed(
                "Stripe's page has nowhere to send the vendor back to: set "
                "ROADCALL_ONBOARDING_RETURN_URL.",
                code="onboarding_not_configured",
            )
        return self._returns_to

    async def _vendor(self, vendor_id: str) -> Vendor:
        loaded = await self._store.load(stream_of("vendor", vendor_id))
        if loaded is None or not isinstance(loaded.state, Vendor):
            raise NotFound(f"There is no vendor {vendor_id}.")
        return loaded.state


def _account_of(vendor: Vendor) -> str:
    if vendor.stripe_account is None:
        raise StatusForbids(
            "The vendor has no account yet: onboard it first.", code="not_onboarded"
        )
    return vendor.stripe_account


def return_addresses(url: str | None) -> ReturnAddresses | None:
    """Where Stripe's page sends the vendor back to, each way told by a parameter; None without."""
    if url is None:
        return None
    joined = f"{url}{'&' if '?' in url else '?'}onboarding="
    return ReturnAddresses(done=f"{joined}done", expired=f"{joined}expired")
