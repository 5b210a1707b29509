"""The embedded token issuer: a key of our own beside the database, for work on one machine."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from roadcall_payments.api.jwks import OwnKeys
from roadcall_payments.api.loopback import is_loopback
from roadcall_payments.config import Settings
from roadcall_payments.domain.people import Actor, Role
from roadcall_payments.private_key_file import write_private_key

ALGORITHM: Final = "ES256"
KEY_FILE: Final = "token-issuer-key.pem"
LIFETIME_S: Final = 12 * 3_600
_KEY_ID: Final = "embedded"

# One token a role is printed at start; they belong to the company that the walk-through uses.
EXAMPLE_CALLERS: Final = (
    Actor("service-example", Role.SERVICE, company_id="c_example"),
    Actor("dispatcher-example", Role.DISPATCHER, company_id="c_example"),
    Actor("admin-example", Role.ADMIN),
    Actor("auditor-example", Role.AUDITOR),
    Actor("vendor-example", Role.VENDOR, vendor_id="v_example"),
    Actor("driver-example", Role.DRIVER, driver_id="d_example"),
)


class LocalIssuerExposed(Exception):
    """The embedded issuer would serve callers from other machines."""


def refuse_local_issuer_off_loopback(host: str) -> None:
    """Raises LocalIssuerExposed unless ``host`` is a loopback address.

    Whoever can read the key file is admin: that is fine on one's own machine and nowhere else.
    """
    if not is_loopback(host):
        raise LocalIssuerExposed(
            f"The service would listen on {host} and accept tokens of its own key. "
            "Set ROADCALL_JWKS_URL to your token issuer's keys, or listen on 127.0.0.1."
        )


def local_issuer(settings: Settings) -> LocalIssuer:
    """The embedded issuer, its key beside the database. Raises LocalIssuerExposed."""
    refuse_local_issuer_off_loopback(settings.host)
    return LocalIssuer.open(
        settings.data_dir, issuer=settings.jwt_issuer, audience=settings.jwt_audience
    )


@dataclass(frozen=True, slots=True)
class LocalIssuer:
    """Signs tokens (ES256) that ``keys`` verify."""

    issuer: str
    audience: str
    _key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def open(cls, directory: Path, *, issuer: str, audience: str) -> LocalIssuer:
        """The issuer whose key is in ``directory``; the key is made at the first call."""
        path = directory / KEY_FILE
        if not path.exists():
            write_private_key(path, ec.generate_private_key(ec.SECP256R1()))
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{path} holds no EC key. Remove it, and a new one is made.")
        return cls(issuer, audience, key)

    @property
    def keys(self) -> OwnKeys:
        public = jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return OwnKeys({_KEY_ID: jwt.PyJWK({**public, "alg": ALGORITHM, "kid": _KEY_ID})})

    def token(self, caller: Actor, lifetime_s: int = LIFETIME_S) -> str:
        """A token for ``caller``, valid for ``lifetime_s`` seconds from now."""
        now = int(time.time())
        owners = {
            "company_id": caller.company_id,
            "vendor_id": caller.vendor_id,
            "driver_id": caller.driver_id,
        }
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": caller.id,
            "role": caller.role.value,
            "iat": now,
            "exp": now + lifetime_s,
            "jti": secrets.token_hex(8),
            **{name: value for name, value in owners.items() if value is not None},
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers={"kid": _KEY_ID})
