"""The words of a notice, from one file a template and language.

A file has the blocks ``subject``, ``body`` (plain text, paragraphs apart by an empty line) and
``short`` (SMS and push). Blocks are text and escape nothing; the HTML part is made from the
finished paragraphs by ``layout.html``, which escapes everything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from functools import cache
from pathlib import Path

from babel import Locale
from babel.dates import format_date
from jinja2 import (
    Environment,
    FileSystemLoader,
    StrictUndefined,
    Template,
    TemplateNotFound,
    select_autoescape,
)

from roadcall_payments.domain.errors import FinalError
from roadcall_payments.domain.money import Money
from roadcall_payments.notifications.amounts import format_amount, locale_of
from roadcall_payments.notifications.instants import format_instant
from roadcall_payments.notifications.one_line import one_line
from roadcall_payments.notifications.payout_reasons import payout_reason
from roadcall_payments.notifications.statement_words import statement_in_words
from roadcall_payments.ports import Channel, NoticeDetails, NoticeFunds, NoticeJob, Rendered

SHORT_CHARS_MAX = 320  # two SMS

_TEMPLATES = Path(__file__).parent / "templates"
_LANGUAGES = sorted(path.name for path in _TEMPLATES.iterdir() if path.is_dir())
_DEFAULT = "en"
_PARAGRAPHS = re.compile(r"\n\s*\n")
_SPACES = re.compile(r"[ \t\r\n]+")


class FileTemplates:
    """``NoticeTemplates`` from the files beside this module, compiled once."""

    def __init__(self) -> None:
        self._environment = _environment()

    def render(
        self, template: str, channel: Channel, locale: str, details: NoticeDetails
    ) -> Rendered:
        reader = locale_of(locale)
        found = self._template(template, reader)
        values = _values(details, reader)
        if channel is not Channel.EMAIL:
            return Rendered(_block(found, "short", values)[:SHORT_CHARS_MAX])
        subject, body = _block(found, "subject", values), _block(found, "body", values)
        html = self._environment.get_template("layout.html").render(
            language=(found.name or _DEFAULT).partition("/")[0],
            subject=subject,
            paragraphs=[_SPACES.sub(" ", part) for part in _PARAGRAPHS.split(body)],
        )
        return Rendered(body + "\n", subject, html)

    def _template(self, template: str, reader: Locale) -> Template:
        language = reader.language if reader.language in _LANGUAGES else _DEFAULT
        try:
            return self._environment.select_template(
                [f"{language}/{template}.txt", f"{_DEFAULT}/{template}.txt"]
            )
        except TemplateNotFound as missing:
            raise FinalError(f"There is no notice template {template}.") from missing


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(enabled_extensions=("html",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _block(template: Template, name: str, values: Mapping[str, object]) -> str:
    rendered = "".join(template.blocks[name](template.new_context(dict(values)))).strip()
    if name == "body":
        return _PARAGRAPHS.sub("\n\n", rendered)
    return _SPACES.sub(" ", rendered)


def _values(details: NoticeDetails, reader: Locale) -> dict[str, object]:
    """The details by name, the amount in the reader's form; absent ones are None."""
    plain = {one.name: _plain(getattr(details, one.name)) for one in fields(details)}
    amount = format_amount(details.amount, reader) if details.amount else None
    taken = _behind(details.amount) if details.amount else None
    due = format_instant(details.due, reader) if details.due else None
    arrives = _day(details.arrives, reader)
    return {
        **plain,
        "amount": amount,
        # Of a payout the other way: what Stripe takes from the bank for a balance below zero.
        "taken": format_amount(taken, reader) if taken else None,
        "due": due,
        "arrives": arrives,
        "available_on": _day(details.available_on, reader),
        "payout_reason": payout_reason(details.code, details.message, reader.language),
        "jobs": [_amounts_in_words(job, reader) for job in details.jobs],
        "other": _in_words(details.other, reader) if details.other else None,
        "fee": _in_words(details.fee, reader) if details.fee else None,
        "set_off": _in_words(details.set_off, reader) if details.set_off else None,
        "funds": [_funds_in_words(funds, reader) for funds in details.funds],
        "statement": statement_in_words(details.statement, reader) if details.statement else None,
    }


def _day(at: datetime | None, reader: Locale) -> str | None:
    return format_date(at, "long", locale=reader) if at else None


def _behind(amount: Money) -> Money | None:
    return Money(-amount.amount_cents, amount.currency) if amount.amount_cents < 0 else None


def _funds_in_words(funds: NoticeFunds, reader: Locale) -> dict[str, object]:
    """``behind``: by how much the balance is less than nothing."""
    behind = _behind(funds.available)
    return {
        **_amounts_in_words(funds, reader),
        "available": None if behind else _in_words(funds.available, reader),
        "behind": format_amount(behind, reader) if behind else None,
        "pending_until": _day(funds.pending_until, reader),
    }


def _amounts_in_words(row: NoticeJob | NoticeFunds, reader: Locale) -> dict[str, object]:
    """A row by name; an amount of nothing is None, so that nothing is said of it."""
    values = {one.name: getattr(row, one.name) for one in fields(row)}
    return {
        name: _in_words(value, reader) if isinstance(value, Money) else _plain(value)
        for name, value in values.items()
    }


def _in_words(amount: Money, reader: Locale) -> str | None:
    return format_amount(amount, reader) if amount.amount_cents else None


def _plain(value: object) -> object:
    """Each text in it on its line and within bounds."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return one_line(value) if isinstance(value, str) else value
