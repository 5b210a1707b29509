"""From what Stripe did with the transfers of a share to facts. Pure; never refused (M16).

Every function takes the payment as it stands now, and gives no facts where Stripe's word is no
news. A transfer that exists has moved its money.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from roadcall_payments.domain import events as e
from roadcall_payments.domain import settlement_events as s
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.outcomes import SET_OFF, anomaly, booking
from roadcall_payments.domain.payment import Payment, Unbooked
from roadcall_payments.domain.settlement import ShareTransfer
from roadcall_payments.domain.settling import PURPOSE_SHARE, ShareParts, is_void, next_number
from roadcall_payments.domain.stripe_objects import (
    StripeFailure,
    StripeIdentity,
    StripeRequest,
    Transfer,
)
from roadcall_payments.domain.vendor_share import fee_not_returned

Facts = tuple[e.PaymentFact, ...]

# Ours, for a call that never reached Stripe.
VOIDED = "settlement_voided"
# Ours, for operations: it goes on being tried, but somebody has to see to it.
REFUSED_AGAIN = "share_refused_again"
REFUSALS_TOLD_AT: Final = 3


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
    fee, set_off = _fee_kept_by(payment, own), Money(own.set_off_cents, currency)
    parts = ShareParts(own.number, found.amount, fee, set_off, own.destination, own.restores)
    done = _completed(payment, parts, found, account, source, request_id)
    waits = Unbooked(found.id, -found.amount)
    return (done, *booking(payment, waits, found.balance_transaction))


def _fee_kept_by(payment: Payment, own: ShareTransfer) -> Money:
    """What of our fee stays with us by this try: another may have kept it, while one of the two
    was taken for lost."""
    fee = Money(own.fee_cents, payment.amount.currency)
    settlement = payment.settlement
    if settlement is None or settlement.terms is None:
        return fee
    left = fee_not_returned(payment, settlement.terms) - settlement.fee_cents
    return Money(min(fee.amount_cents, max(left, 0)), fee.currency)


def _completed(
    payment: Payment,
    parts: ShareParts,
    found: Transfer,
    account: str,
    source: e.Source,
    request_id: str | None,
) -> s.SettlementCompleted:
    return s.SettlementCompleted(
        number=parts.number,
        transfer_id=found.id,
        amount=parts.amount,
        fee=parts.fee,
        set_off=parts.set_off,
        account=account,
        livemode=found.livemode,
        destination=parts.destination,
        company_id=payment.company_id,
        vendor_id=payment.vendor_id,
        source=source,
        request_id=request_id,
    )


def adopted(
    payment: Payment,
    found: Transfer,
    terms: s.FeeTerms,
    request_for: Callable[[ShareParts], StripeRequest],
) -> Facts:
    """A share's transfer whose start was lost with a restore (M18), as far as it tells of itself;
    without it the share would go out again."""
    account, currency = payment.account, payment.amount.currency
    known = payment.settlement is not None and payment.settlement.transfer(found.id) is not None
    if account is None or known or found.amount.currency != currency:
        return ()
    said = found.metadata
    fee, set_off = _told(said, "feeCents", currency), _told(said, SET_OFF, currency)
    parts = ShareParts(
        next_number(payment), found.amount, fee, set_off, found.destination, said.get("restores")
    )
    begun = s.SettlementAdopted(
        parts.number,
        request_for(parts),
        parts.amount,
        fee,
        set_off,
        parts.destination,
        terms,
        found.id,
        found.created,
        parts.restores,
    )
    done = _completed(payment, parts, found, account, e.Source.LOOKUP, None)
    waits = Unbooked(found.id, -found.amount)
    return (begun, done, *booking(payment, waits, found.balance_transaction))


def _told(metadata: Mapping[str, str], name: str, currency: str) -> Money:
    said = metadata.get(name, "")
    return Money(int(said) if said.isascii() and said.isdigit() else 0, currency)


def transfer_refused(
    payment: Payment, number: int, failure: StripeFailure, source: e.Source, request_id: str | None
) -> Facts:
    """A definite refusal ends the try, if nothing else settled it meanwhile. The third in a row is
    told as stuck: the share is tried again, but ever less often."""
    own = _open_transfer(payment, number)
    if own is None:
        return ()
    currency = payment.amount.currency
    refused = s.SettlementFailed(
        number,
        Money(own.amount_cents, currency),
        Money(own.set_off_cents, currency),
        failure.code,
        failure.message,
        payment.vendor_id,
        source,
        request_id,
    )
    return (refused, *_stuck(payment, failure))


def _stuck(payment: Payment, failure: StripeFailure) -> Facts:
    refusals = 1 + (payment.settlement.refusals if payment.settlement else 0)
    if refusals < REFUSALS_TOLD_AT:
        return ()
    detail = f"the vendor's share was refused {refusals} times in a row, last: {failure.message}"
    return anomaly(payment, REFUSED_AGAIN, detail, None)


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
