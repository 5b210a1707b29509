"""The auditor's own chart: which lines each fact must have posted (RULES.md, "Books").

Worked out from the stored JSON alone. A type that stands neither here nor among those that post
nothing is a violation: nobody has said what it does to the books.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.simulation.audit.journal_facts import (
    Amount,
    Booked,
    Completed,
    Fact,
    Lost,
    PaidOut,
    Reversed,
    Stray,
)
from tests.simulation.audit.money_back_facts import DisputeDecided, DisputeMoved, GivenBack
from tests.simulation.audit.settlement_facts import (
    DebtLessened,
    ShareSettled,
    ShareWithheld,
    TakenBack,
)

Posted = tuple[str, str, str, int]
"""Book, account, currency, and minor units: debit +, credit -."""


class UnknownFact(ValueError):
    """The chart says nothing of facts of this type."""


def expected_postings(fact: Fact) -> list[Posted]:
    """The lines that this fact must have made. Raises UnknownFact."""
    if fact.type in _POSTS_NOTHING:
        return []
    makes = _POSTS.get(fact.type)
    if makes is None:
        raise UnknownFact(fact.type)
    return makes(fact)


def _pair(book: str, debit: str, credit: str, amount: Amount) -> list[Posted]:
    cents, currency = amount.amount_cents, amount.currency
    return [(book, debit, currency, cents), (book, credit, currency, -cents)]


def _completed(fact: Fact) -> list[Posted]:
    done = fact.read(Completed)
    if done.payer_type == "driver_ic":
        return _pair(
            done.account, "stripe_clearing", f"vendor_payable:{done.vendor_id}", done.amount
        )
    # The fleet owes all of it; what was set off the vendor has paid us by getting less.
    cents, currency = done.amount.amount_cents, done.amount.currency
    set_off = done.set_off.amount_cents if done.set_off else 0
    sent = Amount(cents - set_off, currency)
    ours = [
        (done.account, f"fleet_receivable:{done.company_id}", currency, cents),
        (done.account, "stripe_clearing", currency, -sent.amount_cents),
    ]
    if set_off:
        ours.append((done.account, f"vendor_payable:{done.vendor_id}", currency, -set_off))
    return ours + _pair(done.destination or "", "stripe_balance", "earnings", sent)


def _reversed(fact: Fact) -> list[Posted]:
    back = fact.read(Reversed)
    fleet = f"fleet_receivable:{back.company_id}"
    ours = _pair(back.account, "stripe_clearing", fleet, back.amount)
    return ours + _pair(back.destination, "earnings", "stripe_balance", back.amount)


def _booked(fact: Fact) -> list[Posted]:
    booked = fact.read(Booked)
    line, book = booked.transaction, booked.account
    own, moved = line.net.currency, booked.moved
    posted = [
        (book, "stripe_balance", own, line.net.amount_cents),
        (book, "stripe_clearing", moved.currency, -moved.amount_cents),
    ]
    if line.fee.amount_cents:
        posted.append((book, "stripe_fees", own, line.fee.amount_cents))
    if moved.currency != own:
        exchange = f"fx_clearing:{moved.currency}:{own}"
        posted.append((book, exchange, moved.currency, moved.amount_cents))
        posted.append((book, exchange, own, -line.amount.amount_cents))
    return posted


def _stray(fact: Fact) -> list[Posted]:
    stray = fact.read(Stray)
    return _pair(stray.account, "stripe_clearing", "suspense:stray", stray.amount)


def _lost(fact: Fact) -> list[Posted]:
    """Signed as Stripe signs it: what went out to a vendor is negative, and the vendor's."""
    lost = fact.read(Lost)
    ours = _pair(lost.account, "stripe_clearing", "suspense:stray", lost.amount)
    if lost.destination is None:
        return ours
    return ours + _pair(lost.destination, "earnings", "stripe_balance", lost.amount)


def _given_back(fact: Fact) -> list[Posted]:
    """The part of it that was our own fee is our loss; the vendor's is the rest."""
    given = fact.read(GivenBack)
    cents, currency = given.amount.amount_cents, given.amount.currency
    fee = given.fee_returned.amount_cents if given.fee_returned else 0
    posted = [(given.account, "stripe_clearing", currency, -cents)]
    if cents - fee:
        posted.append((given.account, given.owed_less, currency, cents - fee))
    if fee:
        posted.append((given.account, "platform_fees", currency, fee))
    return posted


def _not_given(fact: Fact) -> list[Posted]:
    """A refund that failed: what had been booked as given comes back, and nothing else."""
    if not fact.read(GivenBack).returned:
        return []
    return [(book, account, of, -cents) for book, account, of, cents in _given_back(fact)]


def _settled(fact: Fact) -> list[Posted]:
    """The vendor is owed less by what it got, and by the fee that we kept."""
    done = fact.read(ShareSettled)
    ours = _pair(done.account, f"vendor_payable:{done.vendor_id}", "stripe_clearing", done.amount)
    theirs = _pair(done.destination, "stripe_balance", "earnings", done.amount)
    return ours + theirs + _fee(done.account, done.vendor_id, done.fee)


def _withheld(fact: Fact) -> list[Posted]:
    done = fact.read(ShareWithheld)
    return _fee(done.account, done.vendor_id, done.fee)


def _fee(book: str, vendor_id: str, fee: Amount) -> list[Posted]:
    if not fee.amount_cents:
        return []
    return _pair(book, f"vendor_payable:{vendor_id}", "platform_fees", fee)


def _taken_back(fact: Fact) -> list[Posted]:
    back = fact.read(TakenBack)
    ours = _pair(back.account, "stripe_clearing", f"vendor_payable:{back.vendor_id}", back.amount)
    return ours + _pair(back.destination, "earnings", "stripe_balance", back.amount)


def _forgiven(fact: Fact) -> list[Posted]:
    debt = fact.read(DebtLessened)
    return _pair(debt.account, "debts_forgiven", f"vendor_payable:{debt.vendor_id}", debt.amount)


def _owed_again(fact: Fact) -> list[Posted]:
    debt = fact.read(DebtLessened)
    return _pair(debt.account, f"vendor_payable:{debt.vendor_id}", "debts_forgiven", debt.amount)


def _withdrawn(fact: Fact) -> list[Posted]:
    moved = fact.read(DisputeMoved)
    return _pair(moved.account, "disputes_withheld", "stripe_clearing", moved.amount)


def _reinstated(fact: Fact) -> list[Posted]:
    moved = fact.read(DisputeMoved)
    return _pair(moved.account, "stripe_clearing", "disputes_withheld", moved.amount)


def _decided(fact: Fact) -> list[Posted]:
    decided = fact.read(DisputeDecided)
    if not decided.loss.amount_cents:
        return []
    bearers = {
        "vendor": f"vendor_payable:{decided.vendor_id}",
        "platform": "dispute_losses",
        "suspense": "suspense:stray",
    }
    return _pair(decided.account, bearers[decided.borne_by], "disputes_withheld", decided.loss)


def _paid_out(fact: Fact) -> list[Posted]:
    paid = fact.read(PaidOut)
    return _pair(paid.account, "bank", "stripe_balance", paid.amount)


def _payout_failed(fact: Fact) -> list[Posted]:
    failed = fact.read(PaidOut)
    if not failed.was_paid:
        return []
    return _pair(failed.account, "stripe_balance", "bank", failed.amount)


_POSTS: Mapping[str, Callable[[Fact], list[Posted]]] = {
    "PaymentCompleted": _completed,
    "TransferReversed": _reversed,
    "BalanceTransactionBooked": _booked,
    "StrayMoneyObserved": _stray,
    "LostMovementFound": _lost,
    "RefundSucceeded": _given_back,
    "RefundFailed": _not_given,
    "DisputeFundsWithdrawn": _withdrawn,
    "DisputeFundsReinstated": _reinstated,
    "DisputeClosed": _decided,
    "SettlementCompleted": _settled,
    "SettlementWithheld": _withheld,
    "SettlementReversed": _taken_back,
    "VendorDebtForgiven": _forgiven,
    "DebtForgivenessReversed": _owed_again,
    "PayoutPaid": _paid_out,
    "PayoutFailed": _payout_failed,
}
_POSTS_NOTHING = frozenset(
    "PaymentCreated PaymentScored ReviewCleared ReviewBlocked ApprovalRecorded ApprovalExpired "
    "PaymentApproved PaymentRejected PaymentCancelled ProcessingStarted PaymentIntentOpened "
    "ConfirmationStarted ActionRequired CancelRequested CancelRefused OutcomeUnknown PaymentFailed "
    "AttemptVoided AttemptAdopted OutcomeInquired PaymentRetried AnomalyRecorded "
    "RefundRequested RefundApproved RefundRejected RefundSubmitted RefundOutcomeUnknown "
    "RefundObserved RefundAdopted RefundPending "
    "DisputeOpened DisputeChanged EvidenceDeadlineNeared "
    "SettlementDeferred SettlementStarted SettlementAdopted SettlementUnknown SettlementFailed "
    "SettlementReversalStarted SettlementReversalUnknown SettlementReversalFailed "
    "SettlementDebtUndone SetOffReduced "
    "TransferQueued TransferReleased "
    "VendorRegistered VendorChanged AccountRequested AccountOutcomeUnknown AccountRefused "
    "VendorAccountOpened AccountStatusChanged AccountDisconnected BankAccountChanged "
    "RequirementsDeadlineNeared VendorFeeAgreed DebtCapAgreed PayoutScheduleSet "
    "PayoutDayClosed "
    "VendorDebtIncurred DebtReserved DebtSetOff DebtReleased SetOffExceededDebt SetOffCredited "
    "VendorDebtReduced "
    "PayoutRequested PayoutOutcomeUnknown PayoutNotMade PayoutOpened PayoutObserved "
    "PayoutInTransit PayoutCancelRequested PayoutCancelRefused PayoutCancelled "
    "PayoutReturnPeriodEnded "
    "MovementsPaused MovementsResumed MovementsHeld DriftRepaired HoldReleased "
    "InboxEventDismissed EventsCompared".split()
)
