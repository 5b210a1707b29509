"""Payouts under every fault at once: each made once, followed past its end, and booked so."""

from __future__ import annotations

import pytest

from tests.simulation.faults import Kind
from tests.simulation.history import PAID_OUT
from tests.simulation.run import run_world

# What people do at the dashboard is told by a webhook alone.
FAULTS = frozenset(Kind) - {Kind.WEBHOOK_DROP}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", ["money-out-1"])
def test_payouts_are_sound_under_every_fault(seed: str) -> None:
    result = run_world(seed, 80, FAULTS, stories=PAID_OUT)
    assert result.sound, "\n".join([*map(str, result.violations), *result.stories])
