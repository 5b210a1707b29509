"""Refunds and disputes under every fault at once, ours and the dashboard's: given once, none
beyond its payment, all of it booked."""

from __future__ import annotations

import pytest

from tests.simulation.faults import Kind
from tests.simulation.history import MONEY_BACK
from tests.simulation.run import run_world

# What people do at the dashboard is told by a webhook alone: one that is lost for good is found by
# `repair-drift`, which nobody runs here.
FAULTS = frozenset(Kind) - {Kind.WEBHOOK_DROP}


@pytest.mark.parametrize("seed", ["money-back-1", "money-back-2"])
def test_refunds_are_sound_under_every_fault(seed: str) -> None:
    result = run_world(seed, 120, FAULTS, stories=MONEY_BACK)
    assert result.sound, "\n".join([*map(str, result.violations), *result.stories])
