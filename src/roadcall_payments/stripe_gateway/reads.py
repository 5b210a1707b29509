"""Reading Stripe's objects: one, or a whole list in pages. Lists, never searches (M7)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar
from urllib.parse import quote

from roadcall_payments.domain.errors import (
    BrokenInvariant,
    CredentialsRejected,
    NotFound,
    StripeUnavailable,
)
from roadcall_payments.ports import Clock, CreatedWindow, Refused, Unknown, UnknownReason
from roadcall_payments.stripe_gateway import mapping
from roadcall_payments.stripe_gateway.calls import Calls, KeyFor
from roadcall_payments.stripe_gateway.mapping import Json
from roadcall_payments.stripe_gateway.requests import API_VERSION
from roadcall_payments.stripe_gateway.retry import Budget
from roadcall_payments.stripe_gateway.transport import Call

PAGE_SIZE = 100
PAGES_MAX = 100
"""A list of more than 10,000 objects is refused, never cut: what is absent decides (M8, M28)."""

T = TypeVar("T")


class HasId(Protocol):
    @property
    def id(self) -> str: ...


L = TypeVar("L", bound=HasId)


class Reads:
    """GETs. Each page has ``budget_s`` seconds, retries included.

    Raises StripeUnavailable, CredentialsRejected, NotFound; BrokenInvariant where Stripe calls
    our question wrong.
    """

    def __init__(self, calls: Calls, key_for: KeyFor, clock: Clock, *, budget_s: float) -> None:
        self._calls = calls
        self._key_for = key_for
        self._clock = clock
        self._budget_s = budget_s

    async def one(
        self,
        operation: str,
        path: str,
        read: Callable[[Json], T],
        *,
        params: dict[str, object] | None = None,
        account: str | None = None,
        key_for: KeyFor | None = None,
        budget: Budget | None = None,
    ) -> T:
        """One object. ``key_for`` and ``budget`` stand in for the usual ones."""
        call = Call(
            operation=operation,
            method="get",
            path=path,
            params=params or {},
            api_version=API_VERSION,
            connected_account=account,
        )
        result = await self._calls.make(
            call,
            read,
            key_for=key_for or self._key_for,
            budget=budget or Budget(self._clock, self._budget_s),
        )
        if isinstance(result, Unknown):
            raise unavailable(operation, result)
        if isinstance(result, Refused):
            raise _refused(operation, result)
        return result.value

    async def all(
        self,
        operation: str,
        path: str,
        read_page: Callable[[Json], mapping.Page[L]],
        *,
        params: dict[str, object] | None = None,
        account: str | None = None,
    ) -> Sequence[L]:
        """Every object that matches, newest first, page by page."""
        found: list[L] = []
        query: dict[str, object] = {**(params or {}), "limit": PAGE_SIZE}
        for _ in range(PAGES_MAX):
            page = await self.one(operation, path, read_page, params=query, account=account)
            found.extend(page.items)
            if not page.has_more or not page.items:
                return found
            query["starting_after"] = page.items[-1].id
        raise BrokenInvariant(
            f"{operation} matches more than {PAGES_MAX * PAGE_SIZE} objects: narrow the question.",
            code="list_too_long",
        )


def path_of(collection: str, object_id: str, *below: str) -> str:
    """A path with the id as one segment, whatever it holds."""
    return "/".join([collection, quote(object_id, safe=""), *below])


def created_within(window: CreatedWindow) -> dict[str, object]:
    """Stripe counts whole seconds: the window is widened to them."""
    return {
        "created": {
            "gte": math.floor(window.start.timestamp()),
            "lte": math.ceil(window.end.timestamp()),
        }
    }


def unavailable(operation: str, unknown: Unknown) -> StripeUnavailable | CredentialsRejected:
    """What a call that found out nothing raises."""
    if unknown.reason is UnknownReason.AUTHENTICATION:
        return CredentialsRejected(
            "Stripe rejects our API key: put a valid one into the secret; it is read again."
        )
    if unknown.reason is UnknownReason.PERMISSION:
        return CredentialsRejected(
            f"Our API key may not do {operation}: give it that right, or use another key.",
            code="stripe_permission",
        )
    return StripeUnavailable(f"{operation}: {unknown.reason} ({unknown.detail})", retry_after_s=5)


def _refused(operation: str, refused: Refused) -> NotFound | BrokenInvariant:
    if refused.http_status == 404:
        return NotFound(f"{operation}: no such object at Stripe.")
    return BrokenInvariant(
        f"{operation}: Stripe refused the question ({refused.failure.code}), "
        f"request {refused.request_id}."
    )
