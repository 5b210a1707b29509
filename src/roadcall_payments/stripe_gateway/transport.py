"""One HTTP exchange with Stripe through its SDK: an answer, or the reason why there is none."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping
from typing import Literal

import aiohttp
import msgspec
import stripe
from stripe import _api_requestor, _util

from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.ports import UnknownReason

Method = Literal["get", "post"]

HttpClient = stripe.HTTPClient
"""What carries the SDK's requests. Its ``request_async`` gives body, status and headers, or raises
an OSError, an aiohttp.ClientError or a TimeoutError where no whole answer came."""


class Call(msgspec.Struct, frozen=True):
    """One exchange to make. ``params`` are form parameters, or the query of a GET.

    ``operation`` and ``payment_id`` are for the log alone.
    """

    operation: str
    method: Method
    path: str
    params: Mapping[str, object]
    api_version: str
    idempotency_key: str | None = None
    connected_account: str | None = None
    payment_id: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """What came back, whole, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def request_id(self) -> str | None:
        return self.headers.get("Request-Id")

    @property
    def replayed(self) -> bool:
        """Stripe gave the answer of an earlier request with the same key."""
        return self.headers.get("Idempotent-Replayed") == "true"

    @property
    def should_retry(self) -> bool | None:
        """Stripe's own word on a retry; None when it said nothing."""
        word = self.headers.get("Stripe-Should-Retry")
        return {"true": True, "false": False}.get(word) if word else None


class NoAnswer(msgspec.Struct, frozen=True):
    """No whole answer arrived: whether Stripe acted is unknown."""

    reason: UnknownReason
    detail: str


class Transport:
    """The SDK's client, built once (it costs up to 150 ms) and kept; keys are given per call.

    ``raw_request`` makes the request, with the SDK's encoding and headers. Sending is
    ``http``'s, and answers are judged by us, as they came (decision 0237).
    """

    def __init__(
        self,
        *,
        base_address: str,
        timeout_s: float,
        api_version: str,
        http: HttpClient | None = None,
    ) -> None:
        _quiet_the_sdk()
        self._timeout_s = timeout_s
        self._http = http or _AiohttpClient()
        self._client = stripe.StripeClient(
            "key given per call",
            stripe_version=api_version,
            base_addresses={"api": base_address.rstrip("/")},
            max_network_retries=0,
            http_client=_Unsent(),
        )

    async def exchange(self, call: Call, *, api_key: str, timeout_s: float) -> Answer | NoAnswer:
        """At most ``timeout_s`` seconds, and at most the configured timeout."""
        try:
            request = self._made(call, api_key)
        except stripe.StripeError as exc:
            return NoAnswer(
                UnknownReason.CONNECTION, f"the SDK sent nothing ({type(exc).__name__})"
            )
        try:
            async with asyncio.timeout(min(timeout_s, self._timeout_s)):
                body, status, headers = await self._http.request_async(*request)
            return Answer(status, headers, body.decode())
        except TimeoutError:
            return NoAnswer(UnknownReason.TIMEOUT, "no answer in time")
        except UnicodeDecodeError:
            return NoAnswer(UnknownReason.MALFORMED_ANSWER, "an answer that is not UTF-8")
        except (aiohttp.ClientError, OSError) as exc:
            return NoAnswer(UnknownReason.CONNECTION, f"connection failed ({type(exc).__name__})")

    def _made(self, call: Call, api_key: str) -> _Request:
        """Raises stripe.StripeError for what the SDK would not send."""
        options: dict[str, str] = {"api_key": api_key, "stripe_version": call.api_version}
        if call.idempotency_key is not None:
            options["idempotency_key"] = call.idempotency_key
        if call.connected_account is not None:
            options["stripe_account"] = call.connected_account
        try:
            self._client.raw_request(call.method, call.path, **call.params, **options)
        except _Made as made:
            return made.request
        raise BrokenInvariant("Stripe's SDK made no request.")

    async def close(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]  # the SDK's base is untyped


def _quiet_the_sdk() -> None:
    """It tells nobody about us but Stripe what Stripe needs (decision 0229)."""
    # Telemetry would write a machine's id to the home directory, and send it.
    stripe.enable_telemetry = False
    # Nor does Stripe have to know which tools' variables stand in our environment.
    _api_requestor._APIRequestor.AI_AGENTS = []  # noqa: SLF001  # no setting does it
    # Below this the SDK logs parameters and bodies, client secrets among them ...
    logging.getLogger("stripe").setLevel(logging.WARNING)
    # ... and would make these texts all the same, which takes longer than sending does.
    _util.logfmt = _no_text


def _no_text(_: Mapping[str, object]) -> str:
    return ""


_Request = tuple[str, str, Mapping[str, str], str | None]
"""Method, address, headers, form: what an ``HttpClient`` is given."""


class _Made(Exception):
    """No error: a request on its way out of the SDK, past its reading of an answer."""

    def __init__(self, request: _Request) -> None:
        super().__init__()  # shown nowhere: its headers hold the key
        self.request = request


class _Unsent(stripe.HTTPClient):
    """Sends nothing: it hands the request over."""

    name = "aiohttp"

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: str | None = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        raise _Made((method, url, headers or {}, post_data))


class _AiohttpClient(stripe.HTTPClient):
    """Whole bodies, read inside the response's own lifetime; no redirects, which would carry a
    payment elsewhere; no cookies. Who calls sets the time, and gets aiohttp's errors as they are.

    The SDK's own aiohttp client leaves the response of a broken body unreleased.
    """

    name = "aiohttp"

    def __init__(self) -> None:
        super().__init__()
        self._session: aiohttp.ClientSession | None = None

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: str | None = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        if self._session is None:
            self._session = _session()
        async with self._session.request(
            method,
            url,
            headers=headers,
            data=post_data.encode() if post_data is not None else None,
            allow_redirects=False,
        ) as response:
            return await response.read(), response.status, response.headers

    async def close_async(self) -> None:
        if self._session is not None:
            await self._session.close()


def _session() -> aiohttp.ClientSession:
    """Trusts the authorities that the SDK trusts."""
    trusted = ssl.create_default_context(cafile=stripe.ca_bundle_path)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trusted),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(),
    )
