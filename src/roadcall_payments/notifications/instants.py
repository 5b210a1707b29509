"""Times as a reader expects to see them."""

from __future__ import annotations

from datetime import UTC, datetime

from babel import Locale
from babel.dates import format_datetime


def format_instant(at: datetime, locale: Locale) -> str:
    """With its zone, which is UTC: a deadline must not be read as another zone's."""
    return format_datetime(at, format="long", tzinfo=UTC, locale=locale)
