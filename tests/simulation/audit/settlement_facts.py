"""The journal's facts of settlements, vendor debts and payouts, as far as an auditor needs them."""

from __future__ import annotations

from datetime import datetime

import msgspec

from tests.simulation.audit.journal_facts import Amount, Request


class Settles(msgspec.Struct, frozen=True):
    """ProcessingStarted, AttemptAdopted: whether the vendor's share is transferred afterwards."""

    settles: bool = False


class Terms(msgspec.Struct, frozen=True):
    """Our fee on the whole payment, as it stood when the first share was decided."""

    fee: Amount


class ShareStarted(msgspec.Struct, frozen=True):
    """SettlementStarted, SettlementAdopted, SettlementWithheld: of the last, nothing is sent."""

    number: int
    fee: Amount
    set_off: Amount
    terms: Terms
    amount: Amount | None = None
    request: Request | None = None
    destination: str | None = None
    transfer_id: str | None = None
    started_at: datetime | None = None
    restores: str | None = None


class ShareEnded(msgspec.Struct, frozen=True):
    """SettlementFailed."""

    number: int
    code: str = ""


class ShareSettled(msgspec.Struct, frozen=True):
    """SettlementCompleted."""

    number: int
    transfer_id: str
    amount: Amount
    fee: Amount
    set_off: Amount
    account: str
    destination: str
    vendor_id: str


class ShareWithheld(msgspec.Struct, frozen=True):
    """SettlementWithheld: our fee and the vendor's debts took all of it."""

    fee: Amount
    set_off: Amount
    account: str
    vendor_id: str


class TakeBackStarted(msgspec.Struct, frozen=True):
    """SettlementReversalStarted."""

    cause_id: str
    number: int
    transfer_id: str
    amount: Amount
    request: Request


class TakenBack(msgspec.Struct, frozen=True):
    """SettlementReversed. ``cause_id`` is None for what somebody did at Stripe."""

    reversal_id: str
    transfer_id: str
    amount: Amount
    account: str
    destination: str
    vendor_id: str
    cause_id: str | None = None
    number: int = 0


class NotTakenBack(msgspec.Struct, frozen=True):
    """SettlementReversalFailed: ``debt`` of it is the vendor's."""

    cause_id: str
    number: int
    debt: Amount
    transfer_id: str | None = None
    code: str = ""


class DebtUndone(msgspec.Struct, frozen=True):
    """SettlementDebtUndone: its cause came to nothing."""

    cause_id: str
    amount: Amount


class Reduced(msgspec.Struct, frozen=True):
    """SetOffReduced: ``amount`` of ``set_off`` was not owed, and is the vendor's."""

    number: int
    set_off: Amount
    amount: Amount


class Deferred(msgspec.Struct, frozen=True):
    reason: str


class DebtPart(msgspec.Struct, frozen=True):
    debt_id: str
    amount_cents: int


class Incurred(msgspec.Struct, frozen=True):
    """VendorDebtIncurred."""

    debt_id: str
    payment_id: str
    amount: Amount


class SetOffPart(msgspec.Struct, frozen=True):
    """DebtReserved, DebtSetOff, DebtReleased, SetOffExceededDebt, SetOffCredited."""

    transfer_key: str
    payment_id: str
    amount: Amount
    shares: list[DebtPart] = []


class DebtLessened(msgspec.Struct, frozen=True):
    """VendorDebtReduced, VendorDebtForgiven, DebtForgivenessReversed."""

    debt_id: str
    amount: Amount
    vendor_id: str = ""
    account: str = ""


class PayoutAsked(msgspec.Struct, frozen=True):
    """PayoutRequested. ``day``: it is that day's daily payout."""

    payout_id: str
    vendor_id: str
    account: str
    amount: Amount
    request: Request
    day: str | None = None


class PayoutSeen(msgspec.Struct, frozen=True):
    """PayoutOpened, PayoutObserved."""

    stripe_payout: str
    account: str
