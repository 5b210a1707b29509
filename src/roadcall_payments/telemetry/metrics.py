"""The metrics: names, labels, buckets; `docs/operating.md` lists them, and a test checks it.

Counters and histograms are each process's own: sum them. Gauges say what the database says, the
same in every process: take their maximum.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from roadcall_payments.telemetry.counting import CounterFamily, HistogramFamily

REGISTRY = CollectorRegistry()

_SHORT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
_LONG = (0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 21_600, 86_400)

PAYMENTS = CounterFamily(
    "roadcall_payments",
    "Payments by the status they reached, counted when it was committed.",
    ["status"],
    registry=REGISTRY,
)
PROCESSING_SECONDS = HistogramFamily(
    "roadcall_payment_processing_seconds",
    "From the start of processing to completion.",
    registry=REGISTRY,
    bounds=_LONG,
).labels()
WEBHOOK_LAG_SECONDS = HistogramFamily(
    "roadcall_webhook_lag_seconds",
    "From an event's creation at Stripe to its verification.",
    registry=REGISTRY,
    bounds=_LONG,
).labels()
WEBHOOKS = CounterFamily(
    "roadcall_webhooks", "Verified webhooks by type.", ["type"], registry=REGISTRY
)
STRIPE_CALLS = CounterFamily(
    "roadcall_stripe_calls",
    "Tries at Stripe by operation and outcome: done, refused, unknown.",
    ["operation", "outcome"],
    registry=REGISTRY,
)
STRIPE_CALL_SECONDS = HistogramFamily(
    "roadcall_stripe_call_seconds",
    "One try at Stripe.",
    ["operation"],
    registry=REGISTRY,
    bounds=_SHORT,
)
STRIPE_RETRIES = CounterFamily(
    "roadcall_stripe_retries", "Tries after the first.", ["operation"], registry=REGISTRY
)
UNKNOWN_OUTCOMES = CounterFamily(
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
QUEUE_OLDEST_DEAD_LETTER_SECONDS = Gauge(
    "roadcall_queue_oldest_dead_letter_age_seconds",
    "How long the oldest dead letter has waited for a person; 0 without one.",
    ["queue"],
    registry=REGISTRY,
)
TRANSFERS_QUEUED = Gauge(
    "roadcall_transfers_queued",
    "Transfers that wait for the platform's funds; 1000 means 1000 or more.",
    ["currency"],
    registry=REGISTRY,
)
TRANSFERS_QUEUED_OLDEST_SECONDS = Gauge(
    "roadcall_transfers_queued_oldest_age_seconds",
    "How long the oldest of them has waited; 0 without one.",
    ["currency"],
    registry=REGISTRY,
)
INBOX_REVIEW = Gauge(
    "roadcall_inbox_review",
    "Webhooks that could not be applied and wait for a person; 100 means 100 or more.",
    registry=REGISTRY,
)
WEBHOOKS_MISSED = CounterFamily(
    "roadcall_webhooks_missed",
    "Events that Stripe lists and no webhook had brought; taken from the list.",
    registry=REGISTRY,
).labels()
QUEUE_WORKED = CounterFamily(
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
MOVEMENTS_HELD = Gauge(
    "roadcall_movements_held",
    "1 from a restore of the database until its drift is repaired and the hold released.",
    registry=REGISTRY,
)
HTTP_REQUESTS = CounterFamily(
    "roadcall_http_requests",
    "Requests by method, route and status.",
    ["method", "route", "status"],
    registry=REGISTRY,
)
HTTP_SECONDS = HistogramFamily(
    "roadcall_http_request_seconds",
    "Time to answer, by method and route.",
    ["method", "route"],
    registry=REGISTRY,
    bounds=_SHORT,
)


_REACHES = {
    "PaymentCreated": "pending_approval",
    "PaymentApproved": "approved",
    "PaymentRetried": "approved",
    "ProcessingStarted": "processing",
    "AttemptAdopted": "processing",
    "PaymentCompleted": "completed",
    "PaymentFailed": "failed",
    "AttemptVoided": "failed",
    "PaymentCancelled": "cancelled",
    "PaymentRejected": "rejected",
    "ReviewBlocked": "rejected",
}
# Every status is shown from the start, at 0: a rate needs a first value.
_REACHED = {fact: PAYMENTS.labels(status) for fact, status in _REACHES.items()}


def count_fact(name: str) -> None:
    """Count a committed fact of a payment by the status it leads to."""
    reached = _REACHED.get(name)
    if reached is not None:
        reached.inc()


def metrics_page() -> tuple[bytes, str]:
    """All metrics in Prometheus' text format, and its content type."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
