"""Defects in payouts: how often they are made, and what is booked of one that comes back."""

from __future__ import annotations

from dataclasses import replace

from roadcall_payments.domain import payouts_seen
from roadcall_payments.domain.payout import Payout
from roadcall_payments.domain.payout_events import PayoutFailed
from roadcall_payments.domain.payouts_seen import Seen
from roadcall_payments.domain.stripe_objects import Operation, StripeRequest
from roadcall_payments.ports import Gateway, Outcome, Unknown
from roadcall_payments.workflows import refs
from tests.simulation.defects.planted import Planted, Wrong, wrong_function, wrong_gateway
from tests.simulation.faults import Kind
from tests.simulation.history import PAID_DAILY, PAID_OUT

_STRIPE_FAILS = {Kind.ERROR_AFTER: 0.1, Kind.DROP_AFTER: 0.1, Kind.TRUNCATE: 0.05}
# The payout is decided, has not reached Stripe, and the day is looked at again.
_DAY_BEGUN_TWICE = {
    Kind.CRASH: 1 / 200,
    Kind.ERROR_BEFORE: 0.2,
    Kind.DROP_BEFORE: 0.2,
    Kind.COMMIT_REFUSED: 0.1,
}


class _PaysOutAnew(Wrong):
    """A payout whose answer was lost is asked for again at once, under a fresh key (M9)."""

    right: Gateway

    async def send(self, request: StripeRequest, *, first_try: bool, budget_s: float) -> Outcome:
        outcome = await self.right.send(request, first_try=first_try, budget_s=budget_s)
        if isinstance(outcome, Unknown) and request.operation is Operation.CREATE_PAYOUT:
            anew = replace(request, idempotency_key=f"{request.idempotency_key}_2")
            return await self.right.send(anew, first_try=True, budget_s=budget_s)
        return outcome


_right_failed = payouts_seen._failed


def _never_credited(payout: Payout, seen: Seen) -> PayoutFailed:
    return replace(_right_failed(payout, seen), was_paid=False)


_right_keys = refs._payout_keys


def _any_day(payout: Payout) -> list[str]:
    return [key for key in _right_keys(payout) if not key.startswith("payout_day:")]


PAYING_OUT = (
    Planted(
        wrong_gateway("payout retried under a new key", _PaysOutAnew),
        "M4",
        "a payout whose answer was lost is made again under a new key",
        neighbours=("M9",),
        boosts=_STRIPE_FAILS,
        stories=PAID_OUT,
        outsiders=False,
    ),
    Planted(
        wrong_function(
            "a payout that came back not credited", (payouts_seen, "_failed", _never_credited)
        ),
        "M15",
        "a payout that fails after it was paid stays booked to the bank",
        stories=PAID_OUT,
        outsiders=False,
    ),
    Planted(
        wrong_function("two daily payouts of one day", (refs, "_payout_keys", _any_day)),
        "payouts",
        "nothing says that a vendor's payout of the day was begun already",
        boosts=_DAY_BEGUN_TWICE,
        stories=PAID_DAILY,
        outsiders=False,
    ),
)
