"""A job done becomes a payment: by POST /payments, or by a WorkCompleted event."""

from __future__ import annotations

from dataclasses import dataclass

from roadcall_payments.commit import (
    InboxEvent,
    InboxInsert,
    InboxStatus,
    TextWrite,
    Unique,
    job_ref,
    stream_of,
)
from roadcall_payments.domain import commands
from roadcall_payments.domain import events as e
from roadcall_payments.domain.errors import DuplicateJob, InvalidInput
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.people import WORKER, Actor
from roadcall_payments.ports import FraudScorer, Gateway, Ids, ScoringInput, Store
from roadcall_payments.workflows.idempotency import Answer, IdempotencyKey, Repeats
from roadcall_payments.workflows.texts import erasable_text
from roadcall_payments.workflows.write_path import AlreadyTaken, WritePath, Written


@dataclass(frozen=True, slots=True)
class NewLineItem:
    """``unit_cents`` in minor units of the payment's currency."""

    kind: str
    quantity: int
    unit_cents: int
    description: str | None = None


@dataclass(frozen=True, slots=True)
class NewPayment:
    company_id: str
    incident_id: str
    vendor_id: str
    driver_id: str | None
    payer_type: e.PayerType
    amount: Money
    line_items: tuple[NewLineItem, ...]
    description: str | None = None


class Scoring:
    """Scores a payment once; what cannot be scored now, the worker scores later (M12)."""

    def __init__(self, write_path: WritePath, store: Store, scorer: FraudScorer) -> None:
        self._write_path = write_path
        self._store = store
        self._scorer = scorer

    async def score(self, payment: Payment, idem: IdempotencyKey | None = None) -> Payment:
        """The payment with its score; ``idem`` is answered with it, as 201."""
        paid_before = await self._store.vendor_was_paid(payment.vendor_id)
        risk = await self._scorer.score(ScoringInput(payment, not paid_before))
        name = type(self._scorer).__name__

        def decide(current: Payment | None) -> commands.Facts:
            return commands.record_score(current, risk, name) if current else ()

        written: Written[Payment] = await self._write_path.write(
            stream_of("payment", payment.id),
            decide,
            actor=WORKER,
            answers=lambda _: idem.answers(201) if idem else None,
        )
        return written.state


class Intake:
    def __init__(
        self, write_path: WritePath, store: Store, gateway: Gateway, scoring: Scoring, ids: Ids
    ) -> None:
        self._write_path = write_path
        self._store = store
        self._gateway = gateway
        self._scoring = scoring
        self._ids = ids
        self._repeats = Repeats(store)

    async def create(
        self, actor: Actor, new: NewPayment, idem: IdempotencyKey | None = None
    ) -> Answer:
        """201 with the payment, scored. Raises InvalidInput; DuplicateJob (M11)."""

        async def act() -> Answer:
            try:
                payment = await self._created(actor, new, idem, inbox=None)
            except AlreadyTaken as taken:
                if taken.unique is Unique.REF:
                    raise await self._duplicate(new) from taken
                raise
            return Answer(await self._scoring.score(payment, idem), 201)

        return await self._repeats.once(idem, act, while_open=lambda _: 201)

    async def work_completed(self, event_id: str, body: bytes, new: NewPayment) -> Payment | None:
        """Once per event and per (incident, vendor); None where it is known already."""
        received = self._write_path.clock.now()
        event = InboxEvent(
            event_id, "WorkCompleted", "roadcall", received, body, InboxStatus.APPLIED
        )
        try:
            payment = await self._created(WORKER, new, None, inbox=InboxInsert(event))
        except AlreadyTaken:
            # A repeat, or a job that has its payment: there is nothing left to do.
            return None
        return await self._scoring.score(payment)

    async def _created(
        self,
        actor: Actor,
        new: NewPayment,
        idem: IdempotencyKey | None,
        inbox: InboxInsert | None,
    ) -> Payment:
        refusal = self._gateway.refusal_of(new.amount)
        if refusal is not None:
            raise InvalidInput("amountCents", refusal, code="amount_not_carried")
        payment_id = self._ids.uuid7()
        stream = stream_of("payment", payment_id)
        fact, texts = self._fact(stream, payment_id, actor, new)

        def decide(current: Payment | None) -> commands.Facts:
            return commands.create(fact)

        written: Written[Payment] = await self._write_path.write(
            stream,
            decide,
            actor=actor,
            inbox=inbox,
            opens=idem.opens() if idem else None,
            texts=texts,
        )
        return written.state

    def _fact(
        self, stream: str, payment_id: str, actor: Actor, new: NewPayment
    ) -> tuple[e.PaymentCreated, list[TextWrite]]:
        texts: list[TextWrite] = []

        def text(body: str | None) -> e.TextRef | None:
            if not body:
                return None
            ref, write = erasable_text(self._ids, stream, body)
            texts.append(write)
            return ref

        items = tuple(
            e.LineItem(
                item.kind,
                item.quantity,
                item.unit_cents,
                item.quantity * item.unit_cents,
                text(item.description),
            )
            for item in new.line_items
        )
        fact = e.PaymentCreated(
            payment_id=payment_id,
            company_id=new.company_id,
            incident_id=new.incident_id,
            vendor_id=new.vendor_id,
            driver_id=new.driver_id,
            payer_type=new.payer_type,
            amount=new.amount,
            line_items=items,
            description=text(new.description),
            created_by=str(actor),
        )
        return fact, texts

    async def _duplicate(self, new: NewPayment) -> DuplicateJob:
        stream = await self._store.resolve(job_ref(new.incident_id, new.vendor_id))
        payment_id = stream.partition("/")[2] if stream else ""
        return DuplicateJob(
            f"Payment {payment_id} is already there for this incident and vendor. "
            "Use it, or cancel it first.",
            payment_id=payment_id,
        )
