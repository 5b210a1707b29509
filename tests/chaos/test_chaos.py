"""A short chaos: kill -9 under load, a database that dies twice, and no violation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.chaos import DATABASE_RESTARTS, FAULTS, chaos

SECONDS = 8.0
SEED = "suite"


@pytest.mark.timeout(900)
def test_kills_and_restarts_lose_nothing_and_move_nothing_twice(tmp_path: Path) -> None:
    outcome = chaos(tmp_path, SECONDS, SEED)
    assert not outcome.violations, [str(one) for one in outcome.violations]
    assert sum(outcome.kills.values()) >= 4, outcome
    assert all(outcome.kills.values()), outcome
    assert outcome.database_restarts == DATABASE_RESTARTS
    assert all(outcome.struck[kind] for kind in FAULTS), outcome
    assert outcome.payments > 0
    assert all(outcome.money_back.values()), outcome
