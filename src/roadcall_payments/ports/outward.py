"""Events out, notices to people, and the scorer of risk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment, Risk
from roadcall_payments.domain.statement import Statement


@dataclass(frozen=True, slots=True)
class OutgoingEvent:
    """An entry as the world sees it. ``detail`` is JSON: the fact, in camelCase, without secrets.

    Consumers order by (stream, seq) and drop what they know by ``event_id`` (M27).
    """

    event_id: str
    name: str
    stream: str
    seq: int
    at: datetime
    detail: str
    source: str = "roadcall.payment-service"


class EventBus(Protocol):
    async def publish(self, events: Sequence[OutgoingEvent]) -> None:
        """All of them, in order, or an exception: then all are published again."""
        ...


class Channel(StrEnum):
    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"


@dataclass(frozen=True, slots=True)
class NoticeJob:
    """A job that a payout carried. ``partly``: another payout carries the rest."""

    incident_id: str
    payment_id: str
    earned: Money
    fee: Money
    set_off: Money
    reversed: Money
    carried: Money
    partly: bool


@dataclass(frozen=True, slots=True)
class NoticeFunds:
    """A balance in one currency. ``pending_until``: when all that is pending is available; None
    where that is not known. ``available`` is negative where more was taken back than was there."""

    available: Money
    pending: Money
    on_the_way: Money
    pending_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class NoticeDetails:
    """What a notice may say. ``vendor_name`` is looked up when sending, never stored with it."""

    payment_id: str | None = None
    incident_id: str | None = None
    vendor_id: str | None = None
    vendor_name: str | None = field(default=None, repr=False)
    payer_type: PayerType | None = None
    amount: Money | None = None
    code: str | None = None
    message: str | None = None
    reasons: tuple[str, ...] = ()
    retryable: bool = False
    account: str | None = None
    object_id: str | None = None
    refund_id: str | None = None
    dispute_id: str | None = None
    due: datetime | None = None
    inquiry: bool = False
    borne_by: str | None = None
    arrives: datetime | None = None
    # Of a payout, as it stands; of a balance, whether it is paid out once a day by itself.
    payout_status: str | None = None
    pays_daily: bool = False
    # Of a vendor's share: from when on a payout can take it.
    available_on: datetime | None = None
    # Of a vendor's share: what we kept of the payment, and what paid the vendor's debt.
    fee: Money | None = None
    set_off: Money | None = None
    # Looked up when it is sent, as the name is.
    jobs: tuple[NoticeJob, ...] = ()
    other: Money | None = None
    funds: tuple[NoticeFunds, ...] = ()
    statement: Statement | None = None
    # Bank accounts, each by its bank and last four digits.
    bank_before: tuple[str, ...] = ()
    bank_after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rendered:
    """``subject`` and ``html`` are for e-mail alone."""

    text: str
    subject: str = ""
    html: str | None = None


class NoticeTemplates(Protocol):
    def render(
        self, template: str, channel: Channel, locale: str, details: NoticeDetails
    ) -> Rendered:
        """The notice in the reader's language, English where that is lacking. Raises FinalError
        for a template that does not exist."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """What a person gets, and where; ``notice_id`` lets a repeat be recognised."""

    to: str = field(repr=False)
    content: Rendered = field(repr=False)
    notice_id: str


class Notifier(Protocol):
    async def send(self, message: Message) -> str:
        """The provider's message id. Raises TransientError or FinalError."""
        ...


@dataclass(frozen=True, slots=True)
class ScoringInput:
    payment: Payment
    first_payment_to_vendor: bool


class FraudScorer(Protocol):
    async def score(self, scoring: ScoringInput) -> Risk: ...
