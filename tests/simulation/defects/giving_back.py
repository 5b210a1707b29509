"""Defects in refunds and disputes: how much is given back, by whom, and what is booked of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from roadcall_payments.domain import disputes_seen, refunding, refunds_seen
from roadcall_payments.domain import events as e
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.refund import Refund
from roadcall_payments.domain.stripe_objects import (
    Dispute,
    Operation,
    StripeEvent,
    StripeRequest,
)
from roadcall_payments.domain.stripe_objects import Refund as StripeRefund
from roadcall_payments.ports import Gateway, Outcome, Unknown
from tests.simulation.defects.planted import Planted, Wrong, wrong_function, wrong_gateway
from tests.simulation.faults import Kind
from tests.simulation.history import MONEY_BACK

_STRIPE_FAILS = {Kind.ERROR_AFTER: 0.1, Kind.DROP_AFTER: 0.1, Kind.TRUNCATE: 0.05}


def _whatever_is_asked(payment: Payment, amount_cents: int | None) -> Money:
    refunding.must_be_refundable(payment)
    cents = payment.amount.amount_cents if amount_cents is None else amount_cents
    return Money(cents, payment.amount.currency)


class _AsksAnew(Wrong):
    """A refund whose answer was lost is asked for again at once, under a fresh key (M9)."""

    right: Gateway

    async def send(self, request: StripeRequest, *, first_try: bool, budget_s: float) -> Outcome:
        outcome = await self.right.send(request, first_try=first_try, budget_s=budget_s)
        if isinstance(outcome, Unknown) and request.operation is Operation.CREATE_REFUND:
            anew = replace(request, idempotency_key=f"{request.idempotency_key}_2")
            return await self.right.send(anew, first_try=True, budget_s=budget_s)
        return outcome


class _Stale(Wrong):
    """A dispute is taken as its event told it, however late that came (M15)."""

    right: Gateway

    def __init__(self, right: Gateway) -> None:
        super().__init__(right)
        self._told: dict[str, Dispute] = {}

    async def verified_event(self, body: bytes, signature: str, *, now: datetime) -> StripeEvent:
        return self._remembered(await self.right.verified_event(body, signature, now=now))

    def stored_event(self, body: bytes) -> StripeEvent:
        return self._remembered(self.right.stored_event(body))

    async def dispute(self, dispute_id: str) -> Dispute:
        return self._told.get(dispute_id) or await self.right.dispute(dispute_id)

    def _remembered(self, event: StripeEvent) -> StripeEvent:
        if isinstance(event.payload, Dispute):
            self._told[event.payload.id] = event.payload
        return event


_right_seen = refunds_seen.refunds_seen


def _only_our_own(
    payment: Payment,
    seen: Sequence[StripeRefund],
    source: e.Source,
    at: object,
    request_id: str | None = None,
) -> refunds_seen.Facts:
    known = [one for one in seen if payment.refund(one.metadata.get("refundId", "")) is not None]
    return _right_seen(payment, known, source, at, request_id)  # type: ignore[arg-type]  # the time is only handed on


_right_progress = refunds_seen._progress


def _never_returned(
    payment: Payment,
    refund: Refund,
    seen: StripeRefund,
    source: e.Source,
    request_id: str | None,
) -> refunds_seen.Facts:
    facts = _right_progress(payment, refund, seen, source, request_id)
    return tuple(
        replace(one, returned=False) if isinstance(one, e.RefundFailed) else one for one in facts
    )


def _anything_goes(payment: Payment) -> None:
    """Disputed or not."""


_right_closed = disputes_seen._closed


def _nobodys_loss(*told: object) -> disputes_seen.Facts:
    facts = _right_closed(*told)  # type: ignore[arg-type]  # as it came
    return tuple(
        replace(one, loss=Money(0, one.loss.currency)) if isinstance(one, e.DisputeClosed) else one
        for one in facts
    )


GIVING_BACK = (
    Planted(
        wrong_function(
            "refund over the amount", (refunding, "amount_to_refund", _whatever_is_asked)
        ),
        "refunds",
        "nobody adds up what was already asked for",
        stories=MONEY_BACK,
        outsiders=False,
    ),
    Planted(
        wrong_gateway("refund retried under a new key", _AsksAnew),
        "M4",
        "a refund whose answer was lost is given again under a new key",
        neighbours=("M9", "M16"),
        boosts=_STRIPE_FAILS,
        stories=MONEY_BACK,
        outsiders=False,
    ),
    Planted(
        wrong_function(
            "a dashboard refund not booked",
            (refunds_seen, "refunds_seen", _only_our_own),
        ),
        "M16",
        "a refund that no request of ours made is passed over",
        stories=MONEY_BACK,
        outsiders=False,
    ),
    Planted(
        wrong_function(
            "a failed refund not booked back", (refunds_seen, "_progress", _never_returned)
        ),
        "M16",
        "a refund that fails after it succeeded stays booked as given",
        stories=MONEY_BACK,
        outsiders=False,
    ),
    Planted(
        wrong_function(
            "refund of a disputed charge", (refunding, "_must_be_undisputed", _anything_goes)
        ),
        "refunds",
        "a refund is approved while the bank decides who keeps the money",
        stories=MONEY_BACK,
        outsiders=False,
    ),
    Planted(
        wrong_gateway("a stale object", _Stale),
        "M15",
        "a dispute is applied from its event and not as Stripe has it now",
        boosts={Kind.WEBHOOK_REORDER: 0.3, Kind.WEBHOOK_DELAY: 0.3},
        stories=MONEY_BACK,
        outsiders=False,
    ),
    Planted(
        wrong_function("a lost dispute is nobody's", (disputes_seen, "_closed", _nobodys_loss)),
        "M17",
        "what a lost dispute took is booked to nobody",
        stories=MONEY_BACK,
        outsiders=False,
    ),
)
