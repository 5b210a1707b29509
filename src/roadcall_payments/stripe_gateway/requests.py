"""What we would send, derived purely from our state, once (M4). Sending is ``client.py``'s."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from roadcall_payments.domain.connected_account import PURPOSE
from roadcall_payments.domain.errors import BrokenInvariant, InvalidInput
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.outcomes import SET_OFF
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.refund import Refund
from roadcall_payments.domain.settling import PURPOSE_REVERSAL, PURPOSE_SHARE, ShareParts
from roadcall_payments.domain.stripe_objects import Operation, StripeIdentity, StripeRequest
from roadcall_payments.domain.vendor_share import TakeBackDue
from roadcall_payments.stripe_gateway.amounts import payout_refusal_of, to_stripe

API_VERSION = "2026-10-28.endive"
"""The version of Stripe's API that this adapter speaks, for requests and for answers."""

# A transfer or refund answers with the line it made in Stripe's books, a confirmation with the
# charge's.
_EXPAND_CHARGE = "latest_charge.balance_transaction"
_EXPAND_OWN = "balance_transaction"

Params = dict[str, object]

_canonical = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True)
class Redirects:
    """Whether a payer may be sent to another site to authenticate.

    Without ``return_url`` only payment methods that need no redirect are offered: Stripe refuses
    a confirmation from a server otherwise.
    """

    return_url: str | None = None

    @property
    def allowed(self) -> str:
        return "always" if self.return_url else "never"


def payment_intent_request(
    payment: Payment, *, key: str, attempt: int, identity: StripeIdentity, redirects: Redirects
) -> StripeRequest:
    """The one PaymentIntent of a driver payment (M1). Its metadata let a lookup adopt it (M13)."""
    params: Params = {
        "amount": to_stripe(payment.amount),
        "currency": payment.amount.currency,
        "automatic_payment_methods": {"enabled": True, "allow_redirects": redirects.allowed},
        "transfer_group": payment.id,
        "metadata": _metadata("driver_payment", payment, attempt),
    }
    return _request(
        Operation.CREATE_PAYMENT_INTENT, "/v1/payment_intents", params, key=key, identity=identity
    )


def confirm_request(
    payment: Payment,
    *,
    key: str,
    payment_method: str,
    identity: StripeIdentity,
    redirects: Redirects,
) -> StripeRequest:
    """Confirm the payment's PaymentIntent with a payment method (M3)."""
    params: Params = {"payment_method": payment_method, "expand": [_EXPAND_CHARGE]}
    if redirects.return_url:
        params["return_url"] = redirects.return_url
    path = f"/v1/payment_intents/{_intent_of(payment)}/confirm"
    return _request(Operation.CONFIRM_PAYMENT_INTENT, path, params, key=key, identity=identity)


def cancel_request(payment: Payment, *, key: str, identity: StripeIdentity) -> StripeRequest:
    """Ask Stripe to cancel the PaymentIntent (M2). An answer that it succeeded is expanded too."""
    path = f"/v1/payment_intents/{_intent_of(payment)}/cancel"
    params: Params = {"expand": [_EXPAND_CHARGE]}
    return _request(Operation.CANCEL_PAYMENT_INTENT, path, params, key=key, identity=identity)


def transfer_request(
    payment: Payment,
    *,
    key: str,
    attempt: int,
    destination: str,
    identity: StripeIdentity,
    set_off: Money | None = None,
) -> StripeRequest:
    """Move a back-office payment, less ``set_off``, to the vendor's connected account.

    The metadata tell of the set-off too: after a restore they may be all that does (M18).
    """
    metadata, amount = _metadata("vendor_payment", payment, attempt), payment.amount
    if set_off is not None:
        metadata[SET_OFF] = str(set_off.amount_cents)
        amount -= set_off
    params: Params = {
        "amount": to_stripe(amount),
        "currency": payment.amount.currency,
        "destination": destination,
        "transfer_group": payment.id,
        "metadata": metadata,
        "expand": [_EXPAND_OWN],
    }
    return _request(Operation.CREATE_TRANSFER, "/v1/transfers", params, key=key, identity=identity)


def payout_request(
    payout_id: str,
    amount: Money,
    *,
    key: str,
    account: str,
    identity: StripeIdentity,
    day: str | None = None,
) -> StripeRequest:
    """From a connected account's balance to its bank. ``day``: whose daily payout it is, by which
    a restored service knows it again. Raises InvalidInput for odd amounts."""
    problem = payout_refusal_of(amount)
    if problem is not None:
        raise InvalidInput("amountCents", problem)
    of_day = {"day": day} if day is not None else {}
    params: Params = {
        "amount": to_stripe(amount),
        "currency": amount.currency,
        "metadata": {"purpose": "payout", "payoutId": payout_id, **of_day},
    }
    return _request(
        Operation.CREATE_PAYOUT,
        "/v1/payouts",
        params,
        key=key,
        identity=identity,
        connected_account=account,
    )


def cancel_payout_request(
    stripe_payout: str, *, key: str, account: str, identity: StripeIdentity
) -> StripeRequest:
    """Keep a payout in the balance while it is pending."""
    return _request(
        Operation.CANCEL_PAYOUT,
        f"/v1/payouts/{stripe_payout}/cancel",
        {},
        key=key,
        identity=identity,
        connected_account=account,
    )


def refund_request(
    payment: Payment, refund: Refund, *, key: str, identity: StripeIdentity
) -> StripeRequest:
    """Give some or all of a driver payment back."""
    params: Params = {
        "payment_intent": _intent_of(payment),
        "amount": to_stripe(refund.amount),
        "reason": refund.reason,
        "metadata": {"purpose": "refund", "paymentId": payment.id, "refundId": refund.id},
        "expand": [_EXPAND_OWN],
    }
    return _request(Operation.CREATE_REFUND, "/v1/refunds", params, key=key, identity=identity)


def account_request(
    vendor_id: str, country: str | None, *, key: str, attempt: int, identity: StripeIdentity
) -> StripeRequest:
    """An Express account that may be transferred to. ``country`` (ISO 3166, two letters): without
    one Stripe takes the platform's. Who owns it, Stripe's own page asks: no personal data here."""
    params: Params = {
        "type": "express",
        "capabilities": {"transfers": {"requested": True}},
        "metadata": {"purpose": PURPOSE, "vendorId": vendor_id, "attempt": str(attempt)},
    }
    if country is not None:
        params["country"] = country
    return _request(Operation.CREATE_ACCOUNT, "/v1/accounts", params, key=key, identity=identity)


def settlement_request(
    payment: Payment, parts: ShareParts, *, key: str, charge: str | None, identity: StripeIdentity
) -> StripeRequest:
    """Move a share out of the payment's own ``charge``, whose funds it waits for; None: out of the
    platform's balance.

    The metadata tell of all that a restore could lose (M18).
    """
    metadata = {
        "purpose": PURPOSE_SHARE,
        "paymentId": payment.id,
        "attempt": str(parts.number),
        "feeCents": str(parts.fee.amount_cents),
        SET_OFF: str(parts.set_off.amount_cents),
    }
    if parts.restores is not None:
        metadata["restores"] = parts.restores
    params: Params = {
        "amount": to_stripe(parts.amount),
        "currency": parts.amount.currency,
        "destination": parts.destination,
        "transfer_group": payment.id,
        "metadata": metadata,
        "expand": [_EXPAND_OWN],
    }
    if charge is not None:
        params["source_transaction"] = charge
    return _request(Operation.CREATE_TRANSFER, "/v1/transfers", params, key=key, identity=identity)


def reversal_request(
    payment: Payment, due: TakeBackDue, *, key: str, identity: StripeIdentity
) -> StripeRequest:
    """Take some of a share back from the vendor's Stripe balance."""
    if due.transfer is None or due.transfer.transfer is None:
        raise BrokenInvariant(f"Payment {payment.id} has no transfer to reverse.")
    params: Params = {
        "amount": to_stripe(Money(due.cents, payment.amount.currency)),
        "metadata": {
            "purpose": PURPOSE_REVERSAL,
            "paymentId": payment.id,
            "cause": due.cause_id,
            "attempt": str(due.number),
        },
    }
    path = f"/v1/transfers/{due.transfer.transfer}/reversals"
    return _request(Operation.CREATE_REVERSAL, path, params, key=key, identity=identity)


def _metadata(purpose: str, payment: Payment, attempt: int) -> dict[str, str]:
    return {"purpose": purpose, "paymentId": payment.id, "attempt": str(attempt)}


def _intent_of(payment: Payment) -> str:
    if payment.payment_intent is None:
        raise BrokenInvariant(f"Payment {payment.id} has no PaymentIntent yet.")
    return payment.payment_intent


def _request(
    operation: Operation,
    path: str,
    params: Params,
    *,
    key: str,
    identity: StripeIdentity,
    connected_account: str | None = None,
) -> StripeRequest:
    return StripeRequest(
        operation=operation,
        path=path,
        params=_canonical.encode(params).decode(),
        idempotency_key=key,
        account=identity.account,
        livemode=identity.livemode,
        api_version=API_VERSION,
        connected_account=connected_account,
    )
