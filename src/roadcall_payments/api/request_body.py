"""Reading request bodies: bounded in size and time, JSON without surprises (M28, M37)."""

from __future__ import annotations

import asyncio
import json
from email.message import Message as MimeHeaders
from functools import lru_cache
from typing import Final, NoReturn

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from roadcall_payments.api.reading_time import ReadingTime
from roadcall_payments.api.request_headers import first_header
from roadcall_payments.domain.errors import InvalidInput

READ_TIMEOUT_S: Final = 30
DEPTH_MAX: Final = 32
# A refusal is lost with the connection when the client still writes: so much is read and dropped.
DROPPED_BYTES_MAX: Final = 4_194_304

_reading_time = ReadingTime(READ_TIMEOUT_S)

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None


async def read_bounded(
    receive: Receive, declared: str, limit: int, watch: ReadingTime = _reading_time
) -> bytes:
    """The raw body. Raises HTTPException: 413 past ``limit`` bytes, 408 past 30 seconds (or what
    ``watch`` allows); and ClientDisconnect.

    ``declared``: the Content-Length. Keeps nothing past the limit, whatever it says.
    """
    if not (declared.isascii() and declared.isdigit()):
        declared = "0"
    if int(declared[:20]) > limit + DROPPED_BYTES_MAX:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size, more = 0, True
    reading = watch.begin()
    try:
        while more and size <= limit + DROPPED_BYTES_MAX:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk = message.get("body", b"")
            size += len(chunk)
            if size <= limit:
                chunks.append(chunk)
            more = message.get("more_body", False)
    except asyncio.CancelledError as cancelled:
        if not watch.ran_out(reading):
            raise
        raise HTTPException(408, "The body did not arrive in time. Send it again.") from cancelled
    finally:
        watch.end(reading)
    if size > limit:
        raise _too_large(limit)
    return b"".join(chunks)


def parse_json(body: bytes) -> Json:
    """The value of a JSON body. Raises InvalidInput naming the field, as far as there is one.

    Refused: what is no JSON (NaN too), a key given twice, nesting past 32, NUL and lone
    surrogates, also when they are written as escapes.
    """
    try:
        value: Json = _JSON.decode(body.decode("utf-8"))
    except UnicodeDecodeError as broken:
        raise InvalidInput("body", "The body must be UTF-8.", code="invalid_json") from broken
    except (ValueError, RecursionError) as broken:
        raise InvalidInput("body", "The body must be valid JSON.", code="invalid_json") from broken
    _refuse_bad_text(value, "body", DEPTH_MAX)
    return value


def is_bad_text(text: str) -> bool:
    """NUL, which PostgreSQL cannot hold, or a lone surrogate, which UTF-8 cannot (M37)."""
    return "\0" in text or not _encodes(text)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_bad_text(value: Json, field: str, depth: int) -> None:
    match value:
        case str() if is_bad_text(value):
            raise InvalidInput(field, "Text must hold neither NUL nor lone surrogates.")
        case list() | dict() if depth == 0:
            raise InvalidInput(field, f"The body is nested deeper than {DEPTH_MAX}.")
        case list():
            for number, item in enumerate(value):
                _refuse_bad_text(item, f"{_inside(field)}[{number}]", depth - 1)
        case dict():
            for key, item in value.items():
                if is_bad_text(key):
                    raise InvalidInput(
                        field, "A field's name must hold neither NUL nor lone surrogates."
                    )
                inner = key if field == "body" else f"{field}.{key}"
                _refuse_bad_text(item, inner[:200], depth - 1)


def _inside(field: str) -> str:
    return "" if field == "body" else field


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_JSON: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"The body is larger than {limit} bytes. Send less.")


class StrictRequest(Request):
    """A request whose body was read within bounds and parsed strictly, before any route."""

    parsed: Json = None
    _body = b""

    @property
    def has_body(self) -> bool:
        return bool(self._body)

    async def load(self, limit: int) -> None:
        """Read and parse. Raises InvalidInput, or HTTPException (408, 413, 415)."""
        declared = first_header(self.scope, b"content-length") or "0"
        self._body = await read_bounded(self.receive, declared, limit)
        if not self._body:
            return
        if not _is_json(first_header(self.scope, b"content-type") or ""):
            raise HTTPException(415, "Send JSON, with Content-Type: application/json.")
        self.parsed = parse_json(self._body)

    async def body(self) -> bytes:
        return self._body

    async def json(self) -> Json:
        return self.parsed


# Callers send the same one over and over.
@lru_cache(maxsize=64)
def _is_json(content_type: str) -> bool:
    mime = MimeHeaders()
    mime["content-type"] = content_type
    subtype = mime.get_content_subtype()
    is_json = subtype == "json" or subtype.endswith("+json")
    return mime.get_content_maintype() == "application" and is_json
