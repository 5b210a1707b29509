"""A webhook endpoint for tests: keeps what it gets, answers what it is told to."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stripe import WebhookSignature

WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Received:
    signature: str
    body: bytes

    @property
    def event(self) -> Any:
        return json.loads(self.body)

    def verify(self, secret: str) -> None:
        """Raises stripe.SignatureVerificationError."""
        WebhookSignature.verify_header(self.body.decode(), self.signature, secret, tolerance=300)


@dataclass
class WebhookReceiver:
    url: str = ""
    received: list[Received] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    """The next answers; then 200."""
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def types(self) -> list[str]:
        return [each.event["type"] for each in self.received]

    def take(self, received: Received) -> int:
        with self._changed:
            self.received.append(received)
            self._changed.notify_all()
            return self.statuses.pop(0) if self.statuses else 200

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for what arrives to meet the condition; fails the test after a minute."""
        with self._changed:
            assert self._changed.wait_for(condition, WAIT_S), f"arrived: {self.types}"

    def wait_for(self, event_type: str) -> Received:
        self.wait_until(lambda: event_type in self.types)
        return self.received[self.types.index(event_type)]


@contextmanager
def webhook_receiver() -> Iterator[WebhookReceiver]:
    receiver = WebhookReceiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = receiver.take(Received(self.headers["Stripe-Signature"], body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's own name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/webhooks"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
