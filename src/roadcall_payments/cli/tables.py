"""Plain, aligned output for eyes; ``--json`` for scripts, spelt as the HTTP API spells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import click
import msgspec

from roadcall_payments.domain.money import Money

JsonValue = str | int | bool | datetime | Sequence["JsonValue"] | Mapping[str, "JsonValue"] | None


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell; the last one runs free."""
    last = len(headers) - 1
    widths = [max(len(row[column]) for row in [headers, *rows]) for column in range(last)]
    for row in [headers, *rows]:
        cells = [cell.ljust(width) for cell, width in zip(row[:last], widths, strict=True)]
        click.echo("  ".join([*cells, row[last]]).rstrip())


def print_json(value: JsonValue) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def moment(at: datetime, timespec: str = "seconds") -> str:
    """``2026-11-22 20:18:12Z``: UTC wherever the reader sits, as in the journal."""
    return at.astimezone(UTC).isoformat(" ", timespec).replace("+00:00", "Z")


def amount(money: Money) -> str:
    """``1,250.00 USD``: the currency's own decimals, and its code, for $ is many."""
    return f"{Decimal(money.amount_cents).scaleb(-money.exponent):,} {money.currency.upper()}"


def age(since: datetime, now: datetime) -> str:
    """``3 s``, ``12 min``, ``5 h``, ``2 d``; ``-`` for what is not due yet."""
    seconds = int((now - since).total_seconds())
    if seconds < 0:
        return "-"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
