"""The facts of settling a driver's payment: its vendor's share goes out, and some may come back.

They stand in the payment's stream (M20). A payment has one settlement, of one or more transfers;
``number`` counts their tries. What has to be taken back has a cause, a refund or a lost dispute,
whose id ``cause_id`` is; its ``number`` counts the tries of that cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from roadcall_payments.domain.fact_parts import Source
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.stripe_objects import StripeRequest


@dataclass(frozen=True, slots=True)
class FeeTerms:
    """Our fee on the whole payment, as it stood when the first share was decided.

    ``returned``: refunds give it back in proportion. ``multiple_of``: what Stripe carries in this
    currency, in minor units (ten in kwd).
    """

    fee: Money
    returned: bool
    multiple_of: int


@dataclass(frozen=True, slots=True)
class SettlementDeferred:
    """The share cannot go out yet; ``reason`` is a code. It is tried again by itself."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class SettlementStarted:
    """The intent, committed before the call, with exactly what will be sent (M4).

    ``amount`` is transferred; ``fee`` stays with us, and ``set_off`` against the vendor's debt
    (M22). ``restores``: what was taken back for this refund or dispute, which came to nothing.
    """

    number: int
    request: StripeRequest
    amount: Money
    fee: Money
    set_off: Money
    destination: str
    terms: FeeTerms
    vendor_id: str
    restores: str | None = None


@dataclass(frozen=True, slots=True)
class SettlementAdopted:
    """Stripe has a transfer whose start was lost with a restore (M18); its metadata tell the rest.

    ``request`` is what we would send for it today; ``started_at`` is when Stripe made it.
    """

    number: int
    request: StripeRequest
    amount: Money
    fee: Money
    set_off: Money
    destination: str
    terms: FeeTerms
    transfer_id: str
    started_at: datetime
    restores: str | None = None


@dataclass(frozen=True, slots=True)
class SettlementWithheld:
    """Nothing of the share is left to transfer: our fee and the vendor's debt took it all."""

    number: int
    fee: Money
    set_off: Money
    terms: FeeTerms
    account: str
    vendor_id: str
    restores: str | None = None


@dataclass(frozen=True, slots=True)
class SettlementUnknown:
    """No proof either way (M5). ``absent`` marks an empty list at Stripe (M8)."""

    number: int
    reason: str
    absent: bool = False
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class SettlementCompleted:
    """The share is the vendor's. Booked in ``account``'s books and ``destination``'s (M38)."""

    number: int
    transfer_id: str
    amount: Money
    fee: Money
    set_off: Money
    account: str
    livemode: bool
    destination: str
    company_id: str
    vendor_id: str
    source: Source
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class SettlementFailed:
    """Stripe definitely refused, or it never got there (M8): the share is still owed."""

    number: int
    amount: Money
    set_off: Money
    code: str
    message: str
    vendor_id: str
    source: Source
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class SettlementReversalStarted:
    """The intent to take ``amount`` of a transfer back, after its cause happened (M21)."""

    cause_id: str
    number: int
    transfer_id: str
    amount: Money
    request: StripeRequest


@dataclass(frozen=True, slots=True)
class SettlementReversalUnknown:
    cause_id: str
    number: int
    reason: str
    absent: bool = False
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class SettlementReversed:
    """Some of a share came back; booked by the reversal's id, once (M17).

    ``cause_id`` None: somebody did it at Stripe (M16).
    """

    reversal_id: str
    transfer_id: str
    amount: Money
    account: str
    livemode: bool
    destination: str
    company_id: str
    vendor_id: str
    source: Source
    cause_id: str | None = None
    number: int = 0
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class SettlementReversalFailed:
    """It could not be taken back: ``debt`` of it is owed by the vendor (M22).

    ``transfer_id`` None: it was never transferred (our fee, a set-off), or a transfer had set it
    off before a restore (M18), so nothing was asked.
    """

    cause_id: str
    number: int
    transfer_id: str | None
    amount: Money
    debt: Money
    code: str
    message: str
    vendor_id: str
    source: Source
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class SettlementDebtUndone:
    """The cause of a debt came to nothing: ``amount`` of it is not owed any more. What transfers
    had set off of the rest goes out to the vendor again."""

    cause_id: str
    number: int
    amount: Money


@dataclass(frozen=True, slots=True)
class SetOffReduced:
    """Of ``set_off``, which a transfer went out less by, ``amount`` was not owed: it is the
    vendor's, and goes out by a transfer of its own. ``number`` is the share's; 0: the back-office
    transfer's."""

    number: int
    set_off: Money
    amount: Money


SettlementFact = (
    SettlementDeferred
    | SettlementStarted
    | SettlementAdopted
    | SettlementWithheld
    | SettlementUnknown
    | SettlementCompleted
    | SettlementFailed
    | SettlementReversalStarted
    | SettlementReversalUnknown
    | SettlementReversed
    | SettlementReversalFailed
    | SettlementDebtUndone
    | SetOffReduced
)
