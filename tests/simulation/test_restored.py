"""A database that is lost and restored from an older backup, in the middle of a history (M18)."""

from __future__ import annotations

import pytest

from tests.simulation.faults import Kind
from tests.simulation.history import MONEY_BACK, STORIES, Stories
from tests.simulation.restoring import tell_with_restore
from tests.simulation.run import run_world

# What people do at the dashboard is told by a webhook alone.
FAULTS = frozenset(Kind) - {Kind.WEBHOOK_DROP}


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("seed", "stories"), [("restored-1", STORIES), ("restored-2", MONEY_BACK)], ids=["paid", "back"]
)
def test_a_restored_service_has_all_that_stripe_did(seed: str, stories: Stories) -> None:
    result = run_world(seed, 80, FAULTS, stories=stories, history=tell_with_restore)
    assert result.sound, "\n".join([*map(str, result.violations), *result.stories])
