"""Defects in how Stripe is called, and in what its answers are taken for."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

from roadcall_payments.domain import commands
from roadcall_payments.domain.errors import CredentialsRejected, StripeUnavailable
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.stripe_objects import (
    Operation,
    PaymentIntent,
    StripeFailure,
    StripeIdentity,
    StripeRequest,
)
from roadcall_payments.ports import (
    Answered,
    Gateway,
    Outcome,
    Refused,
    Unknown,
    UnknownReason,
)
from roadcall_payments.workflows.payment_carrier import PaymentCarrier
from tests.simulation.defects.planted import Planted, Wrong, wrong_function, wrong_gateway
from tests.simulation.faults import Kind

_STRIPE_FAILS = {
    Kind.ERROR_AFTER: 0.06,
    Kind.DROP_AFTER: 0.06,
    Kind.TRUNCATE: 0.04,
    Kind.REFUSED_CONNECTION: 0.04,
}


class _OpensAnother(Wrong):
    """A second card gets a second PaymentIntent (M1)."""

    right: Gateway

    def __init__(self, right: Gateway) -> None:
        super().__init__(right)
        self._opened: dict[str, StripeRequest] = {}

    async def send(self, request: StripeRequest, *, first_try: bool, budget_s: float) -> Outcome:
        again = request.operation is Operation.CONFIRM_PAYMENT_INTENT
        if request.operation is Operation.CREATE_PAYMENT_INTENT:
            self._opened[request.idempotency_key.partition("_")[2]] = request
        payment_id, _, number = request.idempotency_key.removeprefix("confirm_").rpartition("_")
        first = self._opened.get(payment_id)
        if again and first is not None and number != "1":
            key = f"payment_{payment_id}_again_{number}"
            opened = await self.right.send(
                replace(first, idempotency_key=key), first_try=True, budget_s=budget_s
            )
            if isinstance(opened, Answered) and isinstance(opened.object, PaymentIntent):
                path = f"/v1/payment_intents/{opened.object.id}/confirm"
                request = replace(request, path=path)
        return await self.right.send(request, first_try=first_try, budget_s=budget_s)


class _TakesForFailure(Wrong):
    """One kind of unknown outcome is called a definite refusal (M5)."""

    right: Gateway

    def __init__(self, right: Gateway, *reasons: UnknownReason) -> None:
        super().__init__(right)
        self._reasons = reasons

    async def send(self, request: StripeRequest, *, first_try: bool, budget_s: float) -> Outcome:
        outcome = await self.right.send(request, first_try=first_try, budget_s=budget_s)
        if isinstance(outcome, Unknown) and outcome.reason in self._reasons:
            failure = StripeFailure(str(outcome.reason), outcome.detail)
            return Refused(failure, 400, outcome.request_id, replayed=False)
        return outcome


class _GivesUpAfterOneList(Wrong):
    """A transfer whose answer is lost is looked for once, and an empty list is proof (M8)."""

    right: Gateway

    async def send(self, request: StripeRequest, *, first_try: bool, budget_s: float) -> Outcome:
        outcome = await self.right.send(request, first_try=first_try, budget_s=budget_s)
        if isinstance(outcome, Unknown) and request.operation is Operation.CREATE_TRANSFER:
            group = json.loads(request.params)["transfer_group"]
            with contextlib.suppress(StripeUnavailable, CredentialsRejected):
                if not await self.right.transfers(group):
                    failure = StripeFailure("absent", "Stripe lists no such transfer.")
                    return Refused(failure, 400, None, replayed=False)
        return outcome


class _Recomputes(Wrong):
    """Recovery derives the request anew, and a release has come between (M4)."""

    right: Gateway

    async def send(self, request: StripeRequest, *, first_try: bool, budget_s: float) -> Outcome:
        if not first_try and "metadata" in request.params:
            request = _released(request)
        return await self.right.send(request, first_try=first_try, budget_s=budget_s)


def _released(request: StripeRequest) -> StripeRequest:
    """The same call as a later release would derive it."""
    params = json.loads(request.params)
    params["metadata"]["release"] = "2"
    return replace(request, params=json.dumps(params))


class _RepeatsChanged(_TakesForFailure):
    """A lost answer is asked for again with other parameters, which Stripe refuses with an
    ``idempotency_error``; that is taken for a failure (M5)."""

    def __init__(self, right: Gateway) -> None:
        super().__init__(right, UnknownReason.IDEMPOTENCY_MISMATCH)

    async def send(self, request: StripeRequest, *, first_try: bool, budget_s: float) -> Outcome:
        outcome = await super().send(request, first_try=first_try, budget_s=budget_s)
        if isinstance(outcome, Unknown) and "metadata" in request.params:
            changed = _released(request)
            return await super().send(changed, first_try=first_try, budget_s=budget_s)
        return outcome


class _NewKey(Wrong):
    """A retry makes a new key (M4)."""

    right: Gateway

    async def send(self, request: StripeRequest, *, first_try: bool, budget_s: float) -> Outcome:
        if not first_try:
            request = replace(request, idempotency_key=f"{request.idempotency_key}_r")
        return await self.right.send(request, first_try=first_try, budget_s=budget_s)


class _RetriesAnew(Wrong):
    """A lost answer is asked for again at once, under a fresh key (M4)."""

    right: Gateway

    async def send(self, request: StripeRequest, *, first_try: bool, budget_s: float) -> Outcome:
        outcome = await self.right.send(request, first_try=first_try, budget_s=budget_s)
        if isinstance(outcome, Unknown) and request.operation is Operation.CREATE_TRANSFER:
            anew = replace(request, idempotency_key=f"{request.idempotency_key}_anew")
            return await self.right.send(anew, first_try=True, budget_s=budget_s)
        return outcome


class _PaysAnother(Wrong):
    """The vendor's account is read again when the transfer is made, from the wrong row (M10)."""

    right: Gateway

    def __init__(self, right: Gateway) -> None:
        super().__init__(right)
        self._last: str | None = None

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
        another, self._last = self._last or destination, destination
        return self.right.transfer_request(
            payment,
            key=key,
            attempt=attempt,
            destination=another,
            identity=identity,
            set_off=set_off,
        )


class _ThroughFloat(Wrong):
    """An amount goes through dollars and comes back cut off (money is integers)."""

    right: Gateway

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
        request = self.right.transfer_request(
            payment,
            key=key,
            attempt=attempt,
            destination=destination,
            identity=identity,
            set_off=set_off,
        )
        params = json.loads(request.params)
        params["amount"] = int(params["amount"] / 100 * 100)
        return replace(request, params=json.dumps(params))


def _one_key(operation: Operation, payment: Payment, attempt: int) -> str:
    kind = "payment" if operation is Operation.CREATE_PAYMENT_INTENT else "transfer"
    return f"{kind}_{payment.id}"


def _no_deadline(self: PaymentCarrier, started_at: object) -> bool:
    return False


CALLS = (
    Planted(
        wrong_gateway("second PaymentIntent", _OpensAnother),
        "M1",
        "another card opens another PaymentIntent",
        neighbours=("M4",),
    ),
    Planted(
        wrong_gateway("idempotency_error is failure", _RepeatsChanged),
        "M5",
        "a key used with other parameters is taken for a refusal",
        boosts=_STRIPE_FAILS,
    ),
    Planted(
        wrong_gateway(
            "5xx is failure",
            lambda right: _TakesForFailure(
                right, UnknownReason.SERVER_ERROR, UnknownReason.REPLAYED_SERVER_ERROR
            ),
        ),
        "M5",
        "a server error is taken for a refusal",
        boosts=_STRIPE_FAILS,
    ),
    Planted(
        wrong_gateway(
            "timeout is failure",
            lambda right: _TakesForFailure(
                right,
                UnknownReason.TIMEOUT,
                UnknownReason.CONNECTION,
                UnknownReason.MALFORMED_ANSWER,
            ),
        ),
        "M5",
        "a lost answer is taken for a refusal",
        boosts=_STRIPE_FAILS,
    ),
    Planted(
        wrong_gateway(
            "401 is failure",
            lambda right: _TakesForFailure(right, UnknownReason.AUTHENTICATION),
        ),
        "M5",
        "a rejected key is taken for a refusal",
        # A key is rotated while calls whose first answer was lost are tried again.
        boosts=_STRIPE_FAILS,
        also=(Kind.KEY_ROTATION,) * 15,
    ),
    Planted(
        wrong_function("key not scoped to the attempt", (commands, "attempt_key", _one_key)),
        "M4",
        "every attempt has the first one's key",
    ),
    Planted(
        wrong_gateway("retry under a new key", _RetriesAnew),
        "M4",
        "a transfer whose answer was lost is sent again under a new key",
        boosts=_STRIPE_FAILS,
    ),
    Planted(
        wrong_gateway("recovery under a new key", _NewKey),
        "M4",
        "recovery sends under a key of its own",
        boosts=_STRIPE_FAILS,
    ),
    Planted(
        wrong_gateway("recovery recomputes the request", _Recomputes),
        "M4",
        "recovery sends what today's release would send",
        boosts=_STRIPE_FAILS,
    ),
    Planted(
        wrong_function("POST later than 23 h", (PaymentCarrier, "_past_deadline", _no_deadline)),
        "M8",
        "a key has no deadline",
        boosts={Kind.REFUSED_CONNECTION: 0.4, Kind.DROP_BEFORE: 0.2},
    ),
    Planted(
        wrong_gateway("absent after a single list", _GivesUpAfterOneList),
        "M8",
        "one empty list voids an attempt",
        neighbours=("M5",),
        boosts={Kind.DELAY_BEFORE: 0.4},
    ),
    Planted(
        wrong_gateway("another vendor is paid", _PaysAnother),
        "M10",
        "the destination is not the one that was approved",
    ),
    Planted(
        wrong_gateway("an amount through a float", _ThroughFloat),
        "M4",
        "cents are cut off",
    ),
)
