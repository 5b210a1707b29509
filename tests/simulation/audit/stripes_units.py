"""Our minor units in Stripe's, worked out by the auditor itself."""

from __future__ import annotations

from tests.simulation.audit.journal_facts import Amount

# Stripe's minor units where they are not ISO 4217's: a hundred of theirs for one of ours, or
# one for a hundred.
_HUNDRED_FOR_ONE = frozenset({"isk", "ugx"})
_ONE_FOR_HUNDRED = frozenset({"mga"})


def stripes_units(amount: Amount) -> int:
    if amount.currency in _HUNDRED_FOR_ONE:
        return amount.amount_cents * 100
    if amount.currency in _ONE_FOR_HUNDRED:
        return amount.amount_cents // 100
    return amount.amount_cents
