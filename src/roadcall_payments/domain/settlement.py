"""A driver payment's settlement: the transfers of its vendor's share, and what of them came back.

It lives in its payment's stream (M20). Amounts are minor units of the payment's currency.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import takewhile

from roadcall_payments.domain import settlement_events as s
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import StripeRequest

# Our code for a reversal that never reached Stripe.
REVERSAL_VOIDED = "settlement_reversal_voided"


class Step(StrEnum):
    """Of one transfer or one reversal. ``failed`` may still be proved wrong by Stripe (M16)."""

    OPEN = "open"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StepFailure:
    """``code`` is Stripe's error code, or ours."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ShareTransfer:
    """One transfer of the share, or of a part of it; ``request`` None: nothing had to be sent."""

    number: int
    amount_cents: int
    fee_cents: int
    set_off_cents: int
    destination: str | None
    started_at: datetime
    updated_at: datetime
    request: StripeRequest | None
    status: Step = Step.OPEN
    restores: str | None = None
    transfer: str | None = None
    reversed_cents: int = 0
    # Why we do not know whether Stripe has it; None while we do.
    unknown: str | None = None
    # Empty lists at Stripe since it became unknown: two of them end it (M8).
    absences: tuple[datetime, ...] = ()
    failure: StepFailure | None = None

    @property
    def left_cents(self) -> int:
        """What a reversal can still take back."""
        return self.amount_cents - self.reversed_cents if self.status is Step.COMPLETED else 0


@dataclass(frozen=True, slots=True)
class TakeBack:
    """One reversal of ours; ``debt_cents`` is what it failed to bring and the vendor owes."""

    cause_id: str
    number: int
    transfer: str | None
    amount_cents: int
    started_at: datetime
    updated_at: datetime
    request: StripeRequest | None
    status: Step = Step.OPEN
    reversal: str | None = None
    debt_cents: int = 0
    # The debt's cause came to nothing: what is left of it was paid, and goes out again.
    undone: bool = False
    unknown: str | None = None
    absences: tuple[datetime, ...] = ()
    failure: StepFailure | None = None

    @property
    def is_void(self) -> bool:
        """It never reached Stripe, and is tried again under its next key."""
        return self.failure is not None and self.failure.code == REVERSAL_VOIDED

    @property
    def taken_cents(self) -> int:
        """What its cause has brought, or may yet bring: a refusal the debt alone."""
        return self.debt_cents if self.status is Step.FAILED else self.amount_cents


@dataclass(frozen=True, slots=True)
class Deferral:
    """Why the share cannot go out yet, since when."""

    reason: str
    detail: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Settlement:
    """``fee_cents`` we kept and have not given back; ``taken_by_others_cents`` of the share was
    reversed at Stripe by hand, and does not go out again by itself."""

    transfers: tuple[ShareTransfer, ...] = ()
    take_backs: tuple[TakeBack, ...] = ()
    terms: s.FeeTerms | None = None
    fee_cents: int = 0
    taken_by_others_cents: int = 0
    deferral: Deferral | None = None

    @property
    def open_transfer(self) -> ShareTransfer | None:
        """Its outcome is not known yet; at most one is open (M20)."""
        return next((one for one in self.transfers if one.status is Step.OPEN), None)

    @property
    def open_take_back(self) -> TakeBack | None:
        return next((one for one in self.take_backs if one.status is Step.OPEN), None)

    @property
    def at_rest(self) -> bool:
        return self.open_transfer is None and self.open_take_back is None

    @property
    def refusals(self) -> int:
        """How many of its transfers in a row, up to now, came to nothing."""
        ended = (one for one in reversed(self.transfers) if one.status is not Step.OPEN)
        return sum(1 for _ in takewhile(lambda one: one.status is Step.FAILED, ended))

    def voided(self, cause_id: str) -> int:
        """How many tries in a row to take back for a cause, up to now, never reached Stripe."""
        own = (one for one in reversed(self.take_backs) if one.cause_id == cause_id)
        ended = (one for one in own if one.status is not Step.OPEN)
        return sum(1 for _ in takewhile(lambda one: one.is_void, ended))

    @property
    def settled_cents(self) -> int:
        """What the vendor has of its share: transferred or set off, and neither taken back nor
        owed back."""
        done = [one for one in self.transfers if one.status is Step.COMPLETED]
        had = sum(one.amount_cents + one.set_off_cents - one.reversed_cents for one in done)
        return had - sum(one.debt_cents for one in self.take_backs)

    def transfer(self, transfer_id: str) -> ShareTransfer | None:
        return next((one for one in self.transfers if one.transfer == transfer_id), None)

    def take_back(self, cause_id: str, number: int) -> TakeBack | None:
        wanted = (cause_id, number)
        return next((t for t in self.take_backs if (t.cause_id, t.number) == wanted), None)


_NEW = None
_OPEN, _COMPLETED, _FAILED = Step.OPEN, Step.COMPLETED, Step.FAILED

# From which step a fact leads to which. What is not here cannot happen.
_OF_TRANSFERS: Mapping[type[s.SettlementFact], Mapping[Step | None, Step]] = {
    s.SettlementStarted: {_NEW: _OPEN},
    s.SettlementAdopted: {_NEW: _OPEN},
    s.SettlementWithheld: {_NEW: _COMPLETED},
    s.SettlementUnknown: {_OPEN: _OPEN},
    # From failed: it was given up as absent, and Stripe has it after all (M16).
    s.SettlementCompleted: {_OPEN: _COMPLETED, _FAILED: _COMPLETED},
    s.SettlementFailed: {_OPEN: _FAILED},
    s.SetOffReduced: {_COMPLETED: _COMPLETED},
}
_OF_TAKE_BACKS: Mapping[type[s.SettlementFact], Mapping[Step | None, Step]] = {
    s.SettlementReversalStarted: {_NEW: _OPEN},
    s.SettlementReversalUnknown: {_OPEN: _OPEN},
    # From new: the debt of what was never transferred, which nothing can take back.
    s.SettlementReversalFailed: {_NEW: _FAILED, _OPEN: _FAILED},
    s.SettlementReversed: {_OPEN: _COMPLETED, _FAILED: _COMPLETED},
    s.SettlementDebtUndone: {_COMPLETED: _COMPLETED, _FAILED: _FAILED},
}


def apply(settlement: Settlement, fact: s.SettlementFact, at: datetime) -> Settlement:
    """The settlement after ``fact``. Pure; raises BrokenInvariant outside the tables."""
    match fact:
        case s.SettlementDeferred():
            return replace(settlement, deferral=Deferral(fact.reason, fact.detail, at))
        case (
            s.SettlementReversalStarted()
            | s.SettlementReversalUnknown()
            | s.SettlementReversalFailed()
            | s.SettlementDebtUndone()
        ):
            return _with_take_back(settlement, fact, at)
        case s.SettlementReversed():
            return _reversed(settlement, fact, at)
        case _:
            return _with_transfer(settlement, fact, at)


def _with_transfer(
    settlement: Settlement,
    fact: s.SettlementStarted
    | s.SettlementAdopted
    | s.SettlementWithheld
    | s.SettlementUnknown
    | s.SettlementCompleted
    | s.SettlementFailed
    | s.SetOffReduced,
    at: datetime,
) -> Settlement:
    known = next((one for one in settlement.transfers if one.number == fact.number), None)
    status = _next(_OF_TRANSFERS, fact, known.status if known else None)
    if isinstance(fact, s.SettlementCompleted | s.SettlementWithheld):
        kept = settlement.fee_cents + fact.fee.amount_cents
        settlement = replace(settlement, fee_cents=kept)
    if isinstance(fact, s.SettlementStarted | s.SettlementAdopted | s.SettlementWithheld):
        begun = replace(_begun(fact, at), status=status)
        terms = settlement.terms or fact.terms
        transfers = (*settlement.transfers, begun)
        return replace(settlement, transfers=transfers, terms=terms, deferral=None)
    if known is None:
        raise BrokenInvariant("A share's transfer starts with SettlementStarted.")
    after = replace(_moved_on(known, fact, at), status=status, updated_at=at)
    transfers = tuple(after if one is known else one for one in settlement.transfers)
    return replace(settlement, transfers=transfers)


def _begun(
    fact: s.SettlementStarted | s.SettlementAdopted | s.SettlementWithheld, at: datetime
) -> ShareTransfer:
    begun = ShareTransfer(
        number=fact.number,
        amount_cents=0,
        fee_cents=fact.fee.amount_cents,
        set_off_cents=fact.set_off.amount_cents,
        destination=None,
        started_at=fact.started_at if isinstance(fact, s.SettlementAdopted) else at,
        updated_at=at,
        request=None,
        restores=fact.restores,
    )
    if isinstance(fact, s.SettlementWithheld):
        return begun
    cents = fact.amount.amount_cents
    return replace(begun, amount_cents=cents, destination=fact.destination, request=fact.request)


def _moved_on(
    known: ShareTransfer,
    fact: s.SettlementUnknown | s.SettlementCompleted | s.SettlementFailed | s.SetOffReduced,
    at: datetime,
) -> ShareTransfer:
    match fact:
        case s.SettlementUnknown():
            absences = (*known.absences, at) if fact.absent else known.absences
            return replace(known, unknown=fact.reason, absences=absences)
        case s.SettlementCompleted():
            return replace(known, transfer=fact.transfer_id, unknown=None, failure=None)
        case s.SettlementFailed():
            return replace(known, unknown=None, failure=StepFailure(fact.code, fact.message))
        case s.SetOffReduced():
            left = known.set_off_cents - fact.amount.amount_cents
            return replace(known, set_off_cents=left)


def of_back_office(sent: Money, set_off: Money, destination: str, at: datetime) -> Settlement:
    """Of a back-office payment whose transfer set off too much: the rest goes out as a share does.

    What was ``sent`` is no share: it is reversed, and booked, as the payment's own transfer.
    """
    own = ShareTransfer(
        number=0,
        amount_cents=sent.amount_cents,
        fee_cents=0,
        set_off_cents=set_off.amount_cents,
        destination=destination,
        started_at=at,
        updated_at=at,
        request=None,
        status=_COMPLETED,
    )
    return Settlement(transfers=(own,))


def _with_take_back(
    settlement: Settlement,
    fact: s.SettlementReversalStarted
    | s.SettlementReversalUnknown
    | s.SettlementReversalFailed
    | s.SettlementDebtUndone,
    at: datetime,
) -> Settlement:
    known = settlement.take_back(fact.cause_id, fact.number)
    status = _next(_OF_TAKE_BACKS, fact, known.status if known else None)
    before = known
    if known is None:
        if isinstance(fact, s.SettlementReversalUnknown | s.SettlementDebtUndone):
            raise BrokenInvariant("A reversal starts with SettlementReversalStarted.")
        request = fact.request if isinstance(fact, s.SettlementReversalStarted) else None
        cents = fact.amount.amount_cents
        known = TakeBack(
            fact.cause_id, fact.number, fact.transfer_id, cents, at, at, request=request
        )
    match fact:
        case s.SettlementReversalUnknown():
            absences = (*known.absences, at) if fact.absent else known.absences
            known = replace(known, unknown=fact.reason, absences=absences)
        case s.SettlementReversalFailed():
            failure, debt = StepFailure(fact.code, fact.message), fact.debt.amount_cents
            known = replace(known, unknown=None, failure=failure, debt_cents=debt)
        case s.SettlementDebtUndone():
            left = known.debt_cents - fact.amount.amount_cents
            known = replace(known, debt_cents=left, undone=True)
        case s.SettlementReversalStarted():
            pass
    return _put(settlement, before, replace(known, status=status, updated_at=at))


def _reversed(settlement: Settlement, fact: s.SettlementReversed, at: datetime) -> Settlement:
    cents = fact.amount.amount_cents
    paid = settlement.transfer(fact.transfer_id)
    if paid is None:
        raise BrokenInvariant("What is reversed was transferred.")
    less = replace(paid, reversed_cents=paid.reversed_cents + cents)
    transfers = tuple(less if one is paid else one for one in settlement.transfers)
    settlement = replace(settlement, transfers=transfers)
    if fact.cause_id is None:
        by_hand = settlement.taken_by_others_cents + cents
        return replace(settlement, taken_by_others_cents=by_hand)
    known = settlement.take_back(fact.cause_id, fact.number)
    status = _next(_OF_TAKE_BACKS, fact, known.status if known else None)
    if known is None:
        raise BrokenInvariant("A reversal of ours starts with SettlementReversalStarted.")
    done = replace(
        known,
        status=status,
        updated_at=at,
        reversal=fact.reversal_id,
        unknown=None,
        failure=None,
    )
    return _put(settlement, known, done)


def _put(settlement: Settlement, before: TakeBack | None, after: TakeBack) -> Settlement:
    if before is None:
        return replace(settlement, take_backs=(*settlement.take_backs, after))
    some = tuple(after if one is before else one for one in settlement.take_backs)
    return replace(settlement, take_backs=some)


def _next(
    table: Mapping[type[s.SettlementFact], Mapping[Step | None, Step]],
    fact: s.SettlementFact,
    before: Step | None,
) -> Step:
    after = table[type(fact)].get(before)
    if after is None:
        raise BrokenInvariant(
            f"{type(fact).__name__} cannot follow for one that is {before or 'not there'}."
        )
    return after
