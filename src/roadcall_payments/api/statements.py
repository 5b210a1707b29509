"""A vendor's monthly statement."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from roadcall_payments.api import access, documented
from roadcall_payments.api.access import Action
from roadcall_payments.api.guarded_route import GuardedRoute
from roadcall_payments.api.statement_views import StatementView, statement_view
from roadcall_payments.api.vendors import VendorId
from roadcall_payments.api.wiring import Caller, Wired

router = APIRouter(route_class=GuardedRoute, tags=["vendors"])

Month = Annotated[
    str | None,
    Query(
        pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$",
        description="In UTC; left out: the present one.",
        examples=["2026-11"],
    ),
]


@router.get(
    "/vendors/{vendorId}/statement",
    operation_id="getVendorStatement",
    summary="Read a vendor's statement of a month",
    responses=documented.reads(
        documented.invalid("month", "This month has not begun."),
        documented.missing("There is no vendor v_7."),
        documented.refused(
            "More happened than one statement holds: read the payouts and their remittance "
            "advices.",
            code="statement_too_long",
        ),
    ),
)
async def statement(
    vendor_id: VendorId, service: Wired, caller: Caller, month: Month = None
) -> StatementView:
    """What was earned, kept, taken back and paid out, and what the vendor owes us and why. A
    vendor reads its own."""
    access.require_vendor(caller, Action.READ_PAYOUT, vendor_id)
    return statement_view(await service.vendor_statements.statement(vendor_id, month))
