"""Payouts under every fault at once, asked for and daily ones: each made once, followed past its
end, and booked so."""

from __future__ import annotations

import pytest

from tests.simulation.comparing import tell_with_comparing
from tests.simulation.faults import Kind
from tests.simulation.history import PAID_DAILY, PAID_OUT, Stories
from tests.simulation.run import run_world

FAULTS = frozenset(Kind)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("seed", "stories"), [("money-out-1", PAID_OUT), ("daily-1", PAID_DAILY)])
def test_payouts_are_sound_under_every_fault(seed: str, stories: Stories) -> None:
    result = run_world(seed, 80, FAULTS, stories=stories, history=tell_with_comparing)
    assert result.sound, "\n".join([*map(str, result.violations), *result.stories])
