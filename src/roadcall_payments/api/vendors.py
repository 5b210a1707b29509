"""Vendors: whom to pay, how to reach them, and the pages on which they set up their accounts."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.responses import Response

from roadcall_payments.api import access, documented
from roadcall_payments.api.access import Action
from roadcall_payments.api.guarded_route import GuardedRoute
from roadcall_payments.api.schemas import (
    ID_PATTERN,
    ConnectedAccountId,
    RequestBody,
    json_response,
    with_example,
)
from roadcall_payments.api.vendor_views import (
    RECORD_EXAMPLE,
    LoginLinkView,
    OnboardingLinkView,
    VendorView,
    vendor_view,
)
from roadcall_payments.api.wiring import Caller, Service, Wired
from roadcall_payments.domain.errors import CredentialsRejected
from roadcall_payments.domain.platform_fee import BASIS_POINTS, FeePolicy
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


class ContactsBody(RequestBody):
    name: str = Field(min_length=1, max_length=200)
    email: str | None = Field(None, max_length=254, examples=["office@laramie-towing.example"])
    phone: str | None = Field(
        None, pattern=r"^\+[1-9][0-9]{6,14}$", description="E.164.", examples=["+13075550123"]
    )
    push_token: str | None = Field(None, min_length=1, max_length=4096)


class PlatformFeeBody(RequestBody):
    model_config = with_example({"bps": 1_000, "fixedCents": 30})

    bps: int = Field(ge=0, le=BASIS_POINTS, description="Hundredths of a percent.")
    fixed_cents: int = Field(
        0, ge=0, le=99_999_999, description="In minor units of the payment's currency."
    )


class VendorBody(RequestBody):
    """The whole record: what is left out is removed."""

    model_config = with_example(RECORD_EXAMPLE)

    stripe_account_id: ConnectedAccountId | None = None
    locale: str = Field(
        "en-US", min_length=2, max_length=35, description="BCP 47: amounts are written for it."
    )
    contacts: ContactsBody
    platform_fee: PlatformFeeBody | None = Field(
        None, description="Kept of the vendor's driver payments; left out: the usual."
    )
    debt_cap_bps: int | None = Field(
        None,
        ge=0,
        le=BASIS_POINTS,
        description="How much of one transfer may pay the vendor's debts, in hundredths of a "
        "percent; left out: the usual. 0: they are collected in other ways.",
    )
    payout_schedule: Literal["manual", "daily"] = Field(
        "manual", description="Whether its balance is paid out once a day by itself."
    )


class OnboardingBody(RequestBody):
    model_config = with_example({"country": "US"})

    country: str | None = Field(
        None,
        pattern=r"^[A-Z]{2}$",
        description="ISO 3166, of an account that is still to be opened, and for good; without "
        "one, the platform's own.",
    )


@router.put(
    "/vendors/{vendorId}",
    operation_id="putVendor",
    summary="Register a vendor, or change its record",
    responses=documented.writes(
        documented.invalid("contacts.email", "An e-mail address looks like name@example.com."),
        "account_not_connected",
        "account_taken",
    ),
)
async def put(vendor_id: VendorId, body: VendorBody, service: Wired, caller: Caller) -> VendorView:
    """Payments approved before keep the account they were approved for (M10). A new account is
    looked up at Stripe; where Stripe cannot be asked, before the first payment to it."""
    contacts, fee = body.contacts, body.platform_fee
    record = VendorRecord(
        stripe_account=body.stripe_account_id,
        locale=body.locale,
        contacts=Contacts(contacts.name, contacts.email, contacts.phone, contacts.push_token),
        fee=FeePolicy(fee.bps, fee.fixed_cents) if fee else None,
        pays_daily=body.payout_schedule == "daily",
        debt_cap_bps=body.debt_cap_bps,
    )
    return await _view(service, await service.vendors.put(caller, vendor_id, record))


@router.get(
    "/vendors/{vendorId}",
    operation_id="getVendor",
    summary="Read a vendor's record, and whether it can be paid",
    responses=documented.reads(documented.missing("There is no vendor v_7.")),
)
async def get(vendor_id: VendorId, service: Wired, caller: Caller) -> VendorView:
    """A vendor reads its own."""
    access.require_vendor(caller, Action.READ_VENDOR, vendor_id)
    return await _view(service, await service.vendors.get(vendor_id))


@router.post(
    "/vendors/{vendorId}/onboarding-link",
    operation_id="makeOnboardingLink",
    summary="Make a link to Stripe's onboarding page",
    response_model=OnboardingLinkView,
    responses={
        **documented.writes(
            documented.missing("There is no vendor v_7."),
            "account_refused",
            "account_taken",
            "connect_disabled",
            "onboarding_not_configured",
            "held_after_restore",
            *documented.STRIPE,
        ),
        202: {
            "model": OnboardingLinkView,
            "description": "Whether Stripe has opened the account is not known yet: ask again.",
        },
    },
)
async def onboarding_link(
    vendor_id: VendorId, service: Wired, caller: Caller, body: OnboardingBody | None = None
) -> Response:
    """Opens the vendor's one connected account first, where it has none. A link works once and
    for a few minutes, and is stored nowhere: a repeat makes a fresh one. A vendor asks for its
    own."""
    access.require_vendor(caller, Action.ONBOARD_VENDOR, vendor_id)
    country = body.country if body else None
    onboarded = await service.onboarding.page(caller, vendor_id, country)
    if onboarded.refused_credentials:
        raise CredentialsRejected(
            "Stripe rejects the service's credentials. The account is opened by itself once an "
            "operator has renewed them; then ask again."
        )
    page = onboarded.page
    view = OnboardingLinkView(
        vendor_id=vendor_id,
        stripe_account_id=onboarded.vendor.stripe_account,
        url=page.url if page else None,
        expires_at=page.expires_at if page else None,
    )
    return json_response(view, 200 if page else 202)


@router.post(
    "/vendors/{vendorId}/login-link",
    operation_id="makeLoginLink",
    summary="Make a link to the Express dashboard",
    responses=documented.writes(
        documented.missing("There is no vendor v_7."),
        "account_refused",
        "account_taken",
        "not_onboarded",
        *documented.STRIPE,
    ),
)
async def login_link(vendor_id: VendorId, service: Wired, caller: Caller) -> LoginLinkView:
    """Balance, payouts and bank account, on Stripe's own page: for the vendor itself alone."""
    access.require_vendor(caller, Action.LOG_IN_VENDOR, vendor_id)
    page = await service.onboarding.dashboard(vendor_id)
    return LoginLinkView(vendor_id=vendor_id, url=page.url)


async def _view(service: Service, vendor: Vendor) -> VendorView:
    return vendor_view(vendor, await service.vendors.contacts(vendor))
