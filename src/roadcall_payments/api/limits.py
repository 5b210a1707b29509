"""How often a caller may call: fixed windows of a minute, counted in the store (M35).

Every process counts in the same place. A sensitive call counts twice: among all calls and among
the sensitive ones. A ``service`` caller has one limit of its own for everything. Requests without
a valid token count by client address. Webhooks and health checks are never counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from roadcall_payments.domain.errors import TooManyRequests
from roadcall_payments.domain.people import Actor, Role
from roadcall_payments.ports import Clock, Store

WINDOW_S: Final = 60


@dataclass(frozen=True, slots=True)
class LimitRules:
    """Requests a minute."""

    caller: int
    sensitive: int
    service: int


class Limits:
    def __init__(self, store: Store, clock: Clock, rules: LimitRules) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules

    async def count(self, caller: Actor, *, sensitive: bool) -> None:
        """Count a request of ``caller``. Raises TooManyRequests past its limit."""
        if caller.role is Role.SERVICE:
            await self._count(f"{caller}", self._rules.service)
            return
        await self._count(f"{caller}", self._rules.caller)
        if sensitive:
            await self._count(f"sensitive/{caller}", self._rules.sensitive)

    async def count_address(self, address: str) -> None:
        """Count a request that proved no caller. Raises TooManyRequests past the limit."""
        await self._count(f"address/{address}", self._rules.caller)

    async def _count(self, counter: str, allowed: int) -> None:
        now = int(self._clock.now().timestamp())
        used = await self._store.count_request(counter, now // WINDOW_S)
        if used > allowed:
            wait_s = WINDOW_S - now % WINDOW_S
            raise TooManyRequests(
                f"At most {allowed} such requests a minute. Try again in {wait_s} seconds.",
                retry_after_s=wait_s,
            )
