"""What a vendor can see of its money at Stripe, in figures and in words of its own language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from roadcall_payments.domain.errors import InvalidInput, NotFound
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.paying_out import available_in
from roadcall_payments.domain.payout import Payout
from roadcall_payments.domain.remittance import Remittance
from roadcall_payments.domain.stripe_objects import BalanceFunds
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.ports import (
    Channel,
    Gateway,
    NoticeDetails,
    NoticeFunds,
    NoticeJob,
    NoticeTemplates,
    Page,
)
from roadcall_payments.workflows.payout_reading import PayoutReading
from roadcall_payments.workflows.remittance import Remittances
from roadcall_payments.workflows.vendors import Vendors

# Money is on its way for days, not for so many payouts.
LOOKED_THROUGH = 100
_ENGLISH = "en"


@dataclass(frozen=True, slots=True)
class Advice:
    """``words``: for the vendor to read, in its language."""

    remittance: Remittance
    words: str


@dataclass(frozen=True, slots=True)
class VendorBalance:
    """``on_the_way``: payouts that left the balance, or may have, and have not arrived."""

    funds: tuple[NoticeFunds, ...]
    on_the_way: tuple[Payout, ...]
    words: str


class PayoutStatement:
    def __init__(
        self,
        gateway: Gateway,
        reading: PayoutReading,
        remittances: Remittances,
        vendors: Vendors,
        templates: NoticeTemplates,
    ) -> None:
        self._gateway = gateway
        self._reading = reading
        self._remittances = remittances
        self._vendors = vendors
        self._templates = templates

    async def payouts(self, vendor_id: str, cursor: str | None, limit: int) -> Page[Payout]:
        """The vendor's, account by account, the present one first, each account's newest first.

        Raises NotFound, InvalidInput("cursor").
        """
        accounts = accounts_of(await self._vendors.get(vendor_id))
        if not accounts:
            return Page((), None)
        account, place = _place(cursor, accounts)
        page = await self._remittances.payouts(account, place, limit)
        listed = [await self.owned(one) for one in page.items]
        own = tuple(one for one in listed if one.vendor_id == vendor_id)
        return Page(own, _next_place(account, page.next_cursor, accounts))

    async def owned(self, payout: Payout) -> Payout:
        """With its vendor, also where its account was registered only after the payout."""
        return await self._reading.owned(payout)

    async def balance(self, vendor_id: str) -> VendorBalance:
        """As Stripe has it now. Raises NotFound, AccountTaken, StripeUnavailable,
        CredentialsRejected."""
        vendor = await self._vendors.with_own_account(vendor_id)
        funds: Sequence[NoticeFunds] = ()
        going: tuple[Payout, ...] = ()
        if vendor.stripe_account is not None:
            shown = await self._gateway.balance(vendor.stripe_account)
            page = await self.payouts(vendor_id, None, LOOKED_THROUGH)
            going = tuple(one for one in page.items if one.on_the_way)
            funds = [
                await self._with_day(vendor.stripe_account, one)
                for one in _by_currency(shown, going)
            ]
        details = NoticeDetails(
            funds=tuple(funds), arrives=_next_arrival(going), pays_daily=vendor.pays_daily
        )
        words = self._templates.render("vendor_balance", Channel.EMAIL, vendor.locale, details)
        return VendorBalance(tuple(funds), going, words.text)

    async def _with_day(self, account: str, funds: NoticeFunds) -> NoticeFunds:
        if funds.pending.amount_cents <= 0:
            return funds
        by = await self._remittances.available_by(account, funds.pending.currency)
        return replace(funds, pending_until=by)

    async def advice(self, payout: Payout) -> Advice:
        """Raises StripeUnavailable and CredentialsRejected for an automatic payout."""
        remittance = await self._remittances.advice(payout)
        details = NoticeDetails(
            amount=payout.amount,
            code=payout.failure_code,
            message=payout.failure_message,
            arrives=payout.arrival,
            payout_status=payout.status,
            object_id=payout.stripe_payout or payout.id,
        )
        details = with_jobs(details, remittance)
        locale = await self._locale(payout.vendor_id)
        words = self._templates.render("remittance_advice", Channel.EMAIL, locale, details)
        return Advice(remittance, words.text)

    async def told(self, details: NoticeDetails, payout: Payout) -> NoticeDetails:
        """A notice's details with the jobs that the payout carried; raises what ``advice`` does."""
        return with_jobs(details, await self._remittances.advice(payout))

    async def _locale(self, vendor_id: str | None) -> str:
        if vendor_id is None:
            return _ENGLISH
        try:
            return (await self._vendors.get(vendor_id)).locale
        except NotFound:
            return _ENGLISH


def accounts_of(vendor: Vendor) -> tuple[str, ...]:
    """All that the vendor had, the present one first."""
    former = tuple(one.id for one in reversed(vendor.former_accounts))
    return (vendor.stripe_account, *former) if vendor.stripe_account else former


def _place(cursor: str | None, accounts: Sequence[str]) -> tuple[str, str | None]:
    """Which account's list goes on, and where in it."""
    if cursor is None:
        return accounts[0], None
    account, _, place = cursor.partition(".")
    if account not in accounts:
        raise InvalidInput("cursor", "It is no cursor of this list: start again without one.")
    return account, place or None


def _next_place(account: str, place: str | None, accounts: Sequence[str]) -> str | None:
    if place is not None:
        return f"{account}.{place}"
    later = accounts[accounts.index(account) + 1 :]
    return f"{later[0]}." if later else None


def with_jobs(details: NoticeDetails, remittance: Remittance) -> NoticeDetails:
    jobs = tuple(
        NoticeJob(
            one.incident_id,
            one.payment_id,
            one.earned,
            one.fee,
            one.set_off,
            one.reversed,
            one.carried,
            one.partly,
        )
        for one in remittance.jobs
    )
    return replace(details, jobs=jobs, other=remittance.other)


def _by_currency(shown: BalanceFunds, going: Sequence[Payout]) -> list[NoticeFunds]:
    held = {one.currency for one in (*shown.available, *shown.pending)}
    held |= {one.amount.currency for one in going}
    return [
        NoticeFunds(
            available_in(currency, shown.available),
            available_in(currency, shown.pending),
            _sum(currency, going),
        )
        for currency in sorted(held)
    ]


def _sum(currency: str, payouts: Sequence[Payout]) -> Money:
    cents = sum(one.amount.amount_cents for one in payouts if one.amount.currency == currency)
    return Money(cents, currency)


def _next_arrival(going: Sequence[Payout]) -> datetime | None:
    return min((one.arrival for one in going if one.arrival is not None), default=None)
