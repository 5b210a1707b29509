"""The daily payouts: one a day for each vendor and currency, however many workers look.

A day that passed while movements were held is not made up for: the next one pays it all.
"""

from __future__ import annotations

from roadcall_payments.commit import stream_of
from roadcall_payments.domain import payout_schedule
from roadcall_payments.domain.errors import AccountTaken, NotFound
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.paying_out import PayoutMinimum
from roadcall_payments.domain.people import WORKER
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.domain.vendor_events import PayoutDayClosed, VendorFact
from roadcall_payments.ports import Gateway
from roadcall_payments.workflows.movements_switch import MovementsSwitch
from roadcall_payments.workflows.payouts import Payouts
from roadcall_payments.workflows.vendors import Vendors
from roadcall_payments.workflows.write_path import AlreadyTaken, WritePath, Written


class PayoutSchedule:
    """``hour_utc``: at which the day's payouts are made."""

    def __init__(
        self,
        write_path: WritePath,
        gateway: Gateway,
        payouts: Payouts,
        switch: MovementsSwitch,
        vendors: Vendors,
        minimum: PayoutMinimum,
        hour_utc: int,
    ) -> None:
        self._write_path = write_path
        self._gateway = gateway
        self._payouts = payouts
        self._switch = switch
        self._vendors = vendors
        self._minimum = minimum
        self._hour_utc = hour_utc

    async def attended(self, vendor: Vendor) -> Vendor:
        """The payouts of a vendor's day. Raises StripeUnavailable, CredentialsRejected."""
        if not self._is_due(vendor) or await self._held():
            return vendor
        day = self._write_path.clock.now().date().isoformat()
        try:
            vendor = await self._vendors.with_own_account(vendor.id)
        except AccountTaken as taken:
            # Named while Stripe could not be asked: its balance is another vendor's.
            return await self._close(vendor, day, (), (taken.code,))
        account = vendor.stripe_account
        if account is None or not self._is_due(vendor):
            return vendor
        try:
            shown = await self._gateway.account(account)
        except NotFound:
            return await self._close(vendor, day, (), (payout_schedule.DISCONNECTED,))
        if not shown.status.payouts_enabled:
            return await self._close(vendor, day, (), (payout_schedule.PAYOUTS_DISABLED,))
        made: list[str] = []
        not_made: list[str] = []
        for available in (await self._gateway.balance(account)).available:
            amount = self._gateway.payable_of(available)
            if amount.amount_cents < self._minimum.of(amount.currency).amount_cents:
                not_made.append(f"{amount.currency}:{payout_schedule.BELOW_MINIMUM}")
            else:
                made += await self._made(vendor, amount, day)
        return await self._close(vendor, day, tuple(made), tuple(not_made))

    def _is_due(self, vendor: Vendor) -> bool:
        due_at = payout_schedule.due_at(vendor, self._hour_utc)
        return due_at is not None and due_at <= self._write_path.clock.now()

    async def _held(self) -> bool:
        return await self._switch.held() or not await self._gateway.connect_enabled()

    async def _made(self, vendor: Vendor, amount: Money, day: str) -> list[str]:
        """Nothing where the day's payout in this currency is another worker's."""
        try:
            started = await self._payouts.start(WORKER, vendor, amount, day=day)
        except AlreadyTaken:
            return []
        return [started.payout.id]

    async def _close(
        self, vendor: Vendor, day: str, made: tuple[str, ...], not_made: tuple[str, ...]
    ) -> Vendor:
        def decide(current: Vendor | None) -> tuple[VendorFact, ...]:
            if current is None or not current.pays_daily or current.payout_day == day:
                return ()
            return (PayoutDayClosed(day, made, not_made),)

        written: Written[Vendor] = await self._write_path.write(
            stream_of("vendor", vendor.id), decide, actor=WORKER
        )
        return written.state
