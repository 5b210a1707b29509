"""From what Stripe did with the transfers of a share to facts. Pure; never refused (M16).

Every function takes the payment as it stands now, and gives no facts where Stripe's word is no
news. A transfer that exists has moved its money.
"""

from __future__ import annotations

from datetime import datetime

from roadcall_payments.domain import events as e
from roadcall_payments.domain import settlement_events as s
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.outcomes import booking
from roadcall_payments.domain.payment import Payment, Unbooked
from roadcall_payments.domain.settlement import ShareTransfer
from roadcall_payments.domain.settling import PURPOSE_SHARE, is_void
from roadcall_payments.domain.stripe_objects import (
    StripeFailure,
    StripeIdentity,
    Transfer,
)

Facts = tuple[e.PaymentFact, ...]

# Ours, for a call that never reached Stripe.
VOIDED = "settlement_voided"


def claims_to_be_one(found: Transfer) -> bool:
    return found.metadata.get("purpose") == PURPOSE_SHARE


def is_on_record(payment: Payment, found: Transfer, identity: StripeIdentity) -> bool:
    """Whether the settlement itself holds the transfer: the same that our refs say of it (M14)."""
    ours = (payment.account, payment.livemode) == (identity.account, identity.livemode)
    return ours and payment.settlement is not None and bool(payment.settlement.transfer(found.id))


def own_try(payment: Payment, found: Transfer, account: str) -> ShareTransfer | None:
    """The try that made a transfer we hold no ref for (M13): purpose, payment, number, amount,
    destination, account and mode must all agree."""
    settlement = payment.settlement
    if settlement is None or not claims_to_be_one(found):
        return None
    if (payment.account, payment.livemode) != (account, found.livemode):
        return None
    said = found.metadata
    if said.get("paymentId") != payment.id:
        return None
    for one in settlement.transfers:
        if one.transfer is not None or one.request is None:
            continue
        amount = Money(one.amount_cents, payment.amount.currency)
        agrees = (found.amount, found.destination) == (amount, one.destination)
        if agrees and said.get("attempt") == str(one.number):
            return one
    return None


def transfer_seen(
    payment: Payment, found: Transfer, source: e.Source, request_id: str | None = None
) -> Facts:
    """The facts in a transfer of ours: one that exists has moved its money."""
    settlement, account = payment.settlement, payment.account
    if settlement is None or account is None or settlement.transfer(found.id) is not None:
        return ()
    own = own_try(payment, found, account)
    if own is None or own.destination is None:
        return ()
    currency = payment.amount.currency
    done = s.SettlementCompleted(
        number=own.number,
        transfer_id=found.id,
        amount=found.amount,
        fee=Money(own.fee_cents, currency),
        set_off=Money(own.set_off_cents, currency),
        account=account,
        livemode=found.livemode,
        destination=own.destination,
        company_id=payment.company_id,
        vendor_id=payment.vendor_id,
        source=source,
        request_id=request_id,
    )
    waits = Unbooked(found.id, -found.amount)
    return (done, *booking(payment, waits, found.balance_transaction))


def transfer_refused(
    payment: Payment, number: int, failure: StripeFailure, source: e.Source, request_id: str | None
) -> Facts:
    """A definite refusal ends the try, if nothing else settled it meanwhile."""
    own = _open_transfer(payment, number)
    if own is None:
        return ()
    currency = payment.amount.currency
    return (
        s.SettlementFailed(
            number,
            Money(own.amount_cents, currency),
            Money(own.set_off_cents, currency),
            failure.code,
            failure.message,
            payment.vendor_id,
            source,
            request_id,
        ),
    )


def transfer_unknown(payment: Payment, number: int, reason: str, request_id: str | None) -> Facts:
    """No proof: still open (M5). Said once for a call."""
    own = _open_transfer(payment, number)
    if own is None or own.unknown is not None:
        return ()
    return (s.SettlementUnknown(number, reason, request_id=request_id),)


def transfer_absent(payment: Payment, number: int, now: datetime) -> Facts:
    """An empty list at Stripe after the key's deadline: the second of two ends it (M8)."""
    own = _open_transfer(payment, number)
    if own is None:
        return ()
    if is_void(own, now):
        gone = StripeFailure(VOIDED, "It never reached Stripe, and no money moved.")
        return transfer_refused(payment, number, gone, e.Source.LOOKUP, None)
    return (s.SettlementUnknown(number, "absent", absent=True),)


def _open_transfer(payment: Payment, number: int) -> ShareTransfer | None:
    own = payment.settlement.open_transfer if payment.settlement else None
    return own if own is not None and own.number == number else None
