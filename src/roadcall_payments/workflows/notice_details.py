"""What a notice may say: ids, amounts and codes, never a name or an address."""

from __future__ import annotations

from dataclasses import replace

from roadcall_payments.commit import State
from roadcall_payments.domain import events as e
from roadcall_payments.domain import settlement_events as s
from roadcall_payments.domain.connected_account import in_words
from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.payout import Payout
from roadcall_payments.domain.stripe_objects import BankAccount
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.ports import NoticeDetails


def details_of(fact: e.Fact, state: State | None) -> NoticeDetails:
    """What is to be said of a fact; ``state``: of its stream."""
    match state:
        case Vendor():
            return _of_vendor(fact, state)
        case Payment():
            return _of_payment(fact, state)
        case Payout():
            return _of_payout(fact, state)
        case _:
            return _of_payment(fact, None)


def still_due(vendor: Vendor, details: NoticeDetails) -> bool:
    """Whether Stripe still waits for what the notice tells of."""
    known = vendor.connected
    needs = known.status.requirements if known and known.connected and known.status else None
    return needs is not None and needs.deadline == details.due and bool(needs.currently_due)


def _of_vendor(fact: e.Fact, vendor: Vendor) -> NoticeDetails:
    """Of bank accounts the last four digits alone."""
    details = NoticeDetails(vendor_id=vendor.id, account=vendor.stripe_account)
    match fact:
        case e.BankAccountChanged():
            return replace(
                details,
                account=fact.account,
                bank_before=tuple(_in_short(one) for one in fact.before),
                bank_after=tuple(_in_short(one) for one in fact.after),
                object_id=fact.replaced,
            )
        case e.RequirementsDeadlineNeared():
            return replace(details, message=in_words(fact.due), due=fact.deadline)
        case e.AccountDisconnected():
            return replace(details, account=fact.account)
    return details


def _of_payout(fact: e.Fact, payout: Payout) -> NoticeDetails:
    """``object_id`` is the name a bank or Stripe's support knows it by, where there is one."""
    details = NoticeDetails(
        vendor_id=payout.vendor_id,
        amount=payout.amount,
        account=payout.account,
        object_id=payout.stripe_payout or payout.id,
        arrives=payout.arrival,
    )
    match fact:
        case e.PayoutFailed() | e.PayoutNotMade():
            return replace(details, code=fact.code, message=fact.message)
        case e.PayoutInTransit():
            return replace(details, arrives=fact.arrival)
    return details


def _of_payment(fact: e.Fact, payment: Payment | None) -> NoticeDetails:
    details = NoticeDetails()
    if payment is not None:
        details = NoticeDetails(
            payment_id=payment.id,
            incident_id=payment.incident_id,
            vendor_id=payment.vendor_id,
            payer_type=payment.payer_type,
            amount=payment.amount,
        )
    match fact:
        case e.PaymentScored():
            return replace(details, reasons=fact.reasons)
        case e.PaymentCompleted() if fact.set_off is not None:
            transferred = fact.amount - fact.set_off
            return replace(details, amount=transferred, set_off=fact.set_off)
        case e.PaymentFailed():
            code = fact.decline_code or fact.code
            return replace(details, code=code, message=fact.message, retryable=fact.retryable)
        case e.AttemptVoided():
            return replace(details, code="attempt_voided", message=fact.reason, retryable=True)
        case e.TransferReversed() | s.SettlementReversed():
            return replace(details, amount=fact.amount, object_id=fact.transfer_id)
        case s.SettlementCompleted():
            amount, fee, set_off = fact.amount, fact.fee, fact.set_off
            sent = replace(details, amount=amount, fee=fee, set_off=set_off)
            available_on = payment.charge_available_on if payment else None
            return replace(sent, object_id=fact.transfer_id, available_on=available_on)
        case s.SettlementDeferred():
            return replace(details, code=fact.reason, message=fact.detail)
        case s.SetOffReduced():
            return replace(details, amount=fact.amount, set_off=fact.set_off)
        case s.SettlementFailed():
            return replace(details, amount=fact.amount, code=fact.code, message=fact.message)
        case e.RefundRequested() | e.RefundObserved() | e.RefundSucceeded():
            return replace(details, amount=fact.amount, refund_id=fact.refund_id)
        case e.RefundFailed():
            return replace(
                details,
                amount=fact.amount,
                code=fact.code,
                message=fact.message,
                refund_id=fact.refund_id,
            )
        case e.DisputeOpened() | e.EvidenceDeadlineNeared() | e.DisputeClosed():
            return _of_dispute(details, fact, payment)
        case e.StrayMoneyObserved():
            return replace(
                details,
                amount=fact.amount,
                code=fact.reason,
                message=fact.proposed,
                object_id=fact.object_id,
            )
        case e.AnomalyRecorded():
            return replace(details, code=fact.code, message=fact.detail, object_id=fact.object_id)
    return details


def _of_dispute(
    details: NoticeDetails,
    fact: e.DisputeOpened | e.EvidenceDeadlineNeared | e.DisputeClosed,
    payment: Payment | None,
) -> NoticeDetails:
    dispute = payment.dispute(fact.dispute_id) if payment else None
    if dispute is None:
        raise BrokenInvariant(f"There is no dispute {fact.dispute_id}.")
    about = replace(details, dispute_id=dispute.id, amount=dispute.amount, inquiry=dispute.inquiry)
    if not isinstance(fact, e.DisputeClosed):
        return replace(about, code=dispute.reason, due=fact.evidence_due)
    if fact.loss.amount_cents > 0:
        about = replace(about, amount=fact.loss, borne_by=fact.borne_by)
    return replace(about, code=fact.status)


def _in_short(bank: BankAccount) -> str:
    return f"{bank.bank_name or bank.currency.upper()} ****{bank.last4}"
