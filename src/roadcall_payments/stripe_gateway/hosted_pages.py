"""Stripe's own pages for an account's owner: asked for anew each time, stored nowhere."""

from __future__ import annotations

from roadcall_payments.domain.errors import AccountRefused, NotFound
from roadcall_payments.domain.stripe_objects import HostedPage
from roadcall_payments.ports import Clock, Ids, Refused, Unknown, UnknownReason
from roadcall_payments.stripe_gateway import mapping
from roadcall_payments.stripe_gateway.calls import Calls, KeyFor
from roadcall_payments.stripe_gateway.reads import unavailable
from roadcall_payments.stripe_gateway.requests import API_VERSION
from roadcall_payments.stripe_gateway.retry import Budget
from roadcall_payments.stripe_gateway.transport import Call


class HostedPages:
    """POSTs that move nothing and leave nothing behind: no intent is committed for them, and one
    whose answer is lost is simply asked for again."""

    def __init__(
        self, calls: Calls, key_for: KeyFor, clock: Clock, ids: Ids, *, budget_s: float
    ) -> None:
        self._calls = calls
        self._key_for = key_for
        self._clock = clock
        self._ids = ids
        self._budget_s = budget_s

    async def make(self, operation: str, path: str, params: dict[str, object]) -> HostedPage:
        """Raises NotFound, AccountRefused, StripeUnavailable, CredentialsRejected."""
        call = Call(
            operation=operation,
            method="post",
            path=path,
            params=params,
            api_version=API_VERSION,
            # Of this asking alone: its retries are one request, and no two askings share a page.
            idempotency_key=self._ids.uuid7(),
        )
        result = await self._calls.make(
            call,
            mapping.read_hosted_page,
            key_for=self._key_for,
            budget=Budget(self._clock, self._budget_s),
        )
        if isinstance(result, Unknown):
            if result.reason is UnknownReason.PERMISSION:
                # Stripe answers 403 for an account that is not there, or no longer ours.
                raise NotFound(
                    "Stripe shows us no such account, or our key may make no page of it."
                )
            raise unavailable(operation, result)
        if isinstance(result, Refused):
            raise AccountRefused(result.failure.message, stripe_code=result.failure.code)
        return result.value
