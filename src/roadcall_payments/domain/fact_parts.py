"""What facts of several kinds are made of; ``events.py`` gives them on to everybody."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Source(StrEnum):
    """How we learned what Stripe did."""

    ANSWER = "answer"
    WEBHOOK = "webhook"
    LOOKUP = "lookup"


@dataclass(frozen=True, slots=True)
class TextRef:
    """A text kept beside the journal; ``digest`` is salted, hex SHA-256."""

    id: str
    digest: str
