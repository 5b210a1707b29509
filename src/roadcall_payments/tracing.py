"""OpenTelemetry traces, one a payment, when a collector is named; else this is not loaded.

A payment's trace id *is* its id (a UUIDv7 has 128 bits, as a trace id has), and its root span's id
is derived from it: so the API, the worker, a webhook and the relay, in whatever process and on
whatever day, write into the same trace without passing anything on. Spans hold ids, codes and
counts; never a body, a key or a person. The service's parts are wrapped from outside.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar, cast

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from roadcall_payments.commit import Commit, CommitResult, InboxInsert
from roadcall_payments.domain.stripe_objects import StripeRequest
from roadcall_payments.ports import Answered, Claim, Gateway, Outcome, Queue, Refused, Store

T = TypeVar("T")
Attributes = Mapping[str, AttributeValue]
Handler = Callable[[Claim], Awaitable[None]]
Scope = dict[str, object]
AsgiCall = Callable[..., Awaitable[None]]

_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_NAMES = {
    Queue.OUTBOX: "publish",
    Queue.INBOX: "webhook retry",
    Queue.ATTENTION: "recover",
    Queue.NOTICES: "notice",
}
_READS = frozenset(
    "payment_intent payment_intents transfer transfers reversals refunds balance_transactions"
    " balance payouts".split()
)


def trace_id_of(payment_id: str) -> int | None:
    """The payment's trace id: the id itself. None for what is no id of ours."""
    return int(payment_id.replace("-", ""), 16) if _UUID.fullmatch(payment_id) else None


def root_span_id(trace_id: int) -> int:
    digest = hashlib.sha256(b"roadcall payment root" + trace_id.to_bytes(16, "big")).digest()
    return int.from_bytes(digest[:8], "big") or 1


class _Ids(RandomIdGenerator):
    """Random ids, but for the spans whose ids are derived or were promised to their children."""

    def __init__(self) -> None:
        self.forced: ContextVar[tuple[int | None, int] | None] = ContextVar("span", default=None)

    def generate_span_id(self) -> int:
        forced = self.forced.get()
        return forced[1] if forced else super().generate_span_id()

    def generate_trace_id(self) -> int:
        forced = self.forced.get()
        return (forced and forced[0]) or super().generate_trace_id()


@dataclass(slots=True)
class _Surroundings:
    """A request or a piece of work under way; which payment's it is may only show in its midst."""

    name: str
    span_id: int
    trace_id: int | None = None


_around: ContextVar[_Surroundings | None] = ContextVar("roadcall_surroundings", default=None)


class Tracing:
    """Wraps the service's parts, and writes their spans to ``processor``."""

    def __init__(self, processor: SpanProcessor) -> None:
        self._ids = _Ids()
        # Sampler and limits come from OpenTelemetry's own variables.
        self._provider = TracerProvider(
            id_generator=self._ids,
            resource=Resource.create().merge(_named()),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("roadcall_payments")
        self._propagator = TraceContextTextMapPropagator()

    def store(self, store: Store) -> Store:
        return cast(Store, _TracedStore(store, self))

    def gateway(self, gateway: Gateway) -> Gateway:
        return cast(Gateway, _TracedGateway(gateway, self))

    def handlers(self, handlers: Mapping[Queue, Handler], store: Store) -> Mapping[Queue, Handler]:
        """A worker's handlers, each in a span of the payment that the piece of work is of."""
        return {queue: self._handler(queue, work, store) for queue, work in handlers.items()}

    def _handler(self, queue: Queue, handler: Handler, store: Store) -> Handler:

        async def work(claim: Claim) -> None:
            stream = claim.key
            if queue is Queue.NOTICES:
                notice = await store.notice(claim.key)
                stream = notice.insert.stream if notice else ""
            attributes = {"roadcall.attempts": claim.attempts}
            with self._surrounded(_NAMES[queue], SpanKind.CONSUMER, attributes) as around:
                around.trace_id = _trace_of_stream(stream)
                await handler(claim)

        return work

    def app(self, app: AsgiCall) -> AsgiCall:
        """The HTTP application; a request's span is written when its payment is known."""

        async def answer(scope: Scope, receive: object, send: AsgiCall) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            attributes: dict[str, AttributeValue] = {}

            async def sending(message: Scope) -> None:
                if message["type"] == "http.response.start":
                    attributes["http.response.status_code"] = cast(int, message["status"])
                await send(message)

            links = self._links(scope)
            with self._surrounded("request", SpanKind.SERVER, attributes, links) as around:
                try:
                    await app(scope, receive, sending)
                finally:
                    attributes.update(_request_attributes(scope))
                    around.name = " ".join((str(scope["method"]), str(attributes["http.route"])))
                    around.trace_id = around.trace_id or _trace_of_request(scope)

        return answer

    async def close(self) -> None:
        """Send what is left; waits for the exporter."""
        await asyncio.to_thread(self._provider.shutdown)

    # --- spans ---

    @contextmanager
    def span(
        self, trace_id: int | None, name: str, kind: SpanKind, attributes: dict[str, AttributeValue]
    ) -> Iterator[None]:
        """A span of a payment's trace, below what surrounds it; ``attributes`` are read at its
        end. None of it where no payment is known."""
        around = _around.get()
        trace_id = trace_id or (around.trace_id if around else None)
        if trace_id is None:
            yield
            return
        if around is not None and around.trace_id is None:
            around.trace_id = trace_id
        ours = around is not None and around.trace_id == trace_id
        parent = around.span_id if around and ours else root_span_id(trace_id)
        began = time.time_ns()
        before = sys.exception()
        try:
            yield
        finally:
            above = self._context(trace_id, parent)
            self._write(name, kind, attributes, began, above, _raised_since(before))

    @contextmanager
    def _surrounded(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, AttributeValue],
        links: Sequence[Link] = (),
    ) -> Iterator[_Surroundings]:
        around = _Surroundings(name, RandomIdGenerator().generate_span_id())
        token = _around.set(around)
        began = time.time_ns()
        before = sys.exception()
        try:
            yield around
        finally:
            error = _raised_since(before)
            _around.reset(token)
            if around.trace_id is not None:
                parent = self._context(around.trace_id, root_span_id(around.trace_id))
                forced = (None, around.span_id)
                self._write(around.name, kind, attributes, began, parent, error, links, forced)

    def root(self, payment_id: str) -> None:
        """The span that all others of the payment stand below, written when it is created."""
        trace_id = trace_id_of(payment_id)
        if trace_id is None:
            return
        attributes = {"roadcall.payment_id": payment_id}
        forced = (trace_id, root_span_id(trace_id))
        self._write(
            "payment", SpanKind.INTERNAL, attributes, time.time_ns(), None, None, (), forced
        )

    def _write(
        self,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        began: int,
        parent: SpanContext | None,
        error: BaseException | None,
        links: Sequence[Link] = (),
        forced: tuple[int | None, int] | None = None,
    ) -> None:
        above = trace.NonRecordingSpan(parent) if parent else trace.INVALID_SPAN
        token = self._ids.forced.set(forced)
        try:
            span = self._tracer.start_span(
                name,
                trace.set_span_in_context(above),
                kind,
                attributes,
                links,
                began,
            )
        finally:
            self._ids.forced.reset(token)
        if error is not None:
            # The kind of an error alone: what it says may name people.
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
        span.end()

    def _context(self, trace_id: int, span_id: int) -> SpanContext:
        # Decided by the trace id alone, so that all processes keep or drop the same payments.
        sampled = self._provider.sampler.should_sample(None, trace_id, "payment").decision
        flags = TraceFlags.DEFAULT if sampled is Decision.DROP else TraceFlags.SAMPLED
        return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))

    def _links(self, scope: Scope) -> Sequence[Link]:
        """The caller's own trace, where it sent one: linked, since ours is the payment's."""
        headers = cast(Sequence[tuple[bytes, bytes]], scope["headers"])
        for name, value in headers:
            if name == b"traceparent":
                carrier = {"traceparent": value.decode("latin-1")}
                caller = trace.get_current_span(self._propagator.extract(carrier))
                context = caller.get_span_context()
                return (Link(context),) if context.is_valid else ()
        return ()


class _TracedStore:
    """The store, with a span for each commit that moves a payment."""

    def __init__(self, store: Store, tracing: Tracing) -> None:
        self._store = store
        self._tracing = tracing

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitResult]:
        if len(batch) != 1:
            return await self._store.commit(batch)
        (commit,) = batch
        stream = _stream_of(commit)
        trace_id = _trace_of_stream(stream)
        facts = [entry.type for write in commit.streams for entry in write.entries]
        attributes: dict[str, AttributeValue] = {"roadcall.facts": facts}
        name = "commit"
        if commit.inbox is not None:
            name = "webhook apply"
            if isinstance(commit.inbox, InboxInsert):
                attributes["roadcall.event_type"] = commit.inbox.event.type
        if trace_id is not None and "PaymentCreated" in facts:
            self._tracing.root(stream.partition("/")[2])
        with self._tracing.span(trace_id, name, SpanKind.INTERNAL, attributes):
            results = await self._store.commit(batch)
            attributes["roadcall.result"] = type(results[0]).__name__
        return results


class _TracedGateway:
    """Stripe, with a span for each call on behalf of a payment, its tries included."""

    def __init__(self, gateway: Gateway, tracing: Tracing) -> None:
        self._gateway = gateway
        self._tracing = tracing

    def __getattr__(self, name: str) -> object:
        plain = getattr(self._gateway, name)
        return self._read(name, plain) if name in _READS else plain

    async def send(self, request: StripeRequest, *, first_try: bool, budget_s: float) -> Outcome:
        attributes: dict[str, AttributeValue] = {
            "stripe.idempotency_key": request.idempotency_key,
            "roadcall.first_try": first_try,
        }
        named = _UUID.search(request.idempotency_key)
        # Others' keys name a refund, whose payment is the surroundings', or a vendor.
        of_others = request.idempotency_key.startswith(("refund_", "account_"))
        trace_id = trace_id_of(named[0]) if named and not of_others else None
        name = f"stripe {request.operation}"
        with self._tracing.span(trace_id, name, SpanKind.CLIENT, attributes):
            outcome = await self._gateway.send(request, first_try=first_try, budget_s=budget_s)
            attributes.update(_outcome_attributes(outcome))
        return outcome

    def _read(self, name: str, plain: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
        async def read(*args: object, **options: object) -> T:
            with self._tracing.span(None, f"stripe {name}", SpanKind.CLIENT, {}):
                return await plain(*args, **options)

        return read


def _raised_since(before: BaseException | None) -> BaseException | None:
    """What is on its way out of the block; not what was being handled when it began."""
    raised = sys.exception()
    return None if raised is before else raised


def _outcome_attributes(outcome: Outcome) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {"roadcall.outcome": type(outcome).__name__.lower()}
    if outcome.request_id:
        found["stripe.request_id"] = outcome.request_id
    if isinstance(outcome, Answered):
        found["stripe.object_id"] = outcome.object.id
        found["stripe.replayed"] = outcome.replayed
    elif isinstance(outcome, Refused):
        found["stripe.error_code"] = outcome.failure.code
        found["http.response.status_code"] = outcome.http_status
    else:
        found["roadcall.unknown_reason"] = outcome.reason.value
    return found


def _stream_of(commit: Commit) -> str:
    if commit.streams:
        return commit.streams[0].stream
    # A repeat, or news that changed nothing: the event alone is kept, with its payment's stream.
    inbox = commit.inbox
    kept = inbox.event.stream if isinstance(inbox, InboxInsert) else inbox and inbox.stream
    return kept or ""


def _trace_of_stream(stream: str) -> int | None:
    kind, _, own_id = stream.partition("/")
    return trace_id_of(own_id) if kind == "payment" else None


def _trace_of_request(scope: Scope) -> int | None:
    record = scope.get("roadcall.request")
    params = cast(Mapping[str, str], scope.get("path_params") or {})
    named = getattr(record, "payment_id", None) or params.get("paymentId")
    return trace_id_of(named) if isinstance(named, str) else None


def _request_attributes(scope: Scope) -> dict[str, AttributeValue]:
    """The route's template, never the address as it was sent."""
    route = str(getattr(scope.get("route"), "path", "") or "unmatched")
    method = str(scope["method"])
    found: dict[str, AttributeValue] = {
        "http.request.method": method,
        "http.route": route,
    }
    request_id = getattr(scope.get("roadcall.request"), "id", None)
    if isinstance(request_id, str):
        found["roadcall.request_id"] = request_id
    return found


def _named() -> Resource:
    """Our name, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES gave one."""
    given = str(Resource.create().attributes.get("service.name", ""))
    return Resource(
        {}
        if given and not given.startswith("unknown_service")
        else {"service.name": "roadcall-payments"}
    )


def open_tracing() -> Tracing:
    """Tracing to the collector that the environment names (OTLP over HTTP)."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return Tracing(BatchSpanProcessor(OTLPSpanExporter()))
