"""The journal's facts of refunds and disputes, as far as an auditor needs them."""

from __future__ import annotations

import msgspec

from tests.simulation.audit.journal_facts import Amount, Request


class Asked(msgspec.Struct, frozen=True):
    """RefundRequested."""

    refund_id: str
    amount: Amount
    by: str


class Said(msgspec.Struct, frozen=True):
    """RefundApproved, RefundRejected."""

    refund_id: str
    by: str


class Submitted(msgspec.Struct, frozen=True):
    refund_id: str
    request: Request


class Seen(msgspec.Struct, frozen=True):
    """RefundAdopted, RefundPending: what Stripe has."""

    refund_id: str
    stripe_refund: str


class Observed(msgspec.Struct, frozen=True):
    """RefundObserved: somebody else made it; ``refund_id`` is Stripe's."""

    refund_id: str
    amount: Amount


class GivenBack(msgspec.Struct, frozen=True):
    """RefundSucceeded, RefundFailed."""

    refund_id: str
    amount: Amount
    account: str
    vendor_id: str
    from_suspense: bool
    stripe_refund: str | None = None
    returned: bool = False
    fee_returned: Amount | None = None

    @property
    def owed_less(self) -> str:
        """Stray money was owed to nobody."""
        return "suspense:stray" if self.from_suspense else f"vendor_payable:{self.vendor_id}"


class DisputeTold(msgspec.Struct, frozen=True):
    """DisputeOpened, DisputeChanged."""

    dispute_id: str
    amount: Amount
    status: str


class DisputeMoved(msgspec.Struct, frozen=True):
    """DisputeFundsWithdrawn, DisputeFundsReinstated."""

    dispute_id: str
    amount: Amount
    balance_transaction: str
    account: str


class DisputeDecided(msgspec.Struct, frozen=True):
    """DisputeClosed. ``loss``: what more is lost than was known; negative where it comes back."""

    dispute_id: str
    status: str
    loss: Amount
    borne_by: str
    account: str
    vendor_id: str
