"""Finish what a crash, a timeout or a silent payer left open (M5-M8, M33).

``attention.py`` asks for every payment that is due.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from roadcall_payments.commit import stream_of
from roadcall_payments.domain import approval, commands, disputes_seen, outcomes
from roadcall_payments.domain.events import Awaiting
from roadcall_payments.domain.payment import (
    APPROVED_NOT_PROCESSED,
    Patience,
    Payment,
    Status,
    Unbooked,
    refund_due_at,
    reminder_due_at,
)
from roadcall_payments.domain.people import WORKER
from roadcall_payments.domain.stripe_objects import BalanceTransaction, StripeIdentity
from roadcall_payments.ports import Gateway
from roadcall_payments.workflows.dispute_reading import DisputeReading
from roadcall_payments.workflows.intake import Scoring
from roadcall_payments.workflows.movement import CANCEL_NOT_RECEIVED, Movement, intent_of
from roadcall_payments.workflows.refund_movement import RefundMovement
from roadcall_payments.workflows.settlements import Settlements
from roadcall_payments.workflows.write_path import WritePath, Written


class Recovery:
    def __init__(
        self,
        write_path: WritePath,
        gateway: Gateway,
        movement: Movement,
        refunds: RefundMovement,
        disputes: DisputeReading,
        settlements: Settlements,
        scoring: Scoring,
        patience: Patience,
    ) -> None:
        self._write_path = write_path
        self._gateway = gateway
        self._movement = movement
        self._refunds = refunds
        self._disputes = disputes
        self._settlements = settlements
        self._scoring = scoring
        self._patience = patience

    async def attended(self, payment: Payment) -> Payment:
        """Do what one due payment needs; the payment after it, the same where nothing is new.

        Raises StripeUnavailable, CredentialsRejected.
        """
        if payment.status is Status.PENDING_APPROVAL:
            return await self._before_approval(payment)
        if payment.status is Status.APPROVED:
            return await self._forgotten(payment)
        if payment.account is not None:
            identity = await self._gateway.identity()
            if (payment.account, payment.livemode) != (identity.account, identity.livemode):
                return await self._account_changed(payment, identity)
        if payment.unbooked:
            payment = await self._book(payment)
        payment = await self._settle_refunds(payment)
        payment = await self._remind_of_evidence(payment)
        if payment.status is Status.COMPLETED:
            return await self._settlements.attended(payment)
        if payment.status is Status.PROCESSING and payment.awaiting is Awaiting.STRIPE:
            return await self._settle(payment)
        if payment.status in (Status.PROCESSING, Status.FAILED) and payment.payment_intent:
            return await self._payer_silent(payment)
        return payment

    async def _before_approval(self, payment: Payment) -> Payment:
        if payment.risk is None:
            return await self._scoring.score(payment)
        return await self._write(
            payment,
            lambda p: approval.expire(p, self._write_path.clock.now(), self._patience.approval),
        )

    async def _forgotten(self, payment: Payment) -> Payment:
        """Approved long ago and never processed: nothing moves by itself, but somebody is told."""
        if self._write_path.clock.now() < payment.updated_at + self._patience.approval:
            return payment
        days = self._patience.approval.days
        detail = f"approved {days} days ago and not processed: process it, or cancel it"
        return await self._write(
            payment, lambda p: outcomes.anomaly(p, APPROVED_NOT_PROCESSED, detail, None)
        )

    async def _settle(self, payment: Payment) -> Payment:
        """Carry on the open call: the same request under the same key, or look (M5, M8)."""
        if payment.cancellation and payment.cancellation.open:
            after = (await self._movement.carry_cancellation(payment, first_try=False)).payment
            given_up = after.status is Status.PROCESSING and not _cancelling(after)
            if given_up and _past_deadline(payment, self._write_path.clock.now()):
                # Whoever asked for it still wants it: a new key is safe, a cancel moves nothing.
                return await self._ask_cancel(after, CANCEL_NOT_RECEIVED)
            return after
        if payment.confirmation and payment.confirmation.open:
            return (await self._movement.carry_confirmation(payment, first_try=False)).payment
        if payment.attempt and payment.attempt.open:
            return (await self._movement.carry_attempt(payment, first_try=False)).payment
        return await self._movement.see_intent(payment)

    async def _settle_refunds(self, payment: Payment) -> Payment:
        """Those whose fate is open, and those that Stripe has had for long without a word."""
        for refund in payment.refunds:
            due_at = refund_due_at(refund, self._patience)
            if due_at is None or due_at > self._write_path.clock.now():
                continue
            if refund.answer_open:
                carried = await self._refunds.carry(payment, refund.id, first_try=False)
                payment = carried.payment
            else:
                payment = await self._refunds.look(payment)
        return payment

    async def _remind_of_evidence(self, payment: Payment) -> Payment:
        """Somebody is told in time, of a dispute that Stripe still wants an answer to."""
        for dispute in payment.disputes:
            due_at = reminder_due_at(dispute, self._patience)
            if due_at is None or due_at > self._write_path.clock.now():
                continue
            payment = await self._see_dispute(payment, dispute.id)
            payment = await self._write(
                payment, partial(disputes_seen.evidence_reminder, dispute_id=dispute.id)
            )
        return payment

    async def _see_dispute(self, payment: Payment, dispute_id: str) -> Payment:
        """As it is at Stripe: the event that told of its end may have been lost."""
        decided = await self._disputes.look(dispute_id)

        def decide(current: Payment) -> commands.Facts:
            if current != payment:
                return ()
            return decided(current, self._write_path.clock.now())

        return await self._write(payment, decide)

    async def _payer_silent(self, payment: Payment) -> Payment:
        """Look first; a payer who stays silent for days has the PaymentIntent cancelled (M33)."""
        seen = await self._movement.see_intent(payment)
        now = self._write_path.clock.now()
        if seen != payment or now < payment.updated_at + self._patience.payer:
            return seen
        return await self._ask_cancel(payment, "payer_silent")

    async def _ask_cancel(self, payment: Payment, reason: str) -> Payment:
        identity = await self._gateway.identity()

        def decide(current: Payment) -> commands.Facts:
            if current != payment:
                return ()
            key = commands.cancellation_key(current)
            request = self._gateway.cancel_request(current, key=key, identity=identity)
            return commands.request_cancel(current, request, str(WORKER), reason)

        asked = await self._write(payment, decide)
        if asked == payment:
            return asked
        return (await self._movement.carry_cancellation(asked, first_try=True)).payment

    async def _book(self, payment: Payment) -> Payment:
        """Fetch Stripe's own line for each object of ours and book it, by id, once (M17)."""
        for unbooked in payment.unbooked:
            payment = await self._book_one(payment, unbooked)
        return payment

    async def _book_one(self, payment: Payment, unbooked: Unbooked) -> Payment:
        source = unbooked.object_id
        if source == payment.payment_intent:
            # The success came without its charge's id: the PaymentIntent knows it.
            intent = await self._gateway.payment_intent(intent_of(payment))
            source = intent.latest_charge or source
        for line in await self._gateway.balance_transactions(source=source):
            payment = await self._write(payment, partial(_booking, unbooked=unbooked, line=line))
        return payment

    async def _account_changed(self, payment: Payment, identity: StripeIdentity) -> Payment:
        """An attempt continues on its own account only: a person has to restore it (M18)."""
        detail = f"it belongs to {payment.account}, the service's key now to {identity.account}"
        return await self._write(
            payment, lambda p: outcomes.anomaly(p, "stripe_account_changed", detail, p.account)
        )

    async def _write(
        self, payment: Payment, decide: Callable[[Payment], commands.Facts]
    ) -> Payment:
        def on_current(current: Payment | None) -> commands.Facts:
            return decide(current or payment)

        written: Written[Payment] = await self._write_path.write(
            stream_of("payment", payment.id), on_current, actor=WORKER
        )
        return written.state


def _cancelling(payment: Payment) -> bool:
    return payment.cancellation is not None and payment.cancellation.open


def _past_deadline(payment: Payment, now: datetime) -> bool:
    asked = payment.cancellation
    return asked is not None and now - asked.started_at >= outcomes.KEY_DEADLINE


def _booking(payment: Payment, unbooked: Unbooked, line: BalanceTransaction) -> outcomes.Facts:
    return outcomes.book(payment, unbooked, line)
