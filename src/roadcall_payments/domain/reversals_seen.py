"""From what Stripe took back of transfers to facts. Pure; these are never refused (M16)."""

from __future__ import annotations

from collections.abc import Sequence

from roadcall_payments.domain import events as e
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.domain.stripe_objects import Reversal, Transfer

Facts = tuple[e.PaymentFact, ...]

# Each is an entry, four postings and its share of the rows beside (M28).
REVERSALS_A_COMMIT = 10


def is_ready_for(payment: Payment, transfer_id: str) -> bool:
    """Whether the money that came back is in our books already: else it has to wait."""
    return _paid_by(payment, transfer_id) or transfer_id in payment.strays


def may_lack(payment: Payment, transfer: Transfer) -> bool:
    """Whether the transfer shows more than the payment has of its reversals. A stray transfer
    carries no total of ours: its reversals have to be listed."""
    total = transfer.amount_reversed.amount_cents
    if _paid_by(payment, transfer.id):
        return total > payment.amount_reversed_cents
    return total > 0 and transfer.id in payment.strays


def exceeds_a_commit(payment: Payment, listed: Sequence[Reversal]) -> bool:
    """Whether there is more news than ``reversals_seen`` gives at once."""
    return len(_news(payment, listed)) > REVERSALS_A_COMMIT


def reversals_seen(payment: Payment, transfer_id: str, listed: Sequence[Reversal]) -> Facts:
    """Reversals of the transfer ``transfer_id``, each booked by its id, once (M17).

    The payment's own transfer is owed for again; what came back of a stray one leaves suspense
    (M16). At most ``REVERSALS_A_COMMIT`` of them (M28): ask again until there are none.
    """
    if payment.account is None or not is_ready_for(payment, transfer_id):
        return ()
    news = _news(payment, listed)[:REVERSALS_A_COMMIT]
    if transfer_id in payment.strays:
        reason = f"{transfer_id} was stray, and this much of it came back"
        return tuple(
            e.StrayMoneyObserved(one.id, "reversal", one.amount, payment.account, reason, "none")
            for one in news
        )
    if payment.destination is None:
        return ()
    return tuple(
        e.TransferReversed(
            reversal_id=one.id,
            transfer_id=transfer_id,
            amount=one.amount,
            account=payment.account,
            destination=payment.destination,
            company_id=payment.company_id,
            vendor_id=payment.vendor_id,
        )
        for one in news
    )


def _paid_by(payment: Payment, transfer_id: str) -> bool:
    return payment.status is Status.COMPLETED and payment.transfer == transfer_id


def _news(payment: Payment, listed: Sequence[Reversal]) -> list[Reversal]:
    known = {*payment.reversals, *payment.strays}
    return [one for one in listed if one.id not in known]
