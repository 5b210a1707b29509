"""How a transfer waits for the platform's funds, as callers see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from roadcall_payments.api.schemas import Instant, View
from roadcall_payments.domain.payment import Payment

Places = Mapping[str, int]
"""Which place in the queue a payment has, by its id."""


class QueueView(View):
    """A transfer that waits for the platform's funds; it goes by itself once they have come."""

    place: int | None = Field(
        description="1 goes next in its currency; null past the first thousand."
    )
    reason: Literal["insufficient_funds", "behind_others", "refused_by_stripe"]
    priority: Literal["high", "normal", "low"]
    since: Instant
    needed_cents: int
    available_cents: int | None = Field(
        description="What the platform could transfer when that was looked at; null for vendors "
        "and drivers."
    )


def queue_view(payment: Payment, place: int | None, *, outsider: bool) -> QueueView | None:
    """None for a payment that waits for no funds."""
    funding = payment.funding
    if funding is None or not payment.queued:
        return None
    available = None if outsider or funding.available is None else funding.available.amount_cents
    return QueueView(
        place=place,
        reason=funding.reason.value,
        priority=funding.priority.value,
        since=funding.since,
        needed_cents=funding.needed.amount_cents,
        available_cents=available,
    )
