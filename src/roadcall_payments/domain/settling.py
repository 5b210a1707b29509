"""What is to be done about a vendor's share, and the facts that decide it. Pure.

What Stripe made of it is in ``shares_seen.py`` and ``take_backs_seen.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from roadcall_payments.domain import events as e
from roadcall_payments.domain import settlement_events as s
from roadcall_payments.domain.errors import SettlementUnderWay
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.outcomes import ABSENCES_APART, VOID_AFTER
from roadcall_payments.domain.payment import Patience, Payment, Status, second_look
from roadcall_payments.domain.settlement import Settlement, ShareTransfer, TakeBack
from roadcall_payments.domain.stripe_objects import (
    StripeRequest,
)
from roadcall_payments.domain.vendor_share import (
    ShareDue,
    TakeBackDue,
    share_due,
    take_back_due,
)

Facts = tuple[e.PaymentFact, ...]

PURPOSE_SHARE = "settlement"
PURPOSE_REVERSAL = "settlement_reversal"

# Ours, for what was never transferred, and for what a transfer was less by already.
NOTHING_TO_REVERSE = "nothing_to_reverse"
SET_OFF_ALREADY = "set_off_already"

# What comes to nothing again and again rests up to 128 times as long as after the first (M28).
REST_DOUBLINGS_MAX: Final = 7


# --- what has to be done ------------------------------------------------------------------------


def due_at(payment: Payment, patience: Patience) -> datetime | None:
    """When the worker must look at the settlement again; None while nobody waits for us."""
    settlement = payment.settlement
    if settlement is None or payment.status is not Status.COMPLETED:
        return None
    call = settlement.open_transfer or settlement.open_take_back
    if call is not None:
        if call.absences:
            return second_look(call.absences[-1], call.started_at)
        return call.updated_at + patience.stripe
    owed_back = take_back_due(payment)
    if owed_back is not None:
        return _taken_back_at(settlement, owed_back, patience) or payment.updated_at
    if share_due_as_agreed(payment) is None:
        return None
    return _rests_until(settlement, patience) or payment.updated_at


def share_due_as_agreed(payment: Payment) -> ShareDue | None:
    """What is due by the terms of the first share; before that nobody knows our fee, and all that
    is left may be owed."""
    agreed = payment.settlement.terms if payment.settlement else None
    return share_due(payment, agreed or s.FeeTerms(Money(0, payment.amount.currency), False, 1))


def _rests_until(settlement: Settlement, patience: Patience) -> datetime | None:
    """What the share waits for is looked at regularly; what Stripe refuses, less and less often,
    for each try is a new call under a new key (M28). None where nothing keeps it."""
    if settlement.deferral is not None:
        return settlement.deferral.since + patience.settlement_again
    refusals = settlement.refusals
    if refusals == 0:
        return None
    return settlement.transfers[-1].updated_at + _rest(refusals, patience)


def _taken_back_at(settlement: Settlement, due: TakeBackDue, patience: Patience) -> datetime | None:
    """A reversal that never reaches Stripe, for want of a permission perhaps, is tried less and
    less often too. None where nothing keeps it."""
    voided = settlement.voided(due.cause_id)
    if voided == 0:
        return None
    last = max(one.updated_at for one in settlement.take_backs if one.cause_id == due.cause_id)
    return last + _rest(voided, patience)


def _rest(failures: int, patience: Patience) -> timedelta:
    times: int = 2 ** min(failures - 1, REST_DOUBLINGS_MAX)
    return times * patience.settlement_again


def must_not_be_under_way(payment: Payment) -> None:
    """A refund waits for an unknown settlement (M20). Raises SettlementUnderWay."""
    if payment.settlement is not None and payment.settlement.open_transfer is not None:
        raise SettlementUnderWay(
            "The vendor's share is on its way, and its outcome is not known yet: approve the "
            "refund again shortly.",
            retry_after_s=5,
        )


def transfer_key(payment: Payment, restores: str | None) -> str:
    """``settlement_{paymentId}`` or ``restore_{refundId}``; from the second try on, which comes
    after looking (M6), with ``_2``, ``_3``."""
    first = f"settlement_{payment.id}" if restores is None else f"restore_{restores}"
    earlier = payment.settlement.transfers if payment.settlement else ()
    sent = sum(one.restores == restores and one.request is not None for one in earlier)
    return first if sent == 0 else f"{first}_{sent + 1}"


def take_back_key(due: TakeBackDue) -> str:
    first = f"reversal_{due.cause_id}"
    return first if due.number == 1 else f"{first}_{due.number}"


def next_number(payment: Payment) -> int:
    return 1 + (len(payment.settlement.transfers) if payment.settlement else 0)


# --- what is decided ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShareParts:
    """A share's transfer before it is derived: ``amount`` moves; ``fee`` and ``set_off`` stay."""

    number: int
    amount: Money
    fee: Money
    set_off: Money
    destination: str
    restores: str | None


def start_share(
    payment: Payment,
    due: ShareDue,
    set_off: Money,
    terms: s.FeeTerms,
    destination: str,
    request_for: Callable[[ShareParts], StripeRequest],
) -> Facts:
    """Commit to the next part of the share; where fee and set-off take it all, nothing is sent."""
    currency, vendor_id = payment.amount.currency, payment.vendor_id
    fee, number = Money(due.fee_cents, currency), next_number(payment)
    amount = Money(due.cents, currency) - set_off
    if amount.amount_cents == 0:
        account = payment.account or ""
        kept = s.SettlementWithheld(number, fee, set_off, terms, account, vendor_id, due.restores)
        return (kept,)
    parts = ShareParts(number, amount, fee, set_off, destination, due.restores)
    started = s.SettlementStarted(
        number,
        request_for(parts),
        amount,
        fee,
        set_off,
        destination,
        terms,
        vendor_id,
        due.restores,
    )
    return (started,)


def is_in_charge(payment: Payment, amount: Money) -> bool:
    """Whether the payment's own charge still holds so much. What other payments' transfers paid of
    a debt that came to nothing was never taken back into it: that is in the platform's balance."""
    transfers = payment.settlement.transfers if payment.settlement else ()
    gone = payment.amount_refunded_cents + sum(one.left_cents for one in transfers)
    return amount.amount_cents <= payment.amount.amount_cents - gone


def defer(payment: Payment, reason: str, detail: str) -> Facts:
    """Said once for a reason: what keeps the share from going out."""
    settlement = payment.settlement
    if settlement is None:
        return ()
    if settlement.deferral is not None and settlement.deferral.reason == reason:
        return ()
    return (s.SettlementDeferred(reason, detail),)


def start_take_back(
    payment: Payment,
    request_for: Callable[[TakeBackDue], StripeRequest],
    credit: Money,
) -> Facts:
    """Commit to taking the next part back, or to the debt where nothing holds it any more.

    ``credit``: what the vendor's transfers had set off of debts that a restore lost. Perhaps this
    one, so it is owed as far as that pays it, and only the rest is taken back (M18)."""
    due, settlement = take_back_due(payment), payment.settlement
    if due is None or settlement is None or settlement.terms is None:
        return ()
    amount = Money(due.cents, payment.amount.currency)
    if due.transfer is None or due.transfer.transfer is None:
        words = "It was not transferred: our fee, or set off against the vendor's debt."
        return (_owed(payment, due, amount, NOTHING_TO_REVERSE, words),)
    credited = credit.amount_cents - credit.amount_cents % settlement.terms.multiple_of
    if credited > 0:
        part = Money(min(due.cents, credited), amount.currency)
        words = "A transfer had set it off before the service was restored."
        return (_owed(payment, due, part, SET_OFF_ALREADY, words),)
    return (
        s.SettlementReversalStarted(
            due.cause_id, due.number, due.transfer.transfer, amount, request_for(due)
        ),
    )


def _owed(
    payment: Payment, due: TakeBackDue, amount: Money, code: str, words: str
) -> s.SettlementReversalFailed:
    """Nothing is asked of Stripe: the vendor owes it."""
    vendor, source = payment.vendor_id, e.Source.ANSWER
    return s.SettlementReversalFailed(
        due.cause_id, due.number, None, amount, amount, code, words, vendor, source
    )


def debt_to_undo(payment: Payment) -> TakeBack | None:
    """A debt whose cause came to nothing, before anything goes out again for it."""
    due, settlement = share_due_as_agreed(payment), payment.settlement
    if due is None or due.restores is None or settlement is None:
        return None
    own = (one for one in settlement.take_backs if one.cause_id == due.restores)
    return next((one for one in own if one.debt_cents and not one.undone), None)


def undo_debt(payment: Payment, owed: TakeBack, paid: Money) -> Facts:
    """``paid``: what transfers had set off of it; the rest is owed no more."""
    amount = Money(owed.debt_cents, payment.amount.currency) - paid
    return (s.SettlementDebtUndone(owed.cause_id, owed.number, amount),)


def is_void(call: ShareTransfer | TakeBack, now: datetime) -> bool:
    """Whether one more empty list proves that it never happened (M8)."""
    apart = any(now - seen >= ABSENCES_APART for seen in call.absences)
    return apart and now - call.started_at >= VOID_AFTER
