"""A dispute of a payment's charge, as callers see it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from roadcall_payments.api.schemas import Instant, View
from roadcall_payments.domain.dispute import Dispute


class DisputeView(View):
    """`lossBorneBy` is null for vendors and drivers, and until something is lost."""

    id: str = Field(description="Stripe's.")
    status: str = Field(description="Stripe's; those with `warning` are inquiries.")
    inquiry: bool = Field(description="The bank asks; it has taken nothing.")
    amount_cents: int
    currency: str
    reason: str
    evidence_due_at: Instant | None = Field(
        description="What is not answered by then, in Stripe's dashboard, is lost."
    )
    withheld_cents: int = Field(description="Taken by the bank and not given back.")
    lost_cents: int
    loss_borne_by: Literal["vendor", "platform", "suspense"] | None
    opened_at: Instant
    updated_at: Instant


def dispute_view(dispute: Dispute, *, outsider: bool) -> DisputeView:
    borne_by = dispute.borne_by if dispute.lost_cents and not outsider else None
    return DisputeView(
        id=dispute.id,
        status=dispute.status.value,
        inquiry=dispute.inquiry,
        amount_cents=dispute.amount.amount_cents,
        currency=dispute.amount.currency,
        reason=dispute.reason,
        evidence_due_at=dispute.evidence_due,
        withheld_cents=dispute.withheld_cents,
        lost_cents=dispute.lost_cents,
        loss_borne_by=borne_by.value if borne_by else None,
        opened_at=dispute.opened_at,
        updated_at=dispute.updated_at,
    )
