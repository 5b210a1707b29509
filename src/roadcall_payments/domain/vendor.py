"""The vendor's record: which connected account is paid, and how to reach it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.events import TextRef, VendorChanged, VendorFact, VendorRegistered


@dataclass(frozen=True, slots=True)
class Vendor:
    """``contacts`` refers to the erasable text with name, e-mail and phone (M29)."""

    id: str
    stripe_account: str | None
    locale: str
    contacts: TextRef | None
    created_at: datetime
    updated_at: datetime


def apply(vendor: Vendor | None, fact: VendorFact, at: datetime) -> Vendor:
    """The vendor after ``fact``. Pure."""
    match fact:
        case VendorRegistered():
            if vendor is not None:
                raise BrokenInvariant("A vendor is registered once.")
            return Vendor(fact.vendor_id, fact.stripe_account, fact.locale, fact.contacts, at, at)
        case VendorChanged():
            if vendor is None:
                raise BrokenInvariant("A vendor starts with VendorRegistered.")
            return Vendor(
                vendor.id, fact.stripe_account, fact.locale, fact.contacts, vendor.created_at, at
            )
