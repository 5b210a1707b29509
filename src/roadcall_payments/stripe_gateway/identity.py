"""Whose key it is: account and mode, learned once for each key (M18)."""

from __future__ import annotations

import asyncio
import re

from roadcall_payments.domain.stripe_objects import StripeIdentity
from roadcall_payments.ports import StripeCredentials
from roadcall_payments.stripe_gateway import mapping, wire
from roadcall_payments.stripe_gateway.credentials import Credentials
from roadcall_payments.stripe_gateway.reads import Reads
from roadcall_payments.stripe_gateway.retry import Budget

_KEY_MODE = re.compile(r"[a-z]+(?:_org)?_(live|test)_")

_read_account = mapping.reader(wire.WireAccount, lambda w: w.id)
_read_livemode = mapping.reader(wire.WireBalance, lambda w: w.livemode)


class Identities:
    """Remembers the identity of the last key alone, so a new key is always asked about."""

    def __init__(self, credentials: Credentials, reads: Reads) -> None:
        self._credentials = credentials
        self._reads = reads
        self._lock = asyncio.Lock()
        self._known: tuple[str, StripeIdentity] | None = None

    async def current(
        self, budget: Budget | None = None
    ) -> tuple[StripeCredentials, StripeIdentity]:
        """The live credentials and whose they are. Raises as reads do."""
        credentials = await self._credentials.current()
        known = self._of(credentials)
        if known is None:
            async with self._lock:
                credentials = await self._credentials.current()
                known = self._of(credentials)
                if known is None:
                    credentials, known = await self._learn(credentials, budget)
        return credentials, known

    def _of(self, credentials: StripeCredentials) -> StripeIdentity | None:
        if self._known is not None and self._known[0] == credentials.api_key:
            return self._known[1]
        return None

    async def _learn(
        self, used: StripeCredentials, budget: Budget | None
    ) -> tuple[StripeCredentials, StripeIdentity]:
        async def live(_: Budget) -> StripeCredentials:
            # A 401 replaces the credentials between two tries: the answer belongs to the last.
            nonlocal used
            used = await self._credentials.current()
            return used

        account = await self._reads.one(
            "account.identify", "/v1/account", _read_account, key_for=live, budget=budget
        )
        livemode = await self._livemode(used, budget)
        self._known = (used.api_key, StripeIdentity(account, livemode))
        return used, self._known[1]

    async def _livemode(self, credentials: StripeCredentials, budget: Budget | None) -> bool:
        """The key's prefix says it; an account object does not, but a balance does."""
        prefix = _KEY_MODE.match(credentials.api_key)
        if prefix is not None:
            return prefix[1] == "live"

        async def same(_: Budget) -> StripeCredentials:
            return credentials

        return await self._reads.one(
            "balance.identify", "/v1/balance", _read_livemode, key_for=same, budget=budget
        )
