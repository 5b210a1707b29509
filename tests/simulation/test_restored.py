"""A database that is lost and restored from an older backup, in the middle of a history (M18)."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.simulation.faults import Kind
from tests.simulation.history import MONEY_BACK, SETTLED, SETTLES, STORIES, Stories
from tests.simulation.restoring import tell_with_restore
from tests.simulation.run import run_world

# What people do at the dashboard is told by a webhook alone.
FAULTS = frozenset(Kind) - {Kind.WEBHOOK_DROP}


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("seed", "stories", "settings"),
    [
        ("restored-1", STORIES, {}),
        ("restored-2", MONEY_BACK, {}),
        ("restored-3", SETTLED, SETTLES),
    ],
    ids=["paid", "back", "settled"],
)
def test_a_restored_service_has_all_that_stripe_did(
    seed: str, stories: Stories, settings: Mapping[str, object]
) -> None:
    result = run_world(
        seed, 60, FAULTS, stories=stories, history=tell_with_restore, settings=settings
    )
    assert result.sound, "\n".join([*map(str, result.violations), *result.stories])
