"""What people and the schedule ask of payouts: each command gives facts or says why not. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from roadcall_payments.domain import payout_events as p
from roadcall_payments.domain.errors import BrokenInvariant, InvalidInput, StatusForbids
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payout import Payout, PayoutStatus
from roadcall_payments.domain.people import Actor
from roadcall_payments.domain.stripe_objects import StripeRequest

Facts = tuple[p.PayoutFact, ...]

PURPOSE = "payout"


@dataclass(frozen=True, slots=True)
class PayoutMinimum:
    """The least that is paid out, per currency in its minor units; ``*`` for every other."""

    cents: Mapping[str, int]

    def of(self, currency: str) -> Money:
        return Money(self.cents.get(currency, self.cents["*"]), currency)


def payout_key(payout_id: str) -> str:
    """One key for the payout's whole life: a new try is a new payout (M9)."""
    return f"payout_{payout_id}"


def cancellation_number(payout: Payout) -> int:
    return payout.cancellation.number + 1 if payout.cancellation else 1


def cancellation_key(payout: Payout) -> str:
    """``payout_cancel_{payoutId}``; after a definite refusal ``_2``, ...: a cancel moves nothing
    out, so that asking again is safe."""
    number = cancellation_number(payout)
    return f"payout_cancel_{payout.id}" + (f"_{number}" if number > 1 else "")


def must_reach_minimum(amount: Money, minimum: PayoutMinimum) -> None:
    """Raises InvalidInput."""
    least = minimum.of(amount.currency)
    if amount.amount_cents < least.amount_cents:
        raise InvalidInput(
            "amountCents",
            f"A payout in {amount.currency} is at least {least.amount_cents} (minor units).",
            code="below_minimum",
        )


def must_be_available(amount: Money, available: Iterable[Money]) -> None:
    """Raises StatusForbids for more than the connected account has available."""
    there = available_in(amount.currency, available)
    if amount.amount_cents > there.amount_cents:
        raise StatusForbids(
            f"{there.amount_cents} {amount.currency} (minor units) is available to the vendor's "
            "account at present: ask for less, or wait for what is pending.",
            code="payout_exceeds_balance",
        )


def available_in(currency: str, available: Iterable[Money]) -> Money:
    """Nothing where the account never had any of that currency."""
    return next((one for one in available if one.currency == currency), Money(0, currency))


def request_payout(payout: Payout | None, asked: p.PayoutRequested) -> Facts:
    if payout is not None:
        raise BrokenInvariant(f"Payout {asked.payout_id} was requested before.")
    return (asked,)


def must_be_cancellable(payout: Payout) -> None:
    """Raises StatusForbids unless it is pending at Stripe, and not Stripe's own."""
    if payout.status is PayoutStatus.REQUESTED:
        raise StatusForbids(
            "Whether Stripe has this payout is not known yet: it settles by itself. Ask again.",
            code="payout_outcome_unknown",
        )
    if payout.status is not PayoutStatus.PENDING:
        raise StatusForbids(f"A payout that is {payout.status} cannot be cancelled.")
    if payout.automatic:
        raise StatusForbids(
            "Stripe's schedule made this payout, and Stripe cancels none of those.",
            code="automatic_payout",
        )
    if payout.cancelling:
        raise StatusForbids("This payout is being cancelled already.", code="cancel_under_way")


def request_cancel(payout: Payout, request: StripeRequest, actor: Actor) -> Facts:
    """Raises StatusForbids."""
    must_be_cancellable(payout)
    number = cancellation_number(payout)
    return (p.PayoutCancelRequested(payout.id, number, request, str(actor)),)
