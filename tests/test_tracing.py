"""One trace a payment: whoever writes a span of it, in whatever process, writes into that trace."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from roadcall_payments.bootstrap import join
from roadcall_payments.clock import SystemIds
from roadcall_payments.config import Settings
from roadcall_payments.domain.errors import StripeUnavailable
from roadcall_payments.domain.events import PayerType
from roadcall_payments.ports import Channel
from roadcall_payments.telemetry import traces_wanted
from roadcall_payments.tracing import Tracing, root_span_id, trace_id_of
from tests.fakes.gateway import GOOD_SIGNATURE, FakeGateway
from tests.fakes.manual_clock import ManualClock
from tests.fakes.recording_notifier import RecordingNotifier
from tests.new_sqlite import open_new_sqlite
from tests.workflows.office import DISPATCHER, DRIVER, Office, TroubledStore


@dataclass
class TracedOffice:
    office: Office
    tracing: Tracing
    exporter: InMemorySpanExporter

    def spans(self, payment_id: str) -> list[ReadableSpan]:
        trace_id = trace_id_of(payment_id)
        return [span for span in self.all() if span.context.trace_id == trace_id]

    def all(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())


@asynccontextmanager
async def traced_office(directory: Path) -> AsyncIterator[TracedOffice]:
    exporter = InMemorySpanExporter()
    tracing = Tracing(SimpleSpanProcessor(exporter))
    real = open_new_sqlite(directory / "roadcall.sqlite")
    clock, stripe = ManualClock(), FakeGateway()
    notifiers = {channel: RecordingNotifier() for channel in Channel}
    settings = Settings(data_dir=directory)
    service = join(
        settings,
        tracing.store(real),
        tracing.gateway(stripe),
        clock,
        SystemIds(clock),
        notifiers,
        tracing,
    )
    try:
        yield TracedOffice(Office(service, stripe, clock, TroubledStore(real)), tracing, exporter)
    finally:
        await tracing.close()
        await real.close()


@pytest.fixture
async def traced(tmp_path: Path) -> AsyncIterator[TracedOffice]:
    async with traced_office(tmp_path) as opened:
        yield opened


def names(spans: list[ReadableSpan]) -> list[str]:
    return [span.name for span in spans]


async def driver_pays(office: Office) -> str:
    payment_id = await office.opened()
    await office.service.payments.confirm(DRIVER, payment_id, "pm_card_visa")
    (intent,) = office.stripe.intents.values()
    body = office.stripe.event("evt_1", "payment_intent.succeeded", intent)
    await office.service.webhook_inbox.take(body, GOOD_SIGNATURE)
    await office.service.worker.work_off()
    return payment_id


async def test_a_payments_spans_are_one_trace_below_one_root(traced: TracedOffice) -> None:
    payment_id = await driver_pays(traced.office)
    spans = traced.spans(payment_id)
    assert {
        "payment",
        "commit",
        "stripe payment_intent.create",
        "stripe payment_intent.confirm",
        "webhook apply",
        "publish",
        "notice",
    } <= set(names(spans))
    trace_id = trace_id_of(payment_id)
    assert trace_id is not None
    (root,) = [span for span in spans if span.parent is None]
    assert (root.name, root.context.span_id) == ("payment", root_span_id(trace_id))
    written = {span.context.span_id for span in spans}
    assert all(span.parent.span_id in written for span in spans if span.parent)


async def test_another_process_writes_into_the_same_trace(tmp_path: Path) -> None:
    async with traced_office(tmp_path) as first:
        payment_id = await first.office.approved(PayerType.BACK_OFFICE)
        assert "payment" in names(first.spans(payment_id))
    async with traced_office(tmp_path) as second:
        await second.office.service.payments.process(DISPATCHER, payment_id, None)
        spans = second.spans(payment_id)
    assert "stripe transfer.create" in names(spans)
    assert "payment" not in names(spans), "the root is written once, when it is created"


async def test_what_a_request_does_stands_below_the_request(traced: TracedOffice) -> None:
    office = traced.office
    payment_id = await office.approved(PayerType.BACK_OFFICE)
    traced.exporter.clear()

    class Route:
        path = "/payments/{paymentId}/process"

    async def app(scope: dict[str, object], _receive: object, send: object) -> None:
        scope["route"] = Route()
        scope["path_params"] = {"paymentId": payment_id}
        await office.service.payments.process(DISPATCHER, payment_id, None)
        assert callable(send)
        await send({"type": "http.response.start", "status": 200})

    async def sent(_message: object) -> None:
        return None

    caller = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    scope: dict[str, object] = {
        "type": "http",
        "method": "POST",
        "headers": [(b"traceparent", caller), (b"authorization", b"Bearer eyJhbGciOi.eyJz.c2ln")],
    }
    await traced.tracing.app(app)(scope, None, sent)
    spans = {span.name: span for span in traced.spans(payment_id)}
    request = spans["POST /payments/{paymentId}/process"]
    assert request.attributes is not None
    assert request.attributes["http.response.status_code"] == 200
    for below in ("commit", "stripe transfer.create"):
        parent = spans[below].parent
        assert parent is not None
        assert parent.span_id == request.context.span_id
    (link,) = request.links
    assert f"{link.context.trace_id:032x}" == "4bf92f3577b34da6a3ce929d0e0e4736"


async def test_no_secret_and_no_error_text_is_in_a_span(traced: TracedOffice) -> None:
    office = traced.office
    payment_id = await driver_pays(office)
    office.stripe.reads_down = StripeUnavailable("sk_live_secret said no to Tow & Go")
    failing = await office.opened()
    with pytest.raises(StripeUnavailable):
        await office.service.payments.client_secret(failing)
    told = " ".join(span.to_json() for span in traced.all())
    for secret in ("_secret_", "sk_live", "pm_card", "Tow & Go", "tow@example.com"):
        assert secret not in told
    assert payment_id in told


async def test_an_error_is_named_by_its_kind(traced: TracedOffice) -> None:
    office = traced.office
    payment_id = await office.opened()
    traced.exporter.clear()
    office.stripe.reads_down = StripeUnavailable("down")
    outer = traced.tracing.span(trace_id_of(payment_id), "outer", SpanKind.INTERNAL, {})
    with pytest.raises(StripeUnavailable), outer:
        await office.service.gateway.payment_intent("pi_1")
    (span,) = traced.spans(payment_id)
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "StripeUnavailable"


async def test_what_is_no_payments_writes_nothing(traced: TracedOffice) -> None:
    await traced.office.vendor()
    await traced.office.service.worker.work_off()
    assert traced.all() == []


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"},
            False,
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
            False,
        ),
    ],
)
def test_traces_are_written_where_a_collector_is_named(
    environment: dict[str, str], wanted: bool
) -> None:
    assert traces_wanted(environment) is wanted


def test_without_a_collector_neither_sdk_nor_exporter_is_loaded() -> None:
    asked = (
        "import sys, roadcall_payments.cli.main;"
        "parts = ('opentelemetry.sdk', 'opentelemetry.exporter');"
        "sys.exit(any(name.startswith(parts) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
