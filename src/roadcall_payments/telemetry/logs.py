"""Every log line of this process, ours and the libraries', as one JSON object, redacted last."""

from __future__ import annotations

import json
import logging
import sys
import threading
from types import TracebackType
from typing import TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from roadcall_payments.telemetry.redaction import redact_items

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


def _redacted(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    return redact_items(event.items(), depth=0)


def _as_line(_logger: WrappedLogger, _name: str, event: EventDict) -> str:
    try:
        return _json.encode(event).decode()
    except UnicodeEncodeError:
        # A lone surrogate has no UTF-8, but an escape.
        return json.dumps(event, separators=(",", ":"))


_SHAPED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
)
_RENDERED: tuple[Processor, ...] = (_redacted, _as_line)


def configure_logging(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every log line of this process, ours and the libraries', to ``stream`` (stderr)."""
    stream = stream or sys.stderr
    structlog.configure(
        processors=[*_SHAPED, *_RENDERED],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
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
        logger.setLevel(max(least, logging.getLevelNamesMapping()[level]))
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
