"""Who a token proves: signatures and claims, the ones an attacker would try included."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt import InsecureKeyLengthWarning
from jwt.algorithms import ECAlgorithm
from jwt.utils import base64url_encode

from roadcall_payments.api.identity_errors import Unauthenticated
from roadcall_payments.api.jwks import usable_keys
from roadcall_payments.api.tokens import LEEWAY_S, TokenVerifier, caller_of
from roadcall_payments.domain.errors import NotAllowed
from roadcall_payments.domain.people import Actor, Role
from tests.api.token_making import EC_KEY, RSA_KEY, RULES, Published, claims, jwks, token


async def verified(sent: str | None, *keys: str) -> Actor:
    return await TokenVerifier(Published(*(keys or ("rsa", "ec", "ed"))), RULES).caller(sent)


@pytest.mark.parametrize("kid", ["rsa", "ec", "ed"])
async def test_a_sound_token_is_its_caller(kid: str) -> None:
    caller = await verified(f"Bearer {token(kid)}")
    assert caller == Actor("u_1", Role.DISPATCHER, company_id="c_1")


async def test_the_scheme_is_case_insensitive() -> None:
    assert (await verified(f"bearer {token()}")).id == "u_1"


def by_hand(algorithm: str, kid: str, sign: Callable[[bytes], bytes]) -> str:
    """A token that no library would make."""
    parts = [{"alg": algorithm, "kid": kid, "typ": "JWT"}, claims(role="admin")]
    signed = b".".join(base64url_encode(json.dumps(part).encode()) for part in parts)
    return (signed + b"." + base64url_encode(sign(signed))).decode()


def unsigned() -> str:
    return by_hand("none", "ec", lambda _signed: b"")


def signed_with_the_public_key() -> str:
    """The classic confusion: the public key's text as an HMAC secret."""
    pem = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return by_hand("HS256", "rsa", lambda signed: hmac.digest(pem, signed, "sha256"))


def signed_by_another() -> str:
    stranger = ec.generate_private_key(ec.SECP256R1())
    return jwt.encode(claims(), stranger, algorithm="ES256", headers={"kid": "ec"})


def signed_claims(payload: bytes, **header: object) -> str:
    """Genuine, whatever it says."""
    head = json.dumps({"alg": "ES256", "kid": "ec", **header}).encode()
    signed = b".".join(base64url_encode(part) for part in (head, payload))
    signature = ECAlgorithm(ECAlgorithm.SHA256).sign(signed, EC_KEY)
    return (signed + b"." + base64url_encode(signature)).decode()


def by_hand_claims(**changes: object) -> str:
    """PyJWT makes no token with such a claim."""
    return signed_claims(json.dumps(claims() | changes).encode())


def claims_swapped() -> str:
    head, _, signature = token().split(".")
    admin = base64url_encode(json.dumps(claims(role="admin")).encode()).decode()
    return f"{head}.{admin}.{signature}"


now = int(time.time())
UNSOUND: dict[str, str | Callable[[], str]] = {
    "no token": "",
    "no JWT": "Bearer x",
    "other scheme": "Basic dTpw",
    "far too long": "Bearer " + "x" * 9_000,
    "unsigned": unsigned,
    "HMAC with the public key": signed_with_the_public_key,
    "another's signature": signed_by_another,
    "other claims, same signature": claims_swapped,
    "unknown key": lambda: jwt.encode(
        claims(), EC_KEY, algorithm="ES256", headers={"kid": "unheard-of"}
    ),
    "expired": lambda: token(exp=now - 60),
    "without expiry": lambda: token(exp=None),
    "expiry no number": lambda: token(exp="soon"),
    "not yet valid": lambda: token(nbf=now + 600),
    "begins no number": lambda: token(nbf="now"),
    "issued in the future": lambda: token(iat=now + 600),
    "other issuer": lambda: token(iss="https://evil.example"),
    "no issuer": lambda: token(iss=None),
    "other audience": lambda: token(aud="somebody-else"),
    "no audience": lambda: token(aud=None),
    "client id, but no access token": lambda: token(
        aud=None, client_id=RULES.audience, token_use="id"
    ),
    "other client": lambda: token(aud=None, client_id="other", token_use="access"),
    "claims no object": lambda: signed_claims(b"[]"),
    "claims no JSON": lambda: signed_claims(b"{"),
    "claims nested deeply": lambda: signed_claims(b'{"sub":' + b"[" * 5_000),
    "claims no UTF-8": lambda: signed_claims(b'{"sub":"\xff"}'),
    "four parts": lambda: f"{token()}.x",
    "no signature": lambda: token().rpartition(".")[0] + ".",
    "no subject": lambda: token(sub=None),
    "subject a number": lambda: by_hand_claims(sub=7),
    "empty subject": lambda: token(sub=""),
    "subject with line break": lambda: token(sub="u\n1"),
}


@pytest.mark.parametrize("name", UNSOUND)
async def test_an_unsound_token_proves_nothing(name: str) -> None:
    made = UNSOUND[name]
    sent = made if isinstance(made, str) else f"Bearer {made()}"
    with pytest.raises(Unauthenticated):
        await verified(sent)


async def test_a_short_rsa_key_is_not_enough() -> None:
    with pytest.warns(InsecureKeyLengthWarning):
        weak = token("small")
    with pytest.raises(Unauthenticated):
        await verified(f"Bearer {weak}", "small")


async def test_clocks_may_differ_a_little() -> None:
    early = token(nbf=int(time.time()) + 20, exp=int(time.time()) + 40)
    late = token(exp=int(time.time()) - 20)
    assert (await verified(f"Bearer {early}")).id == (await verified(f"Bearer {late}")).id == "u_1"


COGNITO: dict[str, Any] = {
    "cognito:groups": ["driver", "eu-west_users"],
    "custom:driver_id": "d_1",
}


class Issuer:
    """Publishes the key under ``keys["ec"]``, or none."""

    def __init__(self) -> None:
        self.keys = usable_keys(jwks("ec"))

    async def key(self, kid: str | None) -> jwt.PyJWK | None:
        return self.keys.get(kid or "")


async def test_a_token_that_held_falls_with_its_key() -> None:
    issuer, sent = Issuer(), f"Bearer {token()}"
    verifier = TokenVerifier(issuer, RULES)
    assert await verifier.caller(sent) == await verifier.caller(sent)
    stranger = ec.generate_private_key(ec.SECP256R1()).public_key()
    published = {**ECAlgorithm.to_jwk(stranger, as_dict=True), "kid": "ec", "alg": "ES256"}
    known = dict(issuer.keys)
    for withdrawn in ({"ec": jwt.PyJWK(published)}, {}):
        issuer.keys = withdrawn
        with pytest.raises(Unauthenticated):
            await verifier.caller(sent)
    issuer.keys = known
    assert (await verifier.caller(sent)).id == "u_1"


async def test_a_token_that_held_expires() -> None:
    at = time.time()
    verifier = TokenVerifier(Published("ec"), RULES, now=lambda: at)
    sent = f"Bearer {token(exp=int(at) + 600)}"
    assert (await verifier.caller(sent)).id == "u_1"
    at = int(at) + 600 + LEEWAY_S - 0.5
    assert (await verifier.caller(sent)).id == "u_1"
    at += 0.5
    with pytest.raises(Unauthenticated, match="expired"):
        await verifier.caller(sent)


async def test_what_a_token_proved_says_nothing_about_another() -> None:
    verifier = TokenVerifier(Published("ec"), RULES)
    sound = token()
    assert (await verifier.caller(f"Bearer {sound}")).id == "u_1"
    for other in (sound[:-2], f"{sound}=", sound.swapcase(), sound.replace(".", "..")):
        with pytest.raises(Unauthenticated):
            await verifier.caller(f"Bearer {other}")
    assert (await verifier.caller(f"Bearer {token(sub='u_2')}")).id == "u_2"


async def test_a_cognito_access_token_is_understood() -> None:
    sent = token(
        aud=None,
        client_id=RULES.audience,
        token_use="access",
        role=None,
        **COGNITO,
    )
    assert await verified(f"Bearer {sent}") == Actor("u_1", Role.DRIVER, driver_id="d_1")


@pytest.mark.parametrize(
    ("said", "caller"),
    [
        ({"role": "admin", "company_id": "c_1"}, Actor("u_1", Role.ADMIN)),
        ({"role": "auditor"}, Actor("u_1", Role.AUDITOR)),
        ({"role": "vendor", "vendor_id": "v_1"}, Actor("u_1", Role.VENDOR, vendor_id="v_1")),
        ({"role": "service", "company_id": "c"}, Actor("u_1", Role.SERVICE, company_id="c")),
        (
            {"role": "vendor", "cognito:groups": ["vendor"], "vendor_id": "v_1"},
            Actor("u_1", Role.VENDOR, vendor_id="v_1"),
        ),
    ],
)
def test_claims_give_no_more_than_the_role_needs(said: dict[str, Any], caller: Actor) -> None:
    assert caller_of({"sub": "u_1"} | said) == caller


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"role": "system"},
        {"role": "root"},
        {"role": ["admin"]},
        {"role": "driver", "cognito:groups": ["admin"], "driver_id": "d_1"},
        {"cognito:groups": ["dispatcher", "admin"], "company_id": "c_1"},
        {"role": "dispatcher"},
        {"role": "service", "company_id": ""},
        {"role": "dispatcher", "company_id": 7},
        {"role": "vendor", "vendor_id": "v/1"},
        {"role": "driver", "vendor_id": "v_1"},
    ],
)
def test_unclear_claims_give_no_right(said: dict[str, Any]) -> None:
    with pytest.raises(NotAllowed):
        caller_of({"sub": "u_1"} | said)
