"""The names under which facts are published."""

from __future__ import annotations

from roadcall_payments.domain.events import (
    ActionRequired,
    Fact,
    PaymentScored,
    RefundSucceeded,
    TransferReversed,
)

# The names that consumers know, where they differ from the fact's own.
_PUBLISHED_AS: dict[type[Fact], str] = {
    ActionRequired: "PaymentRequiresAction",
    TransferReversed: "PaymentTransferReversed",
    RefundSucceeded: "RefundCompleted",
}


def published_name(fact: Fact) -> str:
    """The event's name outside: the fact's own, but for those the seeds named otherwise."""
    if isinstance(fact, PaymentScored) and fact.flagged:
        return "FraudDetected"
    return _PUBLISHED_AS.get(type(fact), type(fact).__name__)
