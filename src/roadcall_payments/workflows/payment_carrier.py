"""What all that carries calls on behalf of a payment has in common: its own transfers and
PaymentIntents, its refunds, its vendor's share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from roadcall_payments.commit import stream_of
from roadcall_payments.domain import events as e
from roadcall_payments.domain.errors import CredentialsRejected, NotFound
from roadcall_payments.domain.outcomes import KEY_DEADLINE
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.people import STRIPE
from roadcall_payments.ports import Clock, Gateway, Loaded
from roadcall_payments.workflows.movements_switch import MovementsSwitch
from roadcall_payments.workflows.write_path import Answers, WritePath, Written


class PaymentCarrier:
    """``budget_s``: how long a call may take in all, retries included (M32)."""

    def __init__(
        self,
        write_path: WritePath,
        gateway: Gateway,
        switch: MovementsSwitch,
        clock: Clock,
        budget_s: float,
    ) -> None:
        self._write_path = write_path
        self._gateway = gateway
        self._switch = switch
        self._clock = clock
        self._budget_s = budget_s

    async def _written(
        self,
        payment: Payment,
        decide: Callable[[Payment, datetime], Sequence[e.PaymentFact]],
        answers: Callable[[Payment], Answers | None] | None = None,
        loaded: Loaded | None = None,
    ) -> Payment:
        """What Stripe did is decided on the payment as it stands, also after a conflict (M25).

        ``loaded``: as the intent's own commit left it; whoever moved it since causes a conflict.
        """

        def on_current(current: Payment | None) -> Sequence[e.PaymentFact]:
            if current is None:
                raise NotFound(f"There is no payment {payment.id}.")
            return decide(current, self._clock.now())

        written: Written[Payment] = await self._write_path.write(
            stream_of("payment", payment.id),
            on_current,
            actor=STRIPE,
            answers=answers,
            loaded=loaded,
        )
        return written.state

    def _past_deadline(self, started_at: datetime) -> bool:
        """Checked right before sending: a suspended machine wakes late (M8)."""
        return self._clock.now() - started_at >= KEY_DEADLINE


async def must_be_own_account(gateway: Gateway, payment: Payment) -> None:
    """Asked after a list: another account's empty list proves nothing (M8, M18). Raises
    CredentialsRejected."""
    identity = await gateway.identity()
    if (identity.account, identity.livemode) != (payment.account, payment.livemode):
        raise CredentialsRejected(
            "The service's key is of another Stripe account or mode than the payment's (M18)."
        )
