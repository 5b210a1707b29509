"""Payouts whose events never came: once a day each vendor's account with money is looked through.

A payout of Stripe's own schedule that nobody told us of would leave the vendor's balance too high
for good. The list of thirty days is asked each time, so a stop of the service leaves no gap, and
nothing needs to be kept of how far it was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from roadcall_payments.commit import stream_of
from roadcall_payments.domain.errors import RoadcallError, StripeUnavailable
from roadcall_payments.ports import Clock, CreatedWindow, Gateway, Store
from roadcall_payments.workflows.account_payouts import (
    BEFORE_VENDORS,
    AccountPayouts,
    accounts_of,
    vendors_after,
    withdrawn,
)
from roadcall_payments.workflows.missed_events import GRACE, OFF_LOOK_S

LOOK_BACK = timedelta(days=30)
ROUND_EVERY = timedelta(days=1)
# How many vendors' accounts one look asks for (M28): a round of more takes several looks.
VENDORS_A_LOOK = 100

_log = structlog.get_logger()


class MissedPayouts:
    """``every_s``: seconds between two looks; 0 switches them off."""

    def __init__(
        self,
        store: Store,
        gateway: Gateway,
        clock: Clock,
        payouts: AccountPayouts,
        every_s: int,
    ) -> None:
        self._store = store
        self._gateway = gateway
        self._clock = clock
        self._payouts = payouts
        self._every_s = every_s
        self._round_began: datetime | None = None
        # Behind which vendor the round goes on; None once it is through.
        self._after: str | None = None
        self._again: Sequence[str] = ()

    async def attend(self) -> float:
        """A worker's duty: the next accounts of the day's round; in how many seconds to go on.

        An account that cannot be read is told of in the log, and tried again with the next ones.
        Raises CredentialsRejected where our key is, and StoreUnavailable.
        """
        if self._every_s == 0:
            return OFF_LOOK_S
        try:
            self._gateway.ensure_available()
            if await self._gateway.connect_enabled():
                await self._go_on()
        except StripeUnavailable as away:
            _log.warning("payouts_not_compared", code=away.code)
        return float(self._every_s)

    async def at_end(self) -> None:
        """Nothing of it is owed to a process that stops."""

    async def _go_on(self) -> None:
        now = self._clock.now()
        if self._after is None and (
            self._round_began is None or now - self._round_began >= ROUND_EVERY
        ):
            self._round_began, self._after = now, BEFORE_VENDORS
        accounts = list(self._again)
        if self._after is not None and len(accounts) < VENDORS_A_LOOK:
            accounts += await self._next_accounts(self._after)
        created = CreatedWindow(now - LOOK_BACK, now - GRACE)
        again: list[str] = []
        for account in dict.fromkeys(accounts):
            try:
                await self._read(account, created)
            except RoadcallError as failed:
                _log.warning("payouts_not_read", account=account, code=failed.code)
                if not withdrawn(failed):
                    again.append(account)
        self._again = again

    async def _read(self, account: str, created: CreatedWindow) -> None:
        for payout in await self._payouts.read(account, created):
            _log.warning("payout_missed", account=account, payout=payout.stripe_payout)

    async def _next_accounts(self, after: str) -> Sequence[str]:
        """Of the next vendors: those that have money by our books, for what left any other is
        in them already."""
        vendors = await vendors_after(self._store, after, VENDORS_A_LOOK)
        whole = len(vendors) == VENDORS_A_LOOK
        self._after = stream_of("vendor", vendors[-1].id) if whole else None
        accounts = [account for vendor in vendors for account in accounts_of(vendor)]
        return [account for account in accounts if await self._has_money(account)]

    async def _has_money(self, account: str) -> bool:
        sums = await self._store.balances(account)
        return any(one.account == "stripe_balance" and one.amount_cents for one in sums)
