"""Who a token proves: signatures, claims, and the issuer's keys over HTTP."""

from __future__ import annotations

import hmac
import json
import stat
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt import InsecureKeyLengthWarning
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.utils import base64url_encode
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from roadcall_payments.api.identity_errors import IssuerUnavailable, Unauthenticated
from roadcall_payments.api.jwks import REFETCH_FLOOR_S, STALE_S_MAX, RemoteKeys, usable_keys
from roadcall_payments.api.local_issuer import (
    KEY_FILE,
    LocalIssuer,
    LocalIssuerExposed,
    refuse_local_issuer_off_loopback,
)
from roadcall_payments.api.tokens import TokenRules, TokenVerifier, caller_of
from roadcall_payments.domain.errors import NotAllowed
from roadcall_payments.domain.people import Actor, Role
from tests.api.harness import ADMIN, SERVICE, running_api, running_app

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
    "other issuer": lambda: token(iss="https://evil.example"),
    "no issuer": lambda: token(iss=None),
    "other audience": lambda: token(aud="somebody-else"),
    "no audience": lambda: token(aud=None),
    "client id, but no access token": lambda: token(
        aud=None, client_id=RULES.audience, token_use="id"
    ),
    "other client": lambda: token(aud=None, client_id="other", token_use="access"),
    "no subject": lambda: token(sub=None),
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


# --- the issuer's keys -------------------------------------------------------------------------


@dataclass
class IssuerServer:
    """A JWKS endpoint that counts, and can be told to misbehave."""

    body: bytes = field(default_factory=lambda: jwks("ec"))
    status: int = 200
    fetched: int = 0
    url: str = ""

    async def serve(self, _request: Request) -> Response:
        self.fetched += 1
        return Response(self.body, self.status, {"Location": "/elsewhere"})


@asynccontextmanager
async def running_issuer() -> AsyncIterator[IssuerServer]:
    issuer = IssuerServer()
    async with running_app(Router(routes=[Route("/jwks", issuer.serve)])) as base:
        issuer.url = f"{base}/jwks"
        yield issuer


class Hands:
    """A monotonic clock moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def test_keys_are_fetched_once_and_kept() -> None:
    async with running_issuer() as issuer:
        keys = RemoteKeys(issuer.url)
        assert await keys.key("ec") is not None
        assert await keys.key("ec") is not None
        assert await keys.key(None) is not None  # the only one there is
        assert issuer.fetched == 1


async def test_made_up_key_ids_do_not_hammer_the_issuer() -> None:
    hands = Hands()
    async with running_issuer() as issuer:
        keys = RemoteKeys(issuer.url, hands)
        for number in range(50):
            assert await keys.key(f"junk-{number}") is None
        assert issuer.fetched == 1
        hands.now += REFETCH_FLOOR_S
        assert await keys.key("junk") is None
        assert issuer.fetched == 2


async def test_a_new_key_is_found_when_first_used() -> None:
    hands = Hands()
    async with running_issuer() as issuer:
        keys = RemoteKeys(issuer.url, hands)
        assert await keys.key("ec") is not None
        issuer.body = jwks("ec", "rsa")
        hands.now += REFETCH_FLOOR_S
        assert await keys.key("rsa") is not None


async def test_a_withdrawn_key_ends_within_the_hour() -> None:
    hands = Hands()
    async with running_issuer() as issuer:
        keys = RemoteKeys(issuer.url, hands)
        assert await keys.key("ec") is not None
        issuer.body = jwks("rsa")
        hands.now += 3_601
        assert await keys.key("ec") is None


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b""), (302, b""), (200, b"no JSON"), (200, b'{"keys": 7}'), (200, b"[" * 300_000)],
)
async def test_an_issuer_that_misbehaves_is_survived_for_a_day(status: int, body: bytes) -> None:
    hands = Hands()
    async with running_issuer() as issuer:
        keys = RemoteKeys(issuer.url, hands)
        assert await keys.key("ec") is not None
        issuer.status, issuer.body = status, body
        hands.now += 7_200
        assert await keys.key("ec") is not None
        hands.now += STALE_S_MAX
        with pytest.raises(IssuerUnavailable):
            await keys.key("ec")


async def test_an_odd_key_harms_no_other() -> None:
    keys = json.loads(jwks("ec", "rsa"))["keys"]
    odd = [{"kty": "oct", "k": "c2VjcmV0", "kid": "hmac"}, {"kty": "new"}, {"use": "enc"}]
    assert set(usable_keys(json.dumps({"keys": [*odd, *keys]}).encode())) == {"ec", "rsa"}


def test_keys_come_over_https_or_from_this_machine() -> None:
    with pytest.raises(ValueError, match="https"):
        RemoteKeys("http://issuer.example/jwks")


async def test_the_service_takes_an_issuers_tokens(tmp_path: Path) -> None:
    async with (
        running_issuer() as issuer,
        running_api(
            tmp_path,
            jwks_url=issuer.url,
            jwt_issuer=RULES.issuer,
            jwt_audience=RULES.audience,
            host="0.0.0.0",  # noqa: S104  # with an issuer of its own it may listen anywhere
        ) as api,
    ):
        sound = {"Authorization": f"Bearer {token()}"}
        assert (await api.get("/payments", headers=sound)).status == 200
        broken = {"Authorization": f"Bearer {token(aud='other')}"}
        reply = await api.get("/payments", headers=broken)
        assert (reply.status, reply.code) == (401, "invalid_token")
        issuer_of_our_own = {"Authorization": f"Bearer {api.issuer.token(ADMIN)}"}
        assert (await api.get("/payments", headers=issuer_of_our_own)).status == 401


async def test_an_issuer_that_never_answered_is_a_503(tmp_path: Path) -> None:
    async with running_issuer() as issuer:
        issuer.status = 500
        async with running_api(tmp_path, jwks_url=issuer.url) as api:
            reply = await api.get("/payments", SERVICE)
            assert (reply.status, reply.code) == (503, "issuer_unavailable")
            assert int(reply.headers["retry-after"]) > 0


# --- the embedded issuer -----------------------------------------------------------------------


def test_the_embedded_key_is_its_owners_alone_and_stays(tmp_path: Path) -> None:
    first = LocalIssuer.open(tmp_path / "data", issuer="us", audience="us")
    second = LocalIssuer.open(tmp_path / "data", issuer="us", audience="us")
    key_file = tmp_path / "data" / KEY_FILE
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert [file.name for file in key_file.parent.iterdir()] == [KEY_FILE]
    assert "PRIVATE" not in repr(first)
    assert "_key" not in repr(second)


@pytest.mark.parametrize("caller", [ADMIN, SERVICE], ids=str)
async def test_an_embedded_token_is_its_caller(tmp_path: Path, caller: Actor) -> None:
    first = LocalIssuer.open(tmp_path, issuer="us", audience="them")
    again = LocalIssuer.open(tmp_path, issuer="us", audience="them")
    verifier = TokenVerifier(again.keys, TokenRules("us", "them"))
    assert await verifier.caller(f"Bearer {first.token(caller)}") == caller
    with pytest.raises(Unauthenticated):
        await verifier.caller(f"Bearer {first.token(caller, lifetime_s=-60)}")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_the_embedded_issuer_serves_this_machine(host: str) -> None:
    refuse_local_issuer_off_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "payments.example", ""])  # noqa: S104  # refused is what they are
def test_the_embedded_issuer_serves_nobody_else(host: str) -> None:
    with pytest.raises(LocalIssuerExposed, match="ROADCALL_JWKS_URL"):
        refuse_local_issuer_off_loopback(host)
