"""A payment's settlement as callers see it: what its vendor has of it, and what is under way."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from roadcall_payments.api.schemas import Instant, View
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.domain.settlement import Settlement, ShareTransfer, Step, TakeBack

SettlementStatus = Literal["not_yet", "waiting", "processing", "settled"]


class ShareTransferView(View):
    """A transfer of the share, or of a part of it."""

    status: Literal["open", "completed", "failed"]
    amount_cents: int
    platform_fee_cents: int
    set_off_cents: int = Field(description="Kept against what the vendor owes.")
    reversed_cents: int
    stripe_transfer_id: str | None
    restores: str | None = Field(
        description="The refund or dispute that it was taken back for, and that came to nothing."
    )
    failure: str | None
    started_at: Instant


class TakeBackView(View):
    """A reversal of ours; what it failed to bring is the vendor's debt."""

    status: Literal["open", "completed", "failed"]
    cause: str = Field(description="The refund or dispute it is for.")
    amount_cents: int
    debt_cents: int
    failure: str | None
    started_at: Instant


class SettlementView(View):
    """Amounts are minor units of the payment's currency."""

    status: SettlementStatus = Field(
        description="`processing`: a call to Stripe is under way, and refunds wait for it. "
        "`waiting`: `waitsFor` says why."
    )
    settled_cents: int = Field(
        description="What the vendor has of its share: transferred or set off, not taken back."
    )
    platform_fee_cents: int
    waits_for: str | None = Field(description="A stable code.")
    waits_because: str | None
    transfers: list[ShareTransferView]
    taken_back: list[TakeBackView]


def settlement_view(payment: Payment) -> SettlementView | None:
    settlement = payment.settlement
    if settlement is None:
        return None
    deferral = settlement.deferral
    return SettlementView(
        status=_status(payment, settlement),
        settled_cents=settlement.settled_cents,
        platform_fee_cents=settlement.fee_cents,
        waits_for=deferral.reason if deferral else None,
        waits_because=deferral.detail if deferral else None,
        transfers=[_transfer(one) for one in settlement.transfers],
        taken_back=[_take_back(one) for one in settlement.take_backs],
    )


def _status(payment: Payment, settlement: Settlement) -> SettlementStatus:
    if not settlement.at_rest:
        return "processing"
    last = settlement.transfers[-1] if settlement.transfers else None
    if settlement.deferral is not None or (last is not None and last.status is Step.FAILED):
        return "waiting"
    if last is None or payment.status is not Status.COMPLETED:
        return "not_yet"
    return "settled"


def _transfer(one: ShareTransfer) -> ShareTransferView:
    return ShareTransferView(
        status=one.status.value,
        amount_cents=one.amount_cents,
        platform_fee_cents=one.fee_cents,
        set_off_cents=one.set_off_cents,
        reversed_cents=one.reversed_cents,
        stripe_transfer_id=one.transfer,
        restores=one.restores,
        failure=one.failure.message if one.failure else None,
        started_at=one.started_at,
    )


def _take_back(one: TakeBack) -> TakeBackView:
    return TakeBackView(
        status=one.status.value,
        cause=one.cause_id,
        amount_cents=one.amount_cents,
        debt_cents=one.debt_cents,
        failure=one.failure.message if one.failure else None,
        started_at=one.started_at,
    )
