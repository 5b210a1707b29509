"""Give money back: asked for by one person, approved by another, sent once, followed to its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from roadcall_payments.commit import TextWrite, refund_ref, stream_of
from roadcall_payments.domain import refunding
from roadcall_payments.domain.errors import InvalidInput, NotFound, StatusForbids
from roadcall_payments.domain.events import RefundReason, TextRef
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.people import Actor
from roadcall_payments.domain.refund import Refund, RefundStatus
from roadcall_payments.domain.refund_plan import RefundPlan, plan
from roadcall_payments.domain.stripe_objects import StripeIdentity
from roadcall_payments.ports import Gateway, Ids, Page, PaymentQuery, Store
from roadcall_payments.workflows.approvals import load_payment
from roadcall_payments.workflows.idempotency import Answer, IdempotencyKey, Repeats
from roadcall_payments.workflows.movements_switch import MovementsSwitch
from roadcall_payments.workflows.refund_movement import RefundMovement, status_of_refund
from roadcall_payments.workflows.texts import erasable_text
from roadcall_payments.workflows.write_path import WritePath, Written


@dataclass(frozen=True, slots=True)
class NewRefund:
    """``amount_cents`` in minor units of the payment's currency; None: all that is left."""

    amount_cents: int | None
    reason: RefundReason
    note: str | None = None


class Refunds:
    def __init__(
        self,
        write_path: WritePath,
        store: Store,
        gateway: Gateway,
        movement: RefundMovement,
        switch: MovementsSwitch,
        ids: Ids,
    ) -> None:
        self._write_path = write_path
        self._store = store
        self._gateway = gateway
        self._movement = movement
        self._switch = switch
        self._ids = ids
        self._repeats = Repeats(store)

    async def request(
        self,
        actor: Actor,
        payment_id: str,
        new: NewRefund,
        idem: IdempotencyKey | None = None,
    ) -> Answer:
        """Reserve the amount for a refund that somebody else has to approve. The refund is the
        answered payment's last one.

        Raises NotFound, StatusForbids, InvalidInput.
        """
        await load_payment(self._store, payment_id)
        refund_id = self._ids.uuid7()
        note, texts = self._text(payment_id, new.note)

        def decide(payment: Payment) -> refunding.Facts:
            amount = refunding.amount_to_refund(payment, new.amount_cents)
            self._must_be_carried(amount)
            return refunding.request_refund(payment, refund_id, amount, new.reason, note, actor)

        async def act() -> Answer:
            return Answer(await self._write(actor, payment_id, decide, idem, 201, texts), 201)

        return await self._repeats.once(idem, act)

    async def approve(
        self, actor: Actor, refund_id: str, idem: IdempotencyKey | None = None
    ) -> Answer:
        """Approve and submit: the intent is committed with the approval, then Stripe is asked.

        200 succeeded, or under way at the bank; 202 not known yet; 400 refused, the refund is
        failed. Raises, before anything is written: NotFound, StatusForbids, NotAllowed,
        MovementsPaused, StripeUnavailable, CredentialsRejected.
        """
        payment_id = (await self.find(refund_id)).id

        async def act() -> Answer:
            payment = await load_payment(self._store, payment_id)
            refunding.must_be_approvable(payment, refund_id, actor)
            await self._switch.must_flow()
            self._gateway.ensure_available()
            identity = await self._gateway.identity()

            def decide(current: Payment) -> refunding.Facts:
                refund = refunding.must_be_approvable(current, refund_id, actor)
                _must_be_own_account(current, identity)
                key = refunding.refund_key(refund_id)
                request = self._gateway.refund_request(current, refund, key=key, identity=identity)
                return refunding.approve_refund(current, refund_id, request, actor)

            started = await self._write(actor, payment_id, decide, idem)
            carried = await self._movement.carry(started, refund_id, first_try=True, idem=idem)
            refund = carried.payment.refund(refund_id)
            status = 503 if carried.refused_credentials else status_of_refund(refund)
            return Answer(carried.payment, status)

        def while_open(payment: Payment) -> int:
            return status_of_refund(payment.refund(refund_id))

        return await self._repeats.once(idem, act, while_open)

    async def reject(
        self,
        actor: Actor,
        refund_id: str,
        reason: str | None,
        idem: IdempotencyKey | None = None,
    ) -> Answer:
        """Raises NotFound, StatusForbids."""
        payment_id = (await self.find(refund_id)).id
        ref, texts = self._text(payment_id, reason)

        def decide(payment: Payment) -> refunding.Facts:
            return refunding.reject_refund(payment, refund_id, actor, ref)

        async def act() -> Answer:
            return Answer(await self._write(actor, payment_id, decide, idem, 200, texts), 200)

        return await self._repeats.once(idem, act)

    async def find(self, refund_id: str) -> Payment:
        """The refund's payment. Raises NotFound."""
        stream = await self._store.resolve(refund_ref(refund_id))
        loaded = await self._store.load(stream) if stream else None
        if loaded is None or not isinstance(loaded.state, Payment):
            raise NotFound(f"There is no refund {refund_id}.")
        return loaded.state

    async def plan(self, payment: Payment, refund: Refund) -> RefundPlan | None:
        """What approving it will do; None once it is decided."""
        if refund.status is not RefundStatus.REQUESTED or payment.account is None:
            return None
        return plan(payment, refund.amount, await self._payable(payment))

    async def waiting(self, cursor: str | None, limit: int) -> Page[Payment]:
        """Payments on the review list: among them all with a refund that waits for approval."""
        query = PaymentQuery(on_review=True, cursor=cursor, limit=limit)
        return await self._store.payments(query)

    async def _payable(self, payment: Payment) -> Money:
        """What we owe the vendor in our books, in the payment's currency."""
        currency = payment.amount.currency
        owed_on = f"vendor_payable:{payment.vendor_id}"
        owed = sum(
            -line.amount_cents
            for line in await self._store.balances(payment.account)
            if (line.account, line.currency) == (owed_on, currency)
        )
        return Money(owed, currency)

    def _must_be_carried(self, amount: Money) -> None:
        problem = self._gateway.refund_refusal_of(amount)
        if problem is not None:
            raise InvalidInput("amountCents", problem, code="amount_not_carried")

    def _text(self, payment_id: str, body: str | None) -> tuple[TextRef | None, list[TextWrite]]:
        if not body:
            return None, []
        ref, write = erasable_text(self._ids, stream_of("payment", payment_id), body)
        return ref, [write]

    async def _write(
        self,
        actor: Actor,
        payment_id: str,
        decide: Callable[[Payment], refunding.Facts],
        idem: IdempotencyKey | None,
        status: int | None = None,
        texts: Sequence[TextWrite] = (),
    ) -> Payment:
        def on_current(current: Payment | None) -> refunding.Facts:
            if current is None:
                raise NotFound(f"There is no payment {payment_id}.")
            return decide(current)

        opens = idem.opens(status) if idem else None
        written: Written[Payment] = await self._write_path.write(
            stream_of("payment", payment_id), on_current, actor=actor, opens=opens, texts=texts
        )
        return written.state


def _must_be_own_account(payment: Payment, identity: StripeIdentity) -> None:
    if (payment.account, payment.livemode) != (identity.account, identity.livemode):
        raise StatusForbids(
            "The payment belongs to another Stripe account or mode than the service's present key "
            "(M18): restore that key to go on.",
            code="stripe_account_changed",
        )
