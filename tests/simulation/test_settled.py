"""Settlement under every fault at once: each vendor has its share, no cent more or less, and what
it owes is set off once."""

from __future__ import annotations

import pytest

from tests.simulation.comparing import tell_with_comparing
from tests.simulation.faults import Kind
from tests.simulation.history import INDEBTED, SETTLED, SETTLES, Stories
from tests.simulation.run import run_world

FAULTS = frozenset(Kind)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("seed", "stories"), [("settled-1", SETTLED), ("settled-2", SETTLED), ("debt-1", INDEBTED)]
)
def test_settlements_are_sound_under_every_fault(seed: str, stories: Stories) -> None:
    result = run_world(
        seed, 80, FAULTS, stories=stories, settings=SETTLES, history=tell_with_comparing
    )
    assert result.sound, "\n".join([*map(str, result.violations), *result.stories])
