"""inbox, dead-letters, pause, resume, token, settings, doctor."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import jwt
import pytest

from roadcall_payments.commit import Commit, InboxEvent, InboxInsert, InboxStatus
from roadcall_payments.config import Settings
from roadcall_payments.ports import Queue, Store
from roadcall_payments.stores.sqlite.store import open_sqlite
from roadcall_payments.workflows.webhook_delivery import ATTEMPTS_MAX
from tests.cli.conftest import Typed
from tests.workflows.stories import World

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
STRANGER = {
    "id": "evt_stuck",
    "object": "event",
    "api_version": "2026-10-28.endive",
    "created": 1_772_452_800,
    "livemode": False,
    "type": "payment_intent.succeeded",
    "data": {
        "object": {
            "id": "pi_9",
            "object": "payment_intent",
            "amount": 700,
            "amount_received": 700,
            "created": 1_772_452_800,
            "currency": "usd",
            "livemode": False,
            "metadata": {},
            "status": "succeeded",
        }
    },
}


def in_store(database: Path, act: Callable[[Store], Awaitable[None]]) -> None:
    async def opened() -> None:
        store = open_sqlite(database)
        try:
            await act(store)
        finally:
            await store.close()

    asyncio.run(opened())


@pytest.fixture
def event_on_review(database: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a PaymentIntent that is none of ours; and there are no keys to ask Stripe with."""
    monkeypatch.delenv("STRIPE_API_KEY", raising=False)
    event = InboxEvent(
        "evt_stuck",
        "payment_intent.succeeded",
        "platform",
        NOON,
        json.dumps(STRANGER).encode(),
        InboxStatus.REVIEW,
        reason="stripe_unavailable: Stripe does not answer.",
        attempts=ATTEMPTS_MAX,
    )

    async def keep(store: Store) -> None:
        await store.commit([Commit(inbox=InboxInsert(event))])

    in_store(database, keep)
    return event.event_id


@pytest.fixture
def dead_letter(database: Path, world: World) -> str:
    async def park(store: Store) -> None:
        now = datetime.now(UTC)
        claims = await store.claim(Queue.OUTBOX, now=now, lease_s=60, limit=1, worker="test")
        await store.park(claims[0], now=now, reason="the bus was away")

    in_store(database, park)
    db = sqlite3.connect(database)
    (key,) = db.execute("SELECT key FROM work WHERE parked_at IS NOT NULL").fetchone()
    db.close()
    return str(key)


def test_an_empty_inbox_and_no_dead_letters_say_so(typed: Typed, world: World) -> None:
    assert typed("inbox", "list").stdout == "No event is in status review.\n"
    assert typed("dead-letters", "list").stdout == "No dead letters.\n"
    assert json.loads(typed("inbox", "list", "--json").stdout) == []


def test_an_event_on_review_is_listed_with_its_reason(typed: Typed, event_on_review: str) -> None:
    shown = typed("inbox", "list").stdout
    assert event_on_review in shown
    assert "Stripe does not answer." in shown
    (listed,) = json.loads(typed("inbox", "list", "--json").stdout)
    assert (listed["eventId"], listed["attempts"]) == (event_on_review, ATTEMPTS_MAX)


def test_retrying_what_does_not_wait_is_refused_by_name(typed: Typed, world: World) -> None:
    refused = typed("inbox", "retry", "evt_nobody")
    assert refused.exit_code == 1
    assert refused.stdout == "evt_nobody waits for nothing\n"


def test_a_retry_that_fails_again_says_why(typed: Typed, event_on_review: str) -> None:
    retried = typed("inbox", "retry", event_on_review)
    assert retried.exit_code == 1
    assert retried.stdout.startswith(f"{event_on_review} review: stripe_credentials_rejected")


def test_an_event_is_put_aside_with_a_reason(typed: Typed, event_on_review: str) -> None:
    assert typed("inbox", "dismiss", event_on_review).exit_code == 2
    aside = ("inbox", "dismiss", event_on_review, "--reason", "of the shop's")
    refused = typed(*aside)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "could not be tried" in refused.stderr, "Stripe rejects the key: nobody knows yet"
    done = typed(*aside, "--untried")
    assert (done.exit_code, done.stdout) == (0, f"{event_on_review} dismissed: of the shop's\n")
    assert typed("inbox", "list").stdout == "No event is in status review.\n"
    assert event_on_review in typed("inbox", "list", "--status", "dismissed").stdout
    unknown = typed("inbox", "dismiss", "evt_nobody", "--reason", "of the shop's")
    assert unknown.exit_code == 1
    assert "evt_nobody" in unknown.stderr


def test_a_dead_letter_is_listed_and_goes_back_to_work(typed: Typed, dead_letter: str) -> None:
    shown = typed("dead-letters", "list", "--queue", "outbox").stdout
    assert dead_letter in shown
    assert "the bus was away" in shown
    assert typed("doctor").exit_code == 1
    redriven = typed("dead-letters", "redrive", "outbox", dead_letter)
    assert (redriven.exit_code, redriven.stdout) == (0, "1 of 1 put back to work.\n")
    assert typed("dead-letters", "list").stdout == "No dead letters.\n"
    again = typed("dead-letters", "redrive", "outbox", dead_letter)
    assert again.exit_code == 1
    assert dead_letter in again.stderr


def test_all_dead_letters_of_a_queue_at_once(typed: Typed, dead_letter: str) -> None:
    assert typed("dead-letters", "redrive", "outbox").exit_code == 2
    redriven = typed("dead-letters", "redrive", "outbox", "--all")
    assert redriven.stdout == "1 of 1 put back to work.\n"


def test_pause_and_resume_are_seen_by_the_doctor(typed: Typed, world: World) -> None:
    assert typed("pause", "Stripe reports an incident").exit_code == 0
    shown = typed("doctor").stdout
    assert "Stripe reports an incident" in shown
    assert "roadcall-payments resume" in shown
    assert typed("resume").exit_code == 0
    assert "Stripe reports an incident" not in typed("doctor").stdout
    assert typed("pause", "  ").exit_code == 1


def test_a_token_alone_on_standard_output(typed: Typed) -> None:
    shown = typed("token", "dispatcher", "--company", "co_7", "--subject", "dana", "--hours", "1")
    assert shown.exit_code == 0
    claims = jwt.decode(shown.stdout.strip(), options={"verify_signature": False})
    assert (claims["sub"], claims["role"], claims["company_id"]) == ("dana", "dispatcher", "co_7")
    assert claims["exp"] - claims["iat"] == 3600


def test_a_token_that_makes_no_sense_is_refused(typed: Typed) -> None:
    assert typed("token", "driver", "--company", "co_7").exit_code == 2


def test_with_an_issuer_of_its_own_the_service_makes_no_tokens(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROADCALL_JWKS_URL", "https://issuer.example/jwks.json")
    refused = typed("token", "admin")
    assert refused.exit_code == 1
    assert "ROADCALL_JWKS_URL" in refused.stderr


def test_settings_shows_each_with_its_meaning_and_no_secret(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROADCALL_SMTP_URL", "smtp://user:hunter2@mail.example:25")
    shown = typed("settings")
    assert shown.exit_code == 0
    assert "ROADCALL_PORT=8000" in shown.stdout
    assert "TCP port to listen on." in shown.stdout
    assert "hunter2" not in shown.stdout
    assert len(json.loads(typed("settings", "--json").stdout)) == len(Settings.model_fields)
    changed = json.loads(typed("settings", "--changed", "--json").stdout)
    assert set(changed) == {
        "ROADCALL_DATA_DIR",
        "ROADCALL_STRIPE_API_BASE",
        "ROADCALL_SMTP_URL",
    }


def test_wrong_settings_are_all_named_with_their_variables(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROADCALL_PORT", "80000")
    monkeypatch.setenv("ROADCALL_WORKER_LEASE_S", "soon")
    for command in (["verify"], ["doctor"], ["settings"], ["serve"], ["worker"]):
        refused = typed(*command)
        assert refused.exit_code == 1
        assert "ROADCALL_PORT: " in refused.stderr
        assert "ROADCALL_WORKER_LEASE_S: " in refused.stderr
        assert "Traceback" not in refused.stderr


def test_an_own_issuer_off_the_loopback_is_refused(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROADCALL_HOST", "192.0.2.1")
    for command in ("serve", "doctor", "token"):
        refused = typed(command, *(["admin"] if command == "token" else []))
        assert refused.exit_code == 1
        assert "ROADCALL_JWKS_URL" in refused.stderr


def test_the_doctor_names_what_is_wrong_and_what_to_do(
    typed: Typed, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STRIPE_API_KEY", raising=False)
    shown = typed("doctor")
    assert shown.exit_code == 1
    assert "STRIPE_API_KEY" in shown.stdout
    assert "ROADCALL_STRIPE_API_BASE" in shown.stdout
    assert "wal mode" in shown.stdout
    checks = json.loads(typed("doctor", "--json").stdout)
    wrong = {check["name"] for check in checks if check["finding"] == "wrong"}
    assert {"Stripe key", "Stripe API"} <= wrong
    assert all(check["remedy"] for check in checks if check["finding"] == "wrong")


def test_the_doctor_misses_webhook_secrets_and_a_mail_server(
    typed: Typed, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_drill")
    monkeypatch.setenv("ROADCALL_STRIPE_BUDGET_S", "1")  # nothing answers there: do not insist
    monkeypatch.setenv("ROADCALL_SMTP_URL", "smtp://user:hunter2@127.0.0.1:1")
    shown = typed("doctor")
    assert "No webhook secret is configured" in shown.stdout
    assert "127.0.0.1:1 cannot be reached" in shown.stdout
    assert "hunter2" not in shown.output
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_drill")
    monkeypatch.delenv("ROADCALL_SMTP_URL")
    checks = {one["name"]: one for one in json.loads(typed("doctor", "--json").stdout)}
    assert checks["webhook secrets"]["finding"] == "ok"
    assert checks["mail"]["finding"] == "note"


def test_a_database_that_cannot_be_opened_is_one_sentence(typed: Typed, database: Path) -> None:
    database.write_bytes(b"this is no database, whatever its name says" * 100)
    for words in (["verify"], ["timeline", "x"], ["doctor"], ["pause", "x"], ["worker"]):
        refused = typed(*words)
        assert refused.exit_code == 1
        assert str(database) in refused.stderr
        assert "Traceback" not in refused.output
