"""The line that each request leaves: enough to follow it, nothing that must stay secret."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from roadcall_payments.domain.stripe_objects import Operation, StripeRequest
from roadcall_payments.ports import Outcome
from roadcall_payments.telemetry import configure_logging
from tests.api.harness import DRIVER, SERVICE, Api


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the process writes, configured as in production."""
    handlers, level = logging.root.handlers[:], logging.root.level
    hooks = sys.excepthook, threading.excepthook
    stream = io.StringIO()
    configure_logging("DEBUG", stream)
    yield stream
    logging.captureWarnings(False)
    logging.root.handlers[:], logging.root.level = handlers, level
    sys.excepthook, threading.excepthook = hooks
    structlog.reset_defaults()


def requests(lines: io.StringIO) -> list[dict[str, Any]]:
    read = [json.loads(line) for line in lines.getvalue().splitlines()]
    return [line for line in read if line["event"] == "request"]


async def test_a_request_can_be_followed(api: Api, lines: io.StringIO) -> None:
    created = await api.post(
        "/payments", SERVICE, api.new_payment(), headers={"X-Request-Id": "follow-me"}
    )
    (line,) = requests(lines)
    assert line["request_id"] == "follow-me"
    assert (line["method"], line["route"], line["status"]) == ("POST", "/payments", 201)
    assert (line["caller"], line["role"]) == ("intake", "service")
    assert line["payment_id"] == created.json["id"]
    assert line["duration_ms"] > 0


async def test_a_callers_own_id_may_hold_no_secret(api: Api, lines: io.StringIO) -> None:
    await api.get("/health/live", headers={"X-Request-Id": "sk_test_12345678"})
    assert requests(lines)[-1]["request_id"] == "[redacted]"


async def test_a_path_is_logged_as_its_template(api: Api, lines: io.StringIO) -> None:
    payment = await api.created()
    await api.get(f"/payments/{payment['id']}", SERVICE)
    line = requests(lines)[-1]
    assert (line["route"], line["payment_id"]) == ("/payments/{paymentId}", payment["id"])


async def test_secrets_stay_out_of_the_logs(api: Api, lines: io.StringIO) -> None:
    payment = await api.processing()
    address = f"/payments/{payment['id']}"
    secret = (await api.get(f"{address}/client-secret", DRIVER)).json["clientSecret"]
    token = api.issuer.token(SERVICE)
    await api.get("/payments", headers={"Authorization": f"Bearer {token}"})
    await api.get(f"/payments/{token}/timeline?access_token={token}", SERVICE)
    await api.post(f"{address}/confirm", DRIVER, {"paymentMethodId": "pm_4242424242424242"})
    await api.post(f"{address}/confirm", DRIVER, {"paymentMethodId": "4242424242424242"})
    await api.post("/payments/webhooks/stripe", raw=b"{}", headers={"Stripe-Signature": "v1=5ec"})
    written = lines.getvalue()
    assert len(requests(lines)) > 5
    for kept_out in (secret, token, token.split(".")[2], "4242424242424242", "v1=5ec", "Bearer"):
        assert kept_out not in written


async def test_a_failure_is_logged_with_its_id_but_without_secrets(
    api: Api, lines: io.StringIO
) -> None:
    def breaks(_request: StripeRequest) -> Outcome:
        raise ZeroDivisionError("sk_test_5up3r5ecret and pi_1_secret_x")

    api.gateway.script(Operation.CREATE_PAYMENT_INTENT, breaks)
    payment = await api.approved()
    reply = await api.post(f"/payments/{payment['id']}/process", SERVICE)
    written = lines.getvalue()
    assert reply.json["errorId"] in written
    assert "ZeroDivisionError" in written
    assert "5up3r5ecret" not in written
    assert "pi_1_secret_x" not in written
    assert requests(lines)[-1]["error_id"] == reply.json["errorId"]
