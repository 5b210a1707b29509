"""Carry a request for a connected account to its outcome: send what was stored, commit the answer.

One account a vendor, whatever is repeated: the same key while it lives, and a look through
Stripe's list of accounts before any other (M5-M8). Used by whoever asked for the onboarding page
and, after a crash or a timeout, by the worker.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from roadcall_payments.commit import Unique, stream_of
from roadcall_payments.domain import connected_account as c
from roadcall_payments.domain.errors import BrokenInvariant, CredentialsRejected, MovementsPaused
from roadcall_payments.domain.events import Source, VendorFact
from roadcall_payments.domain.people import STRIPE
from roadcall_payments.domain.stripe_objects import Account
from roadcall_payments.domain.vendor import AccountOpening, Vendor
from roadcall_payments.ports import (
    Answered,
    CreatedWindow,
    Gateway,
    Outcome,
    Refused,
    Unknown,
    UnknownReason,
)
from roadcall_payments.workflows.account_reading import taken_by_another
from roadcall_payments.workflows.movement import LOOK_AT_ONCE, UNREACHABLE
from roadcall_payments.workflows.movements_switch import MovementsSwitch
from roadcall_payments.workflows.write_path import AlreadyTaken, WritePath, Written

# Our clock and Stripe's may differ by so much.
CLOCKS_DIFFER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class CarriedOpening:
    """The vendor after the carry; ``refused_credentials`` when Stripe answered 401."""

    vendor: Vendor
    refused_credentials: bool = False


class AccountOpenings:
    def __init__(
        self, write_path: WritePath, gateway: Gateway, switch: MovementsSwitch, budget_s: float
    ) -> None:
        self._write_path = write_path
        self._gateway = gateway
        self._switch = switch
        self._budget_s = budget_s

    async def carry(self, vendor: Vendor, *, first_try: bool) -> CarriedOpening:
        """Send the open request, or adopt the account that an earlier one made.

        Raises, where an earlier try has to be looked for and cannot be: StripeUnavailable,
        CredentialsRejected.
        """
        opening = vendor.opening
        if opening is None or not opening.open:
            return CarriedOpening(vendor)
        looks = not first_try or opening.attempt > 1
        if looks:
            found = await self._find(vendor, opening)
            if found is not None:
                return CarriedOpening(await self._adopt(vendor, found, Source.LOOKUP, None))
        now = self._write_path.clock.now()
        if c.past_key_deadline(opening, now):
            # No POST of ours can still arrive under this key: what was not found is absent (M8).
            return CarriedOpening(await self._absent(vendor, opening) if looks else vendor)
        if not await self._may_send():
            return CarriedOpening(vendor)
        outcome = await self._gateway.send(
            opening.request, first_try=first_try, budget_s=self._budget_s
        )
        if isinstance(outcome, Unknown) and outcome.reason in LOOK_AT_ONCE:
            # Where looking fails too, the outcome stays unknown, and the worker looks again.
            with contextlib.suppress(*UNREACHABLE):
                found = await self._find(vendor, opening)
                if found is not None:
                    return CarriedOpening(await self._adopt(vendor, found, Source.LOOKUP, None))
        return await self._settle(vendor, opening.attempt, outcome)

    async def _may_send(self) -> bool:
        """Not before what a restored database lacks is known: it may be the account itself."""
        try:
            await self._switch.must_be_whole()
        except MovementsPaused:
            return False
        return True

    async def _find(self, vendor: Vendor, opening: AccountOpening) -> Account | None:
        """The account that the vendor's requests made, in Stripe's list (M7)."""
        now = self._write_path.clock.now()
        window = CreatedWindow(opening.since - CLOCKS_DIFFER, now + CLOCKS_DIFFER)
        listed = await self._gateway.accounts(window)
        identity = await self._gateway.identity()
        # Asked after the list: another account's empty list proves nothing (M8, M18).
        own = opening.request
        if (identity.account, identity.livemode) != (own.account, own.livemode):
            raise CredentialsRejected(
                "The service's key is of another Stripe account or mode than the request (M18)."
            )
        return next((one for one in listed if c.is_its_account(vendor, one)), None)

    async def _settle(self, vendor: Vendor, attempt: int, outcome: Outcome) -> CarriedOpening:
        match outcome:
            case Answered(object=Account() as made):
                opened = await self._adopt(vendor, made, Source.ANSWER, outcome.request_id)
                return CarriedOpening(opened)
            case Answered():
                raise BrokenInvariant(f"Stripe answered with a {type(outcome.object).__name__}.")
            case Refused():
                failure, request_id = outcome.failure, outcome.request_id

                def refused(v: Vendor, _at: datetime) -> c.Facts:
                    return c.account_refused(v, attempt, failure.code, failure.message, request_id)

                return CarriedOpening(await self._write(vendor, refused))
            case Unknown():
                reason, request_id = outcome.reason, outcome.request_id

                def unknown(v: Vendor, _at: datetime) -> c.Facts:
                    return c.account_unknown(v, attempt, reason, request_id)

                after = await self._write(vendor, unknown)
                return CarriedOpening(after, reason is UnknownReason.AUTHENTICATION)

    async def _adopt(
        self, vendor: Vendor, account: Account, source: Source, request_id: str | None
    ) -> Vendor:
        def opened(v: Vendor, _at: datetime) -> c.Facts:
            return c.account_opened(v, account, source, request_id)

        try:
            return await self._write(vendor, opened)
        except AlreadyTaken as taken:
            if taken.unique is not Unique.REF:
                raise
            raise taken_by_another(account.id) from taken

    async def _absent(self, vendor: Vendor, opening: AccountOpening) -> Vendor:
        def absent(v: Vendor, at: datetime) -> c.Facts:
            return c.account_absent(v, opening.attempt, at)

        return await self._write(vendor, absent)

    async def _write(self, vendor: Vendor, decide: c.Decision) -> Vendor:
        def on_current(current: Vendor | None) -> Sequence[VendorFact]:
            return decide(current or vendor, self._write_path.clock.now())

        written: Written[Vendor] = await self._write_path.write(
            stream_of("vendor", vendor.id), on_current, actor=STRIPE
        )
        return written.state
