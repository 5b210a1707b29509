"""Rate limits: a caller's, the sensitive calls', a service's own, an address's (M35)."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from roadcall_payments.api.limits import WINDOW_S
from roadcall_payments.clock import SystemClock
from roadcall_payments.domain.people import Actor
from tests.api.harness import ADMIN, DISPATCHER, OTHER_DISPATCHER, SERVICE, Api, running_api
from tests.builders import NOON

SMALL = {
    "rate_limit_per_minute": 5,
    "rate_limit_sensitive_per_minute": 2,
    "rate_limit_service_per_minute": 8,
}


class StandingClock(SystemClock):
    """No minute ends in the middle of a test, unless it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.at = NOON

    def now(self) -> datetime:
        return self.at


async def reads(api: Api, caller: Actor | None, count: int) -> list[int]:
    return [(await api.get("/payments", caller)).status for _ in range(count)]


async def test_each_caller_has_a_limit_of_its_own(tmp_path: Path) -> None:
    async with running_api(tmp_path, StandingClock(), **SMALL) as limited:
        assert await reads(limited, DISPATCHER, 6) == [200] * 5 + [429]
        assert await reads(limited, OTHER_DISPATCHER, 1) == [200]
        assert await reads(limited, SERVICE, 9) == [200] * 8 + [429]
        refused = await limited.get("/payments", DISPATCHER)
        assert refused.code == "too_many_requests"
        assert 0 < int(refused.headers["retry-after"]) <= WINDOW_S


async def test_a_new_minute_starts_anew(tmp_path: Path) -> None:
    clock = StandingClock()
    async with running_api(tmp_path, clock, **SMALL) as limited:
        assert await reads(limited, DISPATCHER, 6) == [200] * 5 + [429]
        refused = await limited.get("/payments", DISPATCHER)
        clock.at += timedelta(seconds=int(refused.headers["retry-after"]))
        assert await reads(limited, DISPATCHER, 6) == [200] * 5 + [429]


async def test_sensitive_calls_count_twice(tmp_path: Path) -> None:
    async with running_api(tmp_path, StandingClock(), **SMALL) as limited:
        pauses = [
            (await limited.post("/movements/pause", ADMIN, {"reason": "drill"})).status
            for _ in range(3)
        ]
        assert pauses == [200, 200, 429]
        assert await reads(limited, ADMIN, 3) == [200, 200, 429]


async def test_what_is_refused_counts_too(tmp_path: Path) -> None:
    async with running_api(tmp_path, StandingClock(), **SMALL) as limited:
        statuses = [(await limited.get("/reviews", DISPATCHER)).status for _ in range(6)]
        assert statuses == [403] * 5 + [429]


async def test_requests_without_a_caller_count_by_address(tmp_path: Path) -> None:
    async with running_api(tmp_path, StandingClock(), **SMALL) as limited:
        assert await reads(limited, None, 6) == [401] * 5 + [429]
        # Whoever has a token is not kept out by a neighbour who guesses.
        assert await reads(limited, DISPATCHER, 1) == [200]


async def test_webhooks_and_health_have_none(tmp_path: Path) -> None:
    async with running_api(tmp_path, StandingClock(), **SMALL) as limited:
        for _ in range(20):
            assert (await limited.get("/health/live")).status == 200
            forged = await limited.post("/payments/webhooks/stripe", raw=b"{}")
            assert forged.status == 400


async def test_two_processes_share_the_count(tmp_path: Path) -> None:
    """Two servers on one data directory, as two processes would be."""
    async with (
        running_api(tmp_path, StandingClock(), **SMALL) as one,
        running_api(tmp_path, StandingClock(), **SMALL) as another,
    ):
        together = await reads(one, DISPATCHER, 3) + await reads(another, DISPATCHER, 3)
        assert together == [200] * 5 + [429]
