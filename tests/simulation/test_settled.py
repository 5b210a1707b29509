"""Settlement under every fault at once: each vendor has its share, no cent more or less, and what
it owes is set off once."""

from __future__ import annotations

import pytest

from tests.simulation.comparing import tell_with_comparing
from tests.simulation.faults import Kind
from tests.simulation.history import SETTLED, SETTLES
from tests.simulation.run import run_world

FAULTS = frozenset(Kind)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", ["settled-1", "settled-2"])
def test_settlements_are_sound_under_every_fault(seed: str) -> None:
    result = run_world(
        seed, 80, FAULTS, stories=SETTLED, settings=SETTLES, history=tell_with_comparing
    )
    assert result.sound, "\n".join([*map(str, result.violations), *result.stories])
