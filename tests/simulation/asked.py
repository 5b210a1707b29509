"""What the world's people asked of the service, and what they were told: the workload's own notes.

The auditor holds these against Stripe's books and ours. Nothing here is read back from the
service's state: an answer is noted as its caller heard it, and a caller whose process crashed
heard nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money

# What an answer can say beside an HTTP status.
NOBODY_ANSWERED = 0


@dataclass(frozen=True, slots=True)
class Command:
    """One call as its caller saw it.

    ``name``: create, work_completed, approve, reject, review_clear, review_block, process,
    confirm, cancel, retry. ``key`` is its Idempotency-Key: calls that share one are one decision,
    asked again. ``status`` is the HTTP status heard, ``NOBODY_ANSWERED`` where none came;
    ``code`` is the error's or failure's, where there was one.
    """

    name: str
    at: datetime
    key: str | None
    status: int
    code: str | None = None


@dataclass(slots=True)
class Job:
    """One job done on the road, to be paid once: (incident, vendor) is its name (M11).

    ``destination`` is the vendor's connected account on file; None for payers by card.
    ``account`` is that account whoever pays.
    ``payment_ids``: every payment that the service named for it, in the order heard; more than
    one only where an earlier one was cancelled or rejected first.
    ``paid_by_phone``: confirmations that the payer's phone sent to Stripe itself.
    """

    incident_id: str
    vendor_id: str
    company_id: str
    payer_type: PayerType
    amount: Money
    destination: str | None
    payment_ids: list[str] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    paid_by_phone: int = 0
    account: str = ""

    def heard(self, command: Command, payment_id: str | None = None) -> None:
        self.commands.append(command)
        if payment_id is not None and payment_id not in self.payment_ids:
            self.payment_ids.append(payment_id)

    def told(self, name: str, *statuses: int) -> bool:
        """Whether some call ``name`` was answered with one of ``statuses``."""
        return any(one.name == name and one.status in statuses for one in self.commands)


@dataclass(slots=True)
class Asked:
    """Everything that was asked in one world, job by job, in the order of their arrival."""

    jobs: list[Job] = field(default_factory=list)
