"""The keys that tokens are checked with: an issuer's JWKS (RFC 7517), fetched and kept, or ours."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol
from urllib.parse import urlsplit

import aiohttp
import jwt
import msgspec

from roadcall_payments.api.identity_errors import IssuerUnavailable
from roadcall_payments.api.loopback import is_loopback

FRESH_S: Final = 3_600
# Not older than this even while the issuer is down: a revoked key must end some day.
STALE_S_MAX: Final = 86_400
# Tokens with made-up key ids must not make us hammer the issuer.
REFETCH_FLOOR_S: Final = 30
FETCH_TIMEOUT_S: Final = 5
BODY_BYTES_MAX: Final = 262_144
KEYS_MAX: Final = 100

# Signatures with a public key only: a shared secret (HS*) or "none" would let callers sign.
ALGORITHMS: Final = frozenset({"RS256", "ES256", "EdDSA"})


# What msgspec raises for what it cannot read.
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class KeySource(Protocol):
    async def key(self, kid: str | None) -> jwt.PyJWK | None:
        """The key of this id; the only one where the token names none. None: no such key.

        Raises IssuerUnavailable when no usable keys are to be had.
        """
        ...


class PublishedKeys(msgspec.Struct):
    """A JWKS document; each key is looked at by itself, so that an odd one harms no other."""

    keys: list[dict[str, object]]


def usable_keys(document: bytes) -> dict[str, jwt.PyJWK]:
    """The signing keys of a JWKS by id; others are passed over.

    Raises msgspec.DecodeError, UnicodeDecodeError or RecursionError for what is no such document.
    """
    found: dict[str, jwt.PyJWK] = {}
    for number, published in enumerate(msgspec.json.decode(document, type=PublishedKeys).keys):
        if number >= KEYS_MAX or published.get("use", "sig") != "sig":
            continue
        try:
            key = jwt.PyJWK(published)
        except (jwt.PyJWTError, TypeError, ValueError):
            continue
        if key.algorithm_name in ALGORITHMS:
            found[key.key_id or ""] = key
    return found


def pick(keys: Mapping[str, jwt.PyJWK], kid: str | None) -> jwt.PyJWK | None:
    if kid is not None:
        return keys.get(kid)
    return next(iter(keys.values())) if len(keys) == 1 else None


class OwnKeys:
    """Keys that are at hand: the embedded issuer's."""

    def __init__(self, keys: Mapping[str, jwt.PyJWK]) -> None:
        self._keys = keys

    async def key(self, kid: str | None) -> jwt.PyJWK | None:
        return pick(self._keys, kid)


class RemoteKeys:
    """An issuer's keys, fetched when first needed, hourly, and when a key id is unknown.

    ``url`` must be https, but for loopback addresses. Times are seconds of ``monotonic``.
    """

    def __init__(self, url: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise ValueError(f"The keys at {url} must be fetched over https.")
        self._url = url
        self._monotonic = monotonic
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetching = asyncio.Lock()

    async def key(self, kid: str | None) -> jwt.PyJWK | None:
        found = pick(self._keys, kid)
        if found is not None and self._age() <= FRESH_S:
            return found
        await self._refresh(kid)
        if self._age() > STALE_S_MAX:
            raise IssuerUnavailable(
                "The token issuer's keys cannot be fetched. Try again shortly.",
                retry_after_s=REFETCH_FLOOR_S,
            )
        return pick(self._keys, kid)

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._monotonic() - self._fetched_at

    async def _refresh(self, kid: str | None) -> None:
        async with self._fetching:
            if self._age() <= FRESH_S and pick(self._keys, kid) is not None:
                return  # another request fetched it meanwhile
            now = self._monotonic()
            if self._tried_at is not None and now - self._tried_at < REFETCH_FLOOR_S:
                return
            self._tried_at = now
            try:
                self._keys = usable_keys(await self._fetch())
                self._fetched_at = self._monotonic()
            except (aiohttp.ClientError, TimeoutError, OSError, *_UNREADABLE):
                # The keys we have serve on until they are STALE_S_MAX old.
                return

    async def _fetch(self) -> bytes:
        timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(self._url, allow_redirects=False, raise_for_status=True) as answer,
        ):
            body = await answer.content.read(BODY_BYTES_MAX + 1)
            while len(body) <= BODY_BYTES_MAX and (more := await answer.content.readany()):
                body += more
            if len(body) > BODY_BYTES_MAX:
                raise aiohttp.ClientPayloadError("The key set is too large.")
            return body
