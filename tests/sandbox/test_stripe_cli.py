"""Stripe's own CLI against the sandbox: resource commands and `stripe trigger`.

After each trigger the event is listed, its object is in the state that the event says, and a
verified webhook arrived.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.node_packages import cli_environment, stripe_cli
from tests.sandbox.process import SandboxProcess, running_sandbox
from tests.sandbox.receiver import WebhookReceiver, webhook_receiver

KEY = "sk_test_stripe_cli"
SECRET, CONNECT_SECRET = "whsec_cli_platform", "whsec_cli_connect"

Object = Any
"""A Stripe object as JSON."""

STATES: dict[str, Callable[[Object], bool]] = {
    "payment_intent.created": lambda o: o["status"] == "requires_payment_method",
    "payment_intent.succeeded": lambda o: o["status"] == "succeeded",
    "payment_intent.payment_failed": lambda o: o["last_payment_error"] is not None,
    "payment_intent.canceled": lambda o: o["status"] == "canceled",
    "payment_intent.requires_action": lambda o: o["next_action"] is not None,
    "payment_intent.amount_capturable_updated": lambda o: o["amount_capturable"] == o["amount"],
    "charge.succeeded": lambda o: o["paid"] and o["status"] == "succeeded",
    "charge.captured": lambda o: o["captured"] and o["balance_transaction"] is not None,
    "charge.failed": lambda o: o["status"] == "failed" and not o["paid"],
    "charge.refunded": lambda o: o["refunded"] and o["amount_refunded"] == o["amount"],
    "charge.refund.updated": lambda o: o["metadata"] != {},
    "charge.dispute.created": lambda o: o["status"] == "warning_needs_response",
    "charge.dispute.updated": lambda o: o["metadata"] != {},
    "charge.dispute.closed": lambda o: o["status"] == "warning_closed",
    "transfer.created": lambda o: o["amount_reversed"] == 0,
    "transfer.updated": lambda o: o["metadata"] != {},
    "transfer.reversed": lambda o: o["amount_reversed"] == 100,
    "payout.created": lambda o: o["status"] == "pending",
    "payout.updated": lambda o: o["metadata"] != {},
    "account.updated": lambda o: o["metadata"] == {"foo": "bar"},
    "balance.available": lambda o: o["available"][0]["amount"] > 0,
    "customer.created": lambda o: o["description"] == "(created by Stripe CLI)",
    "customer.updated": lambda o: o["metadata"] == {"foo": "bar"},
    "payment_method.attached": lambda o: o["customer"] is not None,
    "payment_method.detached": lambda o: o["customer"] is None,
}
SINCE_CHANGED = {"payment_intent.created", "balance.available"}
"""The trigger goes on after these, or they say nothing of one object."""


@dataclass(frozen=True, slots=True)
class Cli:
    sandbox: SandboxProcess
    receiver: WebhookReceiver
    home: Path

    def run(self, *arguments: str) -> str:
        environment = cli_environment(self.home, KEY)
        command = [str(stripe_cli()), *arguments, "--api-base", self.sandbox.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def object(self, *arguments: str) -> Object:
        return json.loads(self.run(*arguments))

    def get(self, path: str, account: str | None = None) -> Object:
        """What the API itself says, asked without the CLI."""
        return self.sandbox.get(path, KEY, account)


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    stripe_cli()
    with webhook_receiver() as receiver:
        endpoints = ["--webhook-url", receiver.url, "--webhook-secret", SECRET]
        endpoints += ["--connect-webhook-url", receiver.url]
        endpoints += ["--connect-webhook-secret", CONNECT_SECRET]
        with running_sandbox(*endpoints) as sandbox:
            yield Cli(sandbox, receiver, tmp_path_factory.mktemp("home"))


@pytest.mark.parametrize("event_type", STATES)
def test_a_trigger_makes_its_event(cli: Cli, event_type: str) -> None:
    cli.receiver.received.clear()
    cli.run("trigger", event_type)
    received = cli.receiver.wait_for(event_type)
    event = received.event
    account = event.get("account")
    received.verify(SECRET if account is None else CONNECT_SECRET)
    assert STATES[event_type](event["data"]["object"])

    listed = cli.get(f"/v1/events?type={event_type}&limit=100", account)["data"]
    assert event["id"] in [each["id"] for each in listed]

    if event_type not in SINCE_CHANGED:
        now = cli.get(path_of(event["data"]["object"]), account)
        assert STATES[event_type](now), now


def path_of(shown: Object) -> str:
    return f"/v1/{shown['object']}s/{shown['id']}"


def test_resource_commands(cli: Cli) -> None:
    made = cli.object("payment_intents", "create", "--amount", "500", "--currency", "usd")
    assert made["status"] == "requires_payment_method"
    confirm = ("payment_intents", "confirm", made["id"], "--payment-method", "pm_card_visa")
    assert cli.object(*confirm)["status"] == "succeeded"
    vendor = cli.object("accounts", "create")["id"]
    parameters = ("-d", "amount=100", "-d", "currency=usd", "-d", f"destination={vendor}")
    transfer = cli.object("post", "/v1/transfers", *parameters)
    assert transfer["destination"] == vendor
    got = cli.object("get", f"/v1/transfers/{transfer['id']}")
    assert got["id"] == transfer["id"]
    refund = cli.object("refunds", "create", "--payment-intent", made["id"], "--amount", "100")
    assert refund["status"] == "succeeded"


def test_a_trigger_can_be_overridden(cli: Cli) -> None:
    cli.receiver.received.clear()
    override = "payment_intent:metadata[paymentId]=p-1"
    cli.run("trigger", "payment_intent.succeeded", "--override", override)
    event = cli.receiver.wait_for("payment_intent.succeeded").event
    assert event["data"]["object"]["metadata"] == {"paymentId": "p-1"}
