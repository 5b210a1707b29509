"""Text from outside, as a notice may carry it."""

from __future__ import annotations

import re
import unicodedata

VALUE_CHARS_MAX = 500

_SPACES = re.compile(r"[ \t\r\n]+")
_INVISIBLE = ("C", "Zl", "Zp")  # controls, format characters, line and paragraph separators


def one_line(text: str) -> str:
    """It stays on its line and within bounds: it cannot start a paragraph."""
    visible = "".join(
        " " if unicodedata.category(char).startswith(_INVISIBLE) else char for char in text
    )
    return _SPACES.sub(" ", visible).strip()[:VALUE_CHARS_MAX]
