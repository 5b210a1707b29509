"""What goes wrong, how often, and how often it did: one table for the whole world."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Kind(StrEnum):
    """Every kind of fault; ``GROUPS`` names them by boundary."""

    # The enum's own is written in Python, and a payment asks for some hundred kinds.
    __hash__ = str.__hash__

    CRASH = "crash"
    SUSPEND = "suspend"
    JUMP = "jump"
    # The way to Stripe, and Stripe; the sandbox's own faults under the sandbox's own names.
    OUTAGE = "outage"
    REFUSED_CONNECTION = "refused_connection"
    ERROR_BEFORE = "error_before"
    ERROR_AFTER = "error_after"
    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    DELAY_BEFORE = "delay_before"
    DELAY_AFTER = "delay_after"
    TRUNCATE = "truncate"
    CONFLICT = "conflict"
    RATE_LIMIT = "rate_limit"
    WEBHOOK_DUPLICATE = "webhook_duplicate"
    WEBHOOK_REORDER = "webhook_reorder"
    WEBHOOK_DELAY = "webhook_delay"
    WEBHOOK_DROP = "webhook_drop"
    WEBHOOK_EARLY = "webhook_early"
    WEBHOOK_OLD_SECRET = "webhook_old_secret"
    KEY_ROTATION = "key_rotation"
    # The store.
    READ_FAILS = "read_fails"
    WRITE_FAILS = "write_fails"
    COMMIT_REFUSED = "commit_refused"
    COMMIT_UNKNOWN_BEFORE = "commit_unknown_before"
    COMMIT_UNKNOWN_AFTER = "commit_unknown_after"
    COMMIT_SLOW = "commit_slow"
    # What the worker hands on.
    BUS_FAILS = "bus_fails"
    BUS_FAILS_AFTER = "bus_fails_after"
    NOTIFIER_FAILS = "notifier_fails"
    # People.
    DOUBLE_CLICK = "double_click"
    IMPATIENCE = "impatience"
    PAUSE = "pause"


GROUPS: Mapping[str, tuple[Kind, ...]] = {
    "crash": (Kind.CRASH,),
    "clock": (Kind.SUSPEND, Kind.JUMP),
    "stripe": (
        Kind.OUTAGE,
        Kind.REFUSED_CONNECTION,
        Kind.ERROR_BEFORE,
        Kind.ERROR_AFTER,
        Kind.DROP_BEFORE,
        Kind.DROP_AFTER,
        Kind.DELAY_BEFORE,
        Kind.DELAY_AFTER,
        Kind.TRUNCATE,
        Kind.CONFLICT,
        Kind.RATE_LIMIT,
    ),
    "webhooks": tuple(kind for kind in Kind if kind.startswith("webhook_")),
    "keys": (Kind.KEY_ROTATION,),
    "store": (
        Kind.READ_FAILS,
        Kind.WRITE_FAILS,
        Kind.COMMIT_REFUSED,
        Kind.COMMIT_UNKNOWN_BEFORE,
        Kind.COMMIT_UNKNOWN_AFTER,
        Kind.COMMIT_SLOW,
    ),
    "bus": (Kind.BUS_FAILS, Kind.BUS_FAILS_AFTER, Kind.NOTIFIER_FAILS),
    "people": (Kind.DOUBLE_CLICK, Kind.IMPATIENCE, Kind.PAUSE),
}

# Per step of a process; the rest per occasion (a request, an event, a commit, a read, a call).
# Suspensions, jumps, outages, pauses and key rotations are per payment that arrives.
CHANCES: Mapping[Kind, float] = {
    Kind.CRASH: 1 / 2_500,
    Kind.SUSPEND: 1 / 1_000,
    Kind.JUMP: 1 / 2_000,
    Kind.OUTAGE: 1 / 1_000,
    Kind.PAUSE: 1 / 500,
    Kind.KEY_ROTATION: 1 / 500,
    Kind.REFUSED_CONNECTION: 0.006,
    Kind.ERROR_BEFORE: 0.006,
    Kind.ERROR_AFTER: 0.012,
    Kind.DROP_BEFORE: 0.006,
    Kind.DROP_AFTER: 0.012,
    Kind.DELAY_BEFORE: 0.007,
    Kind.DELAY_AFTER: 0.007,
    Kind.TRUNCATE: 0.006,
    Kind.CONFLICT: 0.006,
    Kind.RATE_LIMIT: 0.006,
    Kind.WEBHOOK_DUPLICATE: 0.05,
    Kind.WEBHOOK_REORDER: 0.03,
    Kind.WEBHOOK_DELAY: 0.03,
    Kind.WEBHOOK_DROP: 0.03,
    Kind.WEBHOOK_EARLY: 0.05,
    Kind.WEBHOOK_OLD_SECRET: 0.01,
    Kind.READ_FAILS: 0.001,
    Kind.WRITE_FAILS: 0.005,
    Kind.COMMIT_REFUSED: 0.005,
    Kind.COMMIT_UNKNOWN_BEFORE: 0.005,
    Kind.COMMIT_UNKNOWN_AFTER: 0.01,
    Kind.COMMIT_SLOW: 0.005,
    Kind.BUS_FAILS: 0.005,
    Kind.BUS_FAILS_AFTER: 0.005,
    Kind.NOTIFIER_FAILS: 0.02,
    Kind.DOUBLE_CLICK: 0.04,
    Kind.IMPATIENCE: 0.02,
}


class UnknownFault(ValueError):
    """``FAULTS`` names neither a group nor a kind."""


def chosen(words: str) -> frozenset[Kind]:
    """The kinds that ``words`` asks for: ``all``, ``none``, or groups and kinds by comma, each
    left out again where it is written with a minus (``all,-crash``). Raises UnknownFault."""
    kinds: set[Kind] = set()
    for word in filter(None, (part.strip() for part in words.split(","))):
        name = word.removeprefix("-")
        if name == "all":
            named = set(Kind)
        elif name == "none":
            named = set()
        elif name in GROUPS:
            named = set(GROUPS[name])
        elif name in set(Kind):
            named = {Kind(name)}
        else:
            known = ", ".join(["all", "none", *GROUPS, *Kind])
            raise UnknownFault(f"FAULTS: {word} is none of {known}")
        kinds = kinds - named if word.startswith("-") else kinds | named
    return frozenset(kinds)


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault of the world's own, for the story of a failing seed. ``at`` in seconds."""

    at: float
    kind: Kind
    what: str


class Faults:
    """Draws from a generator of its own; counts what struck. Off for good after ``stop``."""

    def __init__(self, random: Random, kinds: frozenset[Kind]) -> None:
        self._random = random
        self._draw = random.random
        self.kinds = kinds
        self._chances = {kind: chance for kind, chance in CHANCES.items() if kind in kinds}
        self.on = True
        self.struck: Counter[Kind] = Counter()
        self.log: list[Strike] = []

    def chance(self, kind: Kind) -> float:
        """Of one occasion; 0.0 for a kind that is left out, and after the end."""
        return self._chances.get(kind, 0.0)

    def boost(self, chances: Mapping[Kind, float]) -> None:
        """More of some kinds than ``CHANCES`` gives, where few payments have to meet them."""
        self._chances |= {kind: chance for kind, chance in chances.items() if kind in self.kinds}

    def strikes(self, kind: Kind) -> bool:
        """Whether the fault happens on this occasion; counted if so."""
        chance = self._chances.get(kind)
        if chance is None or self._draw() >= chance:
            return False
        self.struck[kind] += 1
        return True

    def between(self, least: float, most: float) -> float:
        return self._random.uniform(least, most)

    def note(self, at: float, kind: Kind, what: str) -> None:
        self.log.append(Strike(at, kind, what))

    def steps_to_crash(self) -> int:
        """How many more steps a process takes; each one is as likely to be the last."""
        chance = self.chance(Kind.CRASH)
        return int(self._random.expovariate(chance)) if chance else -1

    def stop(self) -> None:
        self.on = False
        self._chances.clear()
