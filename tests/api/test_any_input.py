"""Whatever is sent, the answer is documented, and never a 500 (Hypothesis; seeds are printed)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from roadcall_payments.api.access import ROUTES
from roadcall_payments.domain.people import Actor
from tests.api.harness import ADMIN, DISPATCHER, DRIVER, SERVICE, Api, Reply, running_api
from tests.examples import examples

JSON = "application/json"
POSTS = sorted(path for method, path in ROUTES if method == "POST")

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
VISIBLE = st.characters(min_codepoint=33, max_codepoint=255, exclude_categories=["Cc"])
ANY_NUMBER = st.one_of(
    st.integers(),
    st.integers(-1, 200_000),
    st.floats(),
    st.sampled_from([10**400, -(2**63), 2**64]),
)
ANY_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), ANY_NUMBER, ANY_TEXT),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(ANY_TEXT, inner, max_size=5)
    ),
    max_leaves=20,
)


class Loop:
    """A running API, driven from a synchronous test as Hypothesis wants it."""

    def __init__(self, directory: Path) -> None:
        self._runner = asyncio.Runner()
        self._context = running_api(directory)
        self.api: Api = self._runner.run(self._context.__aenter__())
        self.payment_ids: list[str] = self._runner.run(self._made())

    async def _made(self) -> list[str]:
        """One payment in each of the statuses that commands meet, and one that is not there."""
        made = [
            await self.api.created(),
            await self.api.created_for_back_office(),
            await self.api.approved(),
            await self.api.processing(),
            await self.api.failed_transfer(),
        ]
        return [payment["id"] for payment in made] + ["p_none"]

    def post(self, path: str, caller: Actor, raw: bytes, **more: str) -> Reply:
        headers = {"Content-Type": JSON} | {name.replace("_", "-"): v for name, v in more.items()}
        return self._runner.run(self.api.post(path, caller, raw=raw, headers=headers))

    def get(self, path: str, caller: Actor | None, **headers: str) -> Reply:
        return self._runner.run(self.api.get(path, caller, headers=headers))

    def close(self) -> None:
        self._runner.run(self._context.__aexit__(None, None, None))
        self._runner.close()


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    started = Loop(tmp_path_factory.mktemp("any"))
    yield started
    started.close()


def shaped(api: Api) -> st.SearchStrategy[Any]:
    """Bodies close to sound ones: a sound body with a few fields replaced or added."""
    sound: list[dict[str, Any]] = [
        api.new_payment(),
        {"reason": "duplicate"},
        {"decision": "clear", "note": "fine"},
        {"paymentMethodId": "pm_card_visa"},
        {"vendorStripeAccountId": "acct_1"},
        {"id": "e", "detail-type": "WorkCompleted", "source": "s", "time": "t", "detail": {}},
    ]
    fields = sorted({name for body in sound for name in body} | {"companyId", "description"})
    changes = st.dictionaries(st.sampled_from(fields), ANY_JSON, max_size=3)
    return st.tuples(st.sampled_from(sound), changes).map(lambda pair: pair[0] | pair[1])


@settings(max_examples=examples(80), suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_json_to_any_post(loop: Loop, data: st.DataObject) -> None:
    """The harness holds each answer against the document: an undocumented one fails there."""
    path = data.draw(st.sampled_from(POSTS))
    body = data.draw(st.one_of(shaped(loop.api), ANY_JSON))
    caller = data.draw(st.sampled_from([ADMIN, SERVICE, DISPATCHER, DRIVER]))
    headers = data.draw(
        st.fixed_dictionaries(
            {},
            optional={
                "On_Behalf_Of": st.sampled_from(["d_1", "d_2", "-"]),
                "Idempotency_Key": st.sampled_from(["k1", "k2", "k 3"]),
            },
        )
    )
    raw = json.dumps(body).encode("utf-8", "surrogatepass")
    payment_id = data.draw(st.sampled_from(loop.payment_ids))
    reply = loop.post(path.replace("{paymentId}", payment_id), caller, raw, **headers)
    assert reply.status < 400 or reply.code
    # A sound body may well have paused the movements before.
    assert reply.status < 500 or reply.code == "movements_paused"


@settings(max_examples=examples(50), suppress_health_check=list(HealthCheck))
@given(
    path=st.sampled_from(POSTS),
    raw=st.binary(max_size=200),
    media_type=st.sampled_from([JSON, "text/plain", "application/problem+json", ";"]),
)
def test_any_bytes_to_any_post(loop: Loop, path: str, raw: bytes, media_type: str) -> None:
    address = path.replace("{paymentId}", "p_1")
    assert loop.post(address, ADMIN, raw, Content_Type=media_type).status < 500


@settings(max_examples=examples(50), suppress_health_check=list(HealthCheck))
@given(
    path=st.sampled_from(["/payments/", "/vendors/", "/payments?cursor=", "/reviews?inboxCursor="]),
    escaped=st.lists(st.integers(0, 255), max_size=12),
)
@example(path="/payments/", escaped=[10, 1])
def test_any_address(loop: Loop, path: str, escaped: list[int]) -> None:
    sent = "".join(f"%{byte:02X}" for byte in escaped)
    assert loop.get(path + sent, ADMIN).status < 500


@settings(max_examples=examples(50), suppress_health_check=list(HealthCheck))
@given(token=st.text(VISIBLE, max_size=60))
def test_any_token(loop: Loop, token: str) -> None:
    assert loop.get("/payments", None, Authorization=f"Bearer {token}").status == 401
