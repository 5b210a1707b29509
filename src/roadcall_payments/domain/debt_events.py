"""The facts of what a vendor owes us; they stand in the vendor's stream (M22)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from roadcall_payments.domain.fact_parts import TextRef
from roadcall_payments.domain.money import Money


class DebtCause(StrEnum):
    """What took back money that the vendor had been paid."""

    REFUND = "refund"
    DISPUTE = "dispute"


@dataclass(frozen=True, slots=True)
class DebtShare:
    """How much of one debt a transfer takes; minor units of the transfer's currency."""

    debt_id: str
    amount_cents: int


@dataclass(frozen=True, slots=True)
class VendorDebtIncurred:
    """A refund or a lost dispute after the vendor was paid, which no reversal could take back.

    ``debt_id`` is the refund's or the dispute's own: one debt for each. ``account`` is the
    platform's, in whose books the vendor owes it.
    """

    vendor_id: str
    debt_id: str
    cause: DebtCause
    payment_id: str
    incident_id: str
    amount: Money
    account: str
    livemode: bool


@dataclass(frozen=True, slots=True)
class DebtReserved:
    """A transfer that will be less by ``amount`` was started, in this very commit (M22)."""

    transfer_key: str
    payment_id: str
    amount: Money
    shares: tuple[DebtShare, ...]


@dataclass(frozen=True, slots=True)
class DebtSetOff:
    """That transfer went out, or its credit found a debt: the vendor has paid this much of its
    debts."""

    transfer_key: str
    payment_id: str
    amount: Money
    shares: tuple[DebtShare, ...]


@dataclass(frozen=True, slots=True)
class DebtReleased:
    """That transfer definitely failed: what it had reserved is owed as before."""

    transfer_key: str
    payment_id: str
    amount: Money


@dataclass(frozen=True, slots=True)
class SetOffExceededDebt:
    """A transfer went out less by ``amount`` than it had to: it had been given up as lost and its
    debts were paid meanwhile, or somebody took back at Stripe what it had reserved. The amount goes
    to the vendor after all: ``SetOffReduced`` in the payment's stream, in the same commit."""

    transfer_key: str
    payment_id: str
    amount: Money


@dataclass(frozen=True, slots=True)
class SetOffCredited:
    """A transfer that a restore lost the start of went out less by ``amount`` than is owed: the
    debt that it paid is lost too (M18). The next debts in ``account``'s books are paid by it, as a
    ``DebtSetOff`` of this transfer; until then it is the vendor's, and no money goes out by itself.
    """

    transfer_key: str
    payment_id: str
    amount: Money
    account: str
    livemode: bool


@dataclass(frozen=True, slots=True)
class VendorDebtReduced:
    """The cause was undone: the refund came back, or its reversal was made after all."""

    debt_id: str
    amount: Money


@dataclass(frozen=True, slots=True)
class VendorDebtForgiven:
    """An admin gave up collecting it: from here on it is the platform's loss."""

    vendor_id: str
    debt_id: str
    amount: Money
    account: str
    by: str
    reason: TextRef


@dataclass(frozen=True, slots=True)
class DebtForgivenessReversed:
    """The cause of a forgiven debt was undone: what the platform had given up, it has again."""

    vendor_id: str
    debt_id: str
    amount: Money
    account: str


DebtFact = (
    VendorDebtIncurred
    | DebtReserved
    | DebtSetOff
    | DebtReleased
    | SetOffExceededDebt
    | SetOffCredited
    | VendorDebtReduced
    | VendorDebtForgiven
    | DebtForgivenessReversed
)
