"""A driver who paid gets money back: in one part or several, asked for at once, or twice."""

from __future__ import annotations

from roadcall_payments.bootstrap import Service
from roadcall_payments.domain.events import RefundReason
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.domain.refund import RefundStatus
from roadcall_payments.workflows.idempotency import Answer, IdempotencyKey
from roadcall_payments.workflows.refunds import NewRefund
from tests.simulation.stories.driver_pays import driver_pays
from tests.simulation.teller import ADMIN, DISPATCHER, Act, Teller, both

PARTS_MAX = 3


async def money_back(teller: Teller) -> None:
    await driver_pays(teller)
    await refund_in_parts(teller)


async def refund_in_parts(teller: Teller) -> None:
    payment = await teller.known()
    if payment is None or payment.status is not Status.COMPLETED:
        return
    for _ in range(teller.random.randint(1, PARTS_MAX)):
        await teller.rest(1, 600)
        cents = teller.random.choice([None, None, 100, 500, payment.amount.amount_cents])
        if teller.chance(0.2):
            await both(
                teller.ask("refund", _ask(teller, cents)), teller.ask("refund", _ask(teller, cents))
            )
        else:
            await teller.ask("refund", _ask(teller, cents))
        await teller.rest(0.1, 60)
        payment = await teller.known() or payment
        await _decide(teller, payment)


async def _decide(teller: Teller, payment: Payment) -> None:
    """Another person approves what waits, or rejects it."""
    for refund in payment.refunds:
        if refund.status is not RefundStatus.REQUESTED or teller.chance(0.05):
            continue
        if teller.chance(0.9):
            await teller.ask(f"refund_approve {refund.id}", _approve(refund.id))
        else:
            await teller.ask(f"refund_reject {refund.id}", _reject(refund.id))


def _ask(teller: Teller, cents: int | None) -> Act:
    async def act(service: Service, idem: IdempotencyKey) -> Answer:
        new = NewRefund(cents, RefundReason.REQUESTED_BY_CUSTOMER)
        return await service.refunds.request(DISPATCHER, teller.payment_id, new, idem)

    return act


def _approve(refund_id: str) -> Act:
    async def act(service: Service, idem: IdempotencyKey) -> Answer:
        return await service.refunds.approve(ADMIN, refund_id, idem)

    return act


def _reject(refund_id: str) -> Act:
    async def act(service: Service, idem: IdempotencyKey) -> Answer:
        return await service.refunds.reject(ADMIN, refund_id, None, idem)

    return act
