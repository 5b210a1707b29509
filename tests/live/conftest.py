"""The same flows against Stripe's own test mode, or against the sandbox where there is no key.

`make test-live STRIPE_API_KEY=sk_test_...` names the key. The suite runs them against the sandbox,
so that they do not rot while nobody has one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.databases import sqlite_in
from tests.flows.stack import Mailbox, ServerProcess, Stack, running_stack

STRIPE = "https://api.stripe.com"


class Elsewhere(ServerProcess):
    """Stripe itself: nothing to start, nothing to end."""

    def __init__(self) -> None:
        self.url = STRIPE

    def wait_ready(self, path: str) -> None:
        return

    def kill(self) -> None:
        return

    @property
    def running(self) -> bool:
        return False


class LiveStack(Stack):
    """The service with Stripe's test mode. No webhook reaches it: answers and recovery do all."""

    def launch_sandbox(self) -> ServerProcess:
        return Elsewhere()

    def connected_account(self) -> str:
        """Onboarding a real one takes a person: the caller names one that can receive."""
        return os.environ.get("STRIPE_DESTINATION", "acct_none")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory: Path = tmp_path_factory.mktemp("live")
    if "ROADCALL_TEST_LIVE" not in os.environ:
        with running_stack(directory) as sandboxed:
            yield sandboxed
        return
    patient = {
        "ROADCALL_STRIPE_BUDGET_S": "20",
        "ROADCALL_STRIPE_TIMEOUT_S": "10",
        "ROADCALL_RECOVERY_AFTER_S": "30",
    }
    mailbox = Mailbox()
    mailbox.controller.start()
    live: LiveStack | None = None
    try:
        key = os.environ["STRIPE_API_KEY"]
        live = LiveStack(directory, mailbox, sqlite_in(directory), patient, api_key=key)
        yield live
    finally:
        if live is not None:
            live.close()
        mailbox.controller.stop()
