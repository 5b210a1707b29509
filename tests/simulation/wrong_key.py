"""An operator's mistake: for more than a day the service holds another Stripe account's key (M18).

Movements are paused meanwhile, as the runbook says; what was open before must wait it out.
"""

from __future__ import annotations

import asyncio
from typing import Final, cast

from roadcall_payments.bootstrap import Service
from roadcall_payments.domain.errors import RoadcallError
from roadcall_payments.domain.movements import Movements
from stripe_sandbox import Answer, Request, Sandbox, SandboxClock, SandboxConfig
from tests.simulation.machines import NoAnswer
from tests.simulation.teller import ADMIN
from tests.simulation.world import World

AFTER_S: Final = 150.0
FOR_S: Final = 30 * 3_600.0
OTHER_KEY: Final = "sk_test_another_0"
OTHER_ACCOUNT: Final = "acct_1AnotherPlatform00"


class _TwoAccounts:
    """The one sandbox, and for one key another: as Stripe tells accounts apart."""

    def __init__(self, own: Sandbox, other: Sandbox) -> None:
        self._own = own
        self._other = other

    def handle(self, request: Request) -> Answer:
        asks_other = OTHER_KEY in request.headers.get("authorization", "")
        return (self._other if asks_other else self._own).handle(request)

    def __getattr__(self, name: str) -> object:
        return getattr(self._own, name)


class WrongKey:
    """Needs a world without key rotations: it gives back the key it took away."""

    def __init__(self, world: World) -> None:
        self._world = world
        clock = SandboxClock(source=world.sandbox.clock.now_ms)
        config = SandboxConfig(
            seed=f"{world.seed}/another", api_keys=(OTHER_KEY,), platform_account=OTHER_ACCOUNT
        )
        both = _TwoAccounts(world.sandbox, Sandbox(clock, config=config))
        world.network._sandbox = cast(Sandbox, both)

    async def history(self) -> None:
        await asyncio.sleep(AFTER_S)
        await self._until_done(pausing=True)
        desk = self._world.desk
        own, desk._key = desk._key, OTHER_KEY
        await asyncio.sleep(FOR_S)
        desk._key = own
        await self._until_done(pausing=False)

    async def _until_done(self, *, pausing: bool) -> None:
        async def turn(service: Service) -> Movements:
            switch = service.movements_switch
            return await (switch.pause(ADMIN, "wrong key") if pausing else switch.resume(ADMIN))

        while True:
            try:
                await self._world.any_process().call(turn, 30)
            except (NoAnswer, RoadcallError):
                await asyncio.sleep(2)
            else:
                return
