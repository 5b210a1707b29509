"""What Stripe has of a payment: by listing, never by searching, which lags (M6, M7)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from roadcall_payments.domain import outcomes
from roadcall_payments.domain.errors import NotFound, StripeUnavailable
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.stripe_objects import IntentStatus, PaymentIntent, Transfer
from roadcall_payments.ports import Clock, CreatedWindow, Gateway
from roadcall_payments.workflows.payment_carrier import must_be_own_account

# Clocks differ: an object may carry a time a little before its attempt's.
_SKEW = timedelta(minutes=10)


class Lookup:
    def __init__(self, gateway: Gateway, clock: Clock) -> None:
        self._gateway = gateway
        self._clock = clock

    async def look(self, payment: Payment) -> Sequence[PaymentIntent | Transfer]:
        """What Stripe has of this payment, whichever attempt made it; by listing (M6, M7).

        What still can move money comes first: that is what gets adopted.
        """
        if payment.processing_since is None or payment.account is None:
            return ()
        account = payment.account
        listed: Sequence[PaymentIntent | Transfer]
        if payment.payer_type is PayerType.BACK_OFFICE:
            listed = await self._gateway.transfers(payment.id)
        else:
            window = CreatedWindow(payment.processing_since - _SKEW, self._clock.now() + _SKEW)
            listed = await self._gateway.payment_intents(window)
        ours = [
            await self._with_its_line(found)
            for found in listed
            if outcomes.is_ours(payment, found, account)
        ]
        # Asked after the list: a key that was replaced meanwhile would have shown an empty list of
        # another account, and absence there proves nothing (M8, M18).
        await must_be_own_account(self._gateway, payment)
        return sorted(ours, key=_canceled)

    async def _with_its_line(self, found: PaymentIntent | Transfer) -> PaymentIntent | Transfer:
        """A PaymentIntent that was paid, fetched with Stripe's line for its charge. The list, most
        of which is strangers, comes without."""
        if not isinstance(found, PaymentIntent) or found.status is not IntentStatus.SUCCEEDED:
            return found
        if found.balance_transaction is not None:
            return found
        try:
            return await self._gateway.payment_intent(found.id)
        except NotFound as gone:
            # Nothing is deleted there: the key was replaced by another account's (M18).
            raise StripeUnavailable(f"Stripe listed {found.id}, and finds it no more.") from gone


def _canceled(found: PaymentIntent | Transfer) -> bool:
    return isinstance(found, PaymentIntent) and found.status is IntentStatus.CANCELED
