"""The review list: everything that waits for a person."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import ConfigDict, Field

from roadcall_payments.api import documented
from roadcall_payments.api.guarded_route import GuardedRoute
from roadcall_payments.api.payment_views import PaymentPage, page
from roadcall_payments.api.schemas import (
    EXAMPLE_AT,
    ID_PATTERN,
    Cursor,
    Instant,
    Limit,
    RequestBody,
    Text,
    View,
    with_example,
)
from roadcall_payments.api.wiring import Caller, Wired
from roadcall_payments.commit import InboxEvent, InboxStatus
from roadcall_payments.ports import DeadLetter, PaymentQuery

EventId = Annotated[
    str,
    Path(alias="eventId", pattern=ID_PATTERN, examples=["evt_1Pgf3nLkdIwHu7ix"]),
]

router = APIRouter(route_class=GuardedRoute, tags=["operations"])


class ReviewsQuery(RequestBody):
    model_config = ConfigDict(strict=False)

    limit: Limit = 50
    payments_cursor: Cursor | None = None
    inbox_status: Literal["waiting", "review"] = Field(
        "review", description="`review`: retries are used up. `waiting`: still being retried."
    )
    inbox_cursor: Cursor | None = None


class InboxEventView(View):
    """An event that could not be applied; its body stays inside."""

    model_config = with_example(
        {
            "eventId": "evt_1Pgf3nLkdIwHu7ix",
            "type": "transfer.reversed",
            "origin": "platform",
            "receivedAt": EXAMPLE_AT,
            "status": "dismissed",
            "reason": "Made by the shop on the same account.",
            "attempts": 81,
            "stream": None,
        }
    )

    event_id: str
    type: str
    origin: str
    received_at: Instant
    status: str
    reason: str | None
    attempts: int
    stream: str | None


class InboxPage(View):
    items: list[InboxEventView]
    next_cursor: str | None


class DeadLetterView(View):
    queue: str
    key: str
    attempts: int
    parked_at: Instant
    reason: str


class Reviews(View):
    model_config = with_example(
        {
            "payments": {"items": [], "nextCursor": None},
            "inboxEvents": {
                "items": [
                    {
                        "eventId": "evt_1Pgf3nLkdIwHu7ix",
                        "type": "payment_intent.payment_failed",
                        "origin": "platform",
                        "receivedAt": EXAMPLE_AT,
                        "status": "review",
                        "reason": "stripe_unavailable: Stripe does not answer.",
                        "attempts": 12,
                        "stream": None,
                    }
                ],
                "nextCursor": None,
            },
            "deadLetters": [
                {
                    "queue": "notices",
                    "key": "n_1",
                    "attempts": 12,
                    "parkedAt": EXAMPLE_AT,
                    "reason": "The mail server refused the address.",
                }
            ],
        }
    )

    payments: PaymentPage = Field(description="Flagged ones, and those with anomalies.")
    inbox_events: InboxPage
    dead_letters: list[DeadLetterView]


@router.get(
    "/reviews",
    operation_id="listReviews",
    summary="List what waits for a person",
    responses=documented.reads(
        documented.invalid("limit", "Input should be less than or equal to 100")
    ),
)
async def reviews(
    query: Annotated[ReviewsQuery, Query()], service: Wired, caller: Caller
) -> Reviews:
    """Payments on review, events that could not be applied, and dead letters."""
    payments = await service.queries.payments(
        PaymentQuery(on_review=True, cursor=query.payments_cursor, limit=query.limit)
    )
    events = await service.store.inbox_events(
        InboxStatus(query.inbox_status), query.inbox_cursor, query.limit
    )
    letters = await service.store.dead_letters()
    return Reviews(
        payments=page(payments, caller),
        inbox_events=InboxPage(
            items=[_event(event) for event in events.items], next_cursor=events.next_cursor
        ),
        dead_letters=[_letter(letter) for letter in letters],
    )


class DismissBody(RequestBody):
    model_config = with_example({"reason": "Made by the shop on the same account."})

    reason: Text
    untried: bool = Field(
        False, description="Also where Stripe cannot be asked now whether it can be applied."
    )


@router.post(
    "/inbox-events/{eventId}/dismiss",
    operation_id="dismissInboxEvent",
    summary="Put aside an event that can never be applied",
    responses=documented.writes(
        documented.invalid("reason", "Field required"),
        documented.missing("There is no event evt_1Pgf3nLkdIwHu7ix in the inbox."),
    ),
)
async def dismiss(
    event_id: EventId, body: DismissBody, service: Wired, caller: Caller
) -> InboxEventView:
    """It is tried once more first, and refused while Stripe cannot be asked. The journal keeps who
    put it aside, and why; what it told of is not in the books, and it keeps no hold after a
    restore. An event that waits for nothing is shown as it is."""
    dismissed = await service.inbox_dismissal.dismiss(
        caller, event_id, body.reason, untried=body.untried
    )
    return _event(dismissed)


def _event(event: InboxEvent) -> InboxEventView:
    return InboxEventView(
        event_id=event.event_id,
        type=event.type,
        origin=event.origin,
        received_at=event.received_at,
        status=event.status.value,
        reason=event.reason,
        attempts=event.attempts,
        stream=event.stream,
    )


def _letter(letter: DeadLetter) -> DeadLetterView:
    return DeadLetterView(
        queue=letter.queue.value,
        key=letter.key,
        attempts=letter.attempts,
        parked_at=letter.parked_at,
        reason=letter.reason,
    )
