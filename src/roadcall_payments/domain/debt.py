"""What a vendor owes us, and how its later transfers set it off (M22). Pure.

A debt is reserved in the commit that starts the transfer which will be less by it, set off when
the transfer went out, released when it definitely failed, and held while nobody knows. So two
transfers can never set off one debt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce

from roadcall_payments.domain import debt_events as d
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import StripeIdentity

Facts = tuple[d.DebtFact, ...]

BASIS_POINTS = 10_000
# Shares of one transfer are one fact (M28); what it does not reach waits for the next transfer.
SHARES_MAX = 50
# Credits that one commit uses (M28); a restore leaves few, and the next debt finds the others.
CREDITS_MAX = 10
# Debts paid in full that the state still shows; older ones are in the journal (M28). One that was
# forgiven stays: its cause may be undone, and what was never paid must not be paid back.
SETTLED_KEPT_MAX = 50


@dataclass(frozen=True, slots=True)
class Debt:
    """``id`` is the refund's or dispute's that caused it. Amounts are minor units of
    ``amount.currency``. Open transfers will set off ``reserved_cents`` of ``outstanding_cents``:
    more than that, where somebody took the money back at Stripe meanwhile."""

    id: str
    cause: d.DebtCause
    payment_id: str
    incident_id: str
    amount: Money
    account: str
    livemode: bool
    incurred_at: datetime
    reserved_cents: int = 0
    set_off_cents: int = 0
    reduced_cents: int = 0
    forgiven_cents: int = 0

    @property
    def outstanding_cents(self) -> int:
        ended = self.set_off_cents + self.reduced_cents + self.forgiven_cents
        return self.amount.amount_cents - ended

    @property
    def free_cents(self) -> int:
        """What a transfer that starts now may set off."""
        return self.outstanding_cents - self.reserved_cents


@dataclass(frozen=True, slots=True)
class Reservation:
    """What an open transfer will set off; ``key`` is the transfer's idempotency key."""

    key: str
    payment_id: str
    amount: Money
    shares: tuple[d.DebtShare, ...]


@dataclass(frozen=True, slots=True)
class Credit:
    """What the transfer ``key`` collected of debts that a restore lost: the vendor's, until they
    come up again."""

    key: str
    payment_id: str
    amount: Money
    account: str
    livemode: bool


@dataclass(frozen=True, slots=True)
class Debts:
    """Part of the vendor's state. ``owed``: the oldest first, with some that are paid already."""

    owed: tuple[Debt, ...] = ()
    reservations: tuple[Reservation, ...] = ()
    credits: tuple[Credit, ...] = ()

    def debt(self, debt_id: str) -> Debt | None:
        return next((one for one in self.owed if one.id == debt_id), None)

    def reservation(self, key: str) -> Reservation | None:
        return next((one for one in self.reservations if one.key == key), None)

    def outstanding(self, currency: str) -> Money:
        """All that is owed in one currency, reserved or not."""
        mine = (one for one in self.owed if one.amount.currency == currency)
        return Money(sum(one.outstanding_cents for one in mine), currency)

    def credited(self, currency: str, identity: StripeIdentity) -> Money:
        """What transfers had set off of lost debts in these books, and no debt has used yet."""
        mine = (
            one.amount.amount_cents
            for one in self.credits
            if one.amount.currency == currency and (one.account, one.livemode) == _books(identity)
        )
        return Money(sum(mine), currency)


NONE = Debts()


@dataclass(frozen=True, slots=True)
class SetOffTerms:
    """``cap_bps``: how much of one transfer may be set off, in basis points.

    ``step_cents``: what Stripe asks the transfer's currency to be a multiple of (M38).
    """

    cap_bps: int
    step_cents: int = 1


@dataclass(frozen=True, slots=True)
class SetOff:
    """What a transfer is less by, and of which debts."""

    amount: Money
    shares: tuple[d.DebtShare, ...] = ()


def set_off(debts: Debts, transfer: Money, identity: StripeIdentity, terms: SetOffTerms) -> SetOff:
    """How much of ``transfer`` pays debts, the oldest first, up to the cap.

    Only debts of the transfer's own currency and Stripe account. What is taken, and so what is
    left, is whole steps of the currency (M38): at least one, since Stripe moves no zero. Less
    than a step that is still owed waits for another debt, or to be forgiven.
    """
    cap = min(
        transfer.amount_cents * terms.cap_bps // BASIS_POINTS,
        transfer.amount_cents - terms.step_cents,
    )
    payable = [one for one in debts.owed if _may_pay(one, transfer.currency, identity)][:SHARES_MAX]
    # Debts may end on any unit, once some of one was forgiven: the transfer may not.
    most = min(max(cap, 0), sum(one.free_cents for one in payable))
    left = most // terms.step_cents * terms.step_cents
    shares: list[d.DebtShare] = []
    for debt in payable:
        taken = min(debt.free_cents, left)
        if taken > 0:
            shares.append(d.DebtShare(debt.id, taken))
            left -= taken
    return SetOff(Money(sum(one.amount_cents for one in shares), transfer.currency), tuple(shares))


def reserve(debts: Debts, taken: SetOff, key: str, payment_id: str) -> Facts:
    """Belongs into the commit that starts the transfer (M22). None where nothing is set off."""
    if not taken.shares:
        return ()
    if debts.reservation(key) is not None:
        raise BrokenInvariant(f"The transfer {key} has reserved its set-off already.")
    return (d.DebtReserved(key, payment_id, taken.amount, taken.shares),)


def settle(
    debts: Debts,
    key: str,
    payment_id: str,
    taken: Money,
    identity: StripeIdentity,
    *,
    adopted: bool = False,
) -> Facts:
    """The transfer went out, less ``taken``: its debts are paid by as much.

    One whose failure was believed has no reservation any more (M16), and what it reserved somebody
    may have taken back at Stripe: it pays what is owed now, and what exceeds that is the vendor's.
    ``adopted``: its start was lost with a restore, and so may be its debts: what exceeds what is
    owed now is kept for them (M18).
    """
    if not taken.amount_cents:
        return ()
    paid = _still_owed(debts, key)
    left = Money(taken.amount_cents - sum(paid.values()), taken.currency)
    after = _with_shares(_without_reservation(debts, key), _shares(paid), set_off=1)
    for share in _paid_by(after, left, identity).shares:
        paid[share.debt_id] += share.amount_cents
    amount = Money(sum(paid.values()), taken.currency)
    facts: list[d.DebtFact] = []
    if paid:
        facts.append(d.DebtSetOff(key, payment_id, amount, _shares(paid)))
    rest = taken - amount
    if rest.amount_cents and adopted:
        account, livemode = identity.account, identity.livemode
        facts.append(d.SetOffCredited(key, payment_id, rest, account, livemode))
    elif rest.amount_cents:
        facts.append(d.SetOffExceededDebt(key, payment_id, rest))
    return tuple(facts)


def use_credits(debts: Debts) -> tuple[d.DebtSetOff, ...]:
    """The vendor's credits pay what is owed and not reserved, the oldest first (M18). Belongs into
    the commit that makes it so, or the next transfer would collect it again."""
    facts: list[d.DebtSetOff] = []
    for credit in debts.credits[:CREDITS_MAX]:
        identity = StripeIdentity(credit.account, credit.livemode)
        paid = _paid_by(debts, credit.amount, identity)
        if paid.shares:
            facts.append(d.DebtSetOff(credit.key, credit.payment_id, paid.amount, paid.shares))
            debts = _set_off_by(debts, facts[-1])
    return tuple(facts)


def _paid_by(debts: Debts, amount: Money, identity: StripeIdentity) -> SetOff:
    """Which debts ``amount`` pays, to the last unit of it."""
    whole = SetOffTerms(BASIS_POINTS)
    one_more = Money(amount.amount_cents + whole.step_cents, amount.currency)
    return set_off(debts, one_more, identity, whole)


def _still_owed(debts: Debts, key: str) -> Counter[str]:
    """By debt, what the transfer has reserved of it and is owed yet."""
    held = debts.reservation(key)
    paid: Counter[str] = Counter()
    for share in held.shares if held else ():
        owed = debts.debt(share.debt_id)
        cents = min(share.amount_cents, owed.outstanding_cents) if owed else 0
        if cents:
            paid[share.debt_id] = cents
    return paid


def _shares(paid: Counter[str]) -> tuple[d.DebtShare, ...]:
    return tuple(d.DebtShare(debt_id, cents) for debt_id, cents in paid.items())


def release(debts: Debts, key: str) -> Facts:
    """The transfer definitely failed. None where it had reserved nothing."""
    held = debts.reservation(key)
    if held is None:
        return ()
    return (d.DebtReleased(key, held.payment_id, held.amount),)


def _may_pay(debt: Debt, currency: str, identity: StripeIdentity) -> bool:
    same_books = (debt.account, debt.livemode) == _books(identity)
    return same_books and debt.amount.currency == currency and debt.free_cents > 0


def applied(debts: Debts, facts: Facts, at: datetime) -> Debts:
    """The debts after ``facts``; raises like ``apply``."""
    return reduce(lambda before, fact: apply(before, fact, at), facts, debts)


def _books(identity: StripeIdentity) -> tuple[str, bool]:
    return identity.account, identity.livemode


def apply(debts: Debts, fact: d.DebtFact, at: datetime) -> Debts:
    """The debts after ``fact``. Pure; raises BrokenInvariant for what cannot be."""
    match fact:
        case d.VendorDebtIncurred():
            return _incurred(debts, fact, at)
        case d.DebtReserved():
            held = Reservation(fact.transfer_key, fact.payment_id, fact.amount, fact.shares)
            reserved = _with_shares(debts, fact.shares, reserved=1)
            return replace(reserved, reservations=(*debts.reservations, held))
        case d.DebtSetOff():
            return _set_off_by(debts, fact)
        case d.DebtReleased():
            return _without_reservation(debts, fact.transfer_key)
        case d.SetOffExceededDebt():
            # What it took too much goes out by its payment (SetOffReduced).
            return _without_reservation(debts, fact.transfer_key)
        case d.SetOffCredited():
            return _credited(debts, fact)
        case d.VendorDebtReduced():
            return _trimmed(_changed(debts, fact.debt_id, reduced=fact.amount.amount_cents))
        case d.VendorDebtForgiven():
            return _trimmed(_changed(debts, fact.debt_id, forgiven=fact.amount.amount_cents))
        case d.DebtForgivenessReversed():
            cents = fact.amount.amount_cents
            return _changed(debts, fact.debt_id, forgiven=-cents, reduced=cents)


def _incurred(debts: Debts, fact: d.VendorDebtIncurred, at: datetime) -> Debts:
    if fact.amount.amount_cents <= 0:
        raise BrokenInvariant("A debt is more than zero.")
    if debts.debt(fact.debt_id) is not None:
        raise BrokenInvariant(f"The debt {fact.debt_id} is incurred once.")
    new = Debt(
        fact.debt_id,
        fact.cause,
        fact.payment_id,
        fact.incident_id,
        fact.amount,
        fact.account,
        fact.livemode,
        at,
    )
    return replace(debts, owed=(*debts.owed, new))


def _credited(debts: Debts, fact: d.SetOffCredited) -> Debts:
    if fact.amount.amount_cents <= 0 or any(one.key == fact.transfer_key for one in debts.credits):
        raise BrokenInvariant(f"The transfer {fact.transfer_key} is credited once, above zero.")
    new = Credit(fact.transfer_key, fact.payment_id, fact.amount, fact.account, fact.livemode)
    freed = _without_reservation(debts, fact.transfer_key)
    return replace(freed, credits=(*debts.credits, new))


def _set_off_by(debts: Debts, fact: d.DebtSetOff) -> Debts:
    freed = _without_reservation(debts, fact.transfer_key)
    used = replace(freed, credits=_credits_left(debts, fact))
    return _trimmed(_with_shares(used, fact.shares, set_off=1))


def _credits_left(debts: Debts, fact: d.DebtSetOff) -> tuple[Credit, ...]:
    """A transfer that is credited set off all it could when it ended: this is of its credit."""
    left: list[Credit] = []
    for one in debts.credits:
        if one.key == fact.transfer_key:
            one = replace(one, amount=one.amount - fact.amount)
        if one.amount.amount_cents < 0:
            raise BrokenInvariant(f"More than the credit of {one.key} would be used.")
        if one.amount.amount_cents:
            left.append(one)
    return tuple(left)


def _without_reservation(debts: Debts, key: str) -> Debts:
    held = debts.reservation(key)
    if held is None:
        return debts
    left = tuple(one for one in debts.reservations if one is not held)
    return _with_shares(replace(debts, reservations=left), held.shares, reserved=-1)


def _with_shares(
    debts: Debts, shares: Sequence[d.DebtShare], *, reserved: int = 0, set_off: int = 0
) -> Debts:
    for share in shares:
        cents = share.amount_cents
        debts = _changed(debts, share.debt_id, reserved=reserved * cents, set_off=set_off * cents)
    return debts


def _changed(
    debts: Debts,
    debt_id: str,
    *,
    reserved: int = 0,
    set_off: int = 0,
    reduced: int = 0,
    forgiven: int = 0,
) -> Debts:
    before = debts.debt(debt_id)
    if before is None:
        raise BrokenInvariant(f"There is no debt {debt_id}.")
    after = replace(
        before,
        reserved_cents=before.reserved_cents + reserved,
        set_off_cents=before.set_off_cents + set_off,
        reduced_cents=before.reduced_cents + reduced,
        forgiven_cents=before.forgiven_cents + forgiven,
    )
    reserved_twice = reserved > 0 and after.free_cents < 0
    if after.reserved_cents < 0 or after.outstanding_cents < 0 or reserved_twice:
        raise BrokenInvariant(f"More than all of the debt {debt_id} would be paid.")
    return replace(debts, owed=tuple(after if one is before else one for one in debts.owed))


def _trimmed(debts: Debts) -> Debts:
    """Without the oldest of those that are paid in full, past what the state keeps (M28); a
    transfer under way may still have reserved one that was collected at Stripe."""
    ended = (o for o in debts.owed if not o.outstanding_cents and not o.forgiven_cents)
    settled = [one.id for one in ended if not one.reserved_cents]
    if len(settled) <= SETTLED_KEPT_MAX:
        return debts
    dropped = set(settled[: len(settled) - SETTLED_KEPT_MAX])
    return replace(debts, owed=tuple(one for one in debts.owed if one.id not in dropped))
