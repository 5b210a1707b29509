"""One world from its seed to its audit, and what is said of it."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from roadcall_payments.ports import Store
from roadcall_payments.workflows.verification import Verification
from tests.simulation.alarms import unexpected_errors
from tests.simulation.audit.lost import LostSpan
from tests.simulation.audit.our_books import OurBooks
from tests.simulation.audit.publications import Publications
from tests.simulation.audit.stripe_books import books_of
from tests.simulation.audit.violations import Violation
from tests.simulation.auditor import audit
from tests.simulation.faults import Kind
from tests.simulation.history import STORIES, NeverQuiet, Stories, tell
from tests.simulation.restoring import NeverRepaired
from tests.simulation.timeline import timeline
from tests.simulation.turns import WorldStandsStill
from tests.simulation.world import SOUND, Defect, World

History = Callable[[World, int, Stories], LostSpan | None]
"""What happens in a world; it says what a restore took of the journal."""

STORIES_MAX = 3
NO_SETTINGS: Mapping[str, object] = {}


@dataclass(frozen=True, slots=True)
class Result:
    """``struck``: how often each kind of fault came. ``ends``: payments by their last status.
    ``stories``: what happened to the first payments that something is wrong with. ``seconds`` of
    the processor's time."""

    seed: str
    payments: int
    digest: str
    facts: int
    struck: Mapping[Kind, int]
    ends: Mapping[str, int]
    violations: Sequence[Violation]
    stories: Sequence[str]
    seconds: float

    @property
    def sound(self) -> bool:
        return not self.violations


def run_world(
    seed: str,
    payments: int,
    kinds: frozenset[Kind],
    defect: Defect = SOUND,
    stories: Stories = STORIES,
    history: History = tell,
    settings: Mapping[str, object] = NO_SETTINGS,
) -> Result:
    """The whole history of one world, audited. ``settings``: the service's, by name."""
    with _garbage_left_lying():
        return _lived_and_audited(
            World(seed, kinds, defect, settings=settings), payments, stories, history
        )


@contextmanager
def _garbage_left_lying() -> Iterator[None]:
    """Nearly nothing in a world is garbage in circles, and looking for it takes a tenth of the
    time: it is done once, when the world has ended, among what the world made."""
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()
        gc.enable()


def _lived_and_audited(world: World, payments: int, stories: Stories, history: History) -> Result:
    started = time.process_time()
    try:
        violations, lost = _lived(world, payments, stories, history)
        violations += _audited(world, lost)
        return Result(
            world.seed,
            payments,
            world.digest(),
            world.facts(),
            _struck(world),
            world.ends(),
            violations,
            _stories(world, violations),
            time.process_time() - started,
        )
    finally:
        world.close()


def _lived(
    world: World, payments: int, stories: Stories, history: History
) -> tuple[list[Violation], LostSpan | None]:
    """Let the history happen: what went wrong beside the books, and what a restore took."""
    found: list[Violation] = []
    lost: LostSpan | None = None
    with unexpected_errors(world.loop.problems):
        try:
            lost = history(world, payments, stories)
        except (NeverQuiet, NeverRepaired, WorldStandsStill) as error:
            found.append(Violation("quiet", world.seed, str(error) or "everybody waits for ever"))
    found += [Violation("world", world.seed, problem) for problem in world.loop.problems]
    return found, lost


def _audited(world: World, lost: LostSpan | None) -> list[Violation]:
    async def judged(store: Store) -> list[Violation]:
        faults = await Verification(store).verify(lambda _: None)
        published = Publications(world.consumers.published)
        ours = OurBooks(
            store,
            world.now(),
            faults,
            published,
            world.asked,
            lost=lost,
            reserve_cents=world.reserve_cents,
        )
        return await audit(books_of(world.stripe_state()), ours)

    return world.inspected(judged)


def _struck(world: World) -> Mapping[Kind, int]:
    struck = Counter(world.faults.struck)
    for kind in world.kinds:
        struck[kind] += world.desk.struck(kind)
    return struck


def _stories(world: World, violations: Sequence[Violation]) -> list[str]:
    stories: dict[str, str] = {}
    for violation in violations:
        payment_id = violation.subject.removeprefix("payment/")
        if payment_id not in stories and len(stories) < STORIES_MAX:
            told = timeline(world, payment_id)
            if told:
                stories[payment_id] = told
    return list(stories.values())
