"""What the auditor finds wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """``rule`` is a money rule's number (RULES.md); ``subject`` a payment's id, or the stream,
    object or account that is wrong; ``sentence`` says what is wrong with it."""

    rule: str
    subject: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.rule} {self.subject}: {self.sentence}"
