"""``python -m tests.simulation.mutants``: the proof proved. Every planted defect must be caught.

Each defect's world is run without it too, under the same seed, faults and people: where that is
not clean, the auditor has caught nothing.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import click

from roadcall_payments.domain.errors import RoadcallError
from roadcall_payments.ports import Store
from roadcall_payments.workflows.verification import Verification
from tests.simulation.alarms import unexpected_errors
from tests.simulation.audit.our_books import OurBooks
from tests.simulation.audit.publications import Publications
from tests.simulation.audit.stripe_books import books_of
from tests.simulation.audit.violations import Violation
from tests.simulation.auditor import audit
from tests.simulation.defects.catalogue import CATALOGUE
from tests.simulation.defects.planted import Planted
from tests.simulation.faults import Kind, chosen
from tests.simulation.history import NeverQuiet
from tests.simulation.misfortunes import befall
from tests.simulation.outsiders import Outsiders
from tests.simulation.turns import WorldStandsStill
from tests.simulation.world import SOUND, World
from tests.simulation.wrong_key import WrongKey

GAP_S = 5.0
SEEDS = tuple(f"mutant-{number}" for number in range(1, 7))


@dataclass(frozen=True, slots=True)
class Trial:
    """What one world with, or without, a defect showed: all of it, whatever the rule."""

    seed: str
    violations: Sequence[Violation]
    seconds: float


@dataclass(frozen=True, slots=True)
class Caught:
    """``sound``: what the same world shows without the defect; it has to be nothing."""

    name: str
    trial: Trial | None
    sound: Sequence[Violation]
    seconds: float

    @property
    def proved(self) -> bool:
        return self.trial is not None and not self.sound


def live_through(planted: Planted, seed: str, *, sound: bool) -> Trial:
    """One world; ``sound`` leaves the defect out and everything else as it is."""
    started = time.monotonic()
    defect = SOUND if sound else planted.defect
    world = World(seed, chosen(planted.faults), defect, settings=planted.settings)
    try:
        violations = _violations(world, planted)
    finally:
        world.close()
    return Trial(seed, violations, time.monotonic() - started)


def _violations(world: World, planted: Planted) -> list[Violation]:
    # Where few payments have to meet a fault, it comes more often than ``CHANCES`` gives.
    kinds = world.faults.kinds
    world.faults._chances |= {kind: of for kind, of in planted.boosts.items() if kind in kinds}
    outsiders = Outsiders(world)
    if planted.outsiders:
        world.begin(outsiders.history(planted.payments // 2))
    world.begin(_befallen(world, planted.also))
    if planted.other_account:
        world.begin(WrongKey(world).history())
    found: list[Violation] = []
    with unexpected_errors(world.loop.problems):
        try:
            planted.history(world, planted.payments, planted.stories)
        except (NeverQuiet, WorldStandsStill, RoadcallError) as error:
            found.append(Violation("quiet", world.seed, str(error) or "everybody waits for ever"))
    found += [Violation("world", world.seed, problem) for problem in world.loop.problems]

    async def judged(store: Store) -> list[Violation]:
        faults = await Verification(store).verify(lambda _: None)
        published = Publications(world.consumers.published)
        strangers = outsiders.strangers
        ours = OurBooks(
            store,
            world.now(),
            faults,
            published,
            world.asked,
            strangers,
            reserve_cents=world.reserve_cents,
        )
        return await audit(books_of(world.stripe_state()), ours)

    return found + world.inspected(judged)


async def _befallen(world: World, kinds: Sequence[Kind]) -> None:
    for kind in kinds:
        await asyncio.sleep(GAP_S)
        await befall(world, kind)


def hunt(place: int) -> Caught:
    """Seed after seed until the defect shows; then the same world without it."""
    planted = CATALOGUE[place]
    started = time.monotonic()
    for seed in SEEDS:
        trial = live_through(planted, seed, sound=False)
        if planted.shown_by(trial.violations):
            sound = live_through(planted, seed, sound=True).violations
            return Caught(planted.name, trial, sound, time.monotonic() - started)
    return Caught(planted.name, None, (), time.monotonic() - started)


@click.command()
@click.option("--only", default="", help="Defects whose name holds this.")
@click.option("--workers", default=2, show_default=True, help="Worlds at once.")
def main(only: str, workers: int) -> None:
    """Plant each defect, catch it, and print which rule's violation gave it away."""
    places = [place for place, planted in enumerate(CATALOGUE) if only in planted.name]
    started = time.monotonic()
    failed = 0
    click.echo(f"{'defect':<36}{'rule':<9}{'seed':<10}{'what the auditor said'}")
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for place, caught in zip(places, pool.map(hunt, places), strict=True):
            failed += not caught.proved
            for line in _lines(CATALOGUE[place], caught):
                click.echo(line)
    seconds = time.monotonic() - started
    click.echo(f"{len(places) - failed} of {len(places)} defects caught, {seconds:.0f} s")
    sys.exit(1 if failed else 0)


def _lines(planted: Planted, caught: Caught) -> Iterator[str]:
    row = f"{planted.name:<36}{planted.rule:<9}"
    if caught.trial is None:
        yield f"{row}NOT CAUGHT by {', '.join(SEEDS)} ({caught.seconds:.0f} s)"
        return
    told = caught.trial.violations
    best = planted.shown_by(told)[0]
    yield f"{row}{caught.trial.seed:<10}{best} (+{len(told) - 1}, {caught.seconds:.0f} s)"
    for violation in caught.sound[:3]:
        yield f"{'':<45}NOT CLEAN WITHOUT IT: {violation}"


if __name__ == "__main__":
    main()
