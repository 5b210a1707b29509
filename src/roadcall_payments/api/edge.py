"""The outermost layer: a request's id, its log line and metrics, and the last resort for errors."""

from __future__ import annotations

import itertools
import re
import secrets
import time
from typing import Final
from urllib.parse import unquote_to_bytes

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roadcall_payments.api.problems import internal_problem, problem_of, respond
from roadcall_payments.api.request_headers import first_header
from roadcall_payments.api.wiring import RequestRecord, attach_record
from roadcall_payments.domain.errors import InvalidInput
from roadcall_payments.telemetry import (
    HTTP_REQUESTS,
    HTTP_SECONDS,
    REQUEST_ID,
    log_request,
    redact_text,
)

ADDRESS_LENGTH_MAX: Final = 4_096
# What nginx logs for a caller who hung up before the answer.
CLIENT_CLOSED_REQUEST: Final = 499

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
# Numbers: for bytes, `in` first raises and drops an exception, which takes thirty times as long.
_PERCENT, _NUL = ord("%"), 0
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_log = structlog.get_logger()


class Edge:
    """Wraps the whole application; nothing of a request escapes it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        # Unique, and a hundred times cheaper than a UUID; nothing secret hangs on them.
        self._process = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = _given_id(scope)
        exchange = _Exchange(scope, send, given or self._new_id(), foreign_id=given is not None)
        outside = REQUEST_ID.set(exchange.record.id)
        try:
            await self._answer(exchange, receive)
        finally:
            exchange.tell()
            REQUEST_ID.reset(outside)

    def _new_id(self) -> str:
        return f"{self._process}-{next(self._numbers)}"

    async def _answer(self, exchange: _Exchange, receive: Receive) -> None:
        """Send an answer whatever happens, unless half of one is out already."""
        scope, record = exchange.scope, exchange.record
        try:
            _refuse_bad_address(scope)
            await self._app(scope, receive, exchange.send)
        except ClientDisconnect:
            exchange.status = exchange.status or CLIENT_CLOSED_REQUEST
        except InvalidInput as refused:
            await respond(problem_of(refused, record.id))(scope, receive, exchange.send)
        except Exception:
            record.error_id = self._new_id()
            _log.exception("request_broke", error_id=record.error_id)
            if exchange.status:
                raise
            problem = internal_problem(record.id, record.error_id)
            await respond(problem)(scope, receive, exchange.send)


class _Exchange:
    """One request and its answer, as the log line will tell them."""

    def __init__(self, scope: Scope, send: Send, request_id: str, *, foreign_id: bool) -> None:
        self.scope = scope
        self._foreign_id = foreign_id
        self.status = 0
        self.record = RequestRecord(request_id)
        self._send = send
        self._started_s = time.perf_counter()
        attach_record(scope, self.record)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [
                *message.get("headers", ()),
                (b"x-request-id", self.record.id.encode("ascii")),
                (b"cache-control", b"no-store"),
                (b"x-content-type-options", b"nosniff"),
            ]
        await self._send(message)

    def tell(self) -> None:
        """One line and two metrics; never a header, a query, a body or a path as it was sent."""
        seconds = time.perf_counter() - self._started_s
        method = self.scope["method"] if self.scope["method"] in _METHODS else "other"
        route = _route(self.scope)
        HTTP_REQUESTS.labels(method, route, str(self.status)).inc()
        HTTP_SECONDS.labels(method, route).observe(seconds)
        record, caller = self.record, self.record.caller
        log_request(
            redact_text(record.id) if self._foreign_id else record.id,
            method,
            route,
            self.status,
            seconds,
            caller=caller.id if caller else None,
            role=caller.role.value if caller else None,
            payment_id=record.payment_id or self.scope.get("path_params", {}).get("paymentId"),
            error_id=record.error_id,
        )


def _given_id(scope: Scope) -> str | None:
    """The caller's own name for the request, where it is fit for one."""
    given = first_header(scope, b"x-request-id")
    return given if given and _REQUEST_ID.fullmatch(given) else None


def _route(scope: Scope) -> str:
    """The route's template; a path as it was sent could hold anything, also in metrics."""
    route: str = getattr(scope.get("route"), "path", "")
    return route or "unmatched"


def _refuse_bad_address(scope: Scope) -> None:
    """M37: NUL, and bytes that are no UTF-8 (surrogates among them), in path or query."""
    for field, raw in (
        ("path", scope.get("raw_path") or scope["path"].encode("utf-8", "surrogatepass")),
        ("query", scope["query_string"]),
    ):
        if len(raw) > ADDRESS_LENGTH_MAX:
            raise InvalidInput(field, f"It is longer than {ADDRESS_LENGTH_MAX} characters.")
        if _PERCENT not in raw and _NUL not in raw and raw.isascii():
            continue
        try:
            text = unquote_to_bytes(raw).decode("utf-8")
        except UnicodeDecodeError as broken:
            raise InvalidInput(field, "It must be UTF-8, percent-encoded.") from broken
        if "\0" in text:
            raise InvalidInput(field, "It must not hold NUL.")
