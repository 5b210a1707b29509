"""Input that nobody here wrote: the official Stripe CLI at the sandbox, the service subscribed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows import payments
from tests.flows.books import command
from tests.flows.deliveries import deliveries_of, wait_delivered
from tests.flows.stack import API_KEY, Stack, running_stack, wait_for
from tests.sandbox.node_packages import cli_environment, stripe_cli

APPLIED = (
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "payment_intent.requires_action",
    "transfer.created",
    "transfer.reversed",
)
"""The types we apply that `stripe trigger` knows; it has neither payout.paid nor payout.failed."""

KEPT = ("charge.refunded", "charge.dispute.created")

FOLLOWED = ("payout.created", "payout.updated")
"""A payout of the platform's own account is followed, whoever asked for it (M16): whichever of its
events comes first is applied, and one that brings no news is kept."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Its platform also sells to strangers, whom the CLI plays."""
    stripe_cli()
    with running_stack(tmp_path_factory.mktemp("cli")) as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def stripe(stack: Stack, home: Path, *words: str) -> str:
    done = subprocess.run(
        [str(stripe_cli()), *words, "--api-base", stack.sandbox.url],
        env=cli_environment(home, API_KEY),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def event_ids(stack: Stack, event_type: str) -> set[str]:
    listed = stack.form("GET", f"/v1/events?type={event_type}&limit=100").body["data"]
    assert isinstance(listed, list)
    return {str(event["id"]) for event in listed}


@pytest.mark.parametrize("event_type", [*APPLIED, *KEPT, *FOLLOWED])
def test_what_the_cli_triggers_arrives_verifies_is_stored_and_answered_200(
    stack: Stack, home: Path, event_type: str
) -> None:
    before = event_ids(stack, event_type)
    stripe(stack, home, "trigger", event_type)
    wait_delivered(stack)
    made = event_ids(stack, event_type) - before
    assert made
    for event_id in made:
        (delivery,) = deliveries_of(stack, event_id)
        attempts = delivery["attempts"]
        assert isinstance(attempts, list)
        assert [attempt["status"] for attempt in attempts] == [200]
    for event_id in made:
        (kept,) = stack.database.query(
            "SELECT type, status FROM inbox WHERE event_id = ?", event_id
        )
        outcomes = ("applied", "kept") if event_type in FOLLOWED else ("kept",)
        assert kept[0] == event_type
        assert kept[1] in outcomes


def test_strangers_events_touched_no_stream_and_say_why(stack: Stack) -> None:
    touched = {str(stream) for (stream,) in stack.database.query("SELECT stream FROM streams")}
    # The platform's own payouts, and how far Stripe's events were compared.
    own = {stream for stream in touched if stream.startswith(("payout/po_", "control/"))}
    assert touched == own
    assert any(stream.startswith("payout/po_") for stream in own)
    words = ("inbox", "list", "--status", "kept", "--limit", "100", "--json")
    listed = command(stack, *words)
    assert listed.returncode == 0, listed.stderr
    kept = json.loads(listed.stdout)
    assert {event["type"] for event in kept} >= {*APPLIED, *KEPT}
    for event in kept:
        assert event["stream"] is None or event["type"] in FOLLOWED
        assert event["reason"]


def test_m13_a_trigger_in_our_metadata_is_kept_and_not_applied(stack: Stack, home: Path) -> None:
    payment_id, intent_id = payments.opened(stack, payments.vendor(stack))
    before = event_ids(stack, "payment_intent.succeeded")
    words = ["trigger", "payment_intent.succeeded"]
    for name, value in (
        ("paymentId", payment_id),
        ("purpose", "driver_payment"),
        ("attempt", "1"),
    ):
        words += ["--add", f"payment_intent:metadata[{name}]={value}"]
    stripe(stack, home, *words, "--override", "payment_intent:amount=12500")
    wait_delivered(stack)
    (made,) = event_ids(stack, "payment_intent.succeeded") - before
    told = stack.database.query("SELECT status, stream FROM inbox WHERE event_id = ?", made)
    assert told == [("kept", None)]
    payment = stack.payment(payment_id)
    assert (payment["status"], payment["stripePaymentIntentId"]) == ("processing", intent_id)


def test_the_cli_confirms_our_payment_intent_and_the_payment_completes(
    stack: Stack, home: Path
) -> None:
    payment_id, intent_id = payments.opened(stack, payments.vendor(stack))
    confirm = ("payment_intents", "confirm", intent_id, "--payment-method", "pm_card_visa")
    assert json.loads(stripe(stack, home, *confirm))["status"] == "succeeded"
    stack.wait_status(payment_id, "completed")
    assert stack.facts(payment_id).count("PaymentCompleted") == 1


def test_the_cli_reverses_our_transfer_and_it_is_booked(stack: Stack, home: Path) -> None:
    payment_id = payments.approved(stack, payments.vendor(stack), driver=False)
    transfer_id = payments.process(stack, payment_id).text("stripeTransferId")
    stripe(stack, home, "post", f"/v1/transfers/{transfer_id}/reversals", "-d", "amount=2500")
    wait_for(
        "the reversal", lambda: stack.payment(payment_id)["amountReversedCents"] == 2_500 or None
    )
