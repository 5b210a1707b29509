"""What of a driver's payment is its vendor's, and what of that is still to go or to come back.

Pure sums in minor units of the payment's currency. With A the payment, R what was refunded, D what
the vendor bears of disputes, F our fee less what refunds gave back of it, and S what the vendor
has of its share: A - R - D - F - S is owed to the vendor; below zero, it is owed by the vendor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from roadcall_payments.domain.dispute import CLOSED, Dispute
from roadcall_payments.domain.dispute_events import Bearer
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.domain.refund import RefundStatus
from roadcall_payments.domain.settlement import Settlement, ShareTransfer
from roadcall_payments.domain.settlement_events import FeeTerms


@dataclass(frozen=True, slots=True)
class ShareDue:
    """What is to go out next: ``cents`` for the vendor, ``fee_cents`` for us with it.

    ``restores``: the refund or dispute that came to nothing after it was taken back for.
    """

    cents: int
    fee_cents: int
    restores: str | None


@dataclass(frozen=True, slots=True)
class Cause:
    """Why the vendor has to give some back: a refund that succeeded, a dispute it lost."""

    id: str
    cents: int
    # Whether it was asked for when the share had gone already, so that nothing was held back.
    after_the_share: bool


@dataclass(frozen=True, slots=True)
class TakeBackDue:
    """``transfer`` None: none holds it any more, so the vendor owes it (M22)."""

    cause_id: str
    number: int
    transfer: ShareTransfer | None
    cents: int


def share_due(payment: Payment, terms: FeeTerms) -> ShareDue | None:
    """The next part of the share to go out; None where nothing is owed, or something is under way.

    Held back: refunds that are asked for, and disputes that are open (M20).
    """
    settlement = payment.settlement
    if settlement is None or payment.status is not Status.COMPLETED or not settlement.at_rest:
        return None
    left = _left_of_payment(payment)
    # Refunds that are asked for count as if they were made.
    gone = payment.amount_refunded_cents + _reserved(payment)
    most = min(_fee_after(payment, terms, gone), fee_not_returned(payment, terms), left)
    fee = max(most - settlement.fee_cents, 0)
    by_hand = settlement.taken_by_others_cents
    owed = left - settlement.fee_cents - fee - settlement.settled_cents - by_hand
    owed -= owed % terms.multiple_of
    if owed <= 0:
        # What is left is all our fee's; while some is held back, it may yet become more.
        takes_fee = fee > 0 and owed == 0 and not _holds_back(payment)
        return ShareDue(0, fee, None) if takes_fee else None
    restores, cents = _to_restore(payment, settlement)
    if restores is not None:
        return ShareDue(min(owed, cents), fee, restores)
    return ShareDue(owed, fee, None)


def take_back_due(payment: Payment) -> TakeBackDue | None:
    """The next part that the vendor has to give back, after its cause happened (M21); None where
    there is none, or something is under way."""
    settlement = payment.settlement
    if settlement is None or settlement.terms is None or not settlement.at_rest:
        return None
    excess = overpaid_cents(payment, settlement)
    excess -= excess % settlement.terms.multiple_of
    if excess <= 0:
        return None
    for cause in sorted(_causes(payment, settlement), key=lambda one: not one.after_the_share):
        open_cents = cause.cents - _taken_for(settlement, cause.id)
        if open_cents > 0:
            return _take_back(settlement, cause.id, min(excess, open_cents))
    return None


def overpaid_cents(payment: Payment, settlement: Settlement) -> int:
    """What the vendor has beyond its share as it stands; refunds that are only asked for do not
    count yet (M21)."""
    borne = sum(_lost_by_vendor(one) for one in payment.disputes)
    share = payment.amount.amount_cents - payment.amount_refunded_cents - borne
    return settlement.settled_cents - (share - settlement.fee_cents)


def fee_to_return(payment: Payment, refunded: Money) -> Money | None:
    """What of our fee goes back with this refund: in proportion to all that is refunded then, and
    rounded down, so that the whole fee goes back with the whole payment. None while no share was
    decided, and where our fee stays ours."""
    settlement = payment.settlement
    if settlement is None or settlement.terms is None or not settlement.terms.returned:
        return None
    if refunded.currency != payment.amount.currency:
        return None
    kept = settlement.fee_cents
    if settlement.open_transfer is not None:
        kept += settlement.open_transfer.fee_cents
    gone = payment.amount_refunded_cents + refunded.amount_cents
    return Money(max(kept - _fee_after(payment, settlement.terms, gone), 0), refunded.currency)


def _left_of_payment(payment: Payment) -> int:
    """What of the payment neither went back, nor may still go back."""
    disputed = sum(_may_be_lost(payment, one) for one in payment.disputes)
    gone = payment.amount_refunded_cents + _reserved(payment) + disputed
    return max(payment.amount.amount_cents - gone, 0)


def _reserved(payment: Payment) -> int:
    return sum(one.amount.amount_cents for one in payment.refunds if one.reserves)


def _holds_back(payment: Payment) -> bool:
    return _reserved(payment) > 0 or any(_is_open(payment, one) for one in payment.disputes)


def _may_be_lost(payment: Payment, dispute: Dispute) -> int:
    lost = _lost_by_vendor(dispute)
    return max(lost, dispute.amount.amount_cents) if _is_open(payment, dispute) else lost


def _is_open(payment: Payment, dispute: Dispute) -> bool:
    return dispute.status not in CLOSED and dispute.charge not in payment.strays


def _lost_by_vendor(dispute: Dispute) -> int:
    return dispute.lost_cents if dispute.borne_by is Bearer.VENDOR else 0


def fee_not_returned(payment: Payment, terms: FeeTerms) -> int:
    """Our fee less what refunds that stand gave back of it, each as it was rounded then: what one
    of them gives back to us when it fails must not be kept already."""
    given = (one.fee_returned for one in payment.refunds if one.status is RefundStatus.SUCCEEDED)
    return terms.fee.amount_cents - sum(one.amount_cents for one in given if one is not None)


def _fee_after(payment: Payment, terms: FeeTerms, refunded_cents: int) -> int:
    """Our fee once so much of the payment went back."""
    fee = terms.fee.amount_cents
    if not terms.returned:
        return fee
    part = fee * refunded_cents // payment.amount.amount_cents
    return max(fee - (part - part % terms.multiple_of), 0)


def _causes(payment: Payment, settlement: Settlement) -> Iterator[Cause]:
    began = min((one.started_at for one in settlement.transfers), default=None)
    for refund in payment.refunds:
        if refund.status is RefundStatus.SUCCEEDED and not refund.from_suspense:
            after = began is not None and refund.requested_at > began
            yield Cause(refund.id, refund.amount.amount_cents, after)
    for dispute in payment.disputes:
        if _lost_by_vendor(dispute) > 0:
            after = began is not None and dispute.opened_at > began
            yield Cause(dispute.id, _lost_by_vendor(dispute), after)


def _taken_for(settlement: Settlement, cause_id: str) -> int:
    taken = sum(one.taken_cents for one in settlement.take_backs if one.cause_id == cause_id)
    given_again = sum(
        one.amount_cents + one.set_off_cents
        for one in settlement.transfers
        if one.restores == cause_id and one.failure is None
    )
    return taken - given_again


def _to_restore(payment: Payment, settlement: Settlement) -> tuple[str | None, int]:
    """A cause that came to nothing after it was taken back for, and how much was."""
    still = {one.id: one.cents for one in _causes(payment, settlement)}
    for cause_id in dict.fromkeys(one.cause_id for one in settlement.take_backs):
        too_much = _taken_for(settlement, cause_id) - still.get(cause_id, 0)
        if too_much > 0:
            return cause_id, too_much
    return None, 0


def _take_back(settlement: Settlement, cause_id: str, cents: int) -> TakeBackDue:
    number = 1 + sum(one.cause_id == cause_id for one in settlement.take_backs)
    holding = [one for one in settlement.transfers if one.left_cents > 0]
    if not holding:
        return TakeBackDue(cause_id, number, None, cents)
    enough = [one for one in holding if one.left_cents >= cents]
    chosen = enough[-1] if enough else max(holding, key=lambda one: one.left_cents)
    return TakeBackDue(cause_id, number, chosen, min(cents, chosen.left_cents))
