"""What a planted defect is, and how a wrong version takes a right one's place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from roadcall_payments.ports import Gateway, Store
from tests.simulation.audit.violations import Violation
from tests.simulation.faults import Kind
from tests.simulation.history import STORIES, Stories, tell
from tests.simulation.world import Defect, Parts, World

PAYMENTS: Final = 60
EVERY_FAULT: Final = "all,-webhook_drop"


@dataclass(frozen=True, slots=True)
class Planted:
    """``rule``: what it breaks (RULES.md). ``neighbours``: rules that may tell of it instead,
    where it shows by what it leads to: of an attempt given up too early (M8), that its object is
    there (M5). A violation of any other rule proves nothing. ``wrong`` says it in a sentence.
    ``faults`` as in
    ``make simulate``; ``boosts``: kinds that come more often than there, so that few payments
    are enough to meet them; ``outsiders``: others act at Stripe too; ``also``: misfortunes
    that befall this world besides; ``other_account``: for a while the service has another
    account's key; ``stories``: what its people do; ``history``: how their world lives;
    ``settings``: the service's.
    """

    defect: Defect
    rule: str
    wrong: str
    neighbours: tuple[str, ...] = ()
    faults: str = EVERY_FAULT
    boosts: Mapping[Kind, float] = field(default_factory=dict)
    payments: int = PAYMENTS
    stories: Stories = STORIES
    history: Callable[[World, int, Stories], None] = tell
    settings: Mapping[str, object] = field(default_factory=dict)
    outsiders: bool = True
    also: Sequence[Kind] = ()
    other_account: bool = False

    @property
    def name(self) -> str:
        return self.defect.name

    def shown_by(self, violations: Sequence[Violation]) -> Sequence[Violation]:
        """Those that tell of this defect, the broken rule's own first."""
        rules = (self.rule, *self.neighbours)
        shown = [one for one in violations if one.rule in rules]
        return sorted(shown, key=lambda one: rules.index(one.rule))


class Wrong:
    """An adapter but for the methods that a subclass gets wrong."""

    def __init__(self, right: Any) -> None:  # a Store or a Gateway, both all methods
        self.right = right

    def __getattr__(self, name: str) -> Any:  # as above
        return getattr(self.right, name)


def wrong_gateway(name: str, made: Callable[[Gateway], Wrong]) -> Defect:
    def parts(right: Parts) -> Parts:
        return replace(right, gateway=cast(Gateway, made(right.gateway)))

    return Defect(name, parts=parts)


def wrong_store(name: str, made: Callable[[Parts], Wrong]) -> Defect:
    def parts(right: Parts) -> Parts:
        return replace(right, store=cast(Store, made(right)))

    return Defect(name, parts=parts)


Swap = tuple[object, str, object]
"""A module or class, a name in it, and what stands there for as long as the world runs."""


def wrong_function(name: str, *swaps: Swap) -> Defect:
    def during() -> AbstractContextManager[object]:
        return swapped(swaps)

    return Defect(name, during=during)


@contextmanager
def swapped(swaps: Sequence[Swap]) -> Iterator[None]:
    with ExitStack() as restored:
        for owner, name, wrong in swaps:
            right = vars(owner)[name]
            restored.callback(setattr, owner, name, right)
            setattr(owner, name, wrong)
        yield
