"""Carry a committed intent to its outcome: send what was stored, commit what Stripe answered.

Used by the request that committed the intent and, after a crash or a timeout, by recovery. The
calls stand between two commits, never inside one. An answer that meets a conflict is decided
again on the new state: never dropped, never asked for again (M25).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import msgspec

from roadcall_payments.domain import outcomes, reversals_seen
from roadcall_payments.domain.errors import (
    BrokenInvariant,
    CredentialsRejected,
    StripeUnavailable,
)
from roadcall_payments.domain.events import Source
from roadcall_payments.domain.payment import Attempt, Payment, Status
from roadcall_payments.domain.stripe_objects import (
    IntentStatus,
    Operation,
    PaymentIntent,
    Reversal,
    StripeFailure,
    StripeRequest,
    Transfer,
)
from roadcall_payments.ports import (
    Answered,
    Loaded,
    Outcome,
    Refused,
    Unknown,
    UnknownReason,
)
from roadcall_payments.workflows.idempotency import IdempotencyKey, status_of
from roadcall_payments.workflows.lookup import Lookup
from roadcall_payments.workflows.payment_carrier import PaymentCarrier
from roadcall_payments.workflows.write_path import Answers

# Nothing more is learned by sending these again: look at Stripe instead (M5, M8).
LOOK_AT_ONCE = frozenset(
    {
        UnknownReason.REPLAYED_SERVER_ERROR,
        UnknownReason.UNPROVEN_REFUSAL,
        UnknownReason.IDEMPOTENCY_MISMATCH,
    }
)
# Stripe could not be asked at all: the attempt stays as it is, and so does the journal.
UNREACHABLE = (StripeUnavailable, CredentialsRejected)


# Stripe got no cancel of ours within its key's life; recovery asks anew.
CANCEL_NOT_RECEIVED = "cancel_not_received"
SEND_S_MIN = 0.5


class _Call(msgspec.Struct, frozen=True):
    """One stored request on its way; ``until`` on the monotonic clock ends its time (M32).

    ``loaded``: the stream as the commit of its intent left it, where that has just been made: the
    outcome is decided on it, and the payment read again only if it moved meanwhile (M25).
    """

    request: StripeRequest
    first_try: bool
    idem: IdempotencyKey | None
    until: float
    loaded: Loaded | None

    def answer(self, request_id: str | None) -> outcomes.Answer:
        return outcomes.Answer(self.request.idempotency_key, request_id)


@dataclass(frozen=True, slots=True)
class Carried:
    """The payment after the carry; ``refused_credentials`` when Stripe answered 401."""

    payment: Payment
    client_secret: str | None = field(default=None, repr=False)
    refused_credentials: bool = False


class Movement(PaymentCarrier):
    async def carry_attempt(
        self,
        payment: Payment,
        *,
        first_try: bool,
        idem: IdempotencyKey | None = None,
        loaded: Loaded | None = None,
    ) -> Carried:
        """Send the open attempt's request, or adopt what an earlier one made (M6).

        A movement that was paused, or whose key is past its deadline, is only looked for (M8).
        """
        attempt = payment.attempt
        if attempt is None or not attempt.open:
            return Carried(payment)
        call = _Call(attempt.request, first_try, idem, self._until(), loaded)
        if attempt.number > 1 or not first_try:
            try:
                found = await self._look_in_time(payment, call)
            except UNREACHABLE as failure:
                if not first_try:
                    raise
                # The intent stands, so the caller hears 202, not an error (M32).
                return await self._unknown(payment, call, failure.code, None)
            if found:
                return await self.adopt(payment, found, idem)
        if not await self._may_send(attempt.started_at):
            return Carried(await self._still_absent(payment, attempt, looked=not first_try))
        outcome = await self._send(call)
        if isinstance(outcome, Unknown) and outcome.reason in LOOK_AT_ONCE:
            # Where looking fails too, the outcome stays unknown, and recovery looks again.
            with contextlib.suppress(*UNREACHABLE):
                found = await self._look_in_time(payment, call)
                if found:
                    return await self.adopt(payment, found, idem)
        return await self._settle(payment, call, outcome)

    async def carry_confirmation(
        self,
        payment: Payment,
        *,
        first_try: bool,
        idem: IdempotencyKey | None = None,
        loaded: Loaded | None = None,
    ) -> Carried:
        """Send the open confirmation; its outcome is the PaymentIntent's status (M3)."""
        confirmation = payment.confirmation
        if confirmation is None or not confirmation.open:
            return Carried(payment)
        call = _Call(confirmation.request, first_try, idem, self._until(), loaded)
        if not first_try:
            seen = await self._gateway.payment_intent(intent_of(payment))
            if _ended(seen) or seen.status is IntentStatus.PROCESSING:
                return await self._see(payment, seen, Source.LOOKUP, None, idem)
            if self._past_deadline(confirmation.started_at):
                # No confirm of ours can still arrive: what it shows now is its answer (M8).
                return await self._give_up_confirmation(payment, call, seen)
        if not await self._may_send(confirmation.started_at):
            return Carried(payment)
        return await self._settle(payment, call, await self._send(call))

    async def carry_cancellation(
        self,
        payment: Payment,
        *,
        first_try: bool,
        idem: IdempotencyKey | None = None,
        loaded: Loaded | None = None,
    ) -> Carried:
        """Ask Stripe to cancel; PaymentCancelled or, had the money come, PaymentCompleted (M2).

        Not held by the pause: it moves no money, it keeps money from moving. A cancellation whose
        key is past its deadline is given up (M8): recovery asks anew, under a new key.
        """
        cancellation = payment.cancellation
        if cancellation is None or not cancellation.open:
            return Carried(payment)
        call = _Call(cancellation.request, first_try, idem, self._until(), loaded)
        if not first_try:
            seen = await self._gateway.payment_intent(intent_of(payment))
            if _ended(seen):
                return await self._see(payment, seen, Source.LOOKUP, None, idem)
            if self._past_deadline(cancellation.started_at):
                return await self._give_up_cancellation(payment, call, seen.status)
        return await self._settle(payment, call, await self._send(call))

    def _until(self) -> float:
        return self._clock.monotonic() + self._budget_s

    def _left_s(self, call: _Call) -> float:
        """What is left of the one budget that a request has for all of Stripe (M32)."""
        return max(call.until - self._clock.monotonic(), 0.0)

    async def _send(self, call: _Call) -> Outcome:
        left_s = self._left_s(call)
        if left_s < SEND_S_MIN:
            return Unknown(UnknownReason.TIMEOUT, "No time was left to send it.")
        return await self._gateway.send(call.request, first_try=call.first_try, budget_s=left_s)

    async def _look_in_time(
        self, payment: Payment, call: _Call
    ) -> Sequence[PaymentIntent | Transfer]:
        try:
            async with asyncio.timeout(self._left_s(call)):
                return await Lookup(self._gateway, self._clock).look(payment)
        except TimeoutError as late:
            raise StripeUnavailable("Stripe's list took longer than a request may.") from late

    async def see_intent(self, payment: Payment) -> Payment:
        """Fetch the PaymentIntent and apply what it says."""
        seen = await self._gateway.payment_intent(intent_of(payment))
        return (await self._see(payment, seen, Source.LOOKUP, None, None)).payment

    async def adopt_if_found(self, payment: Payment) -> Payment:
        """Look once more at Stripe before a payment with earlier attempts is given up (M6)."""
        found = await Lookup(self._gateway, self._clock).look(payment)
        return (await self.adopt(payment, found)).payment if found else payment

    async def adopt(
        self,
        payment: Payment,
        found: Sequence[PaymentIntent | Transfer],
        idem: IdempotencyKey | None = None,
    ) -> Carried:
        """Apply what was found to be the payment's at Stripe."""
        carried = Carried(payment)
        for one in found:
            if isinstance(one, PaymentIntent):
                carried = await self._see(carried.payment, one, Source.LOOKUP, None, idem)
            else:
                after = await self._see_transfer(payment, one, Source.LOOKUP, None, idem)
                carried = Carried(after)
        return carried

    async def _settle(self, payment: Payment, call: _Call, outcome: Outcome) -> Carried:
        match outcome:
            case Answered(object=PaymentIntent() as intent):
                return await self._answered(payment, call, intent, outcome.request_id)
            case Answered(object=Transfer() as transfer):
                request_id = outcome.request_id
                after = await self._see_transfer(
                    payment, transfer, Source.ANSWER, request_id, call.idem, call.loaded
                )
                return Carried(after)
            case Answered():
                raise BrokenInvariant(f"Stripe answered with a {type(outcome.object).__name__}.")
            case Refused():
                return await self._refused(payment, call, outcome)
            case Unknown():
                return await self._unknown(payment, call, outcome.reason, outcome.request_id)

    async def _refused(self, payment: Payment, call: _Call, refused: Refused) -> Carried:
        """Of the opening call it is final; of a later one, the PaymentIntent decides (M3)."""
        answer = call.answer(refused.request_id)
        if payment.payment_intent is None:
            return await self._failed(payment, call, refused.failure, answer)
        try:
            seen = refused.object or await self._gateway.payment_intent(payment.payment_intent)
        except UNREACHABLE:
            return await self._unknown(payment, call, "refused_unseen", refused.request_id)
        if _ended(seen):
            return await self._answered(payment, call, seen, refused.request_id)
        if call.request.operation is Operation.CANCEL_PAYMENT_INTENT:
            code = refused.failure.code

            def decide(p: Payment, _at: datetime) -> outcomes.Facts:
                return outcomes.cancel_refused(p, code, seen.status, answer)

            return Carried(await self._write(payment, decide, call.idem, call.loaded))
        if seen.status is IntentStatus.REQUIRES_PAYMENT_METHOD:
            return await self._failed(payment, call, refused.failure, answer)
        return await self._answered(payment, call, seen, refused.request_id)

    async def _answered(
        self, payment: Payment, call: _Call, seen: PaymentIntent, request_id: str | None
    ) -> Carried:
        answer = call.answer(request_id)
        return await self._see(payment, seen, Source.ANSWER, answer, call.idem, call.loaded)

    async def _failed(
        self, payment: Payment, call: _Call, failure: StripeFailure, answer: outcomes.Answer
    ) -> Carried:
        def decide(p: Payment, _at: datetime) -> outcomes.Facts:
            return outcomes.failed(p, failure, Source.ANSWER, answer)

        return Carried(await self._write(payment, decide, call.idem, call.loaded))

    async def _unknown(
        self, payment: Payment, call: _Call, reason: str, request_id: str | None
    ) -> Carried:
        answer = call.answer(request_id)

        def decide(p: Payment, _at: datetime) -> outcomes.Facts:
            return outcomes.unknown(p, reason, answer)

        after = await self._write(payment, decide, None, call.loaded)
        rejected = (UnknownReason.AUTHENTICATION, CredentialsRejected.code)
        return Carried(after, refused_credentials=reason in rejected)

    async def _give_up_confirmation(
        self, payment: Payment, call: _Call, seen: PaymentIntent
    ) -> Carried:
        answer = call.answer(None)
        if seen.status is IntentStatus.REQUIRES_ACTION:
            return await self._see(payment, seen, Source.LOOKUP, answer, call.idem)
        failure = seen.failure or StripeFailure(
            "confirmation_not_received", "The confirmation never reached Stripe: confirm again."
        )

        def decide(p: Payment, _at: datetime) -> outcomes.Facts:
            return outcomes.failed(p, failure, Source.LOOKUP, answer)

        return Carried(await self._write(payment, decide, call.idem))

    async def _give_up_cancellation(
        self, payment: Payment, call: _Call, status: IntentStatus
    ) -> Carried:
        answer = call.answer(None)

        def decide(p: Payment, _at: datetime) -> outcomes.Facts:
            return outcomes.cancel_refused(p, CANCEL_NOT_RECEIVED, status, answer)

        return Carried(await self._write(payment, decide, call.idem))

    async def _still_absent(self, payment: Payment, attempt: Attempt, *, looked: bool) -> Payment:
        if not looked or not self._past_deadline(attempt.started_at):
            return payment

        def decide(p: Payment, at: datetime) -> outcomes.Facts:
            return outcomes.absent(p, attempt.number, at)

        return await self._write(payment, decide, None)

    async def _see(
        self,
        payment: Payment,
        seen: PaymentIntent,
        source: Source,
        answer: outcomes.Answer | None,
        idem: IdempotencyKey | None,
        loaded: Loaded | None = None,
    ) -> Carried:
        def decide(p: Payment, at: datetime) -> outcomes.Facts:
            if answer is None and p != payment and not _ended(seen):
                # It was fetched before the payment changed; the next look sees more (M15).
                return ()
            return outcomes.payment_intent_seen(p, seen, source, at, answer)

        after = await self._write(payment, decide, idem, loaded)
        secret = seen.client_secret if after.status is Status.PROCESSING else None
        return Carried(after, secret)

    async def _see_transfer(
        self,
        payment: Payment,
        transfer: Transfer,
        source: Source,
        request_id: str | None,
        idem: IdempotencyKey | None,
        loaded: Loaded | None = None,
    ) -> Payment:
        def decide(p: Payment, _at: datetime) -> outcomes.Facts:
            return outcomes.transfer_seen(p, transfer, source, request_id)

        after = await self._write(payment, decide, idem, loaded)
        while reversals_seen.may_lack(after, transfer):
            # Reversed before we heard of it: the event may have come and found nothing (M16).
            listed = await self._gateway.reversals(transfer.id)
            before = after
            after = await self._write(payment, partial(_reversals, transfer.id, listed), None)
            if after == before:
                break
        return after

    async def _write(
        self,
        payment: Payment,
        decide: Callable[[Payment, datetime], outcomes.Facts],
        idem: IdempotencyKey | None,
        loaded: Loaded | None = None,
    ) -> Payment:
        def answers(after: Payment) -> Answers | None:
            status = status_of(after)
            # While the outcome is open, so is the record: a repeat answers from the state (M31).
            return idem.answers(status) if idem and status != 202 else None

        return await self._written(payment, decide, answers, loaded)

    async def _may_send(self, started_at: datetime) -> bool:
        return not self._past_deadline(started_at) and not await self._switch.held()


def intent_of(payment: Payment) -> str:
    """The id of the payment's PaymentIntent. Raises BrokenInvariant without one."""
    if payment.payment_intent is None:
        raise BrokenInvariant(f"Payment {payment.id} has no PaymentIntent.")
    return payment.payment_intent


def _reversals(of: str, listed: Sequence[Reversal], p: Payment, _at: datetime) -> outcomes.Facts:
    return reversals_seen.reversals_seen(p, of, listed)


def _ended(intent: PaymentIntent) -> bool:
    return intent.status in (IntentStatus.SUCCEEDED, IntentStatus.CANCELED)
