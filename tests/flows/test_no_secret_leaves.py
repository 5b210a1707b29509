"""Run all flows with every log line on, then look for secrets wherever anything is left behind."""

from __future__ import annotations

import re

import pytest

from roadcall_payments.domain.people import Role
from tests.flows import payments
from tests.flows.books import command
from tests.flows.deliveries import deliver, signature, wait_delivered
from tests.flows.stack import (
    API_KEY,
    CONNECT_SECRET,
    WEBHOOK_SECRET,
    Reply,
    Stack,
    call,
    wait_for,
)
from tests.postgres_server import PASSWORD

ROTATED_KEY = "sk_test_flows_rotated"
CARD = "4242424242424242"
GROUPED_CARD = "4000 0000 0000 9995"


@pytest.fixture(scope="module")
def database_kind() -> str:
    """The one whose address holds a password."""
    return "postgresql"


@pytest.fixture(scope="module")
def stack_settings() -> dict[str, str]:
    return {
        "ROADCALL_LOG_LEVEL": "DEBUG",
        "ROADCALL_APPROVER_EMAILS": "approver@fleet.example",
        "ROADCALL_OPERATIONS_EMAILS": "operations@fleet.example",
    }


@pytest.fixture(scope="module")
def answers(stack: Stack) -> list[Reply]:
    """Every answer of the service's but the two that are made to carry a client secret."""
    said = [*by_card(stack), *by_transfer(stack), *mistakes(stack), *troubles(stack)]
    wait_delivered(stack)
    paths = ("/payments", "/metrics", "/health/ready", "/movements", "/vendors/ve_1")
    said += [stack.api("GET", path, as_="admin") for path in paths]
    for item in said[-len(paths)].body["items"]:  # type: ignore[attr-defined] # a list of payments
        said.append(stack.api("GET", f"/payments/{item['id']}"))
        said.append(stack.api("GET", f"/payments/{item['id']}/timeline"))
    return said


def by_card(stack: Stack) -> list[Reply]:
    vendor = payments.vendor(stack)
    paid, intent_id = payments.opened(stack, vendor)
    shown = stack.api("GET", f"/payments/{paid}/client-secret", as_="driver")
    assert shown.text("clientSecret").startswith(f"{intent_id}_secret_")
    asked, asking_intent = payments.opened(stack, vendor)
    cancelled, _ = payments.opened(stack, vendor)
    said = [
        payments.confirm(stack, paid, "pm_card_visa_chargeDeclinedInsufficientFunds"),
        payments.confirm(stack, paid),
        stack.api("POST", f"/payments/{cancelled}/cancel", {}),
    ]
    # This answer, too, is made to carry it: the driver's own, who has to act.
    assert payments.confirm(stack, asked, "pm_card_authenticationRequired").body["requiresAction"]
    path = f"/_sandbox/payment_intents/{asking_intent}/authenticate"
    stack.stripe("POST", path, {"outcome": "succeed"})
    stack.wait_status(asked, "completed")
    return said


def by_transfer(stack: Stack) -> list[Reply]:
    vendor = payments.vendor(stack)
    payment_id = payments.approved(stack, vendor, driver=False)
    path, key = f"/payments/{payment_id}/process", {"Idempotency-Key": "leaks"}
    return [stack.api("POST", path, {}, **key), stack.api("POST", path, {}, **key)]


def mistakes(stack: Stack) -> list[Reply]:
    """Secrets where they do not belong, as people and programs put them."""
    payment_id, _ = payments.opened(stack, payments.vendor(stack))
    confirm = f"/payments/{payment_id}/confirm"
    token = stack.token(Role.DISPATCHER, "us_1", company_id="co_1")
    url = stack.service.url
    event = b'{"apiKey": "%s"}' % API_KEY.encode()
    return [
        stack.api("POST", confirm, {"paymentMethodId": CARD}, as_="driver"),
        stack.api("POST", confirm, {"paymentMethodId": "pm_x", "card": CARD}, as_="driver"),
        stack.api("POST", confirm, {"paymentMethodId": API_KEY}, as_="driver"),
        stack.api("POST", confirm, {"paymentMethodId": "pm_x", CARD: API_KEY}, as_="driver"),
        stack.api("GET", f"/payments/{API_KEY}"),
        stack.api("GET", f"/payments?status={API_KEY}&cursor={WEBHOOK_SECRET}"),
        stack.api("GET", f"/payments?vendorId={CARD}"),
        stack.api("GET", f"/payments?incidentId={GROUPED_CARD.replace(' ', '+')}"),
        call("GET", f"{url}/payments?access_token={token}"),
        call("GET", f"{url}/{API_KEY}/{CARD}"),
        call("GET", f"{url}/payments", headers={"Authorization": f"Bearer {token}x"}),
        call("GET", f"{url}/payments", headers={"Authorization": f"Basic {token}"}),
        call("POST", f"{url}/payments", {"apiKey": API_KEY}, headers={"Cookie": f"t={token}"}),
        deliver(stack, event, signature(event)),
        deliver(stack, event, f"t=1,v1={WEBHOOK_SECRET}"),
        deliver(stack, event, signature(event, CONNECT_SECRET)),
    ]


def troubles(stack: Stack) -> list[Reply]:
    """Stripe answers with what it should not, late, or not at all; a key is refused."""
    vendor = payments.vendor(stack)
    cut, refused = (payments.approved(stack, vendor, driver=True) for _ in range(2))
    stack.fault(kind="truncate", route="POST /v1/payment_intents", count=1)
    said = [payments.process(stack, cut, as_="service")]
    stack.no_faults()
    stack.write_secrets(ROTATED_KEY)
    said.append(command_said(stack))
    stack.stripe("POST", "/_sandbox/keys", {"accept": [ROTATED_KEY], "revoke": [API_KEY]})
    said.append(payments.process(stack, refused, as_="service"))
    return said


def command_said(stack: Stack) -> Reply:
    """What the doctor says of a key that Stripe does not know."""
    said = command(stack, "doctor", "--json")
    assert said.returncode == 1
    return Reply(0, {"stdout": said.stdout, "stderr": said.stderr}, {})


@pytest.fixture(scope="module")
def secrets(stack: Stack, answers: list[Reply]) -> dict[str, str]:
    """All there is to hide, by name; the client secrets as Stripe itself holds them."""
    assert answers
    intents = stack.objects("payment_intents")
    client = {f"client secret of {one['id']}": str(one["client_secret"]) for one in intents}
    assert len(client) >= 5
    return {
        "API key": API_KEY,
        "rotated API key": ROTATED_KEY,
        "webhook secret": WEBHOOK_SECRET,
        "Connect webhook secret": CONNECT_SECRET,
        "database password": PASSWORD,
        "card number": CARD,
        "grouped card number": GROUPED_CARD,
        "a token's head": "eyJ",
        **client,
    }


def assert_absent(secrets: dict[str, str], text: str, where: str) -> None:
    found = [name for name, secret in secrets.items() if secret in text]
    shaped = re.findall(r"[a-z]{2,4}_\w+_secret_|whsec_|[sr]k_(?:test|live)_", text)
    # The name of a secret, never the secret: a failure's report is a place to leak, too.
    assert not found, f"{where} holds: {found}"
    assert not shaped, f"{where} holds something of a secret's shape"


def test_no_answer_carries_a_secret(answers: list[Reply], secrets: dict[str, str]) -> None:
    for number, reply in enumerate(answers):
        assert_absent(secrets, f"{reply.body} {reply.headers}", f"answer {number}")


def test_no_log_line_carries_a_secret(stack: Stack, secrets: dict[str, str]) -> None:
    lines = stack.service.log.read_text().splitlines()
    logged = [line for line in lines if line.startswith("{")]
    assert any("stripe_call" in line for line in logged)
    # The rest is standard output: the embedded issuer's tokens, printed for a person at start.
    printed = [line for line in lines if not line.startswith("{")]
    assert all(line.startswith("Tokens of") or ": eyJ" in line for line in printed), len(printed)
    for number, line in enumerate(logged):
        assert_absent(secrets, line, f"line {number} of the log")


def test_nothing_stored_carries_a_secret(stack: Stack, secrets: dict[str, str]) -> None:
    """Every value of every table: journal, inbox, notices, idempotency records, all of it."""
    seen = 0
    for table in stack.database.tables():
        for row in stack.database.query(f"SELECT * FROM {table}"):
            seen += 1
            text = " ".join(
                value.decode(errors="replace") if isinstance(value, bytes) else str(value)
                for value in row
            )
            assert_absent(secrets, text, f"a row of {table}")
    assert seen > 100


def test_no_notice_carries_a_secret(stack: Stack, secrets: dict[str, str]) -> None:
    wait_for("notices", lambda: len(stack.mailbox.messages) >= 3 or None)
    for message in stack.mailbox.messages:
        assert_absent(secrets, message.as_string(), f"the notice {message['Subject']!r}")


def test_no_command_shows_a_secret(stack: Stack, secrets: dict[str, str]) -> None:
    for words in (("settings",), ("inbox", "list", "--status", "kept", "--json")):
        said = command(stack, *words)
        assert_absent(secrets, said.stdout + said.stderr, " ".join(words))
