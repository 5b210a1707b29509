"""Signed tokens in their compact form (RFC 7515), taken apart and verified (decision 0234).

Keys, algorithms and headers are PyJWT's to read.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from functools import lru_cache

import jwt


@dataclass(frozen=True, slots=True)
class SignedToken:
    """What a token says, of which nothing is proved before ``is_genuine``."""

    key_id: str | None
    payload: bytes
    _algorithm: str
    _signed: bytes
    _signature: bytes

    @classmethod
    def take_apart(cls, token: str) -> SignedToken:
        """Raises ValueError, or PyJWT's own errors for the header."""
        header, payload, signature = token.split(".")
        key_id, algorithm = _header(header)
        return cls(
            key_id,
            _decoded(payload),
            algorithm,
            f"{header}.{payload}".encode("ascii"),
            _decoded(signature),
        )

    def is_genuine(self, key: jwt.PyJWK) -> bool:
        """Whether ``key`` signed it, by the key's own algorithm: the token's word is not enough."""
        if self._algorithm != key.algorithm_name:
            return False
        return key.Algorithm.verify(self._signed, key.key, self._signature)


@lru_cache(maxsize=64)
def _header(header: str) -> tuple[str | None, str]:
    """Key id and algorithm. An issuer's tokens share their headers."""
    said = jwt.get_unverified_header(f"{header}..")
    if "crit" in said or "b64" in said:
        raise ValueError("No extension is understood.")
    return said.get("kid"), str(said.get("alg"))


def _decoded(part: str) -> bytes:
    """Base64url in its canonical form, padded or not; the library passes odd characters over."""
    decoded = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    canonical = urlsafe_b64encode(decoded).decode()
    if part not in (canonical, canonical.rstrip("=")):
        raise ValueError("It is no base64url.")
    return decoded
