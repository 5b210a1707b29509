"""Facts in words: what a timeline says to a person who was not there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias

from roadcall_payments.cli.debt_words import of_a_debt
from roadcall_payments.cli.payout_words import of_a_payout
from roadcall_payments.cli.settlement_words import of_a_settlement
from roadcall_payments.cli.source_words import learned
from roadcall_payments.cli.tables import amount
from roadcall_payments.cli.vendor_words import of_a_vendor
from roadcall_payments.domain import events as e
from roadcall_payments.domain.settlement_events import SettlementFact
from roadcall_payments.domain.stripe_objects import StripeRequest

Texts = Mapping[str, str]


def in_words(fact: e.Fact, texts: Texts) -> str:
    """What happened, in one sentence. ``texts``: bodies of erasable texts by id."""
    match fact:
        case e.PaymentCreated():
            return _created(fact, texts)
        case (
            e.MovementsPaused()
            | e.MovementsResumed()
            | e.MovementsHeld()
            | e.DriftRepaired()
            | e.HoldReleased()
            | e.InboxEventDismissed()
            | e.EventsCompared()
        ):
            return _of_the_switch(fact)
        case e.LostMovementFound():
            return (
                f"Stripe moved {amount(fact.amount)} ({fact.kind}) for a payment that is not in "
                f"the books, booked to suspense: {fact.reason}; proposed: {fact.proposed}"
            )
        case (
            e.BalanceTransactionBooked()
            | e.TransferReversed()
            | e.StrayMoneyObserved()
            | e.AnomalyRecorded()
        ):
            return _afterwards(fact)
        case (
            e.DisputeOpened()
            | e.DisputeChanged()
            | e.DisputeFundsWithdrawn()
            | e.DisputeFundsReinstated()
            | e.EvidenceDeadlineNeared()
            | e.DisputeClosed()
        ):
            return _dispute(fact)
        case (
            e.PaymentScored()
            | e.ReviewCleared()
            | e.ReviewBlocked()
            | e.ApprovalRecorded()
            | e.ApprovalExpired()
            | e.PaymentApproved()
            | e.PaymentRejected()
        ):
            return _decided(fact, texts)
        case _:
            if isinstance(fact, e.RefundFact):
                return _refund(fact, texts)
            if isinstance(fact, SettlementFact):
                return of_a_settlement(fact)
            if isinstance(fact, e.PayoutFact):
                return of_a_payout(fact)
            if isinstance(fact, e.VendorFact):
                return of_a_vendor(fact)
            return of_a_debt(fact) if isinstance(fact, e.DebtFact) else _moved(fact)


def stripe_ids(fact: e.Fact) -> str:
    """The Stripe ids and request ids in a fact, for looking them up at Stripe."""
    names = (
        "payment_intent",
        "object_id",
        "charge_id",
        "reversal_id",
        "transfer_id",
        "payout_id",
        "stripe_payout",
        "stripe_refund",
        "dispute_id",
        "balance_transaction",
        "destination",
        "stripe_account",
        "request_id",
    )
    found = [str(getattr(fact, name)) for name in names if getattr(fact, name, None)]
    if isinstance(fact, e.BalanceTransactionBooked):
        found.append(fact.transaction.id)
    request = getattr(fact, "request", None)
    if isinstance(request, StripeRequest):
        found.append(f"key {request.idempotency_key}")
    return " ".join(dict.fromkeys(found))


def _of_the_switch(fact: e.ControlFact) -> str:
    match fact:
        case e.MovementsPaused():
            return f"Every outgoing movement held: {fact.reason}"
        case e.MovementsResumed():
            return "Movements go again"
        case e.MovementsHeld():
            return f"Every outgoing movement held after a restore: {fact.reason}"
        case e.DriftRepaired():
            return f"Drift repaired: {fact.adopted} adopted, {fact.strays} to suspense"
        case e.HoldReleased():
            return "The hold after a restore was lifted"
        case e.EventsCompared():
            return f"Compared with Stripe's events: {fact.missed} had come by no webhook"
        case e.InboxEventDismissed():
            return f"{fact.event_type} {fact.event_id} put aside: {fact.reason} ({fact.failure})"


def _created(fact: e.PaymentCreated, texts: Texts) -> str:
    payer = f"driver {fact.driver_id}" if fact.driver_id else f"back office of {fact.company_id}"
    words = (
        f"Created: {amount(fact.amount)} from {payer} for vendor {fact.vendor_id}, "
        f"incident {fact.incident_id}, {len(fact.line_items)} line items"
    )
    return words + _quoted(fact.description, texts)


def _decided(
    fact: e.PaymentScored
    | e.ReviewCleared
    | e.ReviewBlocked
    | e.ApprovalRecorded
    | e.ApprovalExpired
    | e.PaymentApproved
    | e.PaymentRejected,
    texts: Texts,
) -> str:
    match fact:
        case e.PaymentScored():
            reasons = f": {', '.join(fact.reasons)}" if fact.reasons else ""
            held = ", held for review" if fact.flagged else ""
            return f"Scored {fact.risk_percent} of 100, {fact.level} risk{held}{reasons}"
        case e.ReviewCleared():
            return "Review cleared" + _quoted(fact.note, texts)
        case e.ReviewBlocked():
            return "Review blocked" + _quoted(fact.note, texts)
        case e.ApprovalRecorded():
            return f"One approval, by {fact.by} ({fact.role}); another is needed"
        case e.ApprovalExpired():
            return f"{len(fact.approvals)} approvals expired; approving starts anew"
        case e.PaymentApproved():
            by = " and ".join(approval.by for approval in fact.approvals)
            to = f", to be paid to {fact.destination}" if fact.destination else ""
            return f"Approved by {by}{to}"
        case e.PaymentRejected():
            return "Rejected" + _quoted(fact.reason, texts)


_Moved: TypeAlias = (
    e.FundingFact
    | e.ProcessingStarted
    | e.AttemptAdopted
    | e.OutcomeInquired
    | e.PaymentIntentOpened
    | e.ConfirmationStarted
    | e.ActionRequired
    | e.CancelRequested
    | e.CancelRefused
    | e.OutcomeUnknown
    | e.PaymentFailed
    | e.AttemptVoided
    | e.PaymentCompleted
    | e.PaymentCancelled
    | e.PaymentRetried
)


def _moved(fact: _Moved) -> str:
    match fact:
        case e.ProcessingStarted():
            return f"Attempt {fact.attempt}: decided to ask Stripe for {fact.request.operation}"
        case e.AttemptAdopted():
            return f"Attempt {fact.attempt} found at Stripe and adopted: its facts were lost"
        case e.TransferQueued():
            return f"Waits for {amount(fact.needed)} of funds: {fact.reason}, {fact.priority}"
        case e.TransferReleased():
            return f"The funds are there: {amount(fact.available)}"
        case e.OutcomeInquired():
            evidence = f" and at {fact.object_id}" if fact.object_id else ""
            return f"Asked by {fact.by} to look at Stripe{evidence} for the outcome"
        case e.PaymentIntentOpened():
            return f"PaymentIntent opened{learned(fact.source)}; the payer may confirm it"
        case e.ConfirmationStarted():
            return f"Confirmation {fact.confirmation}: decided to ask Stripe to charge the card"
        case e.ActionRequired():
            return f"The payer must act: {fact.action}{learned(fact.source)}"
        case e.CancelRequested():
            return f"Asked Stripe to cancel: {fact.reason}"
        case e.CancelRefused():
            return f"Not cancelled, the PaymentIntent goes on ({fact.code})"
        case e.OutcomeUnknown():
            seen = "; nothing found at Stripe" if fact.absent else ""
            return f"Outcome unknown ({fact.reason}), waiting for {fact.awaiting}{seen}"
        case e.PaymentFailed():
            decline = f", {fact.decline_code}" if fact.decline_code else ""
            retry = "another try may do" if fact.retryable else "trying again is of no use"
            return f"Failed{learned(fact.source)}: {fact.message} ({fact.code}{decline}); {retry}"
        case e.AttemptVoided():
            return f"Attempt {fact.attempt} never reached Stripe: {fact.reason}"
        case e.PaymentCompleted():
            driver = fact.payer_type is e.PayerType.DRIVER_IC
            way = "charged to the driver's card" if driver else "transferred to the vendor"
            less = f", less {amount(fact.set_off)} that it owed" if fact.set_off else ""
            return f"Completed: {amount(fact.amount)} {way}{less}{learned(fact.source)}"
        case e.PaymentCancelled():
            said = "Stripe said canceled" if fact.source else "before any money could move"
            return f"Cancelled: {said}"
        case e.PaymentRetried():
            return "To be tried again"


def _afterwards(
    fact: e.BalanceTransactionBooked
    | e.TransferReversed
    | e.StrayMoneyObserved
    | e.AnomalyRecorded,
) -> str:
    match fact:
        case e.BalanceTransactionBooked():
            line = fact.transaction
            return (
                f"Booked Stripe's line: {amount(line.amount)}, fee {amount(line.fee)}, "
                f"net {amount(line.net)}"
            )
        case e.TransferReversed():
            return f"Reversed: {amount(fact.amount)} taken back from the vendor"
        case e.StrayMoneyObserved():
            return (
                f"Stray money: {amount(fact.amount)} ({fact.kind}), booked to suspense: "
                f"{fact.reason}; proposed: {fact.proposed}"
            )
        case e.AnomalyRecorded():
            return f"Needs a person: {fact.code}, {fact.detail}"


def _refund(fact: e.RefundFact, texts: Texts) -> str:
    match fact:
        case e.RefundRequested():
            return (
                f"Refund of {amount(fact.amount)} asked for by {fact.by} ({fact.reason})"
                + _quoted(fact.note, texts)
            )
        case e.RefundApproved():
            return f"Refund approved by {fact.by}"
        case e.RefundRejected():
            return f"Refund rejected by {fact.by}" + _quoted(fact.reason, texts)
        case e.RefundSubmitted():
            return "Refund: decided to ask Stripe for it"
        case e.RefundOutcomeUnknown():
            seen = "; nothing found at Stripe" if fact.absent else ""
            return f"Refund: outcome unknown ({fact.reason}){seen}"
        case e.RefundObserved():
            return f"A refund of {amount(fact.amount)} was made at Stripe, not by this service"
        case e.RefundAdopted():
            return "Refund found at Stripe and adopted: its approval was lost"
        case e.RefundPending():
            return f"Refund is {fact.status} at Stripe{learned(fact.source)}"
        case e.RefundSucceeded():
            from_where = " out of suspense" if fact.from_suspense else ""
            return (
                f"Refunded: {amount(fact.amount)} given back to the payer{from_where}"
                f"{learned(fact.source)}"
            )
        case e.RefundFailed():
            again = ", after it had succeeded" if fact.returned else ""
            return (
                f"Refund of {amount(fact.amount)} failed{again}{learned(fact.source)}: "
                f"{fact.message} ({fact.code})"
            )


def _dispute(fact: e.DisputeFact) -> str:
    match fact:
        case e.DisputeOpened():
            due = f", evidence due {fact.evidence_due:%Y-%m-%d}" if fact.evidence_due else ""
            return f"Disputed: {amount(fact.amount)} ({fact.reason}, {fact.status}){due}"
        case e.DisputeChanged():
            return f"Dispute is {fact.status}: {amount(fact.amount)}"
        case e.DisputeFundsWithdrawn():
            return f"Dispute: {amount(fact.amount)} taken by the payer's bank"
        case e.DisputeFundsReinstated():
            return f"Dispute: {amount(fact.amount)} given back by the payer's bank"
        case e.EvidenceDeadlineNeared():
            return f"Dispute: evidence is due {fact.evidence_due:%Y-%m-%d %H:%M} UTC"
        case e.DisputeClosed():
            loss = f", {amount(fact.loss)} borne by the {fact.borne_by}"
            return f"Dispute {fact.status}" + (loss if fact.loss.amount_cents else "")


def _quoted(ref: e.TextRef | None, texts: Texts) -> str:
    if ref is None:
        return ""
    body = texts.get(ref.id)
    return f": {json.dumps(body, ensure_ascii=False)}" if body is not None else ": (text erased)"
