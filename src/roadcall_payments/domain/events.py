"""The facts: what happened, in the past participle. The journal keeps them for ever.

A fact holds ids, amounts and codes. Free text that a person wrote (reasons, descriptions,
contacts) stands beside the journal as a ``TextRef``, so that it can be erased without breaking
a hash (M29). Fields are added with a default, never renamed or removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from roadcall_payments.domain.control_events import ControlFact as ControlFact
from roadcall_payments.domain.control_events import DriftRepaired as DriftRepaired
from roadcall_payments.domain.control_events import EventsCompared as EventsCompared
from roadcall_payments.domain.control_events import HoldReleased as HoldReleased
from roadcall_payments.domain.control_events import InboxEventDismissed as InboxEventDismissed
from roadcall_payments.domain.control_events import MovementsHeld as MovementsHeld
from roadcall_payments.domain.control_events import MovementsPaused as MovementsPaused
from roadcall_payments.domain.control_events import MovementsResumed as MovementsResumed
from roadcall_payments.domain.debt_events import DebtFact as DebtFact
from roadcall_payments.domain.dispute_events import Bearer as Bearer
from roadcall_payments.domain.dispute_events import DisputeChanged as DisputeChanged
from roadcall_payments.domain.dispute_events import DisputeClosed as DisputeClosed
from roadcall_payments.domain.dispute_events import DisputeFact as DisputeFact
from roadcall_payments.domain.dispute_events import DisputeFundsReinstated as DisputeFundsReinstated
from roadcall_payments.domain.dispute_events import DisputeFundsWithdrawn as DisputeFundsWithdrawn
from roadcall_payments.domain.dispute_events import DisputeOpened as DisputeOpened
from roadcall_payments.domain.dispute_events import EvidenceDeadlineNeared as EvidenceDeadlineNeared
from roadcall_payments.domain.drift_events import AttemptAdopted as AttemptAdopted
from roadcall_payments.domain.drift_events import LostMovementFound as LostMovementFound
from roadcall_payments.domain.drift_events import OutcomeInquired as OutcomeInquired
from roadcall_payments.domain.fact_parts import Source as Source
from roadcall_payments.domain.fact_parts import TextRef as TextRef
from roadcall_payments.domain.funding_events import FundingFact as FundingFact
from roadcall_payments.domain.funding_events import Priority as Priority
from roadcall_payments.domain.funding_events import TransferQueued as TransferQueued
from roadcall_payments.domain.funding_events import TransferReleased as TransferReleased
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payout_events import PayoutFact as PayoutFact
from roadcall_payments.domain.payout_events import PayoutFailed as PayoutFailed
from roadcall_payments.domain.payout_events import PayoutInTransit as PayoutInTransit
from roadcall_payments.domain.payout_events import PayoutNotMade as PayoutNotMade
from roadcall_payments.domain.payout_events import PayoutPaid as PayoutPaid
from roadcall_payments.domain.records import quickly_made
from roadcall_payments.domain.refund_events import RefundAdopted as RefundAdopted
from roadcall_payments.domain.refund_events import RefundApproved as RefundApproved
from roadcall_payments.domain.refund_events import RefundFact as RefundFact
from roadcall_payments.domain.refund_events import RefundFailed as RefundFailed
from roadcall_payments.domain.refund_events import RefundObserved as RefundObserved
from roadcall_payments.domain.refund_events import RefundOutcomeUnknown as RefundOutcomeUnknown
from roadcall_payments.domain.refund_events import RefundPending as RefundPending
from roadcall_payments.domain.refund_events import RefundReason as RefundReason
from roadcall_payments.domain.refund_events import RefundRejected as RefundRejected
from roadcall_payments.domain.refund_events import RefundRequested as RefundRequested
from roadcall_payments.domain.refund_events import RefundSubmitted as RefundSubmitted
from roadcall_payments.domain.refund_events import RefundSucceeded as RefundSucceeded
from roadcall_payments.domain.settlement_events import SettlementFact
from roadcall_payments.domain.stripe_objects import BalanceTransaction, StripeRequest
from roadcall_payments.domain.vendor_events import AccountDisconnected as AccountDisconnected
from roadcall_payments.domain.vendor_events import AccountOutcomeUnknown as AccountOutcomeUnknown
from roadcall_payments.domain.vendor_events import AccountRefused as AccountRefused
from roadcall_payments.domain.vendor_events import AccountRequested as AccountRequested
from roadcall_payments.domain.vendor_events import AccountStatusChanged as AccountStatusChanged
from roadcall_payments.domain.vendor_events import BankAccountChanged as BankAccountChanged
from roadcall_payments.domain.vendor_events import (
    RequirementsDeadlineNeared as RequirementsDeadlineNeared,
)
from roadcall_payments.domain.vendor_events import VendorAccountOpened as VendorAccountOpened
from roadcall_payments.domain.vendor_events import VendorChanged as VendorChanged
from roadcall_payments.domain.vendor_events import VendorFact as VendorFact
from roadcall_payments.domain.vendor_events import VendorRegistered as VendorRegistered


class PayerType(StrEnum):
    DRIVER_IC = "driver_ic"
    BACK_OFFICE = "back_office"


class Awaiting(StrEnum):
    """Who has to move next while a payment is ``processing`` (M33)."""

    STRIPE = "stripe"
    PAYER = "payer"


@dataclass(frozen=True, slots=True)
class LineItem:
    """``amount_cents`` = ``quantity`` x ``unit_cents``, in the payment's currency."""

    kind: str
    quantity: int
    unit_cents: int
    amount_cents: int
    description: TextRef | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    by: str
    role: str


# --- creation, scoring, approval ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PaymentCreated:
    payment_id: str
    company_id: str
    incident_id: str
    vendor_id: str
    driver_id: str | None
    payer_type: PayerType
    amount: Money
    line_items: tuple[LineItem, ...]
    description: TextRef | None
    created_by: str


@dataclass(frozen=True, slots=True)
class PaymentScored:
    """``risk_percent`` is 0 to 100 (the API's 0.00 to 1.00); 70 and over is flagged."""

    risk_percent: int
    level: str
    reasons: tuple[str, ...]
    flagged: bool
    scorer: str


@dataclass(frozen=True, slots=True)
class ReviewCleared:
    by: str
    note: TextRef | None


@dataclass(frozen=True, slots=True)
class ReviewBlocked:
    by: str
    note: TextRef | None


@dataclass(frozen=True, slots=True)
class ApprovalRecorded:
    """One of the approvals its amount band needs; ``destination`` as in PaymentApproved."""

    by: str
    role: str
    destination: str | None


@dataclass(frozen=True, slots=True)
class ApprovalExpired:
    """The recorded approvals came to nothing in time; approving starts anew."""

    approvals: tuple[Approval, ...]


@dataclass(frozen=True, slots=True)
class PaymentApproved:
    """``destination`` is the connected account bound by this approval (M10)."""

    approvals: tuple[Approval, ...]
    destination: str | None


@dataclass(frozen=True, slots=True)
class PaymentRejected:
    by: str
    reason: TextRef | None


@dataclass(frozen=True, slots=True)
class PaymentCancelled:
    """By request before money could move, or because Stripe said ``canceled`` (M1, M2)."""

    by: str
    source: Source | None
    payment_intent: str | None = None


# --- the movement ------------------------------------------------------------------------------


@quickly_made
@dataclass(frozen=True, slots=True)
class ProcessingStarted:
    """The intent, committed before the call, with exactly what will be sent (M4).

    A transfer is less by ``set_off``, which pays debts of the vendor's (M22). ``settles``: once
    it is completed, we transfer the vendor's share of it (M20). ``priority``: as it was asked for,
    should the transfer have to wait for funds after all. ``turn`` counts the transfers of a
    currency that start above a reserve: each looked at the funds after the one before it.
    """

    attempt: int
    request: StripeRequest
    destination: str | None
    by: str
    set_off: Money | None = None
    settles: bool = False
    priority: Priority | None = None
    turn: int | None = None


@dataclass(frozen=True, slots=True)
class PaymentIntentOpened:
    attempt: int
    payment_intent: str
    account: str
    livemode: bool
    source: Source
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class ConfirmationStarted:
    """The intent of confirmation ``confirmation`` (M3); the method is inside ``request``."""

    confirmation: int
    request: StripeRequest
    by: str


@dataclass(frozen=True, slots=True)
class ActionRequired:
    """The payer must act (3-D Secure, mostly). ``action`` is Stripe's ``next_action.type``."""

    payment_intent: str
    action: str
    source: Source


@dataclass(frozen=True, slots=True)
class CancelRequested:
    cancellation: int
    request: StripeRequest
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class CancelRefused:
    """Stripe would not cancel, yet the PaymentIntent has not ended either: it lives on."""

    cancellation: int
    code: str
    awaiting: Awaiting


@dataclass(frozen=True, slots=True)
class OutcomeUnknown:
    """No proof either way (M5). ``absent`` marks an empty list at Stripe (M8); ``answered``
    that the call has its answer, and Stripe goes on by itself (a PaymentIntent ``processing``)."""

    reason: str
    awaiting: Awaiting
    absent: bool = False
    answered: bool = False
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class PaymentFailed:
    """An attempt or a confirmation ended without money. ``retryable``: another try may do."""

    attempt: int
    code: str
    message: str
    retryable: bool
    source: Source
    decline_code: str | None = None
    charge_id: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptVoided:
    """Two empty lists, an hour apart, the last 25 h after the start: it never happened (M8)."""

    attempt: int
    reason: str


@quickly_made
@dataclass(frozen=True, slots=True)
class PaymentCompleted:
    """The money moved. Booked in the books of ``account`` and, for a transfer, of
    ``destination`` (M38). Of ``amount``, ``set_off`` was not transferred: it paid debts (M22)."""

    attempt: int
    payer_type: PayerType
    object_id: str
    amount: Money
    account: str
    livemode: bool
    company_id: str
    vendor_id: str
    source: Source
    charge_id: str | None = None
    destination: str | None = None
    request_id: str | None = None
    set_off: Money | None = None


@dataclass(frozen=True, slots=True)
class PaymentRetried:
    by: str


# --- after completion --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BalanceTransactionBooked:
    """Stripe's own line for an object of ours, with its fee; booked by id, once (M17).

    ``object_id`` is ours (charge, transfer, reversal); ``moved`` is what our ledger cleared for
    it, signed as Stripe signs it (a transfer out is negative).
    """

    object_id: str
    moved: Money
    account: str
    transaction: BalanceTransaction


@dataclass(frozen=True, slots=True)
class TransferReversed:
    reversal_id: str
    transfer_id: str
    amount: Money
    account: str
    destination: str
    company_id: str
    vendor_id: str


@dataclass(frozen=True, slots=True)
class StrayMoneyObserved:
    """Money Stripe moved that no decision of ours asked for: booked to suspense (M16)."""

    object_id: str
    kind: str
    amount: Money
    account: str
    reason: str
    proposed: str


@dataclass(frozen=True, slots=True)
class AnomalyRecorded:
    """Something a person has to look at; moves nothing."""

    code: str
    detail: str
    object_id: str | None = None


PaymentFact = (
    PaymentCreated
    | PaymentScored
    | ReviewCleared
    | ReviewBlocked
    | ApprovalRecorded
    | ApprovalExpired
    | PaymentApproved
    | PaymentRejected
    | PaymentCancelled
    | ProcessingStarted
    | AttemptAdopted
    | OutcomeInquired
    | PaymentIntentOpened
    | ConfirmationStarted
    | ActionRequired
    | CancelRequested
    | CancelRefused
    | OutcomeUnknown
    | PaymentFailed
    | AttemptVoided
    | PaymentCompleted
    | PaymentRetried
    | BalanceTransactionBooked
    | TransferReversed
    | StrayMoneyObserved
    | AnomalyRecorded
    | RefundFact
    | DisputeFact
    | SettlementFact
    | FundingFact
)


# --- vendor, payout, stray, control ------------------------------------------------------------


StrayFact = LostMovementFound | BalanceTransactionBooked

Fact = PaymentFact | VendorFact | DebtFact | PayoutFact | StrayFact | ControlFact
