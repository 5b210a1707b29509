"""Settlement under every fault at once: each vendor has its share, no cent more or less, and what
it owes is set off once."""

from __future__ import annotations

import pytest

from tests.simulation.faults import Kind
from tests.simulation.history import SETTLED, SETTLES
from tests.simulation.run import run_world

# What people do at the dashboard is told by a webhook alone.
FAULTS = frozenset(Kind) - {Kind.WEBHOOK_DROP}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", ["settled-1", "settled-2"])
def test_settlements_are_sound_under_every_fault(seed: str) -> None:
    result = run_world(seed, 80, FAULTS, stories=SETTLED, settings=SETTLES)
    assert result.sound, "\n".join([*map(str, result.violations), *result.stories])
