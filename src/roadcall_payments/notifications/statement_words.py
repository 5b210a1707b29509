"""A vendor's statement as its template tells it: amounts and days in the reader's form."""

from __future__ import annotations

from copy import copy
from dataclasses import fields
from datetime import datetime
from decimal import Decimal

from babel import Locale
from babel.dates import format_date, format_skeleton

from roadcall_payments.domain.debt import Debt
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.statement import Account, DebtLine, LineKind, Statement, StatementLine
from roadcall_payments.notifications.amounts import format_amount
from roadcall_payments.notifications.one_line import one_line
from roadcall_payments.notifications.payout_reasons import payout_reason

_Row = dict[str, object]


def statement_in_words(statement: Statement, reader: Locale) -> _Row:
    return {
        "month": format_skeleton("yMMMM", statement.since, locale=reader),
        "as_of": format_date(statement.as_of, "long", locale=reader),
        "over": statement.as_of == statement.until,
        "cap": _percent(statement.set_off_cap_bps, reader),
        "of_accounts": list(statement.stripe_accounts),
        "accounts": [_account(one, reader) for one in statement.accounts],
    }


def _account(account: Account, reader: Locale) -> _Row:
    lines = [_row(one, reader) for one in account.lines]
    for told, line in zip(lines, account.lines, strict=True):
        # A payout the other way: Stripe took it from the bank for a balance below zero.
        told["from_bank"] = line.payout_id is not None and (
            (line.net.amount_cents > 0) == (line.kind is LineKind.PAID_OUT)
        )
        reason = payout_reason(line.code, line.message, reader.language)
        # It ends the sentence, which brings its own full stop.
        told["reason"] = reason.rstrip(".") if reason else None
    return {
        "currency": account.currency.upper(),
        # Of balances nothing is said too: an empty one is a balance.
        "opening": format_amount(account.opening, reader),
        "closing": format_amount(account.closing, reader),
        "owed_before": _amount(account.owed_before, reader),
        "owed": _amount(account.owed, reader),
        "reserved": _amount(account.reserved, reader),
        "lines": lines,
        "debt_lines": [_row(one, reader) for one in account.debt_lines],
        "debts": [_debt(one, reader) for one in account.debts],
    }


def _debt(debt: Debt, reader: Locale) -> _Row:
    left = Money(debt.outstanding_cents, debt.amount.currency)
    return {**_row(debt, reader), "left": _amount(left, reader)}


def _row(row: StatementLine | DebtLine | Debt, reader: Locale) -> _Row:
    """A row by name; an amount of nothing is None, so that nothing is said of it."""
    return {one.name: _value(getattr(row, one.name), reader) for one in fields(row)}


def _value(value: object, reader: Locale) -> object:
    match value:
        case Money():
            return _amount(value, reader)
        case datetime():
            return format_date(value, "medium", locale=reader)
        case str():
            return one_line(value)
        case _:
            return value


def _amount(amount: Money, reader: Locale) -> str | None:
    return format_amount(amount, reader) if amount.amount_cents else None


def _percent(basis_points: int, reader: Locale) -> str:
    pattern = copy(reader.percent_formats[None])
    pattern.frac_prec = (0, 2)
    return str(pattern.apply(Decimal(basis_points).scaleb(-4), reader))
