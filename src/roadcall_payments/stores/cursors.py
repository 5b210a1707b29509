"""Opaque cursors: where a page ended, with a checksum that tells ours from anything else."""

from __future__ import annotations

import binascii
import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

from roadcall_payments.domain.errors import InvalidInput

_CHECK_BYTES = 6


def make_cursor(of: str, *position: str | int) -> str:
    """A cursor into the list ``of``, behind the row at ``position``."""
    body = msgspec.json.encode((of, *position))
    return urlsafe_b64encode(_checksum(body) + body).decode().rstrip("=")


def read_cursor(of: str, cursor: str) -> list[str | int]:
    """The position again. Raises InvalidInput("cursor") for one that this list did not make."""
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        check, body = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
        if check == _checksum(body):
            made_of, *position = msgspec.json.decode(body, type=list[str | int])
            if made_of == of and make_cursor(of, *position) == cursor:
                return position
    except (ValueError, binascii.Error):
        pass
    raise InvalidInput("cursor", "Not a cursor of this list. Start again without one.")


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2s(body, digest_size=_CHECK_BYTES, person=b"cursor").digest()
