"""What the API needs of the wired service, and how a route gets at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Protocol, cast

from fastapi import Depends, Header, Request
from starlette.types import Scope

from roadcall_payments.api.schemas import ID_PATTERN
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.people import Actor
from roadcall_payments.ports import Clock, Gateway, Store
from roadcall_payments.workflows.approvals import Approvals
from roadcall_payments.workflows.debt_forgiveness import DebtForgiveness
from roadcall_payments.workflows.inbox_dismissal import InboxDismissal
from roadcall_payments.workflows.inquiry import Inquiry
from roadcall_payments.workflows.intake import Intake
from roadcall_payments.workflows.movements_switch import MovementsSwitch
from roadcall_payments.workflows.onboarding import Onboarding
from roadcall_payments.workflows.payments import Payments
from roadcall_payments.workflows.payout_statement import PayoutStatement
from roadcall_payments.workflows.payouts import Payouts
from roadcall_payments.workflows.queries import Queries
from roadcall_payments.workflows.refunds import Refunds
from roadcall_payments.workflows.transfers import Transfers
from roadcall_payments.workflows.vendor_statement import VendorStatements
from roadcall_payments.workflows.vendors import Vendors
from roadcall_payments.workflows.webhook_inbox import WebhookInbox


class Measures(Protocol):
    """What sets the gauges before they are shown."""

    async def refresh(self) -> None: ...


class Service(Protocol):
    """The wired parts that routes call; ``bootstrap`` makes them."""

    @property
    def store(self) -> Store: ...
    @property
    def gateway(self) -> Gateway: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def measures(self) -> Measures: ...
    @property
    def intake(self) -> Intake: ...
    @property
    def approvals(self) -> Approvals: ...
    @property
    def payments(self) -> Payments: ...
    @property
    def transfers(self) -> Transfers: ...
    @property
    def refunds(self) -> Refunds: ...
    @property
    def payouts(self) -> Payouts: ...
    @property
    def payout_statement(self) -> PayoutStatement: ...
    @property
    def vendor_statements(self) -> VendorStatements: ...
    @property
    def debt_forgiveness(self) -> DebtForgiveness: ...
    @property
    def queries(self) -> Queries: ...
    @property
    def vendors(self) -> Vendors: ...
    @property
    def onboarding(self) -> Onboarding: ...
    @property
    def webhook_inbox(self) -> WebhookInbox: ...
    @property
    def inbox_dismissal(self) -> InboxDismissal: ...
    @property
    def inquiry(self) -> Inquiry: ...
    @property
    def movements_switch(self) -> MovementsSwitch: ...


@dataclass(slots=True)
class RequestRecord:
    """What is known of the request in hand: for its log line and its problem document."""

    id: str
    caller: Actor | None = None
    payment_id: str | None = None
    error_id: str | None = None


_RECORD = "roadcall.request"


def attach_record(scope: Scope, record: RequestRecord) -> None:
    """Keep the record with the request for as long as it lasts."""
    scope[_RECORD] = record


def record_of(request: Request) -> RequestRecord:
    return cast(RequestRecord, request.scope[_RECORD])


async def service_of(request: Request) -> Service:
    return cast(Service, request.app.state.service)


async def caller_of(request: Request) -> Actor:
    """The caller whom the route's guard has let in."""
    caller = record_of(request).caller
    if caller is None:
        raise BrokenInvariant("A route without a guard asked for its caller.")
    return caller


Wired = Annotated[Service, Depends(service_of)]
Caller = Annotated[Actor, Depends(caller_of)]

PayerHeader = Annotated[
    str | None,
    Header(
        alias="On-Behalf-Of",
        description="The driver id of the payer for whom a `service` caller acts.",
        pattern=ID_PATTERN,
        examples=["d_31"],
    ),
]
