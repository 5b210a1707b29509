"""From a stream's facts to its state, whatever kind of stream it is."""

from __future__ import annotations

from datetime import datetime
from typing import TypeGuard, TypeVar, get_args

from roadcall_payments.commit import State
from roadcall_payments.domain import events as e
from roadcall_payments.domain import movements, payment, payment_fold, payout, stray, vendor
from roadcall_payments.domain.errors import BrokenInvariant

S = TypeVar("S", bound=State)
K = TypeVar("K", bound=State)

# Most facts are a payment's: told at once, not by asking for one class after the other.
_OF_PAYMENTS = frozenset(get_args(e.PaymentFact)) - {e.BalanceTransactionBooked}


def apply_fact(state: S | None, fact: e.Fact, at: datetime) -> S:
    """Fold one fact into the state of its kind of stream."""
    after: State
    match fact:
        case _ if _is_a_payments(fact):
            after = payment_fold.apply(_of(payment.Payment, state), fact, at)
        case _ if isinstance(fact, e.VendorFact | e.DebtFact):
            after = vendor.apply(_of(vendor.Vendor, state), fact, at)
        case _ if isinstance(fact, e.PayoutFact):
            after = payout.apply(_of(payout.Payout, state), fact, at)
        case (
            e.MovementsPaused()
            | e.MovementsResumed()
            | e.MovementsHeld()
            | e.DriftRepaired()
            | e.HoldReleased()
            | e.InboxEventDismissed()
            | e.EventsCompared()
        ):
            after = movements.apply(_of(movements.Movements, state), fact, at)
        case e.LostMovementFound():
            after = stray.apply(_of(stray.Stray, state), fact, at)
        case e.BalanceTransactionBooked() if isinstance(state, stray.Stray):
            after = stray.apply(state, fact, at)
        case _:
            after = payment_fold.apply(_of(payment.Payment, state), fact, at)
    return after  # type: ignore[return-value] # each apply keeps its kind


def _is_a_payments(fact: e.Fact) -> TypeGuard[e.PaymentFact]:
    return type(fact) in _OF_PAYMENTS


def _of(kind: type[K], state: State | None) -> K | None:
    if state is not None and not isinstance(state, kind):
        raise BrokenInvariant(f"A fact of a {kind.__name__} stands in another kind of stream.")
    return state
