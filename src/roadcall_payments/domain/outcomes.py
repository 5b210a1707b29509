"""From what Stripe did to facts. Pure; commands can be refused, these never (M16).

Every function takes the payment as it stands now, whatever it was when Stripe was asked, and
gives no facts where Stripe's word is no news.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from roadcall_payments.domain import commands
from roadcall_payments.domain import events as e
from roadcall_payments.domain.funding import NO_FUNDS
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment, Status, Unbooked
from roadcall_payments.domain.payment_fold import apply
from roadcall_payments.domain.stripe_objects import (
    BalanceTransaction,
    IntentStatus,
    PaymentIntent,
    StripeFailure,
    StripeIdentity,
    Transfer,
)

Facts = tuple[e.PaymentFact, ...]

_NEVER_APPROVED = (Status.PENDING_APPROVAL, Status.REJECTED)
_UNDER_WAY = (Status.PROCESSING, Status.FAILED)

VOID_AFTER = timedelta(hours=25)
ABSENCES_APART = timedelta(hours=1)
KEY_DEADLINE = timedelta(hours=23)

PURPOSE_DRIVER = "driver_payment"
PURPOSE_VENDOR = "vendor_payment"
# The transfer's metadata that tells what it is less by, where it is.
SET_OFF = "setOffCents"

# Refusals that no other card, balance or moment will cure.
_NOT_RETRYABLE = frozenset(
    {"account_invalid", "amount_too_large", "amount_too_small", "parameter_invalid_integer"}
)


def purpose_of(payment: Payment) -> str:
    """The ``purpose`` that the payment's object carries in its metadata."""
    driver = payment.payer_type is e.PayerType.DRIVER_IC
    return PURPOSE_DRIVER if driver else PURPOSE_VENDOR


def is_on_record(
    payment: Payment, found: PaymentIntent | Transfer, identity: StripeIdentity
) -> bool:
    """Whether the payment itself holds the object: the same that our refs say of it (M14)."""
    held = payment.payment_intent if isinstance(found, PaymentIntent) else payment.transfer
    ours = (payment.account, payment.livemode) == (identity.account, identity.livemode)
    return ours and held == found.id


def attempt_of(payment: Payment, transfer: Transfer) -> int:
    """The attempt that made a transfer of the payment's."""
    claimed = transfer.metadata.get("attempt")
    known = (n for n in range(1, payment.attempts + 1) if claimed == str(n))
    return next(known, payment.attempts)


def is_ours(payment: Payment, found: PaymentIntent | Transfer, account: str) -> bool:
    """Whether an object we hold no ref for is the open attempt's own (M13): purpose, payment,
    attempt, its amount, account and mode must all agree."""
    if payment.account != account or payment.livemode != found.livemode:
        return False
    claimed = found.metadata
    if claimed.get("paymentId") != payment.id or claimed.get("purpose") != purpose_of(payment):
        return False
    attempts = {str(n) for n in range(1, payment.attempts + 1)}
    if claimed.get("attempt") not in attempts:
        return False
    if isinstance(found, PaymentIntent):
        return found.amount == payment.amount
    return _is_what_was_sent(payment, found)


def _is_what_was_sent(payment: Payment, transfer: Transfer) -> bool:
    sent = payment.amount - payment.set_off(attempt_of(payment, transfer))
    return transfer.amount == sent and transfer.destination == payment.destination


def is_open_attempts(payment: Payment, found: PaymentIntent | Transfer, account: str) -> bool:
    """``is_ours``, while the attempt is still open and without an object (M13)."""
    attempt = payment.attempt
    if attempt is None or not attempt.open or payment.payment_intent or payment.transfer:
        return False
    return found.metadata.get("attempt") == str(attempt.number) and is_ours(payment, found, account)


@dataclass(frozen=True, slots=True)
class Answer:
    """Which call an answer belongs to: by its idempotency key, since by the time an answer is
    committed another attempt, confirmation or cancellation may be the open one."""

    key: str
    request_id: str | None = None

    def settles(self, payment: Payment) -> bool:
        """Whether the call is still the open one. A late answer proves success only (M15)."""
        calls = (payment.attempt, payment.confirmation, payment.cancellation)
        return any(c and c.open and c.request.idempotency_key == self.key for c in calls)

    def settles_cancellation(self, payment: Payment) -> bool:
        asked = payment.cancellation
        return bool(asked and asked.open and asked.request.idempotency_key == self.key)


def payment_intent_seen(
    payment: Payment,
    intent: PaymentIntent,
    source: e.Source,
    at: datetime,
    answer: Answer | None = None,
) -> Facts:
    """The facts in a PaymentIntent that is ours.

    ``answer``: it came as this call's own answer. Without one, anything but success must have
    been fetched after ``payment`` was read (M15).
    """
    if answer and not answer.settles(payment) and not _ended(intent):
        return ()
    if payment.payment_intent not in (None, intent.id):
        return _stray_intent(payment, intent, "a second PaymentIntent for one payment")
    if payment.status is Status.APPROVED:
        # The attempt that comes looks first and adopts it (M6); booked as stray, it would be
        # booked again then.
        return ()
    if payment.status in _NEVER_APPROVED:
        return _stray_intent(payment, intent, f"the payment is {payment.status}")
    opened: Facts = ()
    if payment.payment_intent is None and payment.attempt and payment.attempt.open:
        attempt = payment.attempt
        opening = e.PaymentIntentOpened(
            attempt.number,
            intent.id,
            attempt.request.account,
            attempt.request.livemode,
            source,
            answer.request_id if answer else None,
        )
        opened = (opening,)
        if intent.status is IntentStatus.REQUIRES_PAYMENT_METHOD and intent.failure is None:
            # As the call leaves it that opens it: there is nothing else to tell.
            return opened
        payment = apply(payment, opening, at)
    return (*opened, *_by_intent_status(payment, intent, source, answer))


def _ended(intent: PaymentIntent) -> bool:
    return intent.status in (IntentStatus.SUCCEEDED, IntentStatus.CANCELED)


def _by_intent_status(
    p: Payment, intent: PaymentIntent, source: e.Source, answer: Answer | None
) -> Facts:
    match intent.status:
        case IntentStatus.SUCCEEDED:
            return _succeeded(p, intent, source, answer)
        case IntentStatus.CANCELED:
            if p.status in _UNDER_WAY:
                return (e.PaymentCancelled("stripe", source, intent.id),)
            return ()
        case IntentStatus.REQUIRES_ACTION:
            return _action_required(p, intent, source, answer)
        case IntentStatus.REQUIRES_PAYMENT_METHOD:
            return _declined(p, intent, source, answer)
        case IntentStatus.PROCESSING:
            if answer and p.status is Status.PROCESSING:
                going_on = e.OutcomeUnknown("processing", e.Awaiting.STRIPE, answered=True)
                return () if p.unknown == going_on.reason else (going_on,)
            return ()
        case IntentStatus.REQUIRES_CONFIRMATION:
            return ()
        case IntentStatus.REQUIRES_CAPTURE:
            # We never ask for manual capture: somebody changed it at Stripe.
            return anomaly(p, "unexpected_intent_status", intent.status, intent.id)


def _succeeded(p: Payment, intent: PaymentIntent, source: e.Source, answer: Answer | None) -> Facts:
    if p.status is Status.COMPLETED:
        return ()
    if p.status is Status.CANCELLED:
        return _stray_intent(p, intent, "the payment was cancelled")
    if intent.amount != p.amount or p.account is None:
        return _stray_intent(p, intent, "its amount is not the payment's")
    number = p.attempts
    done = e.PaymentCompleted(
        attempt=number,
        payer_type=p.payer_type,
        object_id=intent.id,
        amount=intent.amount,
        account=p.account,
        livemode=intent.livemode,
        company_id=p.company_id,
        vendor_id=p.vendor_id,
        source=source,
        charge_id=intent.latest_charge,
        request_id=answer.request_id if answer else None,
    )
    line = intent.balance_transaction
    if line is None:
        return (done,)
    return (done, *booking(p, Unbooked(intent.latest_charge or intent.id, intent.amount), line))


def _action_required(
    p: Payment, intent: PaymentIntent, source: e.Source, answer: Answer | None
) -> Facts:
    if p.status not in _UNDER_WAY or _another_call_is_open(p, answer):
        return ()
    action = intent.next_action or "unknown"
    if p.status is Status.PROCESSING and p.next_action == action:
        return ()
    return (e.ActionRequired(intent.id, action, source),)


def _declined(p: Payment, intent: PaymentIntent, source: e.Source, answer: Answer | None) -> Facts:
    failure = intent.failure
    if failure is None or p.status not in _UNDER_WAY or _another_call_is_open(p, answer):
        return ()
    if answer is None and not _is_news(p, failure):
        return ()
    return failed(p, failure, source, answer)


def _another_call_is_open(p: Payment, answer: Answer | None) -> bool:
    """An open cancellation ends in canceled or succeeded only; an open confirmation is settled
    by its own answer, since a fetched object may still show the one before (M15)."""
    if p.cancellation and p.cancellation.open:
        return True
    confirmation = p.confirmation
    if confirmation is None or not confirmation.open:
        return False
    return answer is None or answer.key != confirmation.request.idempotency_key


def _is_news(p: Payment, failure: StripeFailure) -> bool:
    if p.status is not Status.FAILED or p.failure is None:
        return True
    return failure.charge_id is not None and failure.charge_id != p.failure.charge_id


def failed(
    payment: Payment, failure: StripeFailure, source: e.Source, answer: Answer | None
) -> Facts:
    """A definite refusal ends the attempt or the confirmation it answers, and no later one."""
    if payment.status not in _UNDER_WAY:
        return ()
    if payment.cancellation and payment.cancellation.open:
        return ()
    if answer and not answer.settles(payment):
        return ()
    if failure.code == NO_FUNDS and payment.payer_type is e.PayerType.BACK_OFFICE:
        # Somebody else took the funds: it waits for others, and a new attempt (M6).
        return tuple(commands.queue_again(payment)) if payment.status is Status.PROCESSING else ()
    return (
        e.PaymentFailed(
            attempt=payment.attempts,
            code=failure.code,
            message=failure.message,
            retryable=failure.code not in _NOT_RETRYABLE,
            source=source,
            decline_code=failure.decline_code,
            charge_id=failure.charge_id,
            request_id=answer.request_id if answer else None,
        ),
    )


def transfer_seen(
    payment: Payment, transfer: Transfer, source: e.Source, request_id: str | None = None
) -> Facts:
    """The facts in a transfer that is ours. A transfer that exists has moved its money."""
    if payment.status is Status.COMPLETED and payment.transfer == transfer.id:
        return ()
    if payment.status is Status.APPROVED:
        # The attempt that comes looks first and adopts it (M6).
        return ()
    agrees = _is_what_was_sent(payment, transfer)
    if payment.status not in _UNDER_WAY or not agrees:
        reason = f"the payment is {payment.status}" if agrees else "it is not what was approved"
        return _stray(payment, transfer.id, "transfer", -transfer.amount, reason, "reverse")
    if payment.account is None:
        return anomaly(payment, "transfer_without_attempt", "", transfer.id)
    attempt = attempt_of(payment, transfer)
    set_off = payment.set_off(attempt)
    done = e.PaymentCompleted(
        attempt=attempt,
        payer_type=payment.payer_type,
        object_id=transfer.id,
        amount=payment.amount,
        account=payment.account,
        livemode=transfer.livemode,
        company_id=payment.company_id,
        vendor_id=payment.vendor_id,
        source=source,
        destination=transfer.destination,
        request_id=request_id,
        set_off=set_off if set_off.amount_cents else None,
    )
    waits = Unbooked(transfer.id, -transfer.amount)
    return (done, *booking(payment, waits, transfer.balance_transaction))


def cancel_refused(payment: Payment, code: str, status: IntentStatus, answer: Answer) -> Facts:
    """Stripe would not cancel, and the PaymentIntent's ``status`` is no end: it lives on."""
    cancellation = payment.cancellation
    if cancellation is None or not answer.settles_cancellation(payment):
        return ()
    if payment.status is not Status.PROCESSING:
        return ()
    confirming = payment.confirmation is not None and payment.confirmation.open
    at_stripe = confirming or status is IntentStatus.PROCESSING
    awaiting = e.Awaiting.STRIPE if at_stripe else e.Awaiting.PAYER
    return (e.CancelRefused(cancellation.number, code, awaiting),)


def unknown(payment: Payment, reason: str, answer: Answer) -> Facts:
    """No proof: still processing, and Stripe's turn (M5). Said once for a call: recovery's
    further tries would only fill the journal."""
    if payment.status is not Status.PROCESSING or payment.unknown is not None:
        return ()
    if not answer.settles(payment):
        return ()
    return (e.OutcomeUnknown(reason, e.Awaiting.STRIPE, request_id=answer.request_id),)


def absent(payment: Payment, number: int, now: datetime) -> Facts:
    """An empty list at Stripe for attempt ``number`` after the key's deadline: the second of two
    voids it (M8)."""
    attempt = payment.attempt
    if payment.status is not Status.PROCESSING or attempt is None or not attempt.open:
        return ()
    if attempt.number != number:
        return ()
    apart = any(now - seen >= ABSENCES_APART for seen in attempt.absences)
    if apart and now - attempt.started_at >= VOID_AFTER:
        reason = "Stripe has no trace of this attempt: it never reached Stripe, no money moved."
        return (e.AttemptVoided(attempt.number, reason),)
    return (e.OutcomeUnknown("absent", e.Awaiting.STRIPE, absent=True),)


def book(payment: Payment, unbooked: Unbooked, line: BalanceTransaction) -> Facts:
    """Stripe's own line for one of our objects that waits for it, once (M17).

    A line that does not fit, or a second one for the same object, is put before a person. A
    refund that came back, or a dispute that was won, has two: one out, one in.
    """
    if line.id in payment.booked:
        return ()
    if (line.amount.amount_cents < 0) != (unbooked.moved.amount_cents < 0):
        return ()
    if unbooked not in payment.unbooked:
        detail = f"{line.id}: {unbooked.object_id} has its line already"
        return anomaly(payment, "second_balance_transaction", detail, unbooked.object_id)
    return booking(payment, unbooked, line)


def booking(p: Payment, unbooked: Unbooked, line: BalanceTransaction | None) -> Facts:
    """The booking of ``line`` where it is at hand and fits; a person's case where it does not."""
    if line is None or p.account is None:
        return ()
    moved = unbooked.moved
    if line.amount.currency == moved.currency and line.amount != moved:
        detail = f"{line.id} says {line.amount.amount_cents}, {moved.amount_cents} were expected"
        return anomaly(p, "balance_transaction_differs", detail, unbooked.object_id)
    return (e.BalanceTransactionBooked(unbooked.object_id, moved, p.account, line),)


def anomaly(payment: Payment, code: str, detail: str, object_id: str | None) -> Facts:
    """Something for a person to look at, said once."""
    if code in payment.anomalies:
        return ()
    return (e.AnomalyRecorded(code, detail, object_id),)


def _stray_intent(p: Payment, intent: PaymentIntent, reason: str) -> Facts:
    if intent.status is not IntentStatus.SUCCEEDED:
        return ()
    booked_as = intent.latest_charge or intent.id
    return _stray(p, booked_as, "charge", intent.amount, reason, "refund")


def _stray(
    p: Payment, object_id: str, kind: str, moved: Money, reason: str, proposed: str
) -> Facts:
    if object_id in p.strays:
        return ()
    account = p.account
    if account is None:
        return anomaly(p, "stray_without_account", reason, object_id)
    return (e.StrayMoneyObserved(object_id, kind, moved, account, reason, proposed),)
