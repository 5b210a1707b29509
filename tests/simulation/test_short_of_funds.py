"""Transfers that wait for funds, under faults: in order, above the reserve, once, none left."""

from __future__ import annotations

import pytest

from tests.simulation.comparing import tell_with_comparing
from tests.simulation.faults import Kind
from tests.simulation.history import FUNDED
from tests.simulation.run import run_world
from tests.simulation.stories.short_of_funds import SHORT_OF_FUNDS

# Whoever slept since it looked at the queue may release what was first then.
FAULTS = frozenset(Kind) - {Kind.SUSPEND, Kind.JUMP}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", ["funds-1"])
def test_what_waits_for_funds_goes_in_order_and_above_the_reserve(seed: str) -> None:
    result = run_world(
        seed, 80, FAULTS, stories=FUNDED, settings=SHORT_OF_FUNDS, history=tell_with_comparing
    )
    assert result.sound, "\n".join([*map(str, result.violations), *result.stories])
