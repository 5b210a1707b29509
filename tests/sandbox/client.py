"""A client of the sandbox's core, without sockets: forms in, JSON out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import msgspec

from stripe_sandbox import Answer, Manner, Request, Sandbox, SandboxClock, SandboxConfig
from stripe_sandbox.storage import Storage
from tests.sandbox import conformance

START_MS = 1_790_000_000_000

Json = dict[str, Any]
"""An answer's body: its shape is Stripe's."""


def flatten(params: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested parameters as Stripe's form fields."""
    pairs: list[tuple[str, str]] = []
    for name, value in params.items():
        full = f"{prefix}[{name}]" if prefix else name
        if isinstance(value, Mapping):
            pairs += flatten(value, full)
        elif isinstance(value, (list, tuple)):
            pairs += flatten({str(index): each for index, each in enumerate(value)}, full)
        elif isinstance(value, bool):
            pairs.append((full, "true" if value else "false"))
        else:
            pairs.append((full, str(value)))
    return pairs


@dataclass
class Reply:
    status: int
    body: Json
    headers: Mapping[str, str]
    answer: Answer

    @property
    def error(self) -> Json:
        found: Json = self.body["error"]
        return found


@dataclass
class CoreClient:
    """Talks to one `Sandbox` object. Waits pass at once; holds are released with `let_go`."""

    config: SandboxConfig = field(default_factory=SandboxConfig)
    storage: Storage | None = None
    clock: SandboxClock = field(default_factory=lambda: SandboxClock(standing_at_ms=START_MS))
    key: str = "sk_test_core"
    judged: bool = True
    """Whether the specification is asked, where it is at hand."""
    succeeded: set[str] = field(default_factory=set)
    """The routes that answered 200."""

    def __post_init__(self) -> None:
        self.judged = self.judged and conformance.witness_is_here()
        self.sandbox = Sandbox(self.clock, self.storage, self.config)
        self.sandbox.commit()

    def request(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        account: str | None = None,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        encoded = urlencode(flatten(params or {}))
        sent = {"authorization": f"Bearer {self.key}", **(headers or {})}
        if method == "POST":
            sent.setdefault("content-type", "application/x-www-form-urlencoded")
        if account is not None:
            sent["stripe-account"] = account
        if idempotency_key is not None:
            sent["idempotency-key"] = idempotency_key
        query, body = ("", encoded.encode()) if method == "POST" else (encoded, b"")
        answer = self.sandbox.handle(Request(method, path, query, sent, body))
        if answer.manner is Manner.WAIT and answer.ticket is not None:
            answer = self.sandbox.resume(answer.ticket)
        self.sandbox.commit()
        reply = _reply(answer)
        self._bear_witness(method, path, params or {}, reply)
        return reply

    def _bear_witness(
        self, method: str, path: str, params: Mapping[str, Any], reply: Reply
    ) -> None:
        """Stripe's specification judges every answer, and every request that passed."""
        route = conformance.route_of(method, path)
        if not self.judged or route is None or reply.answer.manner is not Manner.SEND:
            return
        conformance.check_answer(route, reply.status, reply.body)
        if reply.status == 200:
            conformance.check_request(route, params)
            self.succeeded.add(route)

    def control(self, method: str, path: str, body: Json | None = None) -> Json:
        encoded = b"" if body is None else msgspec.json.encode(body)
        path, _, query = path.partition("?")
        request = Request(method, f"/_sandbox/{path}", query, {}, encoded)
        answer = self.sandbox.handle(request)
        self.sandbox.commit()
        assert answer.response.status == 200, answer.response.body
        return _reply(answer).body

    def get(self, path: str, params: Mapping[str, Any] | None = None, **more: Any) -> Json:
        return self.expect(200, "GET", path, params, **more)

    def post(self, path: str, params: Mapping[str, Any] | None = None, **more: Any) -> Json:
        return self.expect(200, "POST", path, params, **more)

    def delete(self, path: str, **more: Any) -> Json:
        return self.expect(200, "DELETE", path, None, **more)

    def expect(
        self,
        status: int,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Json:
        """The body, once the status is the expected one; an error's body is its `error` object."""
        reply = self.request(method, path, params, **more)
        assert reply.status == status, (reply.status, reply.body)
        return reply.body if status < 400 else reply.error

    def advance(self, seconds: int) -> None:
        self.control("POST", "clock", {"advance": seconds})

    def events(self, account: str | None = None) -> list[str]:
        """The types of all events, oldest first."""
        listed = self.get("/v1/events", {"limit": 100}, account=account)["data"]
        return [event["type"] for event in reversed(listed)]

    def available(self, account: str | None = None, currency: str = "usd") -> int:
        return _amount(self.get("/v1/balance", account=account)["available"], currency)

    def pending(self, account: str | None = None, currency: str = "usd") -> int:
        return _amount(self.get("/v1/balance", account=account)["pending"], currency)

    def pay(self, amount: int = 5_000, method: str = "pm_card_visa", **more: Any) -> Json:
        """A PaymentIntent, confirmed."""
        params = {"amount": amount, "currency": "usd", "payment_method": method, "confirm": True}
        return self.post("/v1/payment_intents", {**params, **more})

    def connected_account(self) -> str:
        """One that receives transfers, with a bank account that pays."""
        bank = {
            "object": "bank_account",
            "country": "US",
            "currency": "usd",
            "account_number": "000123456789",
            "routing_number": "110000000",
        }
        account: str = self.post("/v1/accounts", {"external_account": bank})["id"]
        return account


def _amount(listed: list[Json], currency: str) -> int:
    return sum(entry["amount"] for entry in listed if entry["currency"] == currency)


def _reply(answer: Answer) -> Reply:
    response = answer.response
    body = msgspec.json.decode(response.body) if response.body else {}
    return Reply(response.status, body, response.headers, answer)
