"""A few planted defects, one from each corner; `make simulate-mutants` hunts all of them."""

from __future__ import annotations

import pytest

from tests.simulation.defects.catalogue import CATALOGUE
from tests.simulation.mutants import SEEDS, live_through

# Cheap ones, caught by the first seed: the way to Stripe, its objects, the store, the books.
FEW = ("another vendor is paid", "sequence check left out", "postings doubled")
DEFECTS_MIN = 20


def test_there_are_as_many_defects_as_were_promised() -> None:
    names = [planted.name for planted in CATALOGUE]
    assert len(names) == len(set(names)) >= DEFECTS_MIN


@pytest.mark.parametrize("name", FEW)
def test_a_planted_defect_is_seen_and_the_same_world_without_it_is_clean(name: str) -> None:
    planted = next(one for one in CATALOGUE if one.name == name)
    rules = {found.rule for found in live_through(planted, SEEDS[0], sound=False).violations}
    assert planted.rule in rules
    assert live_through(planted, SEEDS[0], sound=True).violations == []
