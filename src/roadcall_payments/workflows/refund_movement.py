"""Carry a submitted refund to its outcome: send what was stored, commit what Stripe answered.

Used by the request that approved the refund and, after a crash or a timeout, by recovery. A refund
is never sent under a second key (M9): what is unknown is looked for among the refunds of its
PaymentIntent, and sent again under the same key while that lives.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from roadcall_payments.domain import refunds_seen
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.events import Source
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.refund import Refund, RefundStatus
from roadcall_payments.domain.stripe_objects import Refund as StripeRefund
from roadcall_payments.domain.stripe_objects import RefundStatus as Theirs
from roadcall_payments.ports import Answered, Outcome, Refused, Unknown
from roadcall_payments.ports import UnknownReason as Why
from roadcall_payments.workflows.idempotency import IdempotencyKey
from roadcall_payments.workflows.movement import LOOK_AT_ONCE, UNREACHABLE, intent_of
from roadcall_payments.workflows.payment_carrier import PaymentCarrier, must_be_own_account
from roadcall_payments.workflows.write_path import Answers


@dataclass(frozen=True, slots=True)
class CarriedRefund:
    """The payment after the carry; ``refused_credentials`` when Stripe answered 401."""

    payment: Payment
    refused_credentials: bool = False


def status_of_refund(refund: Refund | None) -> int:
    """The HTTP status that tells how the refund stands."""
    if refund is not None and refund.answer_open:
        return 202
    failed = refund is not None and refund.status is RefundStatus.FAILED
    return 400 if failed else 200


class RefundMovement(PaymentCarrier):
    async def carry(
        self,
        payment: Payment,
        refund_id: str,
        *,
        first_try: bool,
        idem: IdempotencyKey | None = None,
    ) -> CarriedRefund:
        """Send the refund's request, or adopt what an earlier try made."""
        refund = payment.refund(refund_id)
        if refund is None or not refund.answer_open or refund.request is None:
            return CarriedRefund(payment)
        started_at = refund.submitted_at or refund.updated_at
        looks = not first_try or self._past_deadline(started_at)
        if looks:
            try:
                payment = await self.look(payment)
            except UNREACHABLE:
                if not first_try:
                    raise
                # It stands submitted, so the caller hears 202, not an error; recovery looks.
                return CarriedRefund(payment)
            after = payment.refund(refund_id)
            if after is None or not after.answer_open:
                return CarriedRefund(payment)
        if self._past_deadline(started_at):
            # No POST of ours can still arrive under this key: what was not found is absent (M8).
            return CarriedRefund(await self._absent(payment, refund_id) if looks else payment)
        if await self._switch.held():
            return CarriedRefund(payment)
        outcome = await self._gateway.send(
            refund.request, first_try=first_try, budget_s=self._budget_s
        )
        if isinstance(outcome, Unknown) and outcome.reason in LOOK_AT_ONCE:
            # Where looking fails too, the outcome stays unknown, and recovery looks again.
            with contextlib.suppress(*UNREACHABLE):
                payment = await self.look(payment)
        return await self._settle(payment, refund_id, outcome, idem)

    async def look(self, payment: Payment) -> Payment:
        """Everything Stripe has given back of this payment, whoever asked for it (M7, M16)."""
        while True:
            listed = await self._gateway.refunds(intent_of(payment))
            await must_be_own_account(self._gateway, payment)
            after = await self._see(payment, listed, Source.LOOKUP)
            if after == payment:
                return after
            payment = after

    async def _settle(
        self, payment: Payment, refund_id: str, outcome: Outcome, idem: IdempotencyKey | None
    ) -> CarriedRefund:
        match outcome:
            case Answered(object=StripeRefund() as made):
                request_id = outcome.request_id
                after = await self._see(
                    payment, (made,), Source.ANSWER, request_id, idem, refund_id
                )
                return CarriedRefund(after)
            case Answered():
                raise BrokenInvariant(f"Stripe answered with a {type(outcome.object).__name__}.")
            case Refused():
                failure, request_id = outcome.failure, outcome.request_id

                def refused(p: Payment, _at: datetime) -> refunds_seen.Facts:
                    return refunds_seen.refund_refused(p, refund_id, failure, request_id)

                return CarriedRefund(await self._write(payment, refused, idem, refund_id))
            case Unknown():
                reason, request_id = outcome.reason, outcome.request_id

                def unknown(p: Payment, _at: datetime) -> refunds_seen.Facts:
                    return refunds_seen.refund_unknown(p, refund_id, reason, request_id)

                after = await self._write(payment, unknown, idem, refund_id)
                return CarriedRefund(after, refused_credentials=reason is Why.AUTHENTICATION)

    async def _absent(self, payment: Payment, refund_id: str) -> Payment:
        def decide(p: Payment, at: datetime) -> refunds_seen.Facts:
            return refunds_seen.refund_absent(p, refund_id, at)

        return await self._write(payment, decide)

    async def _see(
        self,
        payment: Payment,
        seen: Sequence[StripeRefund],
        source: Source,
        request_id: str | None = None,
        idem: IdempotencyKey | None = None,
        refund_id: str | None = None,
    ) -> Payment:
        def decide(p: Payment, at: datetime) -> refunds_seen.Facts:
            fresh = source is Source.ANSWER or p == payment
            # What was listed before the payment changed tells of successes alone (M15).
            told = seen if fresh else [one for one in seen if one.status is Theirs.SUCCEEDED]
            return refunds_seen.refunds_seen(p, told, source, at, request_id)

        return await self._write(payment, decide, idem, refund_id)

    async def _write(
        self,
        payment: Payment,
        decide: Callable[[Payment, datetime], refunds_seen.Facts],
        idem: IdempotencyKey | None = None,
        refund_id: str | None = None,
    ) -> Payment:
        def answers(after: Payment) -> Answers | None:
            if idem is None or refund_id is None:
                return None
            status = status_of_refund(after.refund(refund_id))
            # While the outcome is open, so is the record: a repeat answers from the state (M31).
            return idem.answers(status) if status != 202 else None

        return await self._written(payment, decide, answers)
