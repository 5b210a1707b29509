"""Carry a committed intent to its outcome: send what was stored, commit what Stripe answered.

Used by the request that committed the intent and, after a crash or a timeout, by recovery. The
calls stand between two commits, never inside one. An answer that meets a conflict is decided
again on the new state: never dropped, never asked for again (M25).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from roadcall_payments.commit import stream_of
from roadcall_payments.domain import outcomes
from roadcall_payments.domain.errors import (
    BrokenInvariant,
    CredentialsRejected,
    MovementsPaused,
    NotFound,
    StripeUnavailable,
)
from roadcall_payments.domain.events import PayerType, Source
from roadcall_payments.domain.payment import Attempt, Payment, Status
from roadcall_payments.domain.people import STRIPE
from roadcall_payments.domain.stripe_objects import (
    IntentStatus,
    PaymentIntent,
    StripeFailure,
    Transfer,
)
from roadcall_payments.ports import (
    Answered,
    Clock,
    CreatedWindow,
    Gateway,
    Outcome,
    Refused,
    Unknown,
    UnknownReason,
)
from roadcall_payments.workflows.idempotency import IdempotencyKey, status_of
from roadcall_payments.workflows.movements_switch import MovementsSwitch
from roadcall_payments.workflows.write_path import Answers, WritePath, Written

# Clocks differ: an object may carry a time a little before its attempt's.
_SKEW = timedelta(minutes=10)
# Nothing more is learned by sending these again: look at Stripe instead (M5, M8).
_LOOK_AT_ONCE = frozenset(
    {
        UnknownReason.REPLAYED_SERVER_ERROR,
        UnknownReason.UNPROVEN_REFUSAL,
        UnknownReason.IDEMPOTENCY_MISMATCH,
    }
)
# Stripe could not be asked at all: the attempt stays as it is, and so does the journal.
UNREACHABLE = (StripeUnavailable, CredentialsRejected)


@dataclass(frozen=True, slots=True)
class Carried:
    """The payment after the carry; ``refused_credentials`` when Stripe answered 401."""

    payment: Payment
    client_secret: str | None = field(default=None, repr=False)
    refused_credentials: bool = False


class Movement:
    def __init__(
        self,
        write_path: WritePath,
        gateway: Gateway,
        switch: MovementsSwitch,
        clock: Clock,
        budget_s: float,
    ) -> None:
        self._write_path = write_path
        self._gateway = gateway
        self._switch = switch
        self._clock = clock
        self._budget_s = budget_s

    async def must_flow(self) -> None:
        """Raises MovementsPaused while an operator holds every outgoing movement."""
        switch = await self._switch.state()
        if switch is not None and switch.paused:
            raise MovementsPaused(
                f"Outgoing movements are paused ({switch.reason}): an admin has to resume them."
            )

    async def held(self) -> bool:
        """Whether an operator holds every outgoing movement now."""
        switch = await self._switch.state()
        return switch is not None and switch.paused

    async def carry_attempt(
        self, payment: Payment, *, first_try: bool, idem: IdempotencyKey | None = None
    ) -> Carried:
        """Send the open attempt's request, or adopt what an earlier one made (M6).

        A movement that was paused, or whose key is past its deadline, is only looked for (M8).
        """
        attempt = payment.attempt
        if attempt is None or not attempt.open:
            return Carried(payment)
        if attempt.number > 1 or not first_try:
            try:
                found = await self.look(payment)
            except UNREACHABLE as failure:
                if not first_try:
                    raise
                # The intent stands, so the caller hears 202, not an error (M32).
                return await self._unknown(payment, failure.code, None)
            if found:
                return await self._adopt(payment, found, idem)
        if not await self._may_send(attempt.started_at):
            return Carried(await self._still_absent(payment, attempt, looked=not first_try))
        outcome = await self._gateway.send(
            attempt.request, first_try=first_try, budget_s=self._budget_s
        )
        if isinstance(outcome, Unknown) and outcome.reason in _LOOK_AT_ONCE:
            found = await self.look(payment)
            if found:
                return await self._adopt(payment, found, idem)
        return await self._settle(payment, outcome, idem)

    async def carry_confirmation(
        self, payment: Payment, *, first_try: bool, idem: IdempotencyKey | None = None
    ) -> Carried:
        """Send the open confirmation; its outcome is the PaymentIntent's status (M3)."""
        confirmation = payment.confirmation
        if confirmation is None or not confirmation.open:
            return Carried(payment)
        if not first_try:
            seen = await self._gateway.payment_intent(intent_of(payment))
            if seen.status in (
                IntentStatus.SUCCEEDED,
                IntentStatus.CANCELED,
                IntentStatus.PROCESSING,
            ):
                return await self._see(payment, seen, Source.LOOKUP, None, idem)
            if self._past_deadline(confirmation.started_at):
                # No confirm of ours can still arrive: what it shows now is its answer (M8).
                return await self._give_up_confirmation(payment, seen, idem)
        if not await self._may_send(confirmation.started_at):
            return Carried(payment)
        outcome = await self._gateway.send(
            confirmation.request, first_try=first_try, budget_s=self._budget_s
        )
        return await self._settle(payment, outcome, idem)

    async def carry_cancellation(
        self, payment: Payment, *, first_try: bool, idem: IdempotencyKey | None = None
    ) -> Carried:
        """Ask Stripe to cancel; PaymentCancelled or, had the money come, PaymentCompleted (M2).

        Not held by the pause: it moves no money, it keeps money from moving.
        """
        cancellation = payment.cancellation
        if cancellation is None or not cancellation.open:
            return Carried(payment)
        if not first_try:
            seen = await self._gateway.payment_intent(intent_of(payment))
            if seen.status in (IntentStatus.SUCCEEDED, IntentStatus.CANCELED):
                return await self._see(payment, seen, Source.LOOKUP, None, idem)
            if self._past_deadline(cancellation.started_at):
                return Carried(payment)
        outcome = await self._gateway.send(
            cancellation.request, first_try=first_try, budget_s=self._budget_s
        )
        return await self._settle(payment, outcome, idem)

    async def look(self, payment: Payment) -> Sequence[PaymentIntent | Transfer]:
        """What Stripe has of this payment, whichever attempt made it; by listing (M6, M7).

        What still can move money comes first: that is what gets adopted.
        """
        if payment.processing_since is None or payment.account is None:
            return ()
        account = payment.account
        listed: Sequence[PaymentIntent | Transfer]
        if payment.payer_type is PayerType.BACK_OFFICE:
            listed = await self._gateway.transfers(payment.id)
        else:
            window = CreatedWindow(payment.processing_since - _SKEW, self._clock.now() + _SKEW)
            listed = await self._gateway.payment_intents(window)
        # Asked after the list: a key that was replaced meanwhile would have shown an empty list of
        # another account, and absence there proves nothing (M8, M18).
        identity = await self._gateway.identity()
        if (identity.account, identity.livemode) != (account, payment.livemode):
            raise CredentialsRejected(
                "The service's key is of another Stripe account or mode than the payment's (M18)."
            )
        ours = [found for found in listed if outcomes.is_ours(payment, found, account)]
        return sorted(ours, key=_canceled)

    async def see_intent(self, payment: Payment) -> Payment:
        """Fetch the PaymentIntent and apply what it says."""
        seen = await self._gateway.payment_intent(intent_of(payment))
        return (await self._see(payment, seen, Source.LOOKUP, None, None)).payment

    async def _adopt(
        self,
        payment: Payment,
        found: Sequence[PaymentIntent | Transfer],
        idem: IdempotencyKey | None,
    ) -> Carried:
        carried = Carried(payment)
        for one in found:
            if isinstance(one, PaymentIntent):
                carried = await self._see(payment, one, Source.LOOKUP, None, idem)
            else:
                after = await self._see_transfer(payment, one, Source.LOOKUP, None, idem)
                carried = Carried(after)
        return carried

    async def _settle(
        self, payment: Payment, outcome: Outcome, idem: IdempotencyKey | None
    ) -> Carried:
        match outcome:
            case Answered(object=PaymentIntent() as intent):
                return await self._see(payment, intent, Source.ANSWER, outcome.request_id, idem)
            case Answered(object=Transfer() as transfer):
                after = await self._see_transfer(
                    payment, transfer, Source.ANSWER, outcome.request_id, idem
                )
                return Carried(after)
            case Answered():
                raise BrokenInvariant(f"Stripe answered with a {type(outcome.object).__name__}.")
            case Refused():
                return await self._refused(payment, outcome, idem)
            case Unknown():
                return await self._unknown(payment, outcome.reason, outcome.request_id)

    async def _refused(
        self, payment: Payment, refused: Refused, idem: IdempotencyKey | None
    ) -> Carried:
        """Of the opening call it is final; of a later one, the PaymentIntent decides (M3)."""
        seen: PaymentIntent | None = None
        if payment.payment_intent is not None:
            try:
                seen = refused.object or await self._gateway.payment_intent(payment.payment_intent)
            except UNREACHABLE:
                return await self._unknown(payment, "refused_unseen", refused.request_id)
        if seen is not None and seen.status is not IntentStatus.REQUIRES_PAYMENT_METHOD:
            carried = await self._see(payment, seen, Source.ANSWER, refused.request_id, idem)
            payment = carried.payment
            if payment.cancellation is None or not payment.cancellation.open:
                return carried
        status = seen.status if seen else None

        def decide(p: Payment, _at: datetime) -> outcomes.Facts:
            if p.cancellation and p.cancellation.open and status is not None:
                return outcomes.cancel_refused(p, refused.failure, status)
            return outcomes.failed(p, refused.failure, Source.ANSWER, refused.request_id)

        return Carried(await self._write(payment, decide, idem))

    async def _unknown(self, payment: Payment, reason: str, request_id: str | None) -> Carried:
        def decide(p: Payment, _at: datetime) -> outcomes.Facts:
            return outcomes.unknown(p, reason, request_id)

        after = await self._write(payment, decide, None)
        rejected = (UnknownReason.AUTHENTICATION, CredentialsRejected.code)
        return Carried(after, refused_credentials=reason in rejected)

    async def _give_up_confirmation(
        self, payment: Payment, seen: PaymentIntent, idem: IdempotencyKey | None
    ) -> Carried:
        if seen.status is IntentStatus.REQUIRES_ACTION:
            return await self._see(payment, seen, Source.ANSWER, None, idem)
        failure = seen.failure or StripeFailure(
            "confirmation_not_received", "The confirmation never reached Stripe: confirm again."
        )

        def decide(p: Payment, _at: datetime) -> outcomes.Facts:
            return outcomes.failed(p, failure, Source.LOOKUP, None)

        return Carried(await self._write(payment, decide, idem))

    async def _still_absent(self, payment: Payment, attempt: Attempt, *, looked: bool) -> Payment:
        if not looked or not self._past_deadline(attempt.started_at):
            return payment

        def decide(p: Payment, at: datetime) -> outcomes.Facts:
            return outcomes.absent(p, at)

        return await self._write(payment, decide, None)

    async def _see(
        self,
        payment: Payment,
        intent: PaymentIntent,
        source: Source,
        request_id: str | None,
        idem: IdempotencyKey | None,
    ) -> Carried:
        def decide(p: Payment, at: datetime) -> outcomes.Facts:
            return outcomes.payment_intent_seen(p, intent, source, at, request_id)

        after = await self._write(payment, decide, idem)
        secret = intent.client_secret if after.status is Status.PROCESSING else None
        return Carried(after, secret)

    async def _see_transfer(
        self,
        payment: Payment,
        transfer: Transfer,
        source: Source,
        request_id: str | None,
        idem: IdempotencyKey | None,
    ) -> Payment:
        def decide(p: Payment, _at: datetime) -> outcomes.Facts:
            return outcomes.transfer_seen(p, transfer, source, request_id)

        return await self._write(payment, decide, idem)

    async def _write(
        self,
        payment: Payment,
        decide: Callable[[Payment, datetime], outcomes.Facts],
        idem: IdempotencyKey | None,
    ) -> Payment:
        def on_current(current: Payment | None) -> outcomes.Facts:
            if current is None:
                raise NotFound(f"There is no payment {payment.id}.")
            return decide(current, self._clock.now())

        def answers(after: Payment) -> Answers | None:
            status = status_of(after)
            # While the outcome is open, so is the record: a repeat answers from the state (M31).
            return idem.answers(status) if idem and status != 202 else None

        written: Written[Payment] = await self._write_path.write(
            stream_of("payment", payment.id), on_current, actor=STRIPE, answers=answers
        )
        return written.state

    async def _may_send(self, started_at: datetime) -> bool:
        """Checked right before sending: a suspended machine wakes late (M8)."""
        if self._past_deadline(started_at):
            return False
        return not await self.held()

    def _past_deadline(self, started_at: datetime) -> bool:
        return self._clock.now() - started_at >= outcomes.KEY_DEADLINE


def intent_of(payment: Payment) -> str:
    """The id of the payment's PaymentIntent. Raises BrokenInvariant without one."""
    if payment.payment_intent is None:
        raise BrokenInvariant(f"Payment {payment.id} has no PaymentIntent.")
    return payment.payment_intent


def _canceled(found: PaymentIntent | Transfer) -> bool:
    return isinstance(found, PaymentIntent) and found.status is IntentStatus.CANCELED
