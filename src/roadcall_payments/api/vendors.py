"""Vendors: whom to pay, and how to reach them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field, JsonValue

from roadcall_payments.api import access, documented
from roadcall_payments.api.access import Action
from roadcall_payments.api.guarded_route import GuardedRoute
from roadcall_payments.api.schemas import (
    EXAMPLE_AT,
    ID_PATTERN,
    ConnectedAccountId,
    Instant,
    RequestBody,
    View,
    with_example,
)
from roadcall_payments.api.wiring import Caller, Service, Wired
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.workflows.vendors import Contacts, VendorRecord

router = APIRouter(route_class=GuardedRoute, tags=["vendors"])

VendorId = Annotated[
    str,
    Path(
        alias="vendorId",
        pattern=ID_PATTERN,
        description="The vendor's id, as the marketplace knows it.",
        examples=["v_7"],
    ),
]

_RECORD_EXAMPLE: dict[str, JsonValue] = {
    "stripeAccountId": "acct_1A2b3C4d5E6f7G8h",
    "locale": "en-US",
    "contacts": {
        "name": "Laramie Towing",
        "email": "office@laramie-towing.example",
        "phone": "+13075550123",
    },
}


class ContactsBody(RequestBody):
    name: str = Field(min_length=1, max_length=200)
    email: str | None = Field(None, max_length=254, examples=["office@laramie-towing.example"])
    phone: str | None = Field(
        None, pattern=r"^\+[1-9][0-9]{6,14}$", description="E.164.", examples=["+13075550123"]
    )
    push_token: str | None = Field(None, min_length=1, max_length=4096)


class VendorBody(RequestBody):
    """The whole record: what is left out is removed."""

    model_config = with_example(_RECORD_EXAMPLE)

    stripe_account_id: ConnectedAccountId | None = None
    locale: str = Field(
        "en-US", min_length=2, max_length=35, description="BCP 47: amounts are written for it."
    )
    contacts: ContactsBody


class ContactsView(View):
    name: str
    email: str | None
    phone: str | None
    push_token: str | None


class VendorView(View):
    """`contacts` is null once they were erased."""

    model_config = with_example(
        {
            "id": "v_7",
            **_RECORD_EXAMPLE,
            "contacts": {
                "name": "Laramie Towing",
                "email": "office@laramie-towing.example",
                "phone": "+13075550123",
                "pushToken": None,
            },
            "createdAt": EXAMPLE_AT,
            "updatedAt": EXAMPLE_AT,
        }
    )

    id: str
    stripe_account_id: str | None
    locale: str
    contacts: ContactsView | None
    created_at: Instant
    updated_at: Instant


@router.put(
    "/vendors/{vendorId}",
    operation_id="putVendor",
    summary="Register a vendor, or change its record",
    responses=documented.writes(
        documented.invalid("contacts.email", "An e-mail address looks like name@example.com.")
    ),
)
async def put(vendor_id: VendorId, body: VendorBody, service: Wired, caller: Caller) -> VendorView:
    """Payments approved before keep the account they were approved for (M10)."""
    contacts = body.contacts
    record = VendorRecord(
        stripe_account=body.stripe_account_id,
        locale=body.locale,
        contacts=Contacts(contacts.name, contacts.email, contacts.phone, contacts.push_token),
    )
    return await _view(service, await service.vendors.put(caller, vendor_id, record))


@router.get(
    "/vendors/{vendorId}",
    operation_id="getVendor",
    summary="Read a vendor's record",
    responses=documented.reads(documented.missing("There is no vendor v_7.")),
)
async def get(vendor_id: VendorId, service: Wired, caller: Caller) -> VendorView:
    """A vendor reads its own."""
    access.require_vendor(caller, Action.READ_VENDOR, vendor_id)
    return await _view(service, await service.vendors.get(vendor_id))


async def _view(service: Service, vendor: Vendor) -> VendorView:
    contacts = await service.vendors.contacts(vendor)
    return VendorView(
        id=vendor.id,
        stripe_account_id=vendor.stripe_account,
        locale=vendor.locale.replace("_", "-"),
        contacts=contacts
        and ContactsView(
            name=contacts.name,
            email=contacts.email,
            phone=contacts.phone,
            push_token=contacts.push_token,
        ),
        created_at=vendor.created_at,
        updated_at=vendor.updated_at,
    )
