"""From facts to double-entry lines (M16, M17, M38). Pure; rules are added, never edited (M29).

Books are kept per Stripe account: the platform's and each vendor's. A line's sign says its side:
debit positive, credit negative. The lines of one fact sum to zero per book and currency.

The chart of accounts
    stripe_balance              asset: what the Stripe account holds, as Stripe's own books say
    stripe_clearing             asset: moved at Stripe, its balance transaction not yet booked
    stripe_fees                 expense
    disputes_withheld           asset: taken by a card holder's bank, not decided yet
    dispute_losses              expense: decided against us, and not carried by the vendor
    bank                        asset, vendor's books: paid out
    fleet_receivable:COMPANY    asset: the fleet's job, paid by us to the vendor
    vendor_payable:VENDOR       liability: taken from a driver, owed to the vendor; on its debit
                                side, what the vendor owes us
    debts_forgiven              expense: vendors' debts that we gave up
    platform_fees               income: kept of a driver's payment when its vendor's share goes out
    earnings                    income, vendor's books
    suspense:stray              liability: money that no decision of ours explains
    fx_clearing:FROM:TO         clearing of a conversion Stripe made
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from roadcall_payments.domain.debt_events import DebtForgivenessReversed, VendorDebtForgiven
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.events import (
    BalanceTransactionBooked,
    Bearer,
    DisputeClosed,
    DisputeFundsReinstated,
    DisputeFundsWithdrawn,
    Fact,
    LostMovementFound,
    PayerType,
    PaymentCompleted,
    PayoutFailed,
    PayoutPaid,
    RefundFailed,
    RefundSucceeded,
    StrayMoneyObserved,
    TransferReversed,
)
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.records import quickly_made
from roadcall_payments.domain.settlement_events import (
    SettlementCompleted,
    SettlementReversed,
    SettlementWithheld,
)

RULES_VERSION = 1


@quickly_made
@dataclass(frozen=True, slots=True)
class Posting:
    """One line: ``amount_cents`` in minor units of ``currency``; debit +, credit -."""

    book: str
    account: str
    currency: str
    amount_cents: int


def postings(fact: Fact) -> tuple[Posting, ...]:
    """The lines of one fact; empty for facts that move nothing.

    Raises BrokenInvariant when they would not sum to zero per book and currency.
    """
    match fact:
        case PaymentCompleted():
            lines = _completed(fact)
        case BalanceTransactionBooked():
            lines = _balance_transaction(fact)
        case TransferReversed():
            lines = _reversed(fact)
        case LostMovementFound():
            lines = _lost(fact)
        case StrayMoneyObserved():
            lines = _pair(fact.account, "stripe_clearing", "suspense:stray", fact.amount)
        case DisputeFundsWithdrawn():
            lines = _pair(fact.account, "disputes_withheld", "stripe_clearing", fact.amount)
        case DisputeFundsReinstated():
            lines = _pair(fact.account, "stripe_clearing", "disputes_withheld", fact.amount)
        case DisputeClosed() if fact.loss.amount_cents:
            lines = _pair(fact.account, _borne_by(fact), "disputes_withheld", fact.loss)
        case RefundSucceeded():
            lines = _given_back(fact, 1)
        case RefundFailed(returned=True):
            lines = _given_back(fact, -1)
        case SettlementCompleted():
            lines = _settled(fact)
        case SettlementWithheld():
            lines = _fee_kept(fact)
        case SettlementReversed():
            lines = _taken_back(fact)
        case VendorDebtForgiven():
            payable = f"vendor_payable:{fact.vendor_id}"
            lines = _pair(fact.account, "debts_forgiven", payable, fact.amount)
        case DebtForgivenessReversed():
            payable = f"vendor_payable:{fact.vendor_id}"
            lines = _pair(fact.account, payable, "debts_forgiven", fact.amount)
        case PayoutPaid():
            lines = _pair(fact.account, "bank", "stripe_balance", fact.amount)
        case PayoutFailed(was_paid=True):
            lines = _pair(fact.account, "stripe_balance", "bank", fact.amount)
        case _:
            return ()
    _must_balance(lines, type(fact).__name__)
    return lines


def unbalanced(lines: Iterable[Posting]) -> dict[tuple[str, str], int]:
    """Sums per (book, currency) that are not zero; empty when the lines balance."""
    sums: dict[tuple[str, str], int] = {}
    for line in lines:
        key = (line.book, line.currency)
        sums[key] = sums.get(key, 0) + line.amount_cents
    return {key: total for key, total in sums.items() if total}


def _pair(book: str, debit: str, credit: str, amount: Money) -> tuple[Posting, ...]:
    return (
        Posting(book, debit, amount.currency, amount.amount_cents),
        Posting(book, credit, amount.currency, -amount.amount_cents),
    )


def _completed(fact: PaymentCompleted) -> tuple[Posting, ...]:
    if fact.payer_type is PayerType.DRIVER_IC:
        payable = f"vendor_payable:{fact.vendor_id}"
        return _pair(fact.account, "stripe_clearing", payable, fact.amount)
    if fact.destination is None:
        raise BrokenInvariant("A completed transfer names no destination.")
    receivable = f"fleet_receivable:{fact.company_id}"
    sent = fact.amount - fact.set_off if fact.set_off else fact.amount
    lines = _pair(fact.account, receivable, "stripe_clearing", sent) + _pair(
        fact.destination, "stripe_balance", "earnings", sent
    )
    if fact.set_off is None:
        return lines
    return lines + _pair(fact.account, receivable, f"vendor_payable:{fact.vendor_id}", fact.set_off)


def _borne_by(fact: DisputeClosed) -> str:
    match fact.borne_by:
        case Bearer.VENDOR:
            return f"vendor_payable:{fact.vendor_id}"
        case Bearer.PLATFORM:
            return "dispute_losses"
        case Bearer.SUSPENSE:
            return "suspense:stray"


def _given_back_by(fact: RefundSucceeded | RefundFailed) -> str:
    """Who is owed less after a refund: the vendor, or nobody whom stray money belonged to."""
    return "suspense:stray" if fact.from_suspense else f"vendor_payable:{fact.vendor_id}"


def _given_back(fact: RefundSucceeded | RefundFailed, sign: int) -> tuple[Posting, ...]:
    """What went back to the payer, or came again; of it, our fee is our own loss."""
    amount, fee = fact.amount, fact.fee_returned or Money(0, fact.amount.currency)
    book, currency = fact.account, amount.currency
    lines = (
        Posting(book, _given_back_by(fact), currency, sign * (amount - fee).amount_cents),
        Posting(book, "platform_fees", currency, sign * fee.amount_cents),
        Posting(book, "stripe_clearing", currency, -sign * amount.amount_cents),
    )
    return tuple(line for line in lines if line.amount_cents)


def _settled(fact: SettlementCompleted) -> tuple[Posting, ...]:
    share = _pair(
        fact.account, f"vendor_payable:{fact.vendor_id}", "stripe_clearing", fact.amount
    ) + _pair(fact.destination, "stripe_balance", "earnings", fact.amount)
    return share + _fee_kept(fact)


def _fee_kept(fact: SettlementCompleted | SettlementWithheld) -> tuple[Posting, ...]:
    if not fact.fee.amount_cents:
        return ()
    return _pair(fact.account, f"vendor_payable:{fact.vendor_id}", "platform_fees", fact.fee)


def _taken_back(fact: SettlementReversed) -> tuple[Posting, ...]:
    return _pair(
        fact.account, "stripe_clearing", f"vendor_payable:{fact.vendor_id}", fact.amount
    ) + _pair(fact.destination, "earnings", "stripe_balance", fact.amount)


def _reversed(fact: TransferReversed) -> tuple[Posting, ...]:
    receivable = f"fleet_receivable:{fact.company_id}"
    return _pair(fact.account, "stripe_clearing", receivable, fact.amount) + _pair(
        fact.destination, "earnings", "stripe_balance", fact.amount
    )


def _lost(fact: LostMovementFound) -> tuple[Posting, ...]:
    lines = _pair(fact.account, "stripe_clearing", "suspense:stray", fact.amount)
    if fact.destination is None:
        return lines
    return lines + _pair(fact.destination, "stripe_balance", "earnings", -fact.amount)


def _balance_transaction(fact: BalanceTransactionBooked) -> tuple[Posting, ...]:
    line, moved, book = fact.transaction, fact.moved, fact.account
    own = line.amount.currency
    booked = [
        Posting(book, "stripe_balance", own, line.net.amount_cents),
        Posting(book, "stripe_clearing", moved.currency, -moved.amount_cents),
    ]
    if line.fee.amount_cents:
        booked.append(Posting(book, "stripe_fees", own, line.fee.amount_cents))
    if moved.currency != own:
        fx = f"fx_clearing:{moved.currency}:{own}"
        booked.append(Posting(book, fx, moved.currency, moved.amount_cents))
        booked.append(Posting(book, fx, own, -line.amount.amount_cents))
    return tuple(booked)


def _must_balance(lines: tuple[Posting, ...], fact_name: str) -> None:
    wrong = unbalanced(lines)
    if wrong:
        raise BrokenInvariant(f"The postings of {fact_name} do not balance: {wrong}")
