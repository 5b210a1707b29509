"""Whose keys are trusted: an issuer's over HTTP, or the embedded one's."""

from __future__ import annotations

import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
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
from roadcall_payments.api.tokens import TokenRules, TokenVerifier
from roadcall_payments.domain.people import Actor
from tests.api.harness import ADMIN, SERVICE, running_api, running_app
from tests.api.token_making import RULES, jwks, token


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
    [
        (500, b""),
        (302, b""),
        (200, b"no JSON"),
        (200, b'{"keys": 7}'),
        (200, b"[" * 300_000),
        (200, b'{"keys":[{"kid":"\xff"}]}'),
        (200, b'{"keys":[{"kid":' + b"[" * 9_000),
    ],
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
