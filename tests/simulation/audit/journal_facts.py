"""The journal's facts, as far as an auditor needs them, and what it makes of them itself.

Read from the stored JSON: nothing of the service's domain, fold or posting rules is used, so that
no misunderstanding is shared.
"""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import msgspec


class Amount(msgspec.Struct, frozen=True):
    amount_cents: int
    currency: str


class Created(msgspec.Struct, frozen=True):
    payment_id: str
    company_id: str
    incident_id: str
    vendor_id: str
    payer_type: str
    amount: Amount
    created_by: str


class Scored(msgspec.Struct, frozen=True):
    flagged: bool


class Approved(msgspec.Struct, frozen=True):
    destination: str | None = None


class Request(msgspec.Struct, frozen=True):
    idempotency_key: str
    account: str
    livemode: bool
    params: str


class Started(msgspec.Struct, frozen=True):
    """ProcessingStarted, ConfirmationStarted, CancelRequested: the intent of one call."""

    request: Request
    destination: str | None = None
    set_off: Amount | None = None


class Failed(msgspec.Struct, frozen=True):
    code: str = ""


class Opened(msgspec.Struct, frozen=True):
    payment_intent: str


class Waits(msgspec.Struct, frozen=True):
    """OutcomeUnknown, CancelRefused."""

    awaiting: str


class Completed(msgspec.Struct, frozen=True):
    payer_type: str
    object_id: str
    amount: Amount
    account: str
    company_id: str
    vendor_id: str
    charge_id: str | None = None
    destination: str | None = None
    set_off: Amount | None = None


class BookedLine(msgspec.Struct, frozen=True):
    id: str
    amount: Amount
    fee: Amount
    net: Amount


class Booked(msgspec.Struct, frozen=True):
    object_id: str
    moved: Amount
    account: str
    transaction: BookedLine


class Reversed(msgspec.Struct, frozen=True):
    reversal_id: str
    transfer_id: str
    amount: Amount
    account: str
    destination: str
    company_id: str


class Adopted(msgspec.Struct, frozen=True):
    """AttemptAdopted: a restore lost the intent, and Stripe has what it made."""

    request: Request
    object_id: str
    started_at: datetime
    destination: str | None = None
    set_off: Amount | None = None


class Lost(msgspec.Struct, frozen=True):
    """LostMovementFound: Stripe moved it for a payment that a restore lost."""

    object_id: str
    amount: Amount
    account: str
    destination: str | None = None


class Stray(msgspec.Struct, frozen=True):
    object_id: str
    amount: Amount
    account: str


class PaidOut(msgspec.Struct, frozen=True):
    """PayoutPaid, PayoutFailed."""

    payout_id: str
    account: str
    amount: Amount
    was_paid: bool = False


F = TypeVar("F", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Fact:
    """One journal entry's type, time and stored JSON."""

    type: str
    at: datetime
    actor: str
    data: bytes

    def read(self, shape: builtins.type[F]) -> F:
        return msgspec.json.decode(self.data, type=shape)
