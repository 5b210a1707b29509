"""Every route with every role, right and wrong owner (the design's roles table)."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from roadcall_payments.api.access import RIGHTS, ROUTES
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.people import Actor, Role
from tests.api import harness as h
from tests.api.harness import Api
from tests.api.test_debts import owes

Prepared = Callable[[Api], Awaitable[dict[str, Any]]]

# Who calls, in the order of the columns below: each role, and its namesake from elsewhere.
CALLERS: dict[str, Actor] = {
    "service": h.SERVICE,
    "other service": h.OTHER_SERVICE,
    "dispatcher": h.DISPATCHER,
    "other dispatcher": h.OTHER_DISPATCHER,
    "admin": h.ADMIN,
    "auditor": h.AUDITOR,
    "vendor": h.VENDOR,
    "other vendor": h.OTHER_VENDOR,
    "driver": h.DRIVER,
    "other driver": h.OTHER_DRIVER,
}

PAYER = {"On-Behalf-Of": "d_1"}


async def nothing(api: Api) -> dict[str, Any]:
    return {"id": "none"}


async def pending(api: Api) -> dict[str, Any]:
    payment: dict[str, Any] = await api.created()
    return payment


async def approved(api: Api) -> dict[str, Any]:
    payment: dict[str, Any] = await api.approved()
    return payment


async def processing(api: Api) -> dict[str, Any]:
    payment: dict[str, Any] = await api.processing()
    return payment


async def completed(api: Api) -> dict[str, Any]:
    payment: dict[str, Any] = await api.completed()
    return payment


async def refund(api: Api) -> dict[str, Any]:
    asked: dict[str, Any] = await api.refund_requested()
    return asked


async def flagged(api: Api) -> dict[str, Any]:
    payment: dict[str, Any] = await api.created(
        vendorId=f"v_{uuid4()}",  # the first payment to a vendor
        amountCents=9_900_000,
        lineItems=[{"kind": "tow", "quantity": 1, "unitCents": 9_900_000}],
    )
    assert payment["risk"]["flagged"], payment
    return payment


async def failed_transfer(api: Api) -> dict[str, Any]:
    payment: dict[str, Any] = await api.failed_transfer()
    return payment


async def unknown(api: Api) -> dict[str, Any]:
    payment: dict[str, Any] = await api.unknown_transfer()
    return payment


async def waiting_event(api: Api) -> dict[str, Any]:
    return {"id": await api.waiting_event()}


async def vendor(api: Api) -> dict[str, Any]:
    record = {"contacts": {"name": "Laramie Towing"}}
    reply = await api.call("PUT", "/vendors/v_1", h.ADMIN, record)
    assert reply.status == 200, reply.text
    return {"id": "v_1"}


async def payout(api: Api) -> dict[str, Any]:
    await vendor_with_account(api)
    api.gateway.fund("acct_1", Money(100_000, "usd"))
    body = {"amountCents": 4_000, "currency": "usd"}
    reply = await api.call("POST", "/vendors/v_1/payouts", h.ADMIN, body)
    assert reply.status == 201, reply.text
    made: dict[str, Any] = reply.json
    return made


async def funded_vendor(api: Api) -> dict[str, Any]:
    api.gateway.fund("acct_1", Money(100_000, "usd"))
    return await vendor_with_account(api)


async def vendor_with_account(api: Api) -> dict[str, Any]:
    record = {"contacts": {"name": "Laramie Towing"}, "stripeAccountId": "acct_1"}
    reply = await api.call("PUT", "/vendors/v_1", h.ADMIN, record)
    assert reply.status == 200, reply.text
    return {"id": "v_1"}


async def owing_vendor(api: Api) -> dict[str, Any]:
    vendor_id = f"v_{uuid4()}"
    await owes(api, vendor_id, debt_id=vendor_id)
    return {"id": vendor_id}


@dataclass(frozen=True)
class Row:
    """One route's expected statuses, for the callers in their order."""

    route: tuple[str, str]
    prepare: Prepared
    statuses: str
    body: dict[str, Any] | None = None
    headers: dict[str, str] | None = None


NEW_OF_C1 = {
    "companyId": "c_1",
    "incidentId": "i_table",
    "vendorId": "v_1",
    "driverId": "d_1",
    "payerType": "driver_ic",
    "amountCents": 500,
    "currency": "usd",
    "lineItems": [{"kind": "tow", "quantity": 1, "unitCents": 500}],
}
EVENT_OF_C1 = {
    "id": "event-1",
    "detail-type": "WorkCompleted",
    "source": "roadcall.dispatch",
    "time": "2026-11-22T20:18:12Z",
    "detail": NEW_OF_C1,
}

P, R = "/payments/{paymentId}", "/refunds/{refundId}"
OUT = "/payouts/{payoutId}"
#                                         svc o.svc disp o.disp adm aud ven o.ven drv o.drv
TABLE = [
    Row(("POST", "/payments"), nothing, " 201 403 201 403 201 403 403 403 403 403", NEW_OF_C1),
    Row(("GET", "/payments"), nothing, "  200 200 200 200 200 200 200 200 200 200"),
    Row(("GET", "/payments/pending"), nothing, "200 200 200 200 200 200 200 200 200 200"),
    Row(("GET", "/payments/flagged"), nothing, "200 200 200 200 200 200 200 200 200 200"),
    Row(("GET", P), pending, "            200 404 200 404 200 200 200 404 200 404"),
    Row(("GET", f"{P}/timeline"), pending, "   200 404 200 404 200 200 403 403 403 403"),
    Row(("POST", f"{P}/approve"), pending, "   403 403 200 404 200 403 403 403 403 403"),
    Row(("POST", f"{P}/reject"), pending, "    403 403 200 404 200 403 403 403 403 403", {}),
    Row(
        ("POST", f"{P}/review"),
        flagged,
        "                                 403 403 403 403 200 403 403 403 403 403",
        {"decision": "clear"},
    ),
    Row(("POST", f"{P}/process"), approved, "  200 404 200 404 200 403 403 403 403 403"),
    Row(
        ("POST", f"{P}/confirm"),
        processing,
        "                                 200 404 403 403 200 403 403 403 200 404",
        {"paymentMethodId": "pm_card_visa"},
        PAYER,
    ),
    Row(
        ("GET", f"{P}/client-secret"),
        processing,
        "                                 200 404 403 403 403 403 403 403 200 404",
        headers=PAYER,
    ),
    Row(("POST", f"{P}/cancel"), pending, "    403 403 200 404 200 403 403 403 403 403"),
    Row(("POST", f"{P}/retry"), failed_transfer, "403 403 200 404 200 403 403 403 403 403"),
    Row(("POST", f"{P}/settle"), unknown, "    403 403 403 403 200 403 403 403 403 403"),
    Row(("POST", f"{P}/refunds"), completed, "  403 403 201 404 201 403 403 403 403 403", {}),
    Row(("GET", f"{P}/refunds"), completed, "   200 404 200 404 200 200 200 404 200 404"),
    Row(("GET", "/refunds/pending"), nothing, " 403 403 403 403 200 200 403 403 403 403"),
    Row(("GET", R), refund, "                   200 404 200 404 200 200 200 404 200 404"),
    Row(("POST", f"{R}/approve"), refund, "     403 403 403 403 200 403 403 403 403 403"),
    Row(("POST", f"{R}/reject"), refund, "      403 403 403 403 200 403 403 403 403 403", {}),
    Row(
        ("PUT", "/vendors/{vendorId}"),
        vendor,
        "                                 403 403 403 403 200 403 403 403 403 403",
        {"contacts": {"name": "Laramie Towing"}},
    ),
    Row(("GET", "/vendors/{vendorId}"), vendor, "200 200 200 200 200 200 200 404 403 403"),
    Row(
        ("POST", "/vendors/{vendorId}/payouts"),
        funded_vendor,
        "                                 403 403 403 403 201 403 403 403 403 403",
        {"amountCents": 4_000, "currency": "usd"},
    ),
    Row(
        ("GET", "/vendors/{vendorId}/payouts"),
        vendor_with_account,
        "                                 403 403 403 403 200 200 200 404 403 403",
    ),
    Row(
        ("GET", "/vendors/{vendorId}/balance"),
        vendor_with_account,
        "                                 403 403 403 403 200 200 200 404 403 403",
    ),
    Row(
        ("GET", "/vendors/{vendorId}/statement"),
        vendor_with_account,
        "                                 403 403 403 403 200 200 200 404 403 403",
    ),
    Row(
        ("GET", "/vendors/{vendorId}/debts"),
        vendor_with_account,
        "                                 403 403 403 403 200 200 200 404 403 403",
    ),
    Row(
        ("POST", "/vendors/{vendorId}/debts/{debtId}/forgive"),
        owing_vendor,
        "                                 403 403 403 403 200 403 403 403 403 403",
        {"amountCents": 1, "reason": "a drill"},
    ),
    Row(("GET", OUT), payout, "                   403 403 403 403 200 200 200 404 403 403"),
    Row(("GET", f"{OUT}/remittance"), payout, "  403 403 403 403 200 200 200 404 403 403"),
    Row(("POST", f"{OUT}/cancel"), payout, "      403 403 403 403 200 403 403 403 403 403"),
    Row(
        ("POST", "/vendors/{vendorId}/onboarding-link"),
        vendor_with_account,
        "                                 403 403 403 403 200 403 200 404 403 403",
        {},
    ),
    Row(
        ("POST", "/vendors/{vendorId}/login-link"),
        vendor_with_account,
        "                                 403 403 403 403 403 403 200 404 403 403",
    ),
    Row(("POST", "/events"), nothing, "   200 403 403 403 403 403 403 403 403 403", EVENT_OF_C1),
    Row(("GET", "/reviews"), nothing, "        403 403 403 403 200 200 403 403 403 403"),
    Row(
        ("POST", "/inbox-events/{eventId}/dismiss"),
        waiting_event,
        "                                 403 403 403 403 200 403 403 403 403 403",
        {"reason": "a drill"},
    ),
    Row(("GET", "/movements"), nothing, "      403 403 403 403 200 200 403 403 403 403"),
    Row(
        ("POST", "/movements/pause"),
        nothing,
        "                                 403 403 403 403 200 403 403 403 403 403",
        {"reason": "a drill"},
    ),
    Row(("POST", "/movements/resume"), nothing, "403 403 403 403 200 403 403 403 403 403"),
]


def test_the_table_has_a_row_for_every_route() -> None:
    assert sorted(row.route for row in TABLE) == sorted(ROUTES)


def test_no_role_is_left_out() -> None:
    assert {caller.role for caller in CALLERS.values()} == set(Role) - {Role.SYSTEM}
    assert not any(Role.SYSTEM in roles for roles in RIGHTS.values())


@pytest.mark.parametrize("row", TABLE, ids=lambda row: " ".join(row.route))
async def test_a_route_with_every_caller(api: Api, row: Row) -> None:
    method, template = row.route
    expected = dict(zip(CALLERS, map(int, row.statuses.split()), strict=True))
    answered = {}
    for name, caller in CALLERS.items():
        prepared = await row.prepare(api)
        path = re.sub(r"\{\w+\}", prepared["id"], template)
        body = row.body
        if row.body is NEW_OF_C1:
            body = NEW_OF_C1 | {"incidentId": f"i_{caller.id}"}  # another job each time
        reply = await api.call(method, path, caller, body, headers=row.headers)
        answered[name] = reply.status
        if reply.status in (403, 404):
            assert reply.code in ("not_allowed", "not_found")
    if template == "/movements/pause":
        await api.post("/movements/resume", h.ADMIN)
    assert answered == expected


async def test_nobody_gets_in_without_a_token(api: Api) -> None:
    for row in TABLE:
        method, template = row.route
        path = re.sub(r"\{\w+\}", "p_1", template)
        # Even the body's mistakes are none of a stranger's business.
        for raw in (None, b"{"):
            reply = await api.call(method, path, raw=raw if method != "GET" else None)
            assert (reply.status, reply.code) == (401, "unauthenticated"), row.route
            assert reply.headers["www-authenticate"].startswith("Bearer ")
