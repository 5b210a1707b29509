"""One HTTP exchange with Stripe through its SDK: an answer, or the reason why there is none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, cast

import aiohttp
import stripe
from stripe import _api_requestor, _util

from roadcall_payments.ports import UnknownReason

Method = Literal["get", "post"]

HttpClient = stripe.HTTPClient
"""What carries the SDK's requests. Its ``request_async`` gives body, status and headers, or raises
an OSError, an aiohttp.ClientError or a TimeoutError where no whole answer came."""


@dataclass(frozen=True, slots=True)
class Call:
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


@dataclass(frozen=True, slots=True)
class Answer:
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


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No whole answer arrived: whether Stripe acted is unknown."""

    reason: UnknownReason
    detail: str


class Transport:
    """The SDK's client, built once (it costs up to 150 ms) and kept; keys are given per call.

    ``raw_request_async`` keeps the SDK's encoding and headers. Its reading of answers is most of a
    call's cost and is not asked for: every answer is judged by us, as it came.
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
        self._http = http or _AiohttpClient(aiohttp.ClientTimeout(total=timeout_s))
        self._client = stripe.StripeClient(
            "key given per call",
            stripe_version=api_version,
            base_addresses={"api": base_address.rstrip("/")},
            max_network_retries=0,
            http_client=_Unread(self._http),
        )

    async def exchange(self, call: Call, *, api_key: str, timeout_s: float) -> Answer | NoAnswer:
        """At most ``timeout_s`` seconds, and at most the configured timeout."""
        options: dict[str, str] = {"api_key": api_key, "stripe_version": call.api_version}
        if call.idempotency_key is not None:
            options["idempotency_key"] = call.idempotency_key
        if call.connected_account is not None:
            options["stripe_account"] = call.connected_account
        try:
            async with asyncio.timeout(min(timeout_s, self._timeout_s)):
                response = await self._client.raw_request_async(
                    call.method, call.path, **call.params, **options
                )
            return cast(_Received, response.headers).answer()
        except stripe.StripeError as exc:
            return NoAnswer(
                UnknownReason.CONNECTION, f"the SDK sent nothing ({type(exc).__name__})"
            )
        except TimeoutError:
            return NoAnswer(UnknownReason.TIMEOUT, "no answer in time")
        except UnicodeDecodeError:
            return NoAnswer(UnknownReason.MALFORMED_ANSWER, "an answer that is not UTF-8")
        except (aiohttp.ClientError, OSError) as exc:
            return NoAnswer(UnknownReason.CONNECTION, f"connection failed ({type(exc).__name__})")

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


class _Received(Mapping[str, str]):
    """A whole answer in the place where the SDK lets it pass: its headers."""

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str]) -> None:
        self._body = body
        self._status = status
        self._headers = headers

    def __getitem__(self, name: str) -> str:
        return self._headers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers)

    def __len__(self) -> int:
        return len(self._headers)

    def answer(self) -> Answer:
        """Raises UnicodeDecodeError."""
        return Answer(self._status, self._headers, self._body.decode())


class _Unread(stripe.HTTPClient):
    """Hands the SDK an empty success, whatever came."""

    name = "aiohttp"

    def __init__(self, http: HttpClient) -> None:
        super().__init__()
        self._http = http

    async def request_async(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        post_data: str | None = None,
    ) -> tuple[bytes, int, Mapping[str, str]]:
        body, status, received = await self._http.request_async(method, url, headers, post_data)
        return b"{}", 200, _Received(body, status, received)


class _AiohttpClient(stripe.AIOHTTPClient):
    """The SDK's aiohttp client, with whole bodies read inside the response's own lifetime.

    The SDK's own leaves the response of a broken body unreleased, and it follows redirects,
    which would carry a payment elsewhere. aiohttp's errors leave this class as they are.
    """

    def __init__(self, timeout: aiohttp.ClientTimeout) -> None:
        super().__init__(timeout=timeout)
        self._aiohttp_timeout = timeout
        self._opened: aiohttp.ClientSession | None = None

    async def request_async(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        post_data: str | None = None,
    ) -> tuple[bytes, int, Mapping[str, str]]:
        self._opened = self._session
        async with self._opened.request(
            method,
            url,
            headers=headers,
            data=post_data,
            timeout=self._aiohttp_timeout,
            allow_redirects=False,
        ) as response:
            return await response.read(), response.status, response.headers

    async def close_async(self) -> None:
        # The SDK's would open a session in order to close it.
        if self._opened is not None:
            await self._opened.close()
