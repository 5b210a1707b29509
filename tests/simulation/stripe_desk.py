"""The people at Stripe's dashboard: the account, its keys, its webhooks, and what goes wrong there.

Their requests go to the sandbox at once: no fault of the network meets them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlencode

import msgspec

from roadcall_payments.ports import StripeCredentials, WebhookSecret
from stripe_sandbox import Request, Sandbox, SandboxClock, SandboxConfig
from stripe_sandbox.config import Endpoint
from stripe_sandbox.faults import FaultKind
from stripe_sandbox.json_types import JsonObject
from tests.simulation.faults import Faults, Kind
from tests.simulation.network import Network
from tests.simulation.time_and_chance import EPOCH_MS
from tests.simulation.turns import SeededLoop

HOOK_URL = "http://service.example/payments/webhooks/stripe"
OPENING_BALANCE = 50_000_000_000
EVENTS = (
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "payment_intent.requires_action",
    "transfer.created",
    "transfer.reversed",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "account.updated",
    "payout.created",
    "payout.updated",
    "payout.paid",
    "payout.failed",
    "payout.canceled",
)
SECRETS_KEPT = 4
BANK = {
    "object": "bank_account",
    "country": "US",
    "currency": "usd",
    "account_number": "000123456789",
    "routing_number": "110000000",
}
# Longer than the gateway waits for one answer, and than a request waits in all (M32).
SECONDS = {
    FaultKind.DELAY_BEFORE: 25.0,
    FaultKind.DELAY_AFTER: 15.0,
    FaultKind.WEBHOOK_REORDER: 5.0,
    FaultKind.WEBHOOK_DELAY: 120.0,
}


def form(path: str, params: Mapping[str, str], key: str) -> Request:
    """A POST to Stripe's API, as any HTTP client would write it."""
    headers = {
        "authorization": f"Bearer {key}",
        "content-type": "application/x-www-form-urlencoded",
    }
    return Request("POST", path, "", headers, urlencode(params).encode())


def new_sandbox(seed: str, loop: SeededLoop) -> Sandbox:
    clock = SandboxClock(source=lambda: EPOCH_MS + int(loop.time() * 1000))
    endpoints = tuple(
        Endpoint(f"{HOOK_URL}?{origin}", f"whsec_{origin}_0", connect=origin == "connect")
        for origin in ("platform", "connect")
    )
    config = SandboxConfig(
        seed=seed,
        opening_balance=OPENING_BALANCE,
        api_keys=("sk_test_simulated_0",),
        endpoints=endpoints,
    )
    return Sandbox(clock, config=config)


class StripeDesk:
    """A ``SecretSource`` too: what stands in it is what the service's operators were given."""

    def __init__(self, sandbox: Sandbox, network: Network) -> None:
        self._sandbox = sandbox
        self._network = network
        self._key = "sk_test_simulated_0"
        self._secrets: tuple[WebhookSecret, ...] = (
            WebhookSecret("whsec_platform_0", "platform"),
            WebhookSecret("whsec_connect_0", "connect"),
        )
        self._rotations = 0
        self._new_key = self._key
        self._rolled: tuple[WebhookSecret, ...] = self._secrets
        for endpoint in list(sandbox.world.webhook_endpoints):
            wanted = {f"enabled_events[{place}]": name for place, name in enumerate(EVENTS)}
            self.post(f"/v1/webhook_endpoints/{endpoint.id}", wanted)

    async def stripe_credentials(self) -> StripeCredentials:
        return StripeCredentials(self._key, self._secrets, connect_enabled=True)

    def post(self, path: str, params: Mapping[str, str], account: str | None = None) -> JsonObject:
        """Ask Stripe's API: its answer, its error's body, or nothing where a fault of Stripe's
        took the answer. ``account``: in whose name, if not the platform's."""
        # Whoever acts there has the newest key, whatever the service was handed.
        request = form(path, params, self._new_key)
        if account is not None:
            headers = {**request.headers, "stripe-account": account}
            request = replace(request, headers=headers)
        answered = self._network.ask_now(request)
        try:
            return msgspec.json.decode(answered, type=dict)
        except msgspec.DecodeError:
            return {}

    def control(self, method: str, path: str, body: JsonObject | None = None) -> JsonObject:
        """Ask the sandbox's control API; the error's body, where it refuses."""
        encoded = b"" if body is None else msgspec.json.encode(body)
        answered = self._network.ask_now(Request(method, f"/_sandbox/{path}", "", {}, encoded))
        return msgspec.json.decode(answered, type=dict)

    def charge_of(self, intent_id: str) -> str | None:
        """The charge that paid a PaymentIntent."""
        return self._sandbox.world.payment_intents[intent_id].latest_charge

    def available(self, account: str, currency: str = "usd") -> int:
        """What an account could pay out now, in Stripe's units."""
        by_currency = self._sandbox.world.funds.get(account, {})
        return by_currency[currency].available if currency in by_currency else 0

    def connected_account(self, *, ready: bool) -> str:
        """A new vendor's account; one that is not ``ready`` cannot receive transfers yet."""
        params = {"type": "express"} if not ready else {}
        params |= {f"external_account[{name}]": value for name, value in BANK.items()}
        return str(self.post("/v1/accounts", params)["id"])

    def add_keys(self) -> None:
        """A second API key, and new webhook secrets, which sign along with the old ones."""
        self._rotations += 1
        self._new_key = f"sk_test_simulated_{self._rotations}"
        self.control("POST", "keys", {"accept": [self._new_key]})
        rolled = [
            WebhookSecret(
                str(self.control("POST", f"webhook_endpoints/{endpoint.id}/roll", {})["secret"]),
                "connect" if endpoint.connect else "platform",
            )
            for endpoint in self._sandbox.world.webhook_endpoints
        ]
        self._rolled = (*rolled, *self._secrets)[:SECRETS_KEPT]

    def hand_over_keys(self) -> None:
        """The service's secret store has them now; its processes read it when they do."""
        self._key, self._secrets = self._new_key, self._rolled

    def revoke_old_key(self) -> None:
        revoked = [f"sk_test_simulated_{number}" for number in range(self._rotations)]
        self.control("POST", "keys", {"revoke": revoked})

    def struck(self, kind: Kind) -> int:
        """How often the sandbox's fault of that name has struck."""
        return sum(
            fault.struck
            for fault in self._sandbox.world.faults.all()
            if fault.kind.value == kind.value
        )

    def stop_faults(self) -> None:
        for fault in self._sandbox.world.faults.all():
            fault.probability = 0.0

    def begin_faults(self, faults: Faults) -> None:
        """The sandbox's own faults, from now on, as likely as the world's table says."""
        for kind in FaultKind:
            chance = faults.chance(Kind(kind.value))
            if not chance:
                continue
            order: JsonObject = {"kind": kind.value, "probability": chance}
            if kind in SECONDS:
                order["seconds"] = SECONDS[kind]
            if kind is FaultKind.ERROR_BEFORE:
                # Stripe remembers a 500 once it has begun; where it had not, it may as well not.
                order["probability"] = chance / 2
                self.control("POST", "faults", {**order, "saved": False})
            self.control("POST", "faults", order)
