"""From what Stripe took back of a share to facts. Pure; never refused (M16).

Every function takes the payment as it stands now, and gives no facts where Stripe's word is no
news. A reversal is booked by its id, once (M17), whoever made it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from roadcall_payments.domain import events as e
from roadcall_payments.domain import settlement_events as s
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.outcomes import anomaly
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.refund import RefundStatus
from roadcall_payments.domain.settlement import REVERSAL_VOIDED, Settlement, TakeBack
from roadcall_payments.domain.settling import PURPOSE_REVERSAL, is_void, share_due_as_agreed
from roadcall_payments.domain.stripe_objects import (
    DisputeStatus,
    Reversal,
    StripeFailure,
    Transfer,
)
from roadcall_payments.domain.vendor_share import (
    overpaid_cents,
    take_back_due,
)

Facts = tuple[e.PaymentFact, ...]

# Each is an entry, four postings and its share of the rows beside (M28).
REVERSALS_A_COMMIT = 10

# The anomaly of a share that is to come back, and whose reversal never reaches Stripe; told at the
# third of them in a row.
VOIDED_AGAIN = "reversal_never_received"
VOIDS_TOLD_AT = 3

# The anomaly of a vendor that has more than its share, for no reason that the books know.
OVERPAID = "vendor_overpaid"
# And of one that has less: it was taken back by hand, for a refund or dispute that came to nothing.
UNDERPAID = "vendor_underpaid"
# The anomaly of a share that is to come back from a vendor whose record a restore lost.
NOT_REGISTERED = "vendor_not_registered"


def may_lack(payment: Payment, found: Transfer) -> bool:
    """Whether the transfer shows more than the books have of its reversals."""
    own = payment.settlement.transfer(found.id) if payment.settlement else None
    return own is not None and found.amount_reversed.amount_cents > own.reversed_cents


def exceeds_a_commit(payment: Payment, listed: Sequence[Reversal]) -> bool:
    """Whether there is more news than ``reversals_seen`` gives at once."""
    return sum(one.id not in payment.reversals for one in listed) > REVERSALS_A_COMMIT


def reversals_seen(
    payment: Payment,
    transfer_id: str,
    listed: Sequence[Reversal],
    source: e.Source,
    request_id: str | None = None,
) -> Facts:
    """Reversals of a share's transfer, each booked by its id, once (M17), whoever made them.

    At most ``REVERSALS_A_COMMIT`` of them (M28): ask again until there are none.
    """
    settlement, account, livemode = payment.settlement, payment.account, payment.livemode
    if settlement is None or account is None or livemode is None:
        return ()
    paid = settlement.transfer(transfer_id)
    if paid is None or paid.destination is None:
        return ()
    facts: list[e.PaymentFact] = []
    taken: set[tuple[str, int]] = set()
    for one in [one for one in listed if one.id not in payment.reversals][:REVERSALS_A_COMMIT]:
        own = _own_take_back(payment, settlement, one)
        if own is not None and (own.cause_id, own.number) in taken:
            own = None
        if own is not None:
            taken.add((own.cause_id, own.number))
        facts.append(
            s.SettlementReversed(
                reversal_id=one.id,
                transfer_id=transfer_id,
                amount=one.amount,
                account=account,
                livemode=livemode,
                destination=paid.destination,
                company_id=payment.company_id,
                vendor_id=payment.vendor_id,
                source=source,
                cause_id=own.cause_id if own else None,
                number=own.number if own else 0,
                request_id=request_id,
            )
        )
    return tuple(facts)


def _own_take_back(payment: Payment, settlement: Settlement, found: Reversal) -> TakeBack | None:
    """The one of ours that made the reversal (M13): all that its metadata say must agree."""
    said = found.metadata
    if (said.get("purpose"), said.get("paymentId")) != (PURPOSE_REVERSAL, payment.id):
        return None
    for one in settlement.take_backs:
        if one.request is None or one.reversal is not None:
            continue
        amount = Money(one.amount_cents, payment.amount.currency)
        agrees = (found.transfer, found.amount) == (one.transfer, amount)
        if agrees and (said.get("cause"), said.get("attempt")) == (one.cause_id, str(one.number)):
            return one
    return None


def reversal_refused(
    payment: Payment,
    cause_id: str,
    number: int,
    failure: StripeFailure,
    source: e.Source,
    request_id: str | None,
) -> Facts:
    """It cannot be taken back: the vendor owes what it still has too much of (M22)."""
    own = _open_take_back(payment, cause_id, number)
    settlement = payment.settlement
    if own is None or settlement is None:
        return ()
    # Somebody may have reversed it at Stripe meanwhile: then nothing is owed.
    debt = min(own.amount_cents, max(overpaid_cents(payment, settlement), 0))
    return (_not_reversed(payment, own, debt, failure, source, request_id),)


def reversal_unknown(
    payment: Payment, cause_id: str, number: int, reason: str, request_id: str | None
) -> Facts:
    own = _open_take_back(payment, cause_id, number)
    if own is None or own.unknown is not None:
        return ()
    return (s.SettlementReversalUnknown(cause_id, number, reason, request_id=request_id),)


def reversal_absent(payment: Payment, cause_id: str, number: int, now: datetime) -> Facts:
    """As ``transfer_absent``: the second of two empty lists ends it (M8)."""
    own = _open_take_back(payment, cause_id, number)
    if own is None:
        return ()
    if is_void(own, now):
        # No refusal: it is tried again, under its next key.
        gone = StripeFailure(REVERSAL_VOIDED, "It never reached Stripe, and nothing came back.")
        voided = _not_reversed(payment, own, 0, gone, e.Source.LOOKUP, None)
        return (voided, *_voided_again(payment, cause_id))
    return (s.SettlementReversalUnknown(cause_id, number, "absent", absent=True),)


def _voided_again(payment: Payment, cause_id: str) -> Facts:
    times = 1 + (payment.settlement.voided(cause_id) if payment.settlement else 0)
    if times < VOIDS_TOLD_AT:
        return ()
    detail = f"what is to come back for {cause_id} never reached Stripe, {times} times in a row"
    return anomaly(payment, VOIDED_AGAIN, detail, None)


def _not_reversed(
    payment: Payment,
    own: TakeBack,
    debt_cents: int,
    failure: StripeFailure,
    source: e.Source,
    request_id: str | None,
) -> s.SettlementReversalFailed:
    currency = payment.amount.currency
    return s.SettlementReversalFailed(
        own.cause_id,
        own.number,
        own.transfer,
        Money(own.amount_cents, currency),
        Money(debt_cents, currency),
        failure.code,
        failure.message,
        payment.vendor_id,
        source,
        request_id,
    )


def _open_take_back(payment: Payment, cause_id: str, number: int) -> TakeBack | None:
    own = payment.settlement.open_take_back if payment.settlement else None
    return own if own is not None and (own.cause_id, own.number) == (cause_id, number) else None


def nobody_to_owe(payment: Payment) -> Facts:
    """A person is told that some of a share is to come back, and has no vendor to owe it."""
    detail = (
        f"some of the vendor's share is to be taken back, and vendor {payment.vendor_id} is not in "
        "the books, as after a restore: register it again, and it is taken back by itself"
    )
    return anomaly(payment, NOT_REGISTERED, detail, None)


def unexplained(payment: Payment) -> Facts:
    """A person is told of a vendor that has more than its share, and no refund or dispute why; or
    less, where what was taken back by hand is owed again."""
    settlement = payment.settlement
    if settlement is None or not settlement.at_rest or take_back_due(payment) is not None:
        return ()
    excess = overpaid_cents(payment, settlement)
    terms = settlement.terms
    if terms is None:
        return ()
    if excess >= terms.multiple_of:
        detail = f"the vendor has {excess} minor units more of it than its share"
        return anomaly(payment, OVERPAID, detail, None)
    if _is_short(payment, settlement) and -excess >= terms.multiple_of:
        detail = (
            f"the vendor has {-excess} minor units less of it than its share: they were reversed "
            "at Stripe by hand, and what for came to nothing, so the vendor is owed them"
        )
        return anomaly(payment, UNDERPAID, detail, None)
    return ()


def _is_short(payment: Payment, settlement: Settlement) -> bool:
    """Whether what is missing was taken back by hand, for what was undone since. Where a debt
    was paid by it, nothing is missing."""
    undone = any(one.status is RefundStatus.FAILED and one.stripe_refund for one in payment.refunds)
    undone = undone or any(one.status is DisputeStatus.WON for one in payment.disputes)
    taken = settlement.taken_by_others_cents > 0
    owed = any(one.debt_cents for one in settlement.take_backs)
    return undone and taken and not owed and share_due_as_agreed(payment) is None
