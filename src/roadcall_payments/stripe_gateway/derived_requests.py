"""What we would send, as the ``Gateway`` port asks for it. Pure: ``requests.py`` derives it."""

from __future__ import annotations

from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.refund import Refund
from roadcall_payments.domain.settling import ShareParts
from roadcall_payments.domain.stripe_objects import StripeIdentity, StripeRequest
from roadcall_payments.domain.vendor_share import TakeBackDue
from roadcall_payments.stripe_gateway import amounts, requests


class DerivedRequests:
    """This half of the port; the gateway that sends, and tests' fakes of it, inherit it."""

    def __init__(self, redirects: requests.Redirects | None = None) -> None:
        self._redirects = redirects or requests.Redirects()

    def multiple_of(self, currency: str) -> int:
        return amounts.multiple_of(currency)

    def payment_intent_request(
        self, payment: Payment, *, key: str, attempt: int, identity: StripeIdentity
    ) -> StripeRequest:
        return requests.payment_intent_request(
            payment, key=key, attempt=attempt, identity=identity, redirects=self._redirects
        )

    def confirm_request(
        self, payment: Payment, *, key: str, payment_method: str, identity: StripeIdentity
    ) -> StripeRequest:
        return requests.confirm_request(
            payment,
            key=key,
            payment_method=payment_method,
            identity=identity,
            redirects=self._redirects,
        )

    def cancel_request(
        self, payment: Payment, *, key: str, identity: StripeIdentity
    ) -> StripeRequest:
        return requests.cancel_request(payment, key=key, identity=identity)

    def transfer_request(
        self,
        payment: Payment,
        *,
        key: str,
        attempt: int,
        destination: str,
        identity: StripeIdentity,
        set_off: Money | None = None,
    ) -> StripeRequest:
        return requests.transfer_request(
            payment,
            key=key,
            attempt=attempt,
            destination=destination,
            identity=identity,
            set_off=set_off,
        )

    def payout_request(
        self,
        payout_id: str,
        amount: Money,
        *,
        key: str,
        account: str,
        identity: StripeIdentity,
        day: str | None = None,
    ) -> StripeRequest:
        return requests.payout_request(
            payout_id, amount, key=key, account=account, identity=identity, day=day
        )

    def account_request(
        self,
        vendor_id: str,
        country: str | None,
        *,
        key: str,
        attempt: int,
        identity: StripeIdentity,
    ) -> StripeRequest:
        return requests.account_request(
            vendor_id, country, key=key, attempt=attempt, identity=identity
        )

    def cancel_payout_request(
        self, stripe_payout: str, *, key: str, account: str, identity: StripeIdentity
    ) -> StripeRequest:
        return requests.cancel_payout_request(
            stripe_payout, key=key, account=account, identity=identity
        )

    def refund_request(
        self, payment: Payment, refund: Refund, *, key: str, identity: StripeIdentity
    ) -> StripeRequest:
        return requests.refund_request(payment, refund, key=key, identity=identity)

    def settlement_request(
        self,
        payment: Payment,
        parts: ShareParts,
        *,
        key: str,
        charge: str | None,
        identity: StripeIdentity,
    ) -> StripeRequest:
        return requests.settlement_request(
            payment, parts, key=key, charge=charge, identity=identity
        )

    def reversal_request(
        self, payment: Payment, due: TakeBackDue, *, key: str, identity: StripeIdentity
    ) -> StripeRequest:
        return requests.reversal_request(payment, due, key=key, identity=identity)
