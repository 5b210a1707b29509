"""What ends a debt without a payment: its cause was undone, or an admin gave it up. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from roadcall_payments.domain import debt_events as d
from roadcall_payments.domain.debt import Debts, Facts
from roadcall_payments.domain.errors import BrokenInvariant, InvalidInput, NotFound, StatusForbids
from roadcall_payments.domain.fact_parts import TextRef
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.people import Actor


@dataclass(frozen=True, slots=True)
class Undoing:
    """What becomes of a debt whose cause was undone. ``facts`` take off what was not paid yet;
    ``paid`` is what transfers have set off of it, or somebody took back at Stripe: to be
    transferred to the vendor again."""

    facts: Facts
    paid: Money


def undo(debts: Debts, vendor_id: str, debt_id: str) -> Undoing | None:
    """The cause of a debt was undone. None while an open transfer holds some of it: then its end
    comes first."""
    debt = debts.debt(debt_id)
    if debt is None:
        raise BrokenInvariant(f"There is no debt {debt_id} to undo.")
    if debt.reserved_cents:
        return None
    currency = debt.amount.currency
    rest = Money(debt.outstanding_cents, currency)
    facts: list[d.DebtFact] = []
    if rest.amount_cents:
        facts.append(d.VendorDebtReduced(debt_id, rest))
    if debt.forgiven_cents:
        given_up = Money(debt.forgiven_cents, currency)
        facts.append(d.DebtForgivenessReversed(vendor_id, debt_id, given_up, debt.account))
    return Undoing(tuple(facts), Money(debt.set_off_cents + debt.reduced_cents, currency))


def forgive(
    debts: Debts, vendor_id: str, debt_id: str, amount_cents: int | None, reason: TextRef, by: Actor
) -> Facts:
    """Give up some or all of what no open transfer has reserved.

    Raises NotFound, StatusForbids where nothing is left to forgive, InvalidInput.
    """
    debt = debts.debt(debt_id)
    if debt is None:
        raise NotFound(f"The vendor {vendor_id} has no debt {debt_id}.")
    if debt.free_cents <= 0:
        raise StatusForbids(
            "Nothing of this debt can be forgiven: it is paid, or a transfer is under way that "
            "will set it off."
        )
    forgiven = debt.free_cents if amount_cents is None else amount_cents
    if not 1 <= forgiven <= debt.free_cents:
        raise InvalidInput(
            "amountCents", f"Between 1 and {debt.free_cents} can be forgiven of this debt."
        )
    amount = Money(forgiven, debt.amount.currency)
    return (d.VendorDebtForgiven(vendor_id, debt_id, amount, debt.account, str(by), reason),)
