"""Every log line of this process, ours and the libraries', as one JSON object, redacted last."""

from __future__ import annotations

import json
import logging
import sys
import threading
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from roadcall_payments.telemetry.redaction import redact_items, redact_texts

REQUEST_ID: Final[ContextVar[str | None]] = ContextVar("request_id", default=None)
"""The request in hand, for every line that is written while it is answered."""

# Libraries that bring handlers of their own, or say more than an operator wants.
_LIBRARIES = {
    "uvicorn": logging.INFO,
    "uvicorn.error": logging.INFO,
    "uvicorn.access": logging.WARNING,  # the service writes its own line for each request
    "aiohttp": logging.WARNING,
    "alembic": logging.WARNING,
    "asyncio": logging.WARNING,
    "opentelemetry": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    "urllib3": logging.WARNING,
    "stripe": logging.WARNING,
}

_json = msgspec.json.Encoder()


def _with_request_id(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    request_id = REQUEST_ID.get()
    if request_id is not None:
        event.setdefault("request_id", request_id)
    return event


def _redacted(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    return redact_items(event.items(), depth=0)


def _as_line(_logger: WrappedLogger, _name: str, event: EventDict) -> str:
    return _json_text(event)


def _json_text(line: EventDict | msgspec.Struct) -> str:
    try:
        return _json.encode(line).decode()
    except UnicodeEncodeError:
        # A lone surrogate has no UTF-8, but an escape.
        return json.dumps(msgspec.to_builtins(line), separators=(",", ":"))


_SHAPED: tuple[Processor, ...] = (
    _with_request_id,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
)
_RENDERED: tuple[Processor, ...] = (_redacted, _as_line)


class _Lines(structlog.WriteLoggerFactory):
    """Where lines go, and from which level on."""

    def __init__(self, stream: TextIO, level: int) -> None:
        super().__init__(stream)
        self._stream = stream
        self._level = level

    def takes(self, level: int) -> bool:
        return level >= self._level

    def write(self, line: msgspec.Struct) -> None:
        self._stream.write(_json_text(line) + "\n")
        self._stream.flush()


class _RequestLine(msgspec.Struct, tag_field="event", tag="request", omit_defaults=True):
    method: str
    route: str
    status: int
    duration_ms: float
    request_id: str
    timestamp: datetime
    level: str
    caller: str | None = None
    role: str | None = None
    payment_id: str | None = None
    error_id: str | None = None


def log_request(
    request_id: str,
    method: str,
    route: str,
    status: int,
    seconds: float,
    *,
    caller: str | None = None,
    role: str | None = None,
    payment_id: str | None = None,
    error_id: str | None = None,
) -> None:
    """The line that each request leaves.

    It is the one line that is written all day, so it does not pass the processors, which cost
    thirty times as much as its encoding; it looks as theirs do. ``method`` and ``route`` are our
    own words, and ``request_id`` is our own or redacted; what else came from outside is redacted.
    """
    lines = _lines_from(logging.INFO)
    if lines is None:
        return
    duration_ms, now = round(seconds * 1_000, 1), datetime.now(UTC)
    line = _RequestLine(method, route, status, duration_ms, request_id, now, "info")
    line.caller, line.payment_id = redact_texts(caller, payment_id)
    line.role = role
    line.error_id = error_id
    lines.write(line)


class _StripeCallLine(msgspec.Struct, tag_field="event", tag="stripe_call"):
    operation: str
    path: str | None
    payment_id: str | None
    connected_account: str | None
    idempotency_key: str | None
    request_id: str | None
    http_status: int | None
    replayed: bool | None
    attempt: int
    outcome: str | None
    duration_ms: float
    level: str
    timestamp: datetime


def log_stripe_call(
    operation: str,
    path: str,
    *,
    payment_id: str | None,
    connected_account: str | None,
    idempotency_key: str | None,
    request_id: str | None,
    http_status: int | None,
    replayed: bool | None,
    attempt: int,
    outcome: str,
    seconds: float,
    level: Literal["info", "warning"],
) -> None:
    """The line of each try at Stripe, past the processors as a request's is (``log_request``).

    ``operation`` is our own word; the other texts are redacted.
    """
    lines = _lines_from(logging.INFO if level == "info" else logging.WARNING)
    if lines is None:
        return
    path_, payment, account, key, at_stripe, came_to = redact_texts(
        path, payment_id, connected_account, idempotency_key, request_id, outcome
    )
    lines.write(
        _StripeCallLine(
            operation,
            path_,
            payment,
            account,
            key,
            at_stripe,
            http_status,
            replayed,
            attempt,
            came_to,
            round(seconds * 1_000, 1),
            level,
            datetime.now(UTC),
        )
    )


def _lines_from(level: int) -> _Lines | None:
    """Where lines of that level go; None where they are not wanted."""
    lines = structlog.get_config()["logger_factory"]
    return lines if isinstance(lines, _Lines) and lines.takes(level) else None


def configure_logging(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every log line of this process, ours and the libraries', to ``stream`` (stderr)."""
    stream = stream or sys.stderr
    least_level = logging.getLevelNamesMapping()[level]
    structlog.configure(
        processors=[*_SHAPED, *_RENDERED],
        wrapper_class=structlog.make_filtering_bound_logger(least_level),
        logger_factory=_Lines(stream, least_level),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                *_SHAPED,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_RENDERED],
        )
    )
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level)
    for name, least in _LIBRARIES.items():
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(max(least, least_level))
    logging.captureWarnings(True)
    # A crash would otherwise print its traceback past all of this.
    sys.excepthook = _log_crash
    threading.excepthook = _log_thread_crash


def _log_crash(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger().critical("process_crashed", exc_info=(kind, error, trace))


def _log_thread_crash(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_value is not None:
        _log_crash(crash.exc_type, crash.exc_value, crash.exc_traceback)
