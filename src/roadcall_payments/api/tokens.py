"""Bearer tokens (JWT, RFC 7519) to callers. Any OIDC issuer's; Cognito's claims are understood."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import jwt
import msgspec

from roadcall_payments.api.identity_errors import Unauthenticated
from roadcall_payments.api.jwks import UNREADABLE, KeySource
from roadcall_payments.api.jws import SignedToken
from roadcall_payments.api.schemas import ID_PATTERN
from roadcall_payments.domain.errors import NotAllowed
from roadcall_payments.domain.people import Actor, Role

LEEWAY_S: Final = 30
TOKEN_LENGTH_MAX: Final = 8_192
SUBJECT_LENGTH_MAX: Final = 255

_UNSOUND: Final = "The token's signature, issuer or times do not hold."
_GRANTED = {role.value: role for role in Role if role is not Role.SYSTEM}
_OWNER_ID = re.compile(ID_PATTERN, re.ASCII)

Claims = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Whom tokens must come from (``iss``) and be meant for (``aud``)."""

    issuer: str
    audience: str


class TokenVerifier:
    """Checks signature, issuer, audience and times (30 s leeway), then reads the claims."""

    def __init__(self, keys: KeySource, rules: TokenRules) -> None:
        self._keys = keys
        self._rules = rules

    async def caller(self, authorization: str | None) -> Actor:
        """The caller that an ``Authorization`` header proves.

        Raises Unauthenticated, NotAllowed when the claims give no usable role, and
        IssuerUnavailable.
        """
        return caller_of(await self._claims(_bearer(authorization)))

    async def _claims(self, token: str) -> Claims:
        try:
            signed = SignedToken.take_apart(token)
        except (jwt.PyJWTError, ValueError) as broken:
            raise _refused("The token is not a JWT.") from broken
        key = await self._keys.key(signed.key_id)
        if key is None:
            raise _refused("The token is signed with a key that its issuer does not publish.")
        if not signed.is_genuine(key):
            raise _refused(_UNSOUND)
        try:
            claims = msgspec.json.decode(signed.payload, type=dict[str, object])
        except UNREADABLE as broken:
            raise _refused(_UNSOUND) from broken
        self._require_sound(claims, time.time())
        self._require_audience(claims)
        return claims

    def _require_sound(self, claims: Claims, now_s: float) -> None:
        """Times, issuer and subject (RFC 7519, 4.1). Raises Unauthenticated."""
        begins = max(_time(claims, "iat", 0), _time(claims, "nbf", 0))
        expires = _time(claims, "exp", None)
        if begins > now_s + LEEWAY_S:
            raise _refused(_UNSOUND)
        if expires <= now_s - LEEWAY_S:
            raise _refused("The token has expired. Fetch a new one.")
        if claims.get("iss") != self._rules.issuer or not isinstance(claims.get("sub"), str):
            raise _refused(_UNSOUND)

    def _require_audience(self, claims: Claims) -> None:
        audience = claims.get("aud")
        if audience is None and claims.get("token_use") == "access":
            audience = claims.get("client_id")
        meant_for = audience if isinstance(audience, list) else [audience]
        if self._rules.audience not in meant_for:
            raise _refused("The token is meant for another audience.")


def _time(claims: Claims, name: str, left_out: float | None) -> float:
    """Seconds since 1970. Raises Unauthenticated for what is no number."""
    value = claims.get(name, left_out)
    if not isinstance(value, int | float):
        raise _refused(_UNSOUND)
    return value


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


def _refused(why: str) -> Unauthenticated:
    return Unauthenticated(why, code="invalid_token")
