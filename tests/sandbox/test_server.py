"""The sandbox as a process: the official SDK over HTTP, kills, faults on the wire, webhooks."""

import http.client
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import stripe
from stripe import StripeClient

from tests.sandbox.process import SandboxProcess, running_sandbox
from tests.sandbox.receiver import WebhookReceiver, webhook_receiver


def wanted(**more: Any) -> Any:
    """A PaymentIntent's parameters."""
    automatic = {"enabled": True, "allow_redirects": "never"}
    base = {"amount": 5_000, "currency": "usd", "automatic_payment_methods": automatic}
    return {**base, **more}


INTENT = wanted()
PAID = wanted(payment_method="pm_card_visa", confirm=True)
SECRET = "whsec_test_platform"


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    with running_sandbox() as process:
        yield process


def client(sandbox: SandboxProcess, key: str = "sk_test_server") -> StripeClient:
    return StripeClient(key, base_addresses={"api": sandbox.url})


def control(sandbox: SandboxProcess, method: str, path: str, body: Any = None) -> Any:
    return sandbox.control(method, path, body)


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with webhook_receiver() as found:
        yield found


@pytest.fixture
def subscribed(receiver: WebhookReceiver) -> Iterator[SandboxProcess]:
    options = ["--webhook-url", receiver.url, "--webhook-secret", SECRET]
    with running_sandbox(*options, "--webhook-retries", "1,1") as process:
        yield process


def test_the_sdk_pays_and_transfers(sandbox: SandboxProcess) -> None:
    api = client(sandbox).v1
    intent = api.payment_intents.create(INTENT, {"idempotency_key": "payment_1"})
    paid = api.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert paid.status == "succeeded"
    vendor = api.accounts.create()
    transfer = api.transfers.create({"amount": 100, "currency": "usd", "destination": vendor.id})
    assert api.transfers.retrieve(transfer.id).destination == vendor.id
    with pytest.raises(stripe.CardError) as declined:
        api.payment_intents.create(
            wanted(payment_method="pm_card_visa_chargeDeclined", confirm=True)
        )
    assert declined.value.code == "card_declined"


def test_answered_requests_survive_a_kill(tmp_path: Path) -> None:
    state = str(tmp_path / "state.sqlite")
    with running_sandbox("--state", state) as first:
        api = client(first).v1
        vendor = api.accounts.create()
        transfer = api.transfers.create(
            {"amount": 700, "currency": "usd", "destination": vendor.id},
            {"idempotency_key": "transfer_1"},
        )
        before = control(first, "GET", "state")
        first.kill()
    with running_sandbox("--state", state) as second:
        after = control(second, "GET", "state")
        assert after.pop("now") >= before.pop("now")
        assert after == before
        api = client(second).v1
        again = api.transfers.create(
            {"amount": 700, "currency": "usd", "destination": vendor.id},
            {"idempotency_key": "transfer_1"},
        )
        assert again.id == transfer.id
        fresh = api.transfers.create(
            {"amount": 1, "currency": "usd", "destination": vendor.id},
        )
        assert fresh.id != transfer.id
        assert second.stop() == 0


def test_a_kill_in_the_middle_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    state = str(tmp_path / "state.sqlite")
    answered: list[str] = []
    with running_sandbox("--state", state) as first, ThreadPoolExecutor(8) as pool:
        workers = [pool.submit(create_until_cut_off, first, answered) for _ in range(8)]
        while len(answered) < 100:
            assert not any(worker.done() for worker in workers)
        first.kill()
    with running_sandbox("--state", state) as second:
        kept = control(second, "GET", "state?kinds=payment_intents")["payment_intents"]
    assert set(answered) <= {intent["id"] for intent in kept}


def create_until_cut_off(sandbox: SandboxProcess, answered: list[str]) -> None:
    api = client(sandbox).v1
    try:
        while True:
            answered.append(api.payment_intents.create(INTENT).id)
    except stripe.APIConnectionError:
        return


def test_an_occupied_port_is_a_clear_error(sandbox: SandboxProcess) -> None:
    port = sandbox.url.rsplit(":", 1)[1]
    done = subprocess.run(
        [sys.executable, "-m", "stripe_sandbox", "--port", port],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr


def test_a_second_sandbox_on_the_same_file_is_a_clear_error(tmp_path: Path) -> None:
    state = str(tmp_path / "state.sqlite")
    with running_sandbox("--state", state):
        command = [sys.executable, "-m", "stripe_sandbox", "--port", "0", "--state", state]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "is another sandbox running on it?" in done.stderr


@pytest.mark.parametrize(
    ("kind", "moved"),
    [
        ("drop_before", False),
        ("drop_after", True),
        ("truncate", True),
        ("error_before", False),
        ("error_after", True),
        ("conflict", False),
        ("rate_limit", False),
    ],
)
def test_a_fault_strikes_once_on_its_side_of_the_effect(
    sandbox: SandboxProcess, kind: str, moved: bool
) -> None:
    fault = {"kind": kind, "route": "POST /v1/payment_intents", "count": 1}
    control(sandbox, "POST", "faults", fault)
    api = client(sandbox).v1
    expected = (stripe.APIConnectionError, stripe.APIError, stripe.RateLimitError)
    with pytest.raises((*expected, http.client.HTTPException)):
        api.payment_intents.create(INTENT, {"idempotency_key": "k"})
    made = control(sandbox, "GET", "state?kinds=payment_intents")["payment_intents"]
    assert [each["_idempotency_key"] for each in made] == (["k"] if moved else [])
    if kind.startswith("error"):
        with pytest.raises(stripe.APIError):
            api.payment_intents.create(INTENT, {"idempotency_key": "k"})
    else:
        api.payment_intents.create(INTENT, {"idempotency_key": "k"})
    made = control(sandbox, "GET", "state?kinds=payment_intents")["payment_intents"]
    assert len(made) == (0 if kind == "error_before" else 1)


def test_a_held_answer_keeps_its_key_in_flight(sandbox: SandboxProcess) -> None:
    fault = {"kind": "delay_after", "route": "POST /v1/payment_intents", "count": 1, "seconds": 3}
    control(sandbox, "POST", "faults", fault)
    api = client(sandbox).v1

    def create() -> Any:
        return api.payment_intents.create(INTENT, {"idempotency_key": "k"})

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(create)
        while not control(sandbox, "GET", "state?kinds=payment_intents")["payment_intents"]:
            assert not first.done()
        with pytest.raises(stripe.StripeError) as refused:
            create()
        assert refused.value.http_status == 409
        assert create_again(create) == first.result().id


def create_again(create: Callable[[], Any]) -> str:
    """The id, once the key is no longer in flight."""
    while True:
        try:
            return str(create().id)
        except stripe.StripeError as error:
            if error.http_status != 409:
                raise
            time.sleep(0.01)


def test_webhooks_are_signed_and_retried_until_they_are_taken(
    subscribed: SandboxProcess, receiver: WebhookReceiver
) -> None:
    receiver.statuses = [500]
    client(subscribed).v1.payment_intents.create(INTENT)
    receiver.wait_until(lambda: len(receiver.received) == 2)
    assert receiver.types == ["payment_intent.created"] * 2
    for received in receiver.received:
        received.verify(SECRET)
    [delivery] = reported(subscribed)
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 200]


def reported(sandbox: SandboxProcess) -> Any:
    """The deliveries, once none of them is pending."""
    deadline = time.monotonic() + 60
    while control(sandbox, "GET", "deliveries?state=pending")["deliveries"]:
        assert time.monotonic() < deadline, "a delivery is still pending"
        time.sleep(0.01)
    return control(sandbox, "GET", "deliveries")["deliveries"]


def test_an_early_webhook_comes_before_the_answer(
    subscribed: SandboxProcess, receiver: WebhookReceiver
) -> None:
    control(subscribed, "POST", "faults", {"kind": "webhook_early"})
    client(subscribed).v1.payment_intents.create(PAID)
    assert len(receiver.received) == 3


def test_webhooks_come_twice_and_in_reverse(
    subscribed: SandboxProcess, receiver: WebhookReceiver
) -> None:
    control(subscribed, "POST", "faults", {"kind": "webhook_reorder", "seconds": 0.3})
    control(subscribed, "POST", "faults", {"kind": "webhook_duplicate"})
    client(subscribed).v1.payment_intents.create(PAID)
    receiver.wait_until(lambda: len(receiver.received) == 6)
    assert receiver.types == [
        "payment_intent.succeeded",
        "payment_intent.succeeded",
        "charge.succeeded",
        "charge.succeeded",
        "payment_intent.created",
        "payment_intent.created",
    ]
    assert len({received.event["id"] for received in receiver.received}) == 3


def test_a_rolled_secret_signs_along_and_the_old_one_alone_on_demand(
    subscribed: SandboxProcess, receiver: WebhookReceiver
) -> None:
    api = client(subscribed).v1
    endpoint = api.webhook_endpoints.list().data[0]
    rolled = control(subscribed, "POST", f"webhook_endpoints/{endpoint.id}/roll", {})
    api.payment_intents.create(INTENT)
    receiver.wait_until(lambda: len(receiver.received) == 1)
    receiver.received[0].verify(SECRET)
    receiver.received[0].verify(rolled["secret"])
    control(subscribed, "POST", "faults", {"kind": "webhook_old_secret"})
    api.payment_intents.create(INTENT)
    receiver.wait_until(lambda: len(receiver.received) == 2)
    receiver.received[1].verify(SECRET)
    with pytest.raises(stripe.SignatureVerificationError):
        receiver.received[1].verify(rolled["secret"])
    control(subscribed, "DELETE", "faults")
    control(subscribed, "POST", "clock", {"advance": 2 * 86_400})
    api.payment_intents.create(INTENT)
    receiver.wait_until(lambda: len(receiver.received) == 3)
    assert receiver.received[2].signature.count("v1=") == 1


def test_connected_accounts_events_go_to_the_connect_endpoint(
    subscribed: SandboxProcess, receiver: WebhookReceiver
) -> None:
    api = client(subscribed).v1
    connect = api.webhook_endpoints.create(
        {"url": receiver.url, "enabled_events": ["payout.created"], "connect": True}
    )
    assert connect.secret is not None
    bank = {"object": "bank_account", "country": "US", "account_number": "000123456789"}
    with_bank: Any = {"external_account": bank}
    vendor = api.accounts.create(with_bank).id
    api.transfers.create({"amount": 100, "currency": "usd", "destination": vendor})
    api.payouts.create({"amount": 100, "currency": "usd"}, {"stripe_account": vendor})
    received = receiver.wait_for("payout.created")
    assert received.event["account"] == vendor
    received.verify(connect.secret)


def test_a_dropped_event_can_be_resent(
    subscribed: SandboxProcess, receiver: WebhookReceiver
) -> None:
    control(subscribed, "POST", "faults", {"kind": "webhook_drop", "count": 1})
    api = client(subscribed).v1
    api.payment_intents.create(INTENT)
    event = api.events.list({"type": "payment_intent.created"}).data[0]
    assert [each["state"] for each in reported(subscribed)] == ["dropped"]
    control(subscribed, "POST", f"events/{event.id}/resend", {})
    assert receiver.wait_for("payment_intent.created").event["id"] == event.id
    assert len(receiver.received) == 1
