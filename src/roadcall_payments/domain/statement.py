"""A vendor's statement of a month: what moved its Stripe balance and its debts, and why. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from roadcall_payments.domain import debt_events as d
from roadcall_payments.domain import events as e
from roadcall_payments.domain import settlement_events as s
from roadcall_payments.domain.debt import Debt, Debts
from roadcall_payments.domain.errors import InvalidInput
from roadcall_payments.domain.money import Money


class LineKind(StrEnum):
    """Why the balance moved. ``other``: no payment or payout of this vendor's explains it."""

    SHARE = "share"
    TRANSFER = "transfer"
    TAKEN_BACK = "taken_back"
    PAID_OUT = "paid_out"
    CAME_BACK = "came_back"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class StatementLine:
    """``net`` is what the balance of ``stripe_account`` moved by, signed. Of what was earned,
    ``earned`` is the part of the job's amount that this is of: ``net`` with our ``fee`` and the
    ``set_off``."""

    kind: LineKind
    at: datetime
    net: Money
    earned: Money
    fee: Money
    set_off: Money
    stripe_account: str | None = None
    payment_id: str | None = None
    incident_id: str | None = None
    cause: d.DebtCause | None = None
    cause_id: str | None = None
    payout_id: str | None = None
    # Why a payout came back: Stripe's code and words.
    code: str | None = None
    message: str | None = None


class DebtStep(StrEnum):
    """What happened to a debt. ``exceeded``: kept beyond what was owed, to be given back."""

    INCURRED = "incurred"
    SET_OFF = "set_off"
    REDUCED = "reduced"
    FORGIVEN = "forgiven"
    EXCEEDED = "exceeded"


@dataclass(frozen=True, slots=True)
class DebtLine:
    """``payment_id`` and ``incident_id`` are the debt's; ``from_...`` the transfer's that paid
    ``amount`` of it."""

    step: DebtStep
    at: datetime
    amount: Money
    debt_id: str | None = None
    cause: d.DebtCause | None = None
    payment_id: str | None = None
    incident_id: str | None = None
    from_payment_id: str | None = None
    from_incident_id: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """One currency. ``opening`` and the lines' nets are ``closing``; ``owed_before`` and the
    debts' lines are ``owed``, of which ``reserved`` is with transfers that are under way."""

    currency: str
    opening: Money
    closing: Money
    lines: tuple[StatementLine, ...]
    owed_before: Money
    owed: Money
    reserved: Money
    debt_lines: tuple[DebtLine, ...]
    debts: tuple[Debt, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """Of ``since`` to ``until``, UTC; ``as_of`` is earlier than ``until`` while that is to come.

    ``stripe_account`` is on file at the end; ``stripe_accounts`` are all that the balances are of,
    it first. ``set_off_cap_bps``: how much of one transfer pays debts, in basis points.
    """

    vendor_id: str
    stripe_account: str | None
    stripe_accounts: tuple[str, ...]
    since: datetime
    until: datetime
    as_of: datetime
    set_off_cap_bps: int
    accounts: tuple[Account, ...]


def month_of(name: str | None, now: datetime) -> tuple[datetime, datetime]:
    """Begin and end of a month, ``2026-11``, in UTC; None: the present one.

    Raises InvalidInput for one that is none, or has not begun.
    """
    if name is None:
        since = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    else:
        try:
            since = datetime.strptime(name, "%Y-%m").replace(tzinfo=UTC)
        except ValueError as none:
            raise InvalidInput("month", "A month looks like 2026-11.") from none
    if since > now:
        raise InvalidInput("month", "This month has not begun.")
    return since, since.replace(year=since.year + since.month // 12, month=since.month % 12 + 1)


def line_of(
    vendor_id: str, fact: e.Fact, stream_id: str, net: Money, at: datetime
) -> StatementLine:
    """The line for a posting ``net`` of ``fact``; ``stream_id`` is its payment's or payout's."""
    nothing = Money(0, net.currency)
    line = StatementLine(LineKind.OTHER, at, net, nothing, nothing, nothing)
    match fact:
        case e.PayoutPaid():
            return replace(line, kind=LineKind.PAID_OUT, payout_id=stream_id)
        case e.PayoutFailed():
            came_back = replace(line, kind=LineKind.CAME_BACK, payout_id=stream_id)
            return replace(came_back, code=fact.code, message=fact.message)
        case s.SettlementCompleted() if fact.vendor_id == vendor_id:
            earned = fact.amount + fact.fee + fact.set_off
            share = replace(line, kind=LineKind.SHARE, payment_id=stream_id, earned=earned)
            return replace(share, fee=fact.fee, set_off=fact.set_off)
        case e.PaymentCompleted() if fact.vendor_id == vendor_id:
            sent = replace(line, kind=LineKind.TRANSFER, payment_id=stream_id, earned=fact.amount)
            return replace(sent, set_off=fact.set_off or nothing)
        case s.SettlementReversed() if fact.vendor_id == vendor_id:
            taken = replace(line, kind=LineKind.TAKEN_BACK, payment_id=stream_id)
            return replace(taken, cause_id=fact.cause_id)
        case e.TransferReversed() if fact.vendor_id == vendor_id:
            return replace(line, kind=LineKind.TAKEN_BACK, payment_id=stream_id)
        case _:
            return line


def debt_lines(debts: Debts, fact: d.DebtFact, at: datetime) -> tuple[DebtLine, ...]:
    """What ``fact`` does to the debts as they were before it; none for what only reserves."""
    match fact:
        case d.VendorDebtIncurred():
            new = DebtLine(DebtStep.INCURRED, at, fact.amount, fact.debt_id, fact.cause)
            return (replace(new, payment_id=fact.payment_id, incident_id=fact.incident_id),)
        case d.DebtSetOff():
            currency = fact.amount.currency
            lines = [
                _of_debt(
                    debts, DebtStep.SET_OFF, one.debt_id, Money(one.amount_cents, currency), at
                )
                for one in fact.shares
            ]
            return tuple(replace(line, from_payment_id=fact.payment_id) for line in lines)
        case d.VendorDebtReduced():
            return (_of_debt(debts, DebtStep.REDUCED, fact.debt_id, fact.amount, at),)
        case d.VendorDebtForgiven():
            return (_of_debt(debts, DebtStep.FORGIVEN, fact.debt_id, fact.amount, at),)
        case d.SetOffExceededDebt():
            line = DebtLine(DebtStep.EXCEEDED, at, fact.amount)
            return (replace(line, from_payment_id=fact.payment_id),)
        case _:
            return ()


def accounts_of(
    lines: Sequence[StatementLine],
    closing: Sequence[Money],
    before: Debts,
    after: Debts,
    moved: Sequence[DebtLine],
) -> tuple[Account, ...]:
    """By currency: ``closing`` balances, and the debts ``before`` and ``after``."""
    currencies = {one.currency for one in closing} | {one.net.currency for one in lines}
    currencies |= {one.amount.currency for one in moved}
    currencies |= {one.amount.currency for one in after.owed if one.outstanding_cents}
    return tuple(
        _account(currency, lines, closing, before, after, moved) for currency in sorted(currencies)
    )


def _account(
    currency: str,
    lines: Sequence[StatementLine],
    closing: Sequence[Money],
    before: Debts,
    after: Debts,
    moved: Sequence[DebtLine],
) -> Account:
    own = tuple(one for one in lines if one.net.currency == currency)
    at_end = sum(one.amount_cents for one in closing if one.currency == currency)
    at_start = at_end - sum(one.net.amount_cents for one in own)
    owed = tuple(
        one for one in after.owed if one.amount.currency == currency and one.outstanding_cents
    )
    return Account(
        currency=currency,
        opening=Money(at_start, currency),
        closing=Money(at_end, currency),
        lines=own,
        owed_before=before.outstanding(currency),
        owed=after.outstanding(currency),
        reserved=Money(sum(one.reserved_cents for one in owed), currency),
        debt_lines=tuple(one for one in moved if one.amount.currency == currency),
        debts=owed,
    )


def _of_debt(debts: Debts, step: DebtStep, debt_id: str, amount: Money, at: datetime) -> DebtLine:
    line = DebtLine(step, at, amount, debt_id)
    debt = debts.debt(debt_id)
    if debt is None:
        return line
    return replace(line, cause=debt.cause, payment_id=debt.payment_id, incident_id=debt.incident_id)
