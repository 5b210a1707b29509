"""Bearer tokens (JWT, RFC 7519) to callers. Any OIDC issuer's; Cognito's claims are understood."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import jwt
import msgspec

from roadcall_payments.api.identity_errors import Unauthenticated
from roadcall_payments.api.jwks import KeySource
from roadcall_payments.api.schemas import ID_PATTERN
from roadcall_payments.domain.errors import NotAllowed
from roadcall_payments.domain.people import Actor, Role

LEEWAY_S: Final = 30
TOKEN_LENGTH_MAX: Final = 8_192
SUBJECT_LENGTH_MAX: Final = 255
# At most 8 KB each. Services send the same token for hours, people one for some calls.
PROVEN_MAX: Final = 256

_GRANTED = {role.value: role for role in Role if role is not Role.SYSTEM}
_OWNER_ID = re.compile(ID_PATTERN, re.ASCII)

Claims = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Whom tokens must come from (``iss``) and be meant for (``aud``)."""

    issuer: str
    audience: str


class _Proven(msgspec.Struct, frozen=True):
    """Whom a token has proven by its key. ``expires_at``: seconds since 1970."""

    caller: Actor
    expires_at: int


class TokenVerifier:
    """Checks signature, issuer, audience and times (30 s leeway), then reads the claims.

    A token that holds is remembered together with its key: it is not verified again while its
    issuer publishes that key (decision 0239). ``now`` gives seconds since 1970.
    """

    def __init__(
        self, keys: KeySource, rules: TokenRules, now: Callable[[], float] = time.time
    ) -> None:
        self._keys = keys
        self._rules = rules
        self._now = now
        self._proven = lru_cache(PROVEN_MAX)(self._verified)

    async def caller(self, authorization: str | None) -> Actor:
        """The caller that an ``Authorization`` header proves.

        Raises Unauthenticated, NotAllowed when the claims give no usable role, and
        IssuerUnavailable.
        """
        token = _bearer(authorization)
        try:
            kid = _key_id(token.partition(".")[0])
        except jwt.PyJWTError as broken:
            raise _refused("The token is not a JWT.") from broken
        key = await self._keys.key(kid)
        if key is None:
            raise _refused("The token is signed with a key that its issuer does not publish.")
        proven = self._proven(token, key)
        if proven.expires_at + LEEWAY_S <= self._now():
            raise _expired()
        return proven.caller

    def _verified(self, token: str, key: jwt.PyJWK) -> _Proven:
        try:
            claims = jwt.decode(
                token,
                key,
                # The key's own, whatever the token says: one of jwks.ALGORITHMS.
                algorithms=[key.algorithm_name],
                issuer=self._rules.issuer,
                leeway=LEEWAY_S,
                options={
                    "require": ["exp", "iss", "sub"],
                    "verify_aud": False,  # Cognito's access tokens have none: below
                    "enforce_minimum_key_length": True,
                },
            )
        except jwt.ExpiredSignatureError as expired:
            raise _expired() from expired
        except (jwt.PyJWTError, TypeError, ValueError, OverflowError) as wrong:
            raise _refused("The token's signature, issuer or times do not hold.") from wrong
        self._require_audience(claims)
        return _Proven(caller_of(claims), int(claims["exp"]))

    def _require_audience(self, claims: Claims) -> None:
        audience = claims.get("aud")
        if audience is None and claims.get("token_use") == "access":
            audience = claims.get("client_id")
        meant_for = audience if isinstance(audience, list) else [audience]
        if self._rules.audience not in meant_for:
            raise _refused("The token is meant for another audience.")


@lru_cache(maxsize=64)
def _key_id(header: str) -> str | None:
    """The ``kid`` that a token's first part names. An issuer's tokens share their headers, and the
    library reads the whole token for it, as it does again when it verifies."""
    kid = jwt.get_unverified_header(f"{header}..").get("kid")
    return kid if isinstance(kid, str) else None


def caller_of(claims: Claims) -> Actor:
    """The caller that verified claims describe. Raises Unauthenticated or NotAllowed."""
    subject = claims.get("sub")
    if (
        not isinstance(subject, str)
        or not 0 < len(subject) <= SUBJECT_LENGTH_MAX
        or not subject.isprintable()
    ):
        raise _refused("The token's sub is not a usable name.")
    role = _role(claims)
    match role:
        case Role.SERVICE | Role.DISPATCHER:
            return Actor(subject, role, company_id=_owner(claims, role, "company_id"))
        case Role.VENDOR:
            return Actor(subject, role, vendor_id=_owner(claims, role, "vendor_id"))
        case Role.DRIVER:
            return Actor(subject, role, driver_id=_owner(claims, role, "driver_id"))
        case _:
            return Actor(subject, role)


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("Send a token: Authorization: Bearer <JWT>.")
    if len(token) > TOKEN_LENGTH_MAX:
        raise _refused(f"The token is longer than {TOKEN_LENGTH_MAX} characters.")
    return token


def _role(claims: Claims) -> Role:
    """The one role of ``role`` and ``cognito:groups`` together; other groups are not ours."""
    groups = claims.get("cognito:groups")
    named = [claims.get("role"), claims.get("custom:role")]
    named += groups if isinstance(groups, list) else [groups]
    roles = {_GRANTED[name] for name in named if isinstance(name, str) and name in _GRANTED}
    if len(roles) != 1:
        raise NotAllowed(
            f"The token must name exactly one role of {', '.join(_GRANTED)}; it names {len(roles)}."
        )
    return roles.pop()


def _owner(claims: Claims, role: Role, name: str) -> str:
    value = claims.get(name, claims.get(f"custom:{name}"))
    if not isinstance(value, str) or not _OWNER_ID.fullmatch(value):
        raise NotAllowed(f"A token of role {role} needs the claim {name}.")
    return value


def _expired() -> Unauthenticated:
    return _refused("The token has expired. Fetch a new one.")


def _refused(why: str) -> Unauthenticated:
    return Unauthenticated(why, code="invalid_token")
