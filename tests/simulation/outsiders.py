"""Others who act at Stripe: strangers who name our payments, and people at its dashboard.

Not our service's doing, so its books must follow what is ours and leave alone what is not.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Final

import aiohttp

from tests.simulation.stripe_desk import form
from tests.simulation.world import World

GAP_S: Final = 8.0
STRANGE_CENTS: Final = 777


class Outsiders:
    def __init__(self, world: World) -> None:
        self._world = world
        self._random = Random(f"{world.seed}/outsiders")

    @property
    def strangers(self) -> frozenset[str]:
        """Ids of what others made: their requests carry no idempotency key, and one amount."""
        books = self._world.sandbox.world
        return frozenset(
            made.id
            for made in (*books.transfers, *books.payment_intents)
            if made.idempotency_key is None and made.amount == STRANGE_CENTS
        )

    async def history(self, acts: int) -> None:
        """So many acts, while the jobs arrive."""
        for _ in range(acts):
            await asyncio.sleep(self._random.expovariate(1 / GAP_S))
            if not self._world.asked.jobs:
                continue
            draw = self._random.random()
            if draw < 0.4:
                await self._claim()
            elif draw < 0.7:
                await self._take_back()
            else:
                await self._pay_out()

    async def _claim(self) -> None:
        """A transfer or a charge of another's, with one of our payments in its metadata."""
        job = self._random.choice(self._world.asked.jobs[-20:])
        if not job.payment_ids:
            return
        payment_id = job.payment_ids[-1]
        named = {"metadata[paymentId]": payment_id, "metadata[attempt]": "1"}
        common = {"amount": str(STRANGE_CENTS), "currency": "usd", "transfer_group": payment_id}
        if job.destination is not None:
            purpose = {"metadata[purpose]": "vendor_payment", "destination": job.destination}
            await self._post("/v1/transfers", common | named | purpose)
        else:
            purpose = {"metadata[purpose]": "driver_payment", "confirm": "true"}
            paid = {
                "payment_method": "pm_card_visa",
                "automatic_payment_methods[enabled]": "true",
                "automatic_payment_methods[allow_redirects]": "never",
            }
            await self._post("/v1/payment_intents", common | named | purpose | paid)

    async def _take_back(self) -> None:
        """Somebody at the dashboard reverses a part of one of our transfers."""
        ours = [
            transfer
            for transfer in self._world.sandbox.world.transfers
            if transfer.idempotency_key is not None and transfer.amount > 1_000
        ]
        if ours:
            transfer = self._random.choice(ours[-20:])
            path = f"/v1/transfers/{transfer.id}/reversals"
            await self._post(path, {"amount": str(self._random.randint(1, 200))})

    async def _pay_out(self) -> None:
        """A vendor takes a little of what it has to its bank."""
        funds = self._world.sandbox.world.funds
        platform = self._world.sandbox.world.platform
        rich = [
            account
            for account, by_currency in funds.items()
            if account != platform and "usd" in by_currency and by_currency["usd"].available > 100
        ]
        if rich:
            account = self._random.choice(rich)
            await self._post("/v1/payouts", {"amount": "100", "currency": "usd"}, account)

    async def _post(self, path: str, params: Mapping[str, str], account: str | None = None) -> None:
        """Faults may meet it like anybody's request: whether it took effect, Stripe's books say."""
        credentials = await self._world.desk.stripe_credentials()
        request = form(path, params, credentials.api_key)
        if account is not None:
            request = replace(request, headers={**request.headers, "stripe-account": account})
        with contextlib.suppress(OSError, aiohttp.ClientError):
            await self._world.network.send("outsider", request)
