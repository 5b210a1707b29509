"""Traces over OTLP/HTTP from real processes: API and worker apart, one trace a payment."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.flows import payments
from tests.flows.stack import call, running_stack, wait_for
from tests.ports import free_port


class Collector:
    """Takes what exporters send, and answers as a collector does."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []
        self.bodies: list[bytes] = []
        keep = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/v1/traces":
                    keep.take(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                """Nothing to standard error."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        self.bodies.append(body)
        for resource in request.resource_spans:
            names = {a.key: a.value.string_value for a in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [(names["service.name"], span) for span in scope.spans]

    def trace(self, payment_id: str) -> dict[str, set[str]]:
        """Names of the payment's spans, by the service that wrote them."""
        ours = bytes.fromhex(payment_id.replace("-", ""))
        found: dict[str, set[str]] = {}
        for service, span in list(self.spans):
            if span.trace_id == ours:
                found.setdefault(service, set()).add(span.name)
        return found


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        collector.server.shutdown()
        thread.join()
        collector.server.server_close()


def answered(url: str) -> str | None:
    with contextlib.suppress(OSError):
        reply = call("GET", url, timeout_s=5)
        return str(reply.body["_raw"]) if reply.status == 200 else None
    return None


def test_one_trace_a_payment_from_several_processes(tmp_path: Path) -> None:
    with collecting() as collector:
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
        with running_stack(tmp_path, None, **traced) as stack:
            port = str(free_port())
            worker = stack.start_beside(
                "worker",
                "worker",
                OTEL_SERVICE_NAME="roadcall-worker",
                ROADCALL_WORKER_METRICS_PORT=port,
            )
            metrics = f"http://127.0.0.1:{port}/metrics"
            assert "roadcall_queue_waiting" in wait_for(
                "the worker's own metrics", lambda: answered(metrics)
            )
            vendor = payments.vendor(stack)
            payment_id, _ = payments.opened(stack, vendor)
            assert payments.confirm(stack, payment_id).status == 200
            stack.wait_status(payment_id, "completed")

            def told() -> set[str] | None:
                found = collector.trace(payment_id)
                names = set().union(*found.values())
                webhook = any("webhook" in name for name in names)
                return names if webhook and {"publish", "notice"} <= names else None

            names = wait_for("the whole trace", told)
            assert worker.stop() == 0
            assert stack.service.stop() == 0
    assert {
        "payment",
        "POST /payments",
        "POST /payments/{paymentId}/process",
        "POST /payments/{paymentId}/confirm",
        "commit",
        "stripe payment_intent.create",
        "stripe payment_intent.confirm",
        "webhook apply",
    } <= names
    assert "roadcall-payments" in collector.trace(payment_id)
    for body in collector.bodies:
        for secret in (b"_secret_", b"sk_test", b"eyJ", b"office@tow.example", b"pm_card"):
            assert secret not in body
