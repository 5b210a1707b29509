"""The vendor's record: the connected account that is paid, and how to reach the vendor."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from babel import Locale, UnknownLocaleError

from roadcall_payments.commit import TextWrite, Unique, stream_of
from roadcall_payments.domain import connected_account
from roadcall_payments.domain.errors import InvalidInput, NotFound
from roadcall_payments.domain.events import (
    Fact,
    Source,
    TextRef,
    VendorChanged,
    VendorFact,
    VendorRegistered,
)
from roadcall_payments.domain.people import Actor
from roadcall_payments.domain.platform_fee import BASIS_POINTS, FeePolicy
from roadcall_payments.domain.vendor import Vendor, apply
from roadcall_payments.domain.vendor_events import DebtCapAgreed, PayoutScheduleSet, VendorFeeAgreed
from roadcall_payments.ports import Ids, Store
from roadcall_payments.workflows.account_reading import AccountReading, Shown, taken_by_another
from roadcall_payments.workflows.movement import UNREACHABLE
from roadcall_payments.workflows.texts import erasable_text
from roadcall_payments.workflows.write_path import AlreadyTaken, WritePath, Written

ID_LENGTH_MAX = 128
NAME_LENGTH_MAX = 200
PUSH_TOKEN_LENGTH_MAX = 4096
# RFC 5321: the longest address that can be delivered to.
EMAIL_LENGTH_MAX = 254

_VENDOR_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*", re.ASCII)
_STRIPE_ACCOUNT = re.compile(r"acct_[A-Za-z0-9]{1,64}", re.ASCII)
# Only what could never be delivered is refused: whether a mailbox exists, mail alone can tell.
_EMAIL = re.compile(r"[^@\s<>,;\"\x00-\x1f]+@[^@\s<>,;\"\x00-\x1f]+\.[^@\s<>,;\"\x00-\x1f.]+")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Contacts:
    """Personal data: stored as one erasable text, JSON. ``phone`` is E.164 (+15551234567)."""

    name: str
    email: str | None
    phone: str | None
    push_token: str | None


@dataclass(frozen=True, slots=True)
class VendorRecord:
    """``locale`` as in BCP 47 or CLDR (en-US, de_DE): amounts are written for it. ``fee``: what we
    keep of this vendor's driver payments; None for the usual. ``pays_daily``: its balance is paid
    out once a day by itself. ``debt_cap_bps``: how much of one transfer may pay its debts, in basis
    points; None for the usual."""

    stripe_account: str | None
    locale: str
    contacts: Contacts
    fee: FeePolicy | None = None
    pays_daily: bool = False
    debt_cap_bps: int | None = None


class Vendors:
    def __init__(
        self, write_path: WritePath, store: Store, ids: Ids, reading: AccountReading
    ) -> None:
        self._write_path = write_path
        self._store = store
        self._ids = ids
        self._reading = reading

    async def put(self, actor: Actor, vendor_id: str, record: VendorRecord) -> Vendor:
        """Register the vendor, or change its record; the same record again writes nothing.

        What Stripe shows of a newly named account is recorded along; while Stripe cannot be asked,
        the account is taken as it is named, and asked about before anything is paid to it.

        Raises InvalidInput naming the field, also for an account that is not connected to us, and
        AccountTaken for another vendor's. Approved payments keep the account they were approved
        for (M10).
        """
        locale = check_record(vendor_id, record)
        known = await self._known(vendor_id)
        shown = await self._shown(known, record.stripe_account)
        ref, texts = await self._contacts_text(vendor_id, known, record.contacts)
        by, account = str(actor), record.stripe_account

        def decide(vendor: Vendor | None) -> Sequence[Fact]:
            named: list[VendorFact] = []
            if vendor is None:
                named.append(VendorRegistered(vendor_id, account, locale, ref, by))
            elif (vendor.stripe_account, vendor.locale, vendor.contacts) != (account, locale, ref):
                named.append(VendorChanged(account, locale, ref, by))
            if record.fee != (vendor.fee if vendor else None):
                named.append(_fee_agreed(record.fee, by))
            if record.debt_cap_bps != (vendor.debt_cap_bps if vendor else None):
                named.append(DebtCapAgreed(record.debt_cap_bps, by))
            if record.pays_daily != (vendor.pays_daily if vendor else False):
                named.append(PayoutScheduleSet(record.pays_daily, by))
            return (*named, *self._of_account(vendor, named, shown))

        stream = stream_of("vendor", vendor_id)
        try:
            written: Written[Vendor] = await self._write_path.write(
                stream, decide, actor=actor, texts=texts
            )
        except AlreadyTaken as taken:
            if taken.unique is Unique.REF:
                raise taken_by_another(account or "") from taken
            raise
        return written.state

    async def get(self, vendor_id: str) -> Vendor:
        """Raises NotFound."""
        vendor = await self._known(vendor_id)
        if vendor is None:
            raise NotFound(f"There is no vendor {vendor_id}.")
        return vendor

    async def with_own_account(self, vendor_id: str) -> Vendor:
        """``get``, once the account on file is known to be this vendor's alone. Raises
        AccountTaken where it is not; StripeUnavailable, CredentialsRejected, ContendedStream."""
        return await self._reading.must_be_own(await self.get(vendor_id))

    async def contacts(self, vendor: Vendor) -> Contacts | None:
        """How to reach the vendor; None once the text was erased."""
        return await self.contacts_at(vendor.contacts) if vendor.contacts else None

    async def contacts_at(self, ref: TextRef) -> Contacts | None:
        """What this text says; None once it was erased."""
        body = (await self._store.texts([ref.id])).get(ref.id)
        return msgspec.json.decode(body, type=Contacts) if body is not None else None

    async def _shown(self, known: Vendor | None, account: str | None) -> Shown | None:
        """What Stripe shows of the account; None where nothing is to be asked, or nobody there."""
        if account is None or (known and known.stripe_account == account and known.connected):
            return None
        try:
            shown = await self._reading.glance(account)
        except UNREACHABLE:
            return None
        if shown.account is None:
            raise InvalidInput(
                "stripeAccountId",
                connected_account.not_connected(account).message,
                code="account_not_connected",
            )
        return shown

    def _of_account(
        self,
        vendor: Vendor | None,
        named: Sequence[VendorFact],
        shown: Shown | None,
    ) -> Sequence[VendorFact]:
        """What the record's new account means for where the vendor's money goes."""
        now = self._write_path.clock.now()
        after = vendor
        for fact in named:
            after = apply(after, fact, now)
        if after is None:
            return ()
        left = connected_account.account_replaced(vendor, after, now) if vendor else ()
        return (*left, *self._reading.facts(after, shown, Source.LOOKUP))

    async def _known(self, vendor_id: str) -> Vendor | None:
        loaded = await self._store.load(stream_of("vendor", vendor_id))
        return loaded.state if loaded and isinstance(loaded.state, Vendor) else None

    async def _contacts_text(
        self, vendor_id: str, known: Vendor | None, contacts: Contacts
    ) -> tuple[TextRef, tuple[TextWrite, ...]]:
        """The text as it is kept already, or a new one to write with the fact."""
        if known and known.contacts and await self.contacts(known) == contacts:
            return known.contacts, ()
        body = msgspec.json.encode(contacts).decode()
        ref, text = erasable_text(self._ids, stream_of("vendor", vendor_id), body)
        return ref, (text,)


def _fee_agreed(fee: FeePolicy | None, by: str) -> VendorFeeAgreed:
    return VendorFeeAgreed(fee.bps if fee else None, fee.fixed_cents if fee else None, by)


def check_record(vendor_id: str, record: VendorRecord) -> str:
    """The locale in CLDR's spelling. Raises InvalidInput for what cannot be, naming the field."""
    if len(vendor_id) > ID_LENGTH_MAX or not _VENDOR_ID.fullmatch(vendor_id):
        raise InvalidInput(
            "vendorId",
            f"A vendor id is 1 to {ID_LENGTH_MAX} letters, digits, dots, dashes or underscores.",
        )
    account = record.stripe_account
    if account is not None and not _STRIPE_ACCOUNT.fullmatch(account):
        raise InvalidInput(
            "stripeAccountId", "A connected account's id looks like acct_1A2b3C4d5E6f7G8h."
        )
    _check_contacts(record.contacts)
    fee = record.fee
    if fee is not None and not (0 <= fee.bps <= BASIS_POINTS and fee.fixed_cents >= 0):
        raise InvalidInput("platformFee", "A fee is 0 to 10000 basis points, and not negative.")
    cap = record.debt_cap_bps
    if cap is not None and not 0 <= cap <= BASIS_POINTS:
        raise InvalidInput("debtCapBps", "A cap is 0 to 10000 basis points.")
    return _cldr_locale(record.locale)


def _check_contacts(contacts: Contacts) -> None:
    name = contacts.name
    if not name.strip() or len(name) > NAME_LENGTH_MAX or not name.isprintable():
        raise InvalidInput(
            "contacts.name", f"A name has 1 to {NAME_LENGTH_MAX} printable characters."
        )
    email, phone, push_token = contacts.email, contacts.phone, contacts.push_token
    if email is not None and (len(email) > EMAIL_LENGTH_MAX or not _EMAIL.fullmatch(email)):
        raise InvalidInput("contacts.email", "An e-mail address looks like name@example.com.")
    if phone is not None and not _PHONE.fullmatch(phone):
        raise InvalidInput(
            "contacts.phone", "A phone number is + and 7 to 15 digits, such as +15551234567."
        )
    if push_token is not None and not (
        0 < len(push_token) <= PUSH_TOKEN_LENGTH_MAX and push_token.isprintable()
    ):
        raise InvalidInput(
            "contacts.pushToken",
            f"A push token has 1 to {PUSH_TOKEN_LENGTH_MAX} printable characters.",
        )


def _cldr_locale(name: str) -> str:
    try:
        return str(Locale.parse(name, sep="-" if "-" in name else "_"))
    except (ValueError, UnknownLocaleError) as unknown:
        raise InvalidInput(
            "locale", "A locale is a language and perhaps a country, such as en-US or de."
        ) from unknown
