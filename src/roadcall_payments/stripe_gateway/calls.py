"""Calls with retries, a budget, the breaker and fresh credentials: what one send goes through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from roadcall_payments.domain.errors import CredentialsRejected
from roadcall_payments.ports import (
    Clock,
    Ids,
    Refused,
    StripeCredentials,
    Unknown,
    UnknownReason,
)
from roadcall_payments.stripe_gateway.breaker import CircuitBreaker, Permit
from roadcall_payments.stripe_gateway.credentials import Credentials
from roadcall_payments.stripe_gateway.errors import Done, Verdict, unproven, verdict
from roadcall_payments.stripe_gateway.mapping import Json
from roadcall_payments.stripe_gateway.retry import Budget, RetrySettings
from roadcall_payments.stripe_gateway.transport import Answer, Call, NoAnswer, Transport
from roadcall_payments.telemetry import (
    STRIPE_CALL_SECONDS,
    STRIPE_CALLS,
    STRIPE_RETRIES,
    UNKNOWN_OUTCOMES,
    log_stripe_call,
)

T = TypeVar("T")

KeyFor = Callable[[Budget], Awaitable[StripeCredentials | Unknown]]
"""The credentials that a try may use; Unknown, and nothing is sent, where it may use none."""

_log = structlog.get_logger("stripe")


class Calls:
    """Makes one call, however many tries that takes. All tries carry the same idempotency key."""

    def __init__(
        self,
        transport: Transport,
        credentials: Credentials,
        breaker: CircuitBreaker,
        retry: RetrySettings,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._transport = transport
        self._credentials = credentials
        self._breaker = breaker
        self._retry = retry
        self._clock = clock
        self._ids = ids

    async def make(
        self,
        call: Call,
        read: Callable[[Json], T],
        *,
        key_for: KeyFor,
        budget: Budget,
        fate_open: bool = False,
    ) -> Done[T] | Refused | Unknown:
        """``fate_open``: an earlier try of the same key may have acted, so that of the refusals
        only a replayed one counts (M5). A try of ours that ends unknown opens the fate too."""
        last: Unknown | None = None
        retries = 0
        reread = False
        number = 0
        while True:
            key = await key_for(budget)
            if isinstance(key, Unknown):
                return last or key
            left_s = budget.left_s
            if left_s == 0.0:
                return last or Unknown(UnknownReason.TIMEOUT, "out of time; nothing was sent")
            permit = self._breaker.admit()
            if permit is None:
                return last or Unknown(UnknownReason.BREAKER_OPEN, "circuit breaker is open")
            number += 1
            tried = await self._try(call, read, key, permit, left_s, number)
            result = tried.result
            if isinstance(result, Refused) and fate_open and not result.replayed:
                result = unproven(result)
            if isinstance(result, Unknown):
                last = result
                fate_open = call.method == "post"
                if result.reason is UnknownReason.AUTHENTICATION and not reread:
                    reread = True
                    if await self._read_again(key):
                        continue
            if not tried.retry or retries == self._retry.retries_max:
                return result
            retries += 1
            if not await self._waited(retries, budget):
                return result

    async def _try(
        self,
        call: Call,
        read: Callable[[Json], T],
        key: StripeCredentials,
        permit: Permit,
        timeout_s: float,
        number: int,
    ) -> Verdict[T]:
        started = self._clock.monotonic()
        answer = await self._transport.exchange(call, api_key=key.api_key, timeout_s=timeout_s)
        judged = verdict(answer, read)
        self._breaker.record(permit, failed=judged.broken)
        duration_s = self._clock.monotonic() - started
        _record_try(call, answer, judged, number=number, duration_s=duration_s)
        return judged

    async def _read_again(self, rejected: StripeCredentials) -> bool:
        """After a 401: whether there are credentials for one more try."""
        try:
            await self._credentials.replaced(rejected)
        except CredentialsRejected as exc:
            _log.warning("stripe_credentials_unreadable", reason=exc.message)
            return False
        return True

    async def _waited(self, retry: int, budget: Budget) -> bool:
        """Wait before a retry; False, at once where possible, when the budget has no room."""
        wait_s = self._retry.wait_s(retry, self._ids.fraction())
        if wait_s >= budget.left_s:
            return False
        await self._clock.sleep(wait_s)
        return budget.left_s > 0.0


def _record_try(
    call: Call,
    answer: Answer | NoAnswer,
    judged: Verdict[T],
    *,
    number: int,
    duration_s: float,
) -> None:
    """One log line a try, and its metrics.

    No key, no body, no message of Stripe's: those can hold secrets.
    """
    answered = answer if isinstance(answer, Answer) else None
    result = judged.result
    if isinstance(result, Refused):
        outcome = f"refused: {result.failure.code}"
    elif isinstance(result, Unknown):
        outcome = f"unknown: {result.reason}"
        UNKNOWN_OUTCOMES.labels(result.reason).inc()
    else:
        outcome = "done"
    STRIPE_CALLS.labels(call.operation, outcome.partition(":")[0]).inc()
    STRIPE_CALL_SECONDS.labels(call.operation).observe(duration_s)
    if number > 1:
        STRIPE_RETRIES.labels(call.operation).inc()
    log_stripe_call(
        call.operation,
        call.path,
        payment_id=call.payment_id,
        connected_account=call.connected_account,
        idempotency_key=call.idempotency_key,
        request_id=answered.request_id if answered else None,
        http_status=answered.status if answered else None,
        replayed=answered.replayed if answered else None,
        attempt=number,
        outcome=outcome,
        seconds=duration_s,
        level="warning" if isinstance(result, Unknown) else "info",
    )
