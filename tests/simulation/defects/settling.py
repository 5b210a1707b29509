"""Defects in settlement: what goes out to vendors and back, our fee of it, and their debts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from roadcall_payments.domain import debt, settling, vendor_share
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.refund import RefundStatus
from roadcall_payments.domain.settlement import Settlement
from roadcall_payments.domain.settlement_events import FeeTerms
from roadcall_payments.domain.vendor_share import Cause, ShareDue
from roadcall_payments.ledger import posting_rules
from roadcall_payments.ledger.posting_rules import Posting
from roadcall_payments.workflows import settlements
from tests.simulation.defects.planted import Planted, wrong_function
from tests.simulation.faults import Kind
from tests.simulation.history import INDEBTED, SETTLED, SETTLES

_STRIPE_FAILS = {Kind.ERROR_AFTER: 0.08, Kind.DROP_AFTER: 0.08, Kind.TRUNCATE: 0.04}

_right_causes = vendor_share._causes
_right_overpaid = vendor_share.overpaid_cents


def _asked_for(payment: Payment) -> int:
    return sum(one.amount.amount_cents for one in payment.refunds if one.reserves)


def _on_its_way(payment: Payment) -> Sequence[Cause]:
    return [
        Cause(one.id, one.amount.amount_cents, after_the_share=True)
        for one in payment.refunds
        if one.status is RefundStatus.SUBMITTED
    ]


def _causes_before_they_happened(payment: Payment, settlement: Settlement) -> Sequence[Cause]:
    return [*_right_causes(payment, settlement), *_on_its_way(payment)]


def _too_early(payment: Payment, settlement: Settlement) -> int:
    return _right_overpaid(payment, settlement) + sum(one.cents for one in _on_its_way(payment))


_right_left = vendor_share._left_of_payment


def _without_what_is_asked(payment: Payment) -> int:
    left = _right_left(payment) + _asked_for(payment)
    return min(left, payment.amount.amount_cents - payment.amount_refunded_cents)


_right_due = vendor_share.share_due


def _never_restored(payment: Payment, terms: FeeTerms) -> ShareDue | None:
    due = _right_due(payment, terms)
    return None if due is None or due.restores is not None else due


_SHARES_WRONG = 3


def _fee_again(payment: Payment, terms: FeeTerms) -> ShareDue | None:
    due = _right_due(payment, terms)
    if due is None or payment.settlement is None:
        return due
    # A few further shares are enough: without an end each leaves something for the next.
    if not 1 <= len(payment.settlement.transfers) <= _SHARES_WRONG:
        return due
    fee = min(terms.fee.amount_cents, max(due.cents - 1, 0))
    return replace(due, cents=due.cents - fee, fee_cents=due.fee_cents + fee)


def _no_fee(fact: object) -> tuple[Posting, ...]:
    return ()


def _nothing_reserved(
    debts: debt.Debts, taken: debt.SetOff, key: str, payment_id: str
) -> debt.Facts:
    return ()


SETTLING = (
    Planted(
        wrong_function(
            "reversal before the refund succeeded",
            (vendor_share, "_causes", _causes_before_they_happened),
            (vendor_share, "overpaid_cents", _too_early),
        ),
        "M21",
        "the share is taken back while its refund is on its way",
        boosts=_STRIPE_FAILS,
        stories=SETTLED,
        settings=SETTLES,
        outsiders=False,
    ),
    Planted(
        wrong_function(
            "settlement less nothing that is asked for",
            (vendor_share, "_left_of_payment", _without_what_is_asked),
        ),
        "M20",
        "what a refund may still give back goes out to the vendor",
        stories=SETTLED,
        settings=SETTLES,
        outsiders=False,
    ),
    Planted(
        wrong_function(
            "restore left out",
            (settling, "share_due", _never_restored),
            (settlements, "share_due", _never_restored),
        ),
        "M20",
        "a refund fails after its share was taken back, and the vendor never gets it again",
        stories=SETTLED,
        settings=SETTLES,
        outsiders=False,
    ),
    Planted(
        wrong_function(
            "fee kept twice",
            (settling, "share_due", _fee_again),
            (settlements, "share_due", _fee_again),
        ),
        "M20",
        "every further share pays our fee again",
        stories=SETTLED,
        settings=SETTLES,
        outsiders=False,
    ),
    Planted(
        wrong_function("fee not booked", (posting_rules, "_fee_kept", _no_fee)),
        "books",
        "what we keep of a share stays the vendor's in the books",
        stories=SETTLED,
        settings=SETTLES,
        outsiders=False,
    ),
    Planted(
        wrong_function("two payments setting off one debt", (debt, "reserve", _nothing_reserved)),
        "M22",
        "a transfer is less by a debt that it does not hold",
        stories=INDEBTED,
        settings=SETTLES,
        outsiders=False,
    ),
)
