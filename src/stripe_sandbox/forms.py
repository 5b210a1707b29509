"""Form and query strings with Stripe's nested keys: `a[b]=1`, `a[]=1`, `a[0][b]=1`."""

from collections.abc import Iterable
from typing import TypeAlias
from urllib.parse import unquote

from stripe_sandbox.errors import RequestRefused, refused

FormValue: TypeAlias = "str | dict[str, FormValue]"
Form: TypeAlias = dict[str, "FormValue"]

FIELDS_MAX = 1_000
DEPTH_MAX = 6


def decode_form(text: bytes) -> Form:
    """The nested form in `text`.

    Arrays come out as objects with their indexes as names (`a[]` counts up), so that one shape
    serves objects and arrays; the parameter table knows which it is. Raises RequestRefused for
    bytes that are no UTF-8, NUL characters, and keys that contradict each other.
    """
    if not text:
        return {}
    try:
        fields = text.decode("utf-8").split("&")
        if len(fields) > FIELDS_MAX:
            raise refused(f"Invalid request body: more than {FIELDS_MAX} fields")
        return nest(_pair(field) for field in fields if field)
    except UnicodeDecodeError as error:
        raise refused(f"Invalid request body: it is no UTF-8 ({error.reason})") from None


def _pair(field: str) -> tuple[str, str]:
    name, _, value = field.partition("=")
    return _unquoted(name), _unquoted(value)


def _unquoted(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    return unquote(text, errors="strict") if "%" in text else text


def nest(pairs: Iterable[tuple[str, str]]) -> Form:
    form: Form = {}
    for key, value in pairs:
        if "\x00" in key or "\x00" in value:
            raise refused("Invalid string: NUL characters are not allowed.", param=key[:100])
        if "[" in key:
            _put(form, split_key(key), value, key)
        elif isinstance(form.get(key), dict):
            raise _contradiction(key)
        else:
            form[key] = value
    return form


def split_key(key: str) -> list[str]:
    """`a[b][]` -> `["a", "b", ""]`; a malformed key is one name, unknown to every table."""
    head, _, rest = key.partition("[")
    if not head or not rest.endswith("]"):
        return [key]
    parts = rest[:-1].split("][")
    if len(parts) >= DEPTH_MAX or any("[" in part or "]" in part for part in parts):
        return [key]
    return [head, *parts]


def _put(form: Form, path: list[str], value: str, key: str) -> None:
    place = form
    for position, name in enumerate(path):
        if name == "" and position > 0:
            name = str(_next_index(place, path, position))
        if position == len(path) - 1:
            if isinstance(place.get(name), dict):
                raise _contradiction(key)
            place[name] = value
            return
        inner = place.setdefault(name, {})
        if not isinstance(inner, dict):
            raise _contradiction(key)
        place = inner


def _next_index(place: Form, path: list[str], position: int) -> int:
    """`a[][b]` goes to the last element until it holds that name already, as Rack does."""
    count = len(place)
    if position == len(path) - 1 or count == 0:
        return count
    last = place.get(str(count - 1))
    if isinstance(last, dict) and path[position + 1] not in last:
        return count - 1
    return count


def _contradiction(key: str) -> RequestRefused:
    return refused("Invalid request: a key is both a value and an object.", param=key[:100])
