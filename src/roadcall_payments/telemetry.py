"""Logs and metrics: their names, their shape and what must never be in them, in one place.

Every line of ours and of the libraries (through ``logging``) goes the same way: one JSON object
a line, redacted last, tracebacks included.
"""

from __future__ import annotations

import json
import logging
import math
import re
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime
from functools import lru_cache
from types import TracebackType
from typing import TextIO

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from structlog.typing import EventDict, Processor, WrappedLogger

# --- redaction ---------------------------------------------------------------------------------

REDACTED = "[redacted]"
TEXT_CHARS_MAX = 16_000
# Beyond this a text is not even searched: nobody reads it, and searching it would hold us up.
_SEARCHED_CHARS_MAX = 200_000
_DEPTH_MAX = 12

_SECRET_KEY = re.compile(
    r"secret|passw|authorization|apikey|token|cookie|credential|privatekey|cvc|cvv|cardnumber"
    r"|smtpurl|databaseurl|stripesignature|^pan$"
)
_NOT_LETTERS = re.compile(r"[^a-z]")

_SECRET_TEXT = re.compile(
    r"(?:sk|rk)_(?:live|test)_\w+"
    r"|(?<![A-Za-z0-9])(?:sk|rk)_\w{6,}"
    r"|whsec_[\w+/=-]+"
    r"|(?:pi|seti|src|cs|ek)_[A-Za-z0-9]{1,255}_secret_\w+"
    r"|eyJ[\w-]{4,}\.[\w-]{2,}\.[\w-]*"
    r"|(?i:bearer)[ \t]+[\w.~+/=-]{6,}"
    r"|(?i:basic)[ \t]+[A-Za-z0-9+/]{16,}=*"
    r"|(?<=://)[^/\s@]{1,255}@"
    r"|(?i:(?:password|client_?secret|api_?key|access_?token)[\"']?\s{0,3}[=:]\s{0,3}[\"']?)"
    r"[^\s\"',;&}]+"
)

# What every one of those shapes contains, in lower case: most texts have none of it, and looking
# for plain pieces costs a tenth of the search.
_HINTS = "sk_ rk_ whsec_ secret eyj bearer basic :// passw api token".split()

# Long digit runs that are no card numbers: UUIDs, digests, and dates (no issuer has 19 or 20).
_KEPT_DIGITS = (
    r"(?<![0-9A-Fa-f])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9A-Fa-f])"
    r"|(?<![0-9A-Za-z])(?=[0-9]*[a-f])[0-9a-f]{32,128}(?![0-9A-Za-z])"
    r"|(?<![0-9])(?:19|20)[0-9]{2}-[01][0-9]-[0-3][0-9](?![0-9-])"
)
_LONG_DIGITS = re.compile(r"[0-9](?:[ -]?[0-9]){12}")
_DIGITS = re.compile(rf"(?P<kept>{_KEPT_DIGITS})|[0-9](?:[ -]?[0-9]){{12,}}")
_GROUP = re.compile(r"[0-9]+")
_CARD_DIGITS = range(13, 20)
# Milli-, micro- and nanoseconds since 1970 have these lengths and begin with 1, as no card does.
_EPOCH_DIGITS = (13, 16, 19)


def redact_text(text: str) -> str:
    """The text without API keys, client secrets, tokens, passwords and card-like numbers."""
    lowered = text.lower()
    for hint in _HINTS:
        if hint in lowered:
            text = _SECRET_TEXT.sub(REDACTED, text)
            break
    return _DIGITS.sub(_without_cards, text) if _LONG_DIGITS.search(text) else text


def redact(value: object, depth: int = 0) -> object:
    """The value, copied, without anything secret, however deep it stands; plain JSON types."""
    if value is None or value is True or value is False:
        return value
    if depth > _DEPTH_MAX:
        return "[too deep]"
    match value:
        case str():
            return _shown(value)
        case int() | float():
            text = str(int(value)) if math.isfinite(value) else ""
            return value if redact_text(text) == text else REDACTED
        case bytes() | bytearray() | memoryview():
            return _shown(bytes(value).decode("utf-8", "replace"))
        case datetime():
            return value.isoformat()
        case Mapping():
            return _redacted_items(value.items(), depth + 1)
        case Sequence() | Set():
            return [redact(item, depth + 1) for item in value]
        case _:
            return _shown(str(value))


def _redacted_items(items: Iterable[tuple[object, object]], depth: int) -> dict[str, object]:
    shown: dict[str, object] = {}
    for key, item in items:
        name, secret = _judged(str(key))
        hidden = secret and item is not None and item is not True and item is not False
        shown[name] = REDACTED if hidden else redact(item, depth)
    return shown


@lru_cache(maxsize=1024)
def _judged(key: str) -> tuple[str, bool]:
    """The key as it may be shown, and whether its name says that the value is secret."""
    return redact_text(key), bool(_SECRET_KEY.search(_NOT_LETTERS.sub("", key.lower())))


def _shown(text: str) -> str:
    """Redacted, then cut: the other way round half a secret could be left over."""
    if len(text) > _SEARCHED_CHARS_MAX:
        return f"[{len(text)} characters, not shown]"
    redacted = redact_text(text)
    return redacted if len(redacted) <= TEXT_CHARS_MAX else f"{redacted[:TEXT_CHARS_MAX]}... [cut]"


def _without_cards(run: re.Match[str]) -> str:
    """Mask whatever in a run of digit groups has a card number's length and check digit."""
    text = run[0]
    if run["kept"] is not None:
        return text
    groups = list(_GROUP.finditer(text))
    kept: list[str] = []
    position = first = 0
    while first < len(groups):
        last = _card_end(groups, first)
        if last is not None:
            kept += [text[position : groups[first].start()], REDACTED]
            position = groups[last].end()
            first = last
        first += 1
    return "".join(kept) + text[position:]


def _card_end(groups: Sequence[re.Match[str]], first: int) -> int | None:
    """The last group of the longest card number that begins with group ``first``."""
    digits, found = "", None
    for index in range(first, len(groups)):
        digits += groups[index][0]
        if len(digits) >= _CARD_DIGITS.stop:
            break
        if len(digits) in _CARD_DIGITS and _is_card(digits, grouped=index > first):
            found = index
    return found


def _is_card(digits: str, *, grouped: bool) -> bool:
    if not grouped and len(digits) in _EPOCH_DIGITS and digits[0] == "1":
        return False
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


# --- logs --------------------------------------------------------------------------------------

# Libraries that bring handlers of their own, or say more than an operator wants.
_LIBRARIES = {
    "uvicorn": logging.INFO,
    "uvicorn.error": logging.INFO,
    "uvicorn.access": logging.WARNING,  # the service writes its own line for each request
    "aiohttp": logging.WARNING,
    "alembic": logging.WARNING,
    "asyncio": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    "stripe": logging.WARNING,
}

_json = msgspec.json.Encoder()


def _redacted(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    return _redacted_items(event.items(), depth=0)


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


# --- metrics -----------------------------------------------------------------------------------

REGISTRY = CollectorRegistry()

_SHORT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
_LONG = (0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 21_600, 86_400)

PAYMENTS = Counter(
    "roadcall_payments", "Payments by the status they reached.", ["status"], registry=REGISTRY
)
PROCESSING_SECONDS = Histogram(
    "roadcall_payment_processing_seconds",
    "From the start of processing to completion.",
    registry=REGISTRY,
    buckets=_LONG,
)
WEBHOOK_LAG_SECONDS = Histogram(
    "roadcall_webhook_lag_seconds",
    "From an event's creation at Stripe to its verification.",
    registry=REGISTRY,
    buckets=_LONG,
)
WEBHOOKS = Counter("roadcall_webhooks", "Verified webhooks by type.", ["type"], registry=REGISTRY)
STRIPE_CALLS = Counter(
    "roadcall_stripe_calls",
    "Tries at Stripe by operation and outcome: done, refused, unknown.",
    ["operation", "outcome"],
    registry=REGISTRY,
)
STRIPE_CALL_SECONDS = Histogram(
    "roadcall_stripe_call_seconds",
    "One try at Stripe.",
    ["operation"],
    registry=REGISTRY,
    buckets=_SHORT,
)
STRIPE_RETRIES = Counter(
    "roadcall_stripe_retries", "Tries after the first.", ["operation"], registry=REGISTRY
)
UNKNOWN_OUTCOMES = Counter(
    "roadcall_unknown_outcomes",
    "Tries whose outcome stayed unknown, by reason.",
    ["reason"],
    registry=REGISTRY,
)
QUEUE_WAITING = Gauge(
    "roadcall_queue_waiting", "Pieces of work that wait.", ["queue"], registry=REGISTRY
)
QUEUE_PARKED = Gauge("roadcall_queue_parked", "Dead letters.", ["queue"], registry=REGISTRY)
QUEUE_OLDEST_SECONDS = Gauge(
    "roadcall_queue_oldest_age_seconds",
    "How long the oldest waiting piece has been due.",
    ["queue"],
    registry=REGISTRY,
)
QUEUE_WORKED = Counter(
    "roadcall_queue_worked",
    "Pieces of work by outcome: done, postponed, parked.",
    ["queue", "outcome"],
    registry=REGISTRY,
)
DUTY_FAILING = Gauge(
    "roadcall_duty_failing",
    "1 while what is done by the clock (checkpoint) failed when it was last tried.",
    ["duty"],
    registry=REGISTRY,
)
LEDGER_IMBALANCE_CENTS = Gauge(
    "roadcall_ledger_imbalance_cents",
    "What the postings of a currency fail to cancel out to; anything but 0 is an alarm.",
    ["currency"],
    registry=REGISTRY,
)
MOVEMENTS_PAUSED = Gauge(
    "roadcall_movements_paused", "1 while an operator holds all movements.", registry=REGISTRY
)
HTTP_REQUESTS = Counter(
    "roadcall_http_requests",
    "Requests by method, route and status.",
    ["method", "route", "status"],
    registry=REGISTRY,
)
HTTP_SECONDS = Histogram(
    "roadcall_http_request_seconds",
    "Time to answer, by method and route.",
    ["method", "route"],
    registry=REGISTRY,
    buckets=_SHORT,
)


def metrics_page() -> tuple[bytes, str]:
    """All metrics in Prometheus' text format, and its content type."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST


_REACHES = {
    "PaymentCreated": "pending_approval",
    "PaymentApproved": "approved",
    "PaymentRetried": "approved",
    "ProcessingStarted": "processing",
    "PaymentCompleted": "completed",
    "PaymentFailed": "failed",
    "AttemptVoided": "failed",
    "PaymentCancelled": "cancelled",
    "PaymentRejected": "rejected",
    "ReviewBlocked": "rejected",
}
_STARTS_MAX = 10_000


class PaymentMeter:
    """Counts what the published events say. Events may come twice; metrics bear that."""

    def __init__(self) -> None:
        self._started_at: dict[str, datetime] = {}

    def observe(self, name: str, stream: str, at: datetime) -> None:
        if name not in _REACHES:
            return
        PAYMENTS.labels(_REACHES[name]).inc()
        if name == "ProcessingStarted" and len(self._started_at) < _STARTS_MAX:
            self._started_at.setdefault(stream, at)
        elif name in ("PaymentCompleted", "PaymentCancelled"):
            started_at = self._started_at.pop(stream, None)
            if started_at and name == "PaymentCompleted":
                PROCESSING_SECONDS.observe((at - started_at).total_seconds())
