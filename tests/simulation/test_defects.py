"""A few planted defects, one from each corner; `make simulate-mutants` hunts all of them."""

from __future__ import annotations

import pytest

from tests.simulation.defects.catalogue import CATALOGUE
from tests.simulation.defects.planted import Planted
from tests.simulation.mutants import SEEDS, live_through

# Cheap ones, caught by the first seed: the way to Stripe, its objects, the store, the books.
FEW = ("cancelled without Stripe", "sequence check left out", "postings doubled")
DEFECTS_MIN = 20


def test_there_are_as_many_defects_as_were_promised() -> None:
    names = [planted.name for planted in CATALOGUE]
    assert len(names) == len(set(names)) >= DEFECTS_MIN


@pytest.mark.parametrize("planted", CATALOGUE, ids=lambda planted: planted.name)
def test_each_defect_still_finds_what_it_takes_the_place_of(planted: Planted) -> None:
    with planted.defect.during():
        pass


@pytest.mark.parametrize("name", FEW)
def test_a_planted_defect_is_seen_and_the_same_world_without_it_is_clean(name: str) -> None:
    planted = next(one for one in CATALOGUE if one.name == name)
    assert planted.shown_by(live_through(planted, SEEDS[0], sound=False).violations)
    assert live_through(planted, SEEDS[0], sound=True).violations == []
