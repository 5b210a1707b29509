"""Refunds and disputes under every fault at once, ours and the dashboard's: given once, none
beyond its payment, all of it booked."""

from __future__ import annotations

import pytest

from tests.simulation.comparing import tell_with_comparing
from tests.simulation.faults import Kind
from tests.simulation.history import MONEY_BACK
from tests.simulation.run import run_world

FAULTS = frozenset(Kind)


@pytest.mark.parametrize("seed", ["money-back-1", "money-back-2"])
def test_refunds_are_sound_under_every_fault(seed: str) -> None:
    result = run_world(seed, 120, FAULTS, stories=MONEY_BACK, history=tell_with_comparing)
    assert result.sound, "\n".join([*map(str, result.violations), *result.stories])
