"""One line a call, with all that finds it again and nothing that is secret."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Mapping
from dataclasses import replace

import pytest

from roadcall_payments.domain.stripe_objects import Operation
from roadcall_payments.ports import WebhookSecret
from tests.adapters.scripted_stripe import (
    CONFIRM,
    SERVER_ERROR,
    SUCCEEDED,
    Drop,
    Safe,
    Step,
    declined,
    refusal,
    rigged,
)

SECRETS = ("sk_test_first", "secret_hidden", "pm_card_visa", "4000000000009995", "whsec_hidden")


async def lines_of(written: io.StringIO, *steps: Step) -> list[Mapping[str, object]]:
    request = replace(
        CONFIRM,
        operation=Operation.CREATE_PAYMENT_INTENT,
        params='{"metadata":{"paymentId":"p_1"},"payment_method":"pm_card_visa"}',
    )
    written.truncate(written.seek(0))
    async with rigged(*steps, safe=Safe(webhook=(WebhookSecret("whsec_hidden"),))) as rig:
        await rig.gateway.send(request, first_try=True, budget_s=20)
    lines = map(json.loads, written.getvalue().splitlines())
    return [line for line in lines if line["operation"] != "account.identify"]


async def test_each_try_is_one_line_that_finds_it_again(written: io.StringIO) -> None:
    first, second = await lines_of(written, SERVER_ERROR, SUCCEEDED)
    assert first["event"] == second["event"] == "stripe_call"
    assert first["level"] == "warning"
    assert second == {
        "timestamp": second["timestamp"],
        "event": "stripe_call",
        "level": "info",
        "operation": "payment_intent.create",
        "path": CONFIRM.path,
        "payment_id": "p_1",
        "connected_account": None,
        "idempotency_key": "confirm_p_1_1",
        "request_id": "req_scripted",
        "http_status": 200,
        "replayed": False,
        "attempt": 2,
        "outcome": "done",
        "duration_ms": 0.0,
    }


async def test_no_line_holds_a_secret(
    written: io.StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    numbered = declined(doc_url="x 4000000000009995").with_headers(X_Odd="sk_test_first")
    steps: list[Step] = [
        SUCCEEDED,
        numbered,
        Drop(),
        refusal(403, "invalid_request_error", code="sk_test_first_key"),
    ]
    told = ""
    for step in steps:
        told += json.dumps(await lines_of(written, *[step] * 4))
    told += caplog.text
    assert "declined" in told
    for secret in SECRETS:
        assert secret not in told


async def test_the_sdks_own_log_says_nothing_even_where_somebody_listens(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with rigged(SUCCEEDED) as rig:
        caplog.set_level(logging.DEBUG, logger="stripe")
        await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    own = [record.getMessage() for record in caplog.records if record.name == "stripe"]
    assert own
    assert not any(own)


async def test_stripe_hears_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURSOR_AGENT", "1")
    async with rigged(SUCCEEDED) as rig:
        await rig.gateway.send(CONFIRM, first_try=True, budget_s=20)
    headers = rig.stripe.received[0].headers
    assert "cursor" not in "".join(headers.values())
