"""A scripted Stripe: a real HTTP server on loopback that answers what the test says, in order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from roadcall_payments.domain.errors import CredentialsRejected
from roadcall_payments.domain.stripe_objects import Operation, StripeRequest
from roadcall_payments.ports import StripeCredentials, WebhookSecret
from roadcall_payments.stripe_gateway.client import GatewaySettings, StripeGateway

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ACCOUNT = "acct_platform"
KEY = "sk_test_first"


@dataclass(frozen=True)
class Reply:
    """One scripted answer. ``cut_at``: only so many bytes of the body leave, then it breaks."""

    status: int = 200
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    cut_at: int | None = None

    @property
    def content(self) -> bytes:
        return json.dumps(self.body).encode() if self.raw is None else self.raw

    def replayed(self) -> Reply:
        return replace(self, headers={**self.headers, "Idempotent-Replayed": "true"})

    def with_headers(self, **headers: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **named})


@dataclass(frozen=True)
class Drop:
    """The request is read, then the connection closes."""


@dataclass(frozen=True)
class Hold:
    """The request is read, and no answer comes while the test runs."""


Step = Reply | Drop | Hold


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    headers: Mapping[str, str]


class ScriptedStripe:
    """Answers ``steps`` in order. ``GET /v1/account`` is answered beside the script."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.received: list[Received] = []
        self.asked_who: list[str] = []
        self.accounts: dict[str, str] = {}
        self.rejected_keys: set[str] = set()
        self.before_answer: Callable[[], None] = lambda: None
        self.ended = asyncio.Event()
        self.address = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        key = request.headers["Authorization"].removeprefix("Bearer ")
        body = await request.text()
        if request.path == "/v1/account":
            self.asked_who.append(key)
            if key in self.rejected_keys:
                return _sent(unauthorized())
            account = self.accounts.get(key, ACCOUNT)
            return _sent(Reply(body={"id": account, "object": "account"}))
        self.received.append(
            Received(
                method=request.method,
                path=request.path,
                query=dict(parse_qsl(urlsplit(request.path_qs).query)),
                form=dict(parse_qsl(body)),
                headers=request.headers.copy(),
            )
        )
        self.before_answer()
        if key in self.rejected_keys:
            return _sent(unauthorized())
        if not self.steps:
            raise AssertionError(f"The script has no answer for {request.method} {request.path}.")
        return await self._perform(self.steps.pop(0), request)

    async def _perform(self, step: Step, request: web.Request) -> web.StreamResponse:
        match step:
            case Drop():
                assert request.transport is not None
                request.transport.close()
                return web.Response()
            case Hold():
                await self.ended.wait()
                return web.Response()
            case Reply(cut_at=None):
                return _sent(step)
            case Reply():
                response = web.StreamResponse(status=step.status)
                response.content_length = len(step.content)
                await response.prepare(request)
                await response.write(step.content[: step.cut_at])
                assert request.transport is not None
                request.transport.close()
                return response


def _sent(reply: Reply) -> web.Response:
    headers = {"Request-Id": "req_scripted", **reply.headers}
    return web.Response(
        status=reply.status,
        body=reply.content,
        headers=headers,
        content_type="application/json" if reply.raw is None else "text/html",
    )


@asynccontextmanager
async def serving(stripe: ScriptedStripe) -> AsyncIterator[ScriptedStripe]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", stripe.handle)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        stripe.address = f"http://{host}:{port}"
        yield stripe
    finally:
        stripe.ended.set()
        await runner.cleanup()


class StandingClock:
    """Time that passes in ``sleep`` alone. ``asleep_s``: the machine is suspended meanwhile."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self.suspended_s = 0.0
        self.slept: list[float] = []
        self.suspend_in_sleep_s = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed_s + self.suspended_s)

    def monotonic(self) -> float:
        return self.elapsed_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.elapsed_s += seconds
        self.suspended_s += self.suspend_in_sleep_s


class EvenIds:
    """No jitter: the middle of every range. Ids are counted."""

    def __init__(self) -> None:
        self.made = 0

    def uuid7(self) -> str:
        self.made += 1
        return f"id-{self.made}"

    def salt(self) -> str:
        raise AssertionError("the gateway makes no salts")

    def fraction(self) -> float:
        return 0.5


class Safe:
    """A secret source whose content the test changes."""

    def __init__(self, key: str | None = KEY, *, webhook: tuple[WebhookSecret, ...] = ()) -> None:
        self.key = key
        self.webhook = webhook
        self.connect_enabled = True
        self.reads = 0

    async def stripe_credentials(self) -> StripeCredentials:
        self.reads += 1
        if self.key is None:
            raise CredentialsRejected("apiKey is missing")
        return StripeCredentials(self.key, self.webhook, self.connect_enabled)


@dataclass
class Rig:
    """A gateway in front of a scripted Stripe."""

    stripe: ScriptedStripe
    gateway: StripeGateway
    clock: StandingClock
    safe: Safe


@asynccontextmanager
async def rigged(
    *steps: Step, settings: GatewaySettings | None = None, safe: Safe | None = None
) -> AsyncIterator[Rig]:
    clock, safe = StandingClock(), safe or Safe()
    async with serving(ScriptedStripe(*steps)) as stripe:
        chosen = replace(settings or GatewaySettings(), base_address=stripe.address)
        gateway = StripeGateway(safe, clock, EvenIds(), chosen)
        try:
            yield Rig(stripe, gateway, clock, safe)
        finally:
            await gateway.close()


# --- what Stripe says -----------------------------------------------------------------------------


def intent_json(**changes: object) -> dict[str, object]:
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "status": "succeeded",
        "amount": 12_500,
        "currency": "usd",
        "livemode": False,
        "created": 1_790_000_000,
        "metadata": {"paymentId": "p_1", "purpose": "driver_payment", "attempt": "1"},
        "latest_charge": {"id": "ch_1", "balance_transaction": balance_transaction_json()},
        "client_secret": "pi_1_secret_hidden",
        **changes,
    }


def balance_transaction_json(**changes: object) -> dict[str, object]:
    return {
        "id": "txn_1",
        "object": "balance_transaction",
        "type": "charge",
        "source": "ch_1",
        "amount": 12_500,
        "fee": 393,
        "net": 12_107,
        "currency": "usd",
        "created": 1_790_000_000,
        "available_on": 1_790_172_800,
        **changes,
    }


def transfer_json(**changes: object) -> dict[str, object]:
    return {
        "id": "tr_1",
        "object": "transfer",
        "amount": 12_500,
        "amount_reversed": 0,
        "currency": "usd",
        "destination": "acct_vendor",
        "livemode": False,
        "created": 1_790_000_000,
        "metadata": {"paymentId": "p_1", "purpose": "vendor_payment", "attempt": "1"},
        "transfer_group": "p_1",
        "balance_transaction": "txn_2",
        **changes,
    }


def refusal(status: int, error_type: str, **error: object) -> Reply:
    return Reply(status=status, body={"error": {"type": error_type, "message": "no", **error}})


def declined(**error: object) -> Reply:
    return refusal(
        402,
        "card_error",
        code="card_declined",
        decline_code="insufficient_funds",
        charge="ch_1",
        payment_intent=intent_json(status="requires_payment_method"),
        **error,
    )


def unauthorized() -> Reply:
    return refusal(401, "invalid_request_error")


SUCCEEDED = Reply(body=intent_json())
SERVER_ERROR = refusal(500, "api_error")

CONFIRM = StripeRequest(
    operation=Operation.CONFIRM_PAYMENT_INTENT,
    path="/v1/payment_intents/pi_1/confirm",
    params='{"expand":["latest_charge.balance_transaction"],"payment_method":"pm_card_visa"}',
    idempotency_key="confirm_p_1_1",
    account=ACCOUNT,
    livemode=False,
    api_version="2026-10-28.endive",
)
