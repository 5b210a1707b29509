"""A job becomes a payment, and people agree that it shall be paid, or that it shall not."""

from __future__ import annotations

from roadcall_payments.bootstrap import Service
from roadcall_payments.domain.errors import TransientError
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.people import Actor
from roadcall_payments.workflows.idempotency import Answer, IdempotencyKey
from roadcall_payments.workflows.intake import NewLineItem, NewPayment
from tests.simulation.asked import NOBODY_ANSWERED, Command, Job
from tests.simulation.machines import NoAnswer
from tests.simulation.teller import (
    ADMIN,
    APPROVER,
    DISPATCHER,
    SECOND_ADMIN,
    TRIES_MAX,
    Act,
    GaveUp,
    Teller,
    both,
)

TWO_APPROVALS_ABOVE_CENTS = 500_000
BY_EVENT = 0.3


async def approved(teller: Teller) -> Payment | None:
    """The payment once it may be processed; None where people decided against it."""
    payment = await create(teller)
    if payment.risk is None:
        payment = await teller.until(lambda now: now.risk is not None)
    if payment.flagged and not await _reviewed(teller):
        return None
    if teller.chance(0.03):
        await teller.ask("reject", _reject(teller))
        return None
    if teller.chance(0.02):
        await teller.ask("cancel", cancel(teller))
        return None
    await _approve(teller, payment)
    if teller.chance(0.02):
        await teller.ask("cancel", cancel(teller))
        return None
    return payment


async def create(teller: Teller) -> Payment:
    """By POST or by event, each perhaps more than once. Raises GaveUp."""
    if teller.chance(BY_EVENT):
        return await _by_event(teller)
    heard = await teller.ask("create", create_act(teller.job), creation_key(teller.job))
    if heard.payment is None:
        raise GaveUp(f"create: {heard.code}")
    if teller.chance(0.02):
        # Asked again under another key: the job has its payment already (M11).
        await teller.ask("create", create_act(teller.job))
    return heard.payment


def creation_key(job: Job) -> str:
    return f"{job.incident_id}:create"


def create_act(job: Job) -> Act:
    async def act(service: Service, idem: IdempotencyKey) -> Answer:
        return await service.intake.create(DISPATCHER, new_payment(job), idem)

    return act


def new_payment(job: Job) -> NewPayment:
    return NewPayment(
        company_id=job.company_id,
        incident_id=job.incident_id,
        vendor_id=job.vendor_id,
        driver_id=f"dr_{job.incident_id}" if job.payer_type is PayerType.DRIVER_IC else None,
        payer_type=job.payer_type,
        amount=job.amount,
        line_items=(NewLineItem("labour", 1, job.amount.amount_cents),),
    )


async def _by_event(teller: Teller) -> Payment:
    """WorkCompleted, from a bus that delivers until somebody took it, and now and then twice."""
    job = teller.job
    event_id = f"work_{job.incident_id}"
    deliveries = 2 if teller.chance(0.1) else 1
    for _ in range(TRIES_MAX):
        status = 200
        try:
            await teller.call(
                lambda service: service.intake.work_completed(event_id, b"{}", new_payment(job))
            )
        except NoAnswer:
            status = NOBODY_ANSWERED
        except TransientError:
            status = 503
        job.heard(Command("work_completed", teller.world.now(), event_id, status))
        deliveries -= status == 200
        if deliveries == 0:
            break
        await teller.rest(0.5, 10)
    payment = await teller.known()
    if payment is None:
        raise GaveUp("work_completed")
    job.payment_ids.append(payment.id)
    return payment


async def _reviewed(teller: Teller) -> bool:
    """A flagged payment: whether the admin clears it."""
    cleared = teller.chance(0.7)
    name = "review_clear" if cleared else "review_block"

    async def review(service: Service, idem: IdempotencyKey) -> Answer:
        return await service.approvals.review(ADMIN, teller.payment_id, cleared, None, idem)

    await teller.ask(name, review)
    return cleared


async def _approve(teller: Teller, payment: Payment) -> None:
    if teller.chance(0.03):
        # One's own: refused where the creator is a person.
        await teller.ask("approve", _approval(teller, DISPATCHER))
    if payment.amount.amount_cents > TWO_APPROVALS_ABOVE_CENTS:
        await both(
            teller.ask("approve", _approval(teller, ADMIN)),
            teller.ask("approve", _approval(teller, SECOND_ADMIN)),
        )
    elif teller.chance(0.05):
        await both(
            teller.ask("approve", _approval(teller, APPROVER)),
            teller.ask("approve", _approval(teller, ADMIN)),
        )
    else:
        await teller.ask("approve", _approval(teller, APPROVER))


def _approval(teller: Teller, actor: Actor) -> Act:
    async def act(service: Service, idem: IdempotencyKey) -> Answer:
        return await service.approvals.approve(actor, teller.payment_id, None, idem)

    return act


def _reject(teller: Teller) -> Act:
    async def act(service: Service, idem: IdempotencyKey) -> Answer:
        return await service.approvals.reject(APPROVER, teller.payment_id, "not ours", idem)

    return act


def cancel(teller: Teller) -> Act:
    async def act(service: Service, idem: IdempotencyKey) -> Answer:
        return await service.payments.cancel(DISPATCHER, teller.payment_id, "asked", idem)

    return act


def process(teller: Teller) -> Act:
    async def act(service: Service, idem: IdempotencyKey) -> Answer:
        return await service.payments.process(DISPATCHER, teller.payment_id, None, idem)

    return act


def retry(teller: Teller) -> Act:
    async def act(service: Service, idem: IdempotencyKey) -> Answer:
        return await service.payments.retry(DISPATCHER, teller.payment_id, idem)

    return act
