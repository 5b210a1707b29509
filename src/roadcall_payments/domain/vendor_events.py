"""The facts of a vendor's record."""

from __future__ import annotations

from dataclasses import dataclass

from roadcall_payments.domain.fact_parts import TextRef


@dataclass(frozen=True, slots=True)
class VendorRegistered:
    """``contacts`` is the text that holds name, e-mail and phone."""

    vendor_id: str
    stripe_account: str | None
    locale: str
    contacts: TextRef | None
    by: str


@dataclass(frozen=True, slots=True)
class VendorChanged:
    stripe_account: str | None
    locale: str
    contacts: TextRef | None
    by: str


VendorFact = VendorRegistered | VendorChanged
