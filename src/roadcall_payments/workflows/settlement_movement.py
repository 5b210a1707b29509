"""Carry a share's transfer, or its taking back, to its outcome: send what was stored, commit what
Stripe answered (M20, M21).

What is unknown is looked for first, among the transfers of the payment's group or the reversals of
the transfer, and sent again under the same key while that lives (M5-M8).
"""

from __future__ import annotations

import contextlib
from datetime import datetime
from functools import partial

from roadcall_payments.domain import shares_seen, take_backs_seen
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.events import Source
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.settlement import ShareTransfer, TakeBack
from roadcall_payments.domain.stripe_objects import (
    Reversal,
    StripeFailure,
    StripeRequest,
    Transfer,
)
from roadcall_payments.ports import Answered, Outcome, Refused, Unknown
from roadcall_payments.workflows.movement import LOOK_AT_ONCE, UNREACHABLE
from roadcall_payments.workflows.payment_carrier import PaymentCarrier, must_be_own_account

Facts = shares_seen.Facts


class SettlementMovement(PaymentCarrier):
    async def carry(self, payment: Payment, *, first_try: bool) -> Payment:
        """Send the open call's request, or adopt what an earlier try made.

        Raises StripeUnavailable and CredentialsRejected where it has to look first and cannot: the
        call stays open, and so does the journal.
        """
        settlement = payment.settlement
        if settlement is None:
            return payment
        call = settlement.open_transfer or settlement.open_take_back
        if call is None or call.request is None:
            return payment
        looks = not first_try or call.number > 1 or self._past_deadline(call.started_at)
        if looks:
            payment = await self.look(payment)
            if not _is_open(payment, call):
                return payment
        if self._past_deadline(call.started_at):
            # No POST of ours can still arrive under this key: what was not found is absent (M8).
            return await self._written(payment, partial(_absent, call))
        if await self._switch.held():
            return payment
        outcome = await self._send(call.request, first_try=first_try)
        if isinstance(outcome, Unknown) and outcome.reason in LOOK_AT_ONCE:
            # Where looking fails too, the outcome stays unknown, and recovery looks again.
            with contextlib.suppress(*UNREACHABLE):
                payment = await self.look(payment)
        return await self._settle(payment, call, outcome)

    async def look(self, payment: Payment) -> Payment:
        """All that Stripe has of the share: its transfers, and what of them came back (M7, M16)."""
        for found in await self._gateway.transfers(payment.id):
            await must_be_own_account(self._gateway, payment)
            payment = await self.see_transfer(payment, found, Source.LOOKUP)
        open_call = payment.settlement.open_take_back if payment.settlement else None
        if open_call is not None and open_call.transfer is not None:
            payment = await self.see_reversals(payment, open_call.transfer)
        await must_be_own_account(self._gateway, payment)
        return payment

    async def see_transfer(
        self, payment: Payment, found: Transfer, source: Source, request_id: str | None = None
    ) -> Payment:
        """Apply one transfer of the share, with what of it came back already."""

        def decide(current: Payment, _at: datetime) -> Facts:
            return shares_seen.transfer_seen(current, found, source, request_id)

        after = await self._written(payment, decide)
        if take_backs_seen.may_lack(after, found):
            # Reversed before we heard of it: the event may have come and found nothing (M16).
            after = await self.see_reversals(after, found.id)
        return after

    async def see_reversals(self, payment: Payment, transfer_id: str) -> Payment:
        """All that came back of one transfer, each booked by its id (M17)."""
        listed = await self._gateway.reversals(transfer_id)

        def decide(current: Payment, _at: datetime) -> Facts:
            return take_backs_seen.reversals_seen(current, transfer_id, listed, Source.LOOKUP)

        while True:
            after = await self._written(payment, decide)
            if after == payment:
                return after
            payment = after

    async def _send(self, request: StripeRequest, *, first_try: bool) -> Outcome:
        return await self._gateway.send(request, first_try=first_try, budget_s=self._budget_s)

    async def _settle(
        self, payment: Payment, call: ShareTransfer | TakeBack, outcome: Outcome
    ) -> Payment:
        match outcome:
            case Answered(object=Transfer() as made):
                return await self.see_transfer(payment, made, Source.ANSWER, outcome.request_id)
            case Answered(object=Reversal() as made):
                return await self._taken_back(payment, made, outcome.request_id)
            case Answered():
                raise BrokenInvariant(f"Stripe answered with a {type(outcome.object).__name__}.")
            case Refused():
                if isinstance(call, TakeBack) and call.transfer is not None:
                    # Somebody may have reversed it by hand: then there is less to owe.
                    with contextlib.suppress(*UNREACHABLE):
                        payment = await self.see_reversals(payment, call.transfer)
                refused = partial(_refused, call, outcome.failure, outcome.request_id)
                return await self._written(payment, refused)
            case Unknown():
                unknown = partial(_unknown, call, outcome.reason, outcome.request_id)
                return await self._written(payment, unknown)

    async def _taken_back(
        self, payment: Payment, made: Reversal, request_id: str | None
    ) -> Payment:
        def decide(current: Payment, _at: datetime) -> Facts:
            told = (current, made.transfer, [made], Source.ANSWER, request_id)
            return take_backs_seen.reversals_seen(*told)

        return await self._written(payment, decide)


def _is_open(payment: Payment, call: ShareTransfer | TakeBack) -> bool:
    settlement = payment.settlement
    if settlement is None:
        return False
    now = settlement.open_take_back if isinstance(call, TakeBack) else settlement.open_transfer
    return now is not None and now.request == call.request


def _absent(call: ShareTransfer | TakeBack, payment: Payment, at: datetime) -> Facts:
    if isinstance(call, TakeBack):
        return take_backs_seen.reversal_absent(payment, call.cause_id, call.number, at)
    return shares_seen.transfer_absent(payment, call.number, at)


def _refused(
    call: ShareTransfer | TakeBack,
    failure: StripeFailure,
    request_id: str | None,
    payment: Payment,
    _at: datetime,
) -> Facts:
    told = (failure, Source.ANSWER, request_id)
    if isinstance(call, TakeBack):
        return take_backs_seen.reversal_refused(payment, call.cause_id, call.number, *told)
    return shares_seen.transfer_refused(payment, call.number, *told)


def _unknown(
    call: ShareTransfer | TakeBack,
    reason: str,
    request_id: str | None,
    payment: Payment,
    _at: datetime,
) -> Facts:
    if isinstance(call, TakeBack):
        cause = (call.cause_id, call.number)
        return take_backs_seen.reversal_unknown(payment, *cause, reason, request_id)
    return shares_seen.transfer_unknown(payment, call.number, reason, request_id)
