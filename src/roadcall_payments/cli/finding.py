"""What the doctor found of one thing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Finding(StrEnum):
    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Check:
    """``remedy``: what to do, where something is not as it should be."""

    name: str
    finding: Finding
    detail: str
    remedy: str = ""
