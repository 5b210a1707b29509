"""Our own service under measurement: one API process, with everything that production has on."""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import issuer, stripe_events
from benchmarks.databases import Database
from benchmarks.identifiers import API_KEY, WEBHOOK_SECRET, payment_id
from benchmarks.load import http_post
from benchmarks.processes import Started, started

WEBHOOK_PATH = "/payments/webhooks/stripe"


@dataclass(frozen=True, slots=True)
class Service:
    """A running API process. ``token`` is a ``service`` caller's."""

    url: str
    process: Started
    token: str


@contextlib.contextmanager
def service_on(database: Database, stripe_url: str, log: Path) -> Iterator[Service]:
    """``serve --no-worker`` on ``database``, with an issuer elsewhere as when deployed. Limits
    are out of the way, all else is as always."""
    port = free_port()
    environment = {
        **database.environment,
        "STRIPE_API_KEY": API_KEY,
        "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "ROADCALL_STRIPE_API_BASE": stripe_url,
        "ROADCALL_RATE_LIMIT_SERVICE_PER_MINUTE": "1000000",
        "ROADCALL_JWT_ISSUER": issuer.ISSUER,
        "ROADCALL_JWT_AUDIENCE": issuer.AUDIENCE,
    }
    command = [sys.executable, "-m", "roadcall_payments.cli.main", "serve", "--no-worker"]
    command += ["--port", str(port)]
    with issuer.published_keys() as keys_url:
        environment["ROADCALL_JWKS_URL"] = keys_url
        with started(command, log, environment) as process:
            url = f"http://127.0.0.1:{port}"
            process.wait_for(f"{url}/health/live")
            yield Service(url, process, issuer.token())


@contextlib.contextmanager
def stripe_stub(log: Path) -> Iterator[str]:
    """The address of a Stripe that answers at once."""
    with started([sys.executable, "-m", "benchmarks.stripe_stub"], log, {}) as process:
        yield process.line("http")


@contextlib.contextmanager
def bare_server(kind: str, database: Database, log: Path) -> Iterator[tuple[str, Started]]:
    """The address of a server that does almost nothing; ``kind`` is ``rows`` or ``answers``."""
    port = free_port()
    environment = {
        **database.environment,
        "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "PORT": str(port),
    }
    command = [sys.executable, "-m", "benchmarks.bare_server", kind]
    with started(command, log, environment) as process:
        url = f"http://127.0.0.1:{port}"
        process.wait_for(url)
        yield url, process


def webhook_requests(url: str, path: str, first: int, count: int) -> list[bytes]:
    """The signed events of payments ``first`` to ``first + count``; good for five minutes."""
    now = int(time.time())
    return [
        http_post(
            url,
            path,
            {
                "Content-Type": "application/json; charset=utf-8",
                "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
                "Accept": "*/*; q=0.5, application/xml",
                "Cache-Control": "no-cache",
                "Stripe-Signature": stripe_events.signature(event, now),
            },
            event,
        )
        for event in stripe_events.bodies(first, count)
    ]


def process_requests(service: Service, first: int, count: int) -> list[bytes]:
    """The calls that open the PaymentIntents of approved payments."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {service.token}"}
    return [
        http_post(
            service.url,
            f"/payments/{payment_id(number)}/process",
            {**headers, "Idempotency-Key": f"bench-{number:012d}"},
            b"{}",
        )
        for number in range(first, first + count)
    ]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
