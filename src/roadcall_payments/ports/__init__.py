"""What the core asks of the outside: storage, Stripe, a bus, notices, secrets, time.

Every adapter of a port passes that port's contract suite in ``tests/contracts``.
"""

from roadcall_payments.ports.checkpoints import (
    CheckpointKeys,
    CheckpointLog,
    HeadIndex,
    LastSigned,
)
from roadcall_payments.ports.environment import (
    Clock,
    Ids,
)
from roadcall_payments.ports.outward import (
    Channel,
    EventBus,
    FraudScorer,
    Message,
    NoticeDetails,
    NoticeTemplates,
    Notifier,
    OutgoingEvent,
    Rendered,
    ScoringInput,
)
from roadcall_payments.ports.store import (
    Claim,
    DeadLetter,
    Loaded,
    Notice,
    Page,
    PaymentQuery,
    Queue,
    QueueAge,
    Store,
    Stored,
)
from roadcall_payments.ports.stripe import (
    Answered,
    CreatedWindow,
    Gateway,
    Outcome,
    Refused,
    ReturnAddresses,
    SecretSource,
    StripeCredentials,
    Unknown,
    UnknownReason,
    WebhookSecret,
)

__all__ = [
    "Answered",
    "Channel",
    "CheckpointKeys",
    "CheckpointLog",
    "Claim",
    "Clock",
    "CreatedWindow",
    "DeadLetter",
    "EventBus",
    "FraudScorer",
    "Gateway",
    "HeadIndex",
    "Ids",
    "LastSigned",
    "Loaded",
    "Message",
    "Notice",
    "NoticeDetails",
    "NoticeTemplates",
    "Notifier",
    "Outcome",
    "OutgoingEvent",
    "Page",
    "PaymentQuery",
    "Queue",
    "QueueAge",
    "Refused",
    "Rendered",
    "ReturnAddresses",
    "ScoringInput",
    "SecretSource",
    "Store",
    "Stored",
    "StripeCredentials",
    "Unknown",
    "UnknownReason",
    "WebhookSecret",
]
