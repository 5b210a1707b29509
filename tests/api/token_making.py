"""Keys, key sets and tokens of an issuer that tests play."""

from __future__ import annotations

import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from roadcall_payments.api.jwks import usable_keys
from roadcall_payments.api.tokens import TokenRules

RULES = TokenRules("https://issuer.example", "payments")
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SMALL_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  # weak on purpose
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
SIGNERS: dict[str, tuple[str, Key]] = {
    "rsa": ("RS256", RSA_KEY),
    "ec": ("ES256", EC_KEY),
    "ed": ("EdDSA", ED_KEY),
    "small": ("RS256", SMALL_RSA_KEY),
}


def published(key: Key) -> dict[str, Any]:
    match key:
        case rsa.RSAPrivateKey():
            return RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case ec.EllipticCurvePrivateKey():
            return ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case ed25519.Ed25519PrivateKey():
            return OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)


def jwks(*names: str) -> bytes:
    keys = [
        {**published(key), "kid": name, "alg": algorithm, "use": "sig"}
        for name, (algorithm, key) in SIGNERS.items()
        if name in names
    ]
    return json.dumps({"keys": keys}).encode()


class Published:
    """A key source that needs no fetching."""

    def __init__(self, *names: str) -> None:
        self._keys = usable_keys(jwks(*names))

    async def key(self, kid: str | None) -> jwt.PyJWK | None:
        return self._keys.get(kid or "")


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    sound: dict[str, Any] = {
        "iss": RULES.issuer,
        "aud": RULES.audience,
        "sub": "u_1",
        "role": "dispatcher",
        "company_id": "c_1",
        "iat": now,
        "exp": now + 600,
    }
    return {name: value for name, value in (sound | changes).items() if value is not None}


def token(kid: str = "ec", **changes: Any) -> str:
    algorithm, key = SIGNERS[kid]
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers={"kid": kid})
