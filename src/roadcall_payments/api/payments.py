"""Payments: create, read, list."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import ConfigDict, Field, JsonValue
from starlette.responses import Response

from roadcall_payments.api import access, documented
from roadcall_payments.api.access import Action
from roadcall_payments.api.answers import answered
from roadcall_payments.api.guarded_route import GuardedRoute
from roadcall_payments.api.idempotency import Idempotency
from roadcall_payments.api.payment_views import (
    PaymentPage,
    PaymentView,
    Timeline,
    page,
    timeline_entry,
    view,
)
from roadcall_payments.api.schemas import (
    ID_PATTERN,
    PAYMENT_ID,
    AmountCents,
    Currency,
    Cursor,
    Id,
    Limit,
    PayerTypeName,
    RequestBody,
    StatusName,
    Text,
    with_example,
)
from roadcall_payments.api.wiring import Caller, Service, Wired
from roadcall_payments.domain.commands import LINE_ITEMS_MAX
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.domain.people import Actor
from roadcall_payments.ports import PaymentQuery
from roadcall_payments.workflows.intake import NewLineItem, NewPayment
from roadcall_payments.workflows.payments import AsRead

router = APIRouter(route_class=GuardedRoute, tags=["payments"])

PaymentId = Annotated[
    str,
    Path(
        alias="paymentId",
        pattern=ID_PATTERN,
        description="The payment's id.",
        examples=[PAYMENT_ID],
    ),
]


class NewLineItemBody(RequestBody):
    kind: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 _-]{0,63}$", description="What was done, such as `tow`."
    )
    quantity: int = Field(ge=1, le=100_000)
    unit_cents: int = Field(ge=0, le=99_999_999_999, description="Minor units of the currency.")
    description: Text | None = None

    def item(self) -> NewLineItem:
        return NewLineItem(self.kind, self.quantity, self.unit_cents, self.description)


NEW_PAYMENT_EXAMPLE: dict[str, JsonValue] = {
    "incidentId": "i_9001",
    "vendorId": "v_7",
    "driverId": "d_31",
    "payerType": "driver_ic",
    "amountCents": 18500,
    "currency": "usd",
    "lineItems": [
        {"kind": "tow", "quantity": 1, "unitCents": 12500, "description": "Tow to Laramie"},
        {"kind": "mileage", "quantity": 20, "unitCents": 300},
    ],
    "description": "Flatbed tow, I-80 mile 322",
}


class NewPaymentBody(RequestBody):
    """`amountCents` is the sum of the line items' `quantity` x `unitCents`."""

    model_config = with_example(NEW_PAYMENT_EXAMPLE)

    company_id: Id | None = Field(
        None, description="Needed from an admin only: all others create for their own company."
    )
    incident_id: Id
    vendor_id: Id
    driver_id: Id | None = Field(None, description="The payer, for `driver_ic`; else left out.")
    payer_type: PayerTypeName
    amount_cents: AmountCents
    currency: Currency
    line_items: list[NewLineItemBody] = Field(min_length=1, max_length=LINE_ITEMS_MAX)
    description: Text | None = None

    def payment(self, company_id: str) -> NewPayment:
        return NewPayment(
            company_id=company_id,
            incident_id=self.incident_id,
            vendor_id=self.vendor_id,
            driver_id=self.driver_id,
            payer_type=PayerType(self.payer_type),
            amount=Money(self.amount_cents, self.currency),
            line_items=tuple(line.item() for line in self.line_items),
            description=self.description,
        )


class PageQuery(RequestBody):
    # Query values are text: lax, where bodies are strict.
    model_config = ConfigDict(strict=False)

    limit: Limit = 50
    cursor: Cursor | None = None


class PaymentsQuery(PageQuery):
    status: StatusName | None = None
    payer_type: PayerTypeName | None = None
    flagged: bool | None = Field(None, description="Waiting for a review because of its risk.")
    queued: bool | None = Field(None, description="Waiting for the platform's funds.")
    company_id: Id | None = None
    vendor_id: Id | None = None
    driver_id: Id | None = None
    incident_id: Id | None = None


async def payment_for(service: Service, caller: Actor, action: Action, payment_id: str) -> Payment:
    """The payment, if this action of the caller's may reach it. Raises NotFound."""
    payment = await service.queries.payment(payment_id)
    access.require_payment(caller, action, payment)
    return payment


async def read_for(service: Service, caller: Actor, action: Action, payment_id: str) -> AsRead:
    """``payment_for``, as the movement that follows decides on it. Raises NotFound."""
    read = await service.payments.read(payment_id)
    access.require_payment(caller, action, read.payment)
    return read


@router.post(
    "/payments",
    operation_id="createPayment",
    summary="Create a payment",
    status_code=201,
    response_model=PaymentView,
    responses=documented.writes(
        documented.invalid("amountCents", "The line items add up to 18500, the amount says 18000."),
        "amount_not_carried",
        "duplicate_job",
        "idempotency_key_reused",
    ),
)
async def create(
    request: Request, body: NewPaymentBody, service: Wired, caller: Caller, idem: Idempotency
) -> Response:
    """For a job done. It is scored for risk, then waits for approval."""
    company_id = access.require_company(caller, Action.CREATE_PAYMENT, body.company_id)
    answer = await service.intake.create(caller, body.payment(company_id), idem)
    return await answered(request, service, caller, answer)


@router.get(
    "/payments",
    operation_id="listPayments",
    summary="List payments",
    responses=documented.reads(
        documented.invalid("limit", "Input should be less than or equal to 100")
    ),
)
async def list_payments(
    query: Annotated[PaymentsQuery, Query()], service: Wired, caller: Caller
) -> PaymentPage:
    """Newest first, within what the caller may see; filters are joined by AND."""
    return await _page(
        service,
        caller,
        PaymentQuery(
            company_id=query.company_id,
            vendor_id=query.vendor_id,
            driver_id=query.driver_id,
            incident_id=query.incident_id,
            status=Status(query.status) if query.status else None,
            payer_type=PayerType(query.payer_type) if query.payer_type else None,
            flagged=query.flagged,
            queued=query.queued,
            cursor=query.cursor,
            limit=query.limit,
        ),
    )


@router.get(
    "/payments/pending",
    operation_id="listPendingPayments",
    summary="List payments that wait for approval",
    responses=documented.reads(
        documented.invalid("limit", "Input should be less than or equal to 100")
    ),
)
async def list_pending(
    query: Annotated[PageQuery, Query()], service: Wired, caller: Caller
) -> PaymentPage:
    """Those in status `pending_approval`, flagged ones included."""
    wanted = PaymentQuery(status=Status.PENDING_APPROVAL, cursor=query.cursor, limit=query.limit)
    return await _page(service, caller, wanted)


@router.get(
    "/payments/flagged",
    operation_id="listFlaggedPayments",
    summary="List payments that wait for a review of their risk",
    responses=documented.reads(
        documented.invalid("limit", "Input should be less than or equal to 100")
    ),
)
async def list_flagged(
    query: Annotated[PageQuery, Query()], service: Wired, caller: Caller
) -> PaymentPage:
    """Those with a risk of 0.70 and over that nobody has cleared or blocked yet."""
    wanted = PaymentQuery(
        status=Status.PENDING_APPROVAL, flagged=True, cursor=query.cursor, limit=query.limit
    )
    return await _page(service, caller, wanted)


@router.get(
    "/payments/{paymentId}",
    operation_id="getPayment",
    summary="Read a payment",
    responses=documented.reads("not_found"),
)
async def get(payment_id: PaymentId, service: Wired, caller: Caller) -> PaymentView:
    """With its line items, and where it stands at Stripe."""
    payment = await payment_for(service, caller, Action.READ_PAYMENT, payment_id)
    places = await service.transfers.places([payment])
    return view(payment, await service.queries.texts(payment), caller, places)


@router.get(
    "/payments/{paymentId}/timeline",
    operation_id="getPaymentTimeline",
    summary="Read a payment's journal",
    responses=documented.reads("not_found"),
)
async def timeline(payment_id: PaymentId, service: Wired, caller: Caller) -> Timeline:
    """Who did what, when, with which Stripe object, and how it was booked."""
    await payment_for(service, caller, Action.READ_TIMELINE, payment_id)
    entries = await service.queries.timeline(payment_id)
    return Timeline(payment_id=payment_id, entries=[timeline_entry(entry) for entry in entries])


async def _page(service: Service, caller: Actor, query: PaymentQuery) -> PaymentPage:
    reachable = access.narrowed(caller, query)
    if reachable is None:
        return PaymentPage(items=[], next_cursor=None)
    if caller.role in access.OUTSIDERS and query.flagged is not None:
        # Which payments are flagged is not for those whom the scoring watches.
        return PaymentPage(items=[], next_cursor=None)
    found = await service.queries.payments(reachable)
    return page(found, caller, await service.transfers.places(found.items))
