"""What must never be in a log line, an error or a span, and how it is taken out."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime
from functools import lru_cache

REDACTED = "[redacted]"
TEXT_CHARS_MAX = 16_000
# Beyond this a text is not even searched: nobody reads it, and searching it would hold us up.
_SEARCHED_CHARS_MAX = 200_000
_DEPTH_MAX = 12

_SECRET_KEY = re.compile(
    r"secret|passw|authorization|apikey|token|cookie|credential|privatekey|cvc|cvv|cardnumber"
    r"|smtpurl|databaseurl|stripesignature|^pan$"
)
_NOT_LETTERS = re.compile(r"[^a-z]")

_SECRET_TEXT = re.compile(
    r"(?:sk|rk)_(?:live|test)_\w+"
    r"|(?<![A-Za-z0-9])(?:sk|rk)_\w{6,}"
    r"|whsec_[\w+/=-]+"
    r"|(?:pi|seti|src|cs|ek)_[A-Za-z0-9]{1,255}_secret_\w+"
    r"|eyJ[\w-]{4,}\.[\w-]{2,}\.[\w-]*"
    r"|(?i:bearer)[ \t]+[\w.~+/=-]{6,}"
    r"|(?i:basic)[ \t]+[A-Za-z0-9+/]{16,}=*"
    r"|(?<=://)[^/\s@]{1,255}@"
    r"|(?i:(?:password|client_?secret|api_?key|access_?token)[\"']?\s{0,3}[=:]\s{0,3}[\"']?)"
    r"[^\s\"',;&}]+"
)


def _may_be_secret(lowered: str) -> bool:
    """Whether a text, in lower case, has what one of those shapes contains. Most texts have none of
    it, and looking for plain pieces, written out, costs a twentieth of the search."""
    return (
        "sk_" in lowered
        or "rk_" in lowered
        or "whsec_" in lowered
        or "secret" in lowered
        or "eyj" in lowered
        or "bearer" in lowered
        or "basic" in lowered
        or "://" in lowered
        or "passw" in lowered
        or "api" in lowered
        or "token" in lowered
    )


# Long digit runs that are no card numbers: UUIDs, digests, and dates (no issuer has 19 or 20).
_KEPT_DIGITS = (
    r"(?<![0-9A-Fa-f])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9A-Fa-f])"
    r"|(?<![0-9A-Za-z])(?=[0-9]*[a-f])[0-9a-f]{32,128}(?![0-9A-Za-z])"
    r"|(?<![0-9])(?:19|20)[0-9]{2}-[01][0-9]-[0-3][0-9](?![0-9-])"
)
# Quickly told, and wherever there are thirteen digits; sometimes where there are fewer.
_LONG_DIGITS = re.compile(r"[0-9][0-9 -]{11,}[0-9]")
_DIGITS = re.compile(rf"(?P<kept>{_KEPT_DIGITS})|[0-9](?:[ -]?[0-9]){{12,}}")
_GROUP = re.compile(r"[0-9]+")
_CARD_DIGITS = range(13, 20)
# No number below it has as many digits as a card.
_CARDLESS = 10 ** (_CARD_DIGITS.start - 1)
# Milli-, micro- and nanoseconds since 1970 have these lengths and begin with 1, as no card does.
_EPOCH_DIGITS = (13, 16, 19)


def redact_text(text: str) -> str:
    """The text without API keys, client secrets, tokens, passwords and card-like numbers."""
    if _may_be_secret(text.lower()):
        text = _SECRET_TEXT.sub(REDACTED, text)
    return _DIGITS.sub(_without_cards, text) if _LONG_DIGITS.search(text) else text


def redact_texts(*texts: str | None) -> Sequence[str | None]:
    """The texts of one log line as they may be shown, searched together: mostly none is secret.

    A line break ends whatever a search would find, as the end of a text does.
    """
    together = "\n".join(filter(None, texts))
    if not together:
        return texts
    if len(together) <= TEXT_CHARS_MAX and redact_text(together) == together:
        return texts
    return [text and _shown(text) for text in texts]


def redact(value: object, depth: int = 0) -> object:
    """The value, copied, without anything secret, however deep it stands; plain JSON types."""
    if value is None or value is True or value is False:
        return value
    if depth > _DEPTH_MAX:
        return "[too deep]"
    match value:
        case str():
            return _shown(value)
        case int() | float() if -_CARDLESS < value < _CARDLESS:
            return value
        case int() | float():
            text = str(int(value)) if math.isfinite(value) else ""
            return value if redact_text(text) == text else REDACTED
        case bytes() | bytearray() | memoryview():
            return _shown(bytes(value).decode("utf-8", "replace"))
        case datetime():
            return value.isoformat()
        case Mapping():
            return redact_items(value.items(), depth + 1)
        case Sequence() | Set():
            return [redact(item, depth + 1) for item in value]
        case _:
            return _shown(str(value))


def redact_items(items: Iterable[tuple[object, object]], depth: int) -> dict[str, object]:
    shown: dict[str, object] = {}
    for key, item in items:
        name, secret = _judged(str(key))
        hidden = secret and item is not None and item is not True and item is not False
        shown[name] = REDACTED if hidden else redact(item, depth)
    return shown


@lru_cache(maxsize=1024)
def _judged(key: str) -> tuple[str, bool]:
    """The key as it may be shown, and whether its name says that the value is secret."""
    return redact_text(key), bool(_SECRET_KEY.search(_NOT_LETTERS.sub("", key.lower())))


def _shown(text: str) -> str:
    """Redacted, then cut: the other way round half a secret could be left over."""
    if len(text) > _SEARCHED_CHARS_MAX:
        return f"[{len(text)} characters, not shown]"
    redacted = redact_text(text)
    return redacted if len(redacted) <= TEXT_CHARS_MAX else f"{redacted[:TEXT_CHARS_MAX]}... [cut]"


def _without_cards(run: re.Match[str]) -> str:
    """Mask whatever in a run of digit groups has a card number's length and check digit."""
    text = run[0]
    if run["kept"] is not None:
        return text
    groups = list(_GROUP.finditer(text))
    kept: list[str] = []
    position = first = 0
    while first < len(groups):
        last = _card_end(groups, first)
        if last is not None:
            kept += [text[position : groups[first].start()], REDACTED]
            position = groups[last].end()
            first = last
        first += 1
    return "".join(kept) + text[position:]


def _card_end(groups: Sequence[re.Match[str]], first: int) -> int | None:
    """The last group of the longest card number that begins with group ``first``."""
    digits, found = "", None
    for index in range(first, len(groups)):
        digits += groups[index][0]
        if len(digits) >= _CARD_DIGITS.stop:
            break
        if len(digits) in _CARD_DIGITS and _is_card(digits, grouped=index > first):
            found = index
    return found


def _is_card(digits: str, *, grouped: bool) -> bool:
    if not grouped and len(digits) in _EPOCH_DIGITS and digits[0] == "1":
        return False
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0
