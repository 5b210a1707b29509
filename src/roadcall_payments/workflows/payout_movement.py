"""Carry a requested payout, or its cancellation, to its outcome: send what was stored, commit what
Stripe answered.

Used by the request itself and, after a crash or a timeout, by the worker. A payout is never sent
under a second key (M9): what is unknown is looked for among its account's payouts of that time
(M7), and sent again under the same key while that lives (M8).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from roadcall_payments.commit import stream_of
from roadcall_payments.domain import outcomes, payouts_seen
from roadcall_payments.domain.errors import BrokenInvariant, CredentialsRejected, NotFound
from roadcall_payments.domain.events import Source
from roadcall_payments.domain.payout import Payout, PayoutStatus
from roadcall_payments.domain.people import STRIPE
from roadcall_payments.domain.stripe_objects import Payout as StripePayout
from roadcall_payments.domain.stripe_objects import StripeRequest
from roadcall_payments.ports import (
    Answered,
    Clock,
    CreatedWindow,
    Gateway,
    Outcome,
    Refused,
    Unknown,
)
from roadcall_payments.ports import UnknownReason as Why
from roadcall_payments.workflows.idempotency import IdempotencyKey
from roadcall_payments.workflows.movement import LOOK_AT_ONCE, UNREACHABLE
from roadcall_payments.workflows.movements_switch import MovementsSwitch
from roadcall_payments.workflows.payout_reading import PayoutReading, shown_in
from roadcall_payments.workflows.write_path import Answers, WritePath, Written

# Clocks differ: an object may carry a time a little before its request's.
_SKEW = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class CarriedPayout:
    """The payout after the carry; ``refused_credentials`` when Stripe answered 401."""

    payout: Payout
    refused_credentials: bool = False


def status_of_payout(payout: Payout) -> int:
    """The HTTP status that tells how the payout stands."""
    if payout.answer_open:
        return 202
    return 400 if payout.status is PayoutStatus.FAILED else 201


def status_of_cancel(payout: Payout) -> int:
    """The HTTP status that tells what became of the cancellation."""
    if payout.cancelling:
        return 202
    return 200 if payout.status is PayoutStatus.CANCELLED else 409


class PayoutMovement:
    def __init__(
        self,
        write_path: WritePath,
        gateway: Gateway,
        reading: PayoutReading,
        switch: MovementsSwitch,
        clock: Clock,
        budget_s: float,
    ) -> None:
        self._write_path = write_path
        self._gateway = gateway
        self._reading = reading
        self._switch = switch
        self._clock = clock
        self._budget_s = budget_s

    async def carry(
        self, payout: Payout, *, first_try: bool, idem: IdempotencyKey | None = None
    ) -> CarriedPayout:
        """Send the payout's request, or adopt what an earlier try made."""
        request = payout.request
        if request is None or not payout.answer_open:
            return CarriedPayout(payout)
        if not first_try:
            payout = await self.look(payout)
            if not payout.answer_open:
                return CarriedPayout(payout)
        if self._past_deadline(payout.created_at):
            # No POST of ours can still arrive under this key: what was not found is absent (M8).
            return CarriedPayout(payout if first_try else await self._absent(payout))
        if await self._switch.held():
            return CarriedPayout(payout)
        outcome = await self._send(request, first_try=first_try)
        if isinstance(outcome, Unknown) and outcome.reason in LOOK_AT_ONCE:
            # Where looking fails too, the outcome stays unknown, and the worker looks again.
            with contextlib.suppress(*UNREACHABLE):
                payout = await self.look(payout)
        return await self._settle(payout, outcome, idem)

    async def look(self, payout: Payout) -> Payout:
        """The payout among those of its account, by listing (M7)."""
        if payout.created_at is None:
            return payout
        window = CreatedWindow(payout.created_at - _SKEW, self._clock.now() + _SKEW)
        listed = await self._gateway.payouts(payout.account, window)
        await self._must_be_own_account(payout)
        for shown in listed:
            seen = shown_in(payout, shown, Source.LOOKUP, None)
            if payouts_seen.is_ours(payout, seen):
                return await self._reading.see(stream_of("payout", payout.id), seen)
        return payout

    async def carry_cancellation(
        self, payout: Payout, *, first_try: bool, idem: IdempotencyKey | None = None
    ) -> CarriedPayout:
        """Ask Stripe to cancel; what the payout then shows is the answer.

        Not held by the pause: it keeps money from moving.
        """
        asked = payout.cancellation
        if asked is None or not asked.open:
            return CarriedPayout(payout)
        if not first_try:
            payout = await self._reading.fetch(payout)
            if not payout.cancelling:
                return CarriedPayout(payout)
        if self._past_deadline(asked.started_at):
            return CarriedPayout(
                await self._cancel_refused(payout, payouts_seen.CANCEL_NOT_RECEIVED, idem)
            )
        outcome = await self._send(asked.request, first_try=first_try)
        match outcome:
            case Answered(object=StripePayout() as shown):
                after = await self._see(payout, shown, outcome.request_id, idem, status_of_cancel)
                return CarriedPayout(after)
            case Answered():
                raise _another(outcome)
            case Refused():
                # Mostly too late: what the payout is by now says more than the refusal.
                with contextlib.suppress(*UNREACHABLE):
                    payout = await self._reading.fetch(payout)
                after = await self._cancel_refused(payout, outcome.failure.code, idem)
                return CarriedPayout(after)
            case Unknown():
                return CarriedPayout(payout, outcome.reason is Why.AUTHENTICATION)

    async def _send(self, request: StripeRequest, *, first_try: bool) -> Outcome:
        return await self._gateway.send(request, first_try=first_try, budget_s=self._budget_s)

    async def _settle(
        self, payout: Payout, outcome: Outcome, idem: IdempotencyKey | None
    ) -> CarriedPayout:
        request_id = outcome.request_id
        match outcome:
            case Answered(object=StripePayout() as made):
                after = await self._see(payout, made, request_id, idem, status_of_payout)
                return CarriedPayout(after)
            case Answered():
                raise _another(outcome)
            case Refused():
                failure = outcome.failure

                def refused(p: Payout) -> payouts_seen.Facts:
                    return payouts_seen.payout_refused(p, failure, request_id)

                return CarriedPayout(await self._write(payout, refused, idem, status_of_payout))
            case Unknown():
                reason = outcome.reason

                def unknown(p: Payout) -> payouts_seen.Facts:
                    return payouts_seen.payout_unknown(p, reason, request_id)

                after = await self._write(payout, unknown, idem, status_of_payout)
                return CarriedPayout(after, refused_credentials=reason is Why.AUTHENTICATION)

    async def _absent(self, payout: Payout) -> Payout:
        def decide(p: Payout) -> payouts_seen.Facts:
            return payouts_seen.payout_absent(p, self._clock.now())

        return await self._write(payout, decide, None, status_of_payout)

    async def _cancel_refused(
        self, payout: Payout, code: str, idem: IdempotencyKey | None
    ) -> Payout:
        number = payout.cancellation.number if payout.cancellation else 0

        def decide(p: Payout) -> payouts_seen.Facts:
            return payouts_seen.cancel_refused(p, number, code)

        return await self._write(payout, decide, idem, status_of_cancel)

    async def _see(
        self,
        payout: Payout,
        shown: StripePayout,
        request_id: str | None,
        idem: IdempotencyKey | None,
        status_of: Callable[[Payout], int],
    ) -> Payout:
        seen = shown_in(payout, shown, Source.ANSWER, request_id)

        def decide(p: Payout) -> payouts_seen.Facts:
            return payouts_seen.payout_seen(p, seen, self._clock.now())

        return await self._write(payout, decide, idem, status_of)

    async def _write(
        self,
        payout: Payout,
        decide: Callable[[Payout], payouts_seen.Facts],
        idem: IdempotencyKey | None,
        status_of: Callable[[Payout], int],
    ) -> Payout:
        def on_current(current: Payout | None) -> payouts_seen.Facts:
            if current is None:
                raise NotFound(f"There is no payout {payout.id}.")
            return decide(current)

        def answers(after: Payout) -> Answers | None:
            # While the outcome is open, so is the record: a repeat answers from the state (M31).
            status = status_of(after)
            return idem.answers(status) if idem and status != 202 else None

        written: Written[Payout] = await self._write_path.write(
            stream_of("payout", payout.id), on_current, actor=STRIPE, answers=answers
        )
        return written.state

    async def _must_be_own_account(self, payout: Payout) -> None:
        """Asked after the list: another platform's empty list proves nothing (M8, M18)."""
        request, identity = payout.request, await self._gateway.identity()
        if request and (request.account, request.livemode) != (identity.account, identity.livemode):
            raise CredentialsRejected(
                "The service's key is of another Stripe account or mode than the payout's (M18)."
            )

    def _past_deadline(self, started_at: datetime | None) -> bool:
        """Checked right before sending: a suspended machine wakes late (M8)."""
        return started_at is not None and self._clock.now() - started_at >= outcomes.KEY_DEADLINE


def _another(outcome: Answered) -> BrokenInvariant:
    return BrokenInvariant(f"Stripe answered with a {type(outcome.object).__name__}.")
