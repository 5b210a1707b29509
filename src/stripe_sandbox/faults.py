"""Faults on purpose, from a seed: the same seed, faults and requests go wrong in the same way."""

from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from random import Random


class FaultKind(Enum):
    # The enum's own is written in Python, and every request and event asks for each fault's kind.
    __hash__ = object.__hash__

    ERROR_BEFORE = "error_before"
    """500; nothing has happened."""
    ERROR_AFTER = "error_after"
    """500; it has happened all the same."""
    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    DELAY_BEFORE = "delay_before"
    """The request waits `seconds` before anything happens."""
    DELAY_AFTER = "delay_after"
    """It happens at once; the answer is held for `seconds`."""
    TRUNCATE = "truncate"
    """It has happened; half of the body arrives, then the connection closes."""
    CONFLICT = "conflict"
    """409, as when another request holds the object."""
    RATE_LIMIT = "rate_limit"
    """429."""
    WEBHOOK_DUPLICATE = "webhook_duplicate"
    WEBHOOK_REORDER = "webhook_reorder"
    """Those of a window of `seconds` are delivered after it, the last one first."""
    WEBHOOK_DELAY = "webhook_delay"
    WEBHOOK_DROP = "webhook_drop"
    """Never delivered; it can still be listed and resent."""
    WEBHOOK_EARLY = "webhook_early"
    """Delivered before the API's own answer is sent."""
    WEBHOOK_OLD_SECRET = "webhook_old_secret"
    """Signed with the endpoint's former secret alone."""


WEBHOOK_KINDS = frozenset(kind for kind in FaultKind if kind.value.startswith("webhook_"))


@dataclass(slots=True)
class Fault:
    """One rule. `route` matches `METHOD /path`, `event` an event type, both with `*` and `?`."""

    id: str
    kind: FaultKind
    route: str = "*"
    key: str = "*"
    """Matches the Idempotency-Key; requests without one match `*` only."""
    event: str = "*"
    probability: float = 1.0
    count: int | None = None
    """How often it still strikes; None: for ever."""
    skip: int = 0
    """How many matches it lets pass first."""
    seconds: float = 1.0
    should_retry: bool | None = None
    """The `Stripe-Should-Retry` header of a 500, 409 or 429; None: none is sent."""
    saved: bool = True
    """Whether an idempotency key remembers a 500."""
    struck: int = 0
    window_ends_ms: int = 0


class FaultPlan:
    def __init__(self, seed: str) -> None:
        self._random = Random(f"{seed}/faults")
        self._faults: list[Fault] = []
        self._count = 0

    def reseed(self, seed: str) -> None:
        self._random = Random(f"{seed}/faults")

    def next_id(self) -> str:
        self._count += 1
        return f"fault_{self._count}"

    def add(self, fault: Fault) -> None:
        self._faults.append(fault)

    def all(self) -> list[Fault]:
        return list(self._faults)

    def clear(self, fault_id: str | None = None) -> int:
        """Remove one or all; says how many went."""
        before = len(self._faults)
        self._faults = [
            fault for fault in self._faults if fault_id is not None and fault.id != fault_id
        ]
        return before - len(self._faults)

    def for_request(self, method: str, path: str, key: str | None) -> Fault | None:
        """The first fault that strikes this request."""
        asked = f"{method} {path}"
        for fault in self._faults:
            if fault.kind in WEBHOOK_KINDS:
                continue
            if fault.route != "*" and not fnmatchcase(asked, fault.route):
                continue
            if fault.key != "*" and (key is None or not fnmatchcase(key, fault.key)):
                continue
            if self._strikes(fault):
                return fault
        return None

    def for_event(self, event_type: str) -> dict[FaultKind, Fault]:
        """The faults that strike this event's delivery, one of a kind."""
        struck: dict[FaultKind, Fault] = {}
        for fault in self._faults:
            if fault.kind not in WEBHOOK_KINDS or fault.kind in struck:
                continue
            if fnmatchcase(event_type, fault.event) and self._strikes(fault):
                struck[fault.kind] = fault
        return struck

    def _strikes(self, fault: Fault) -> bool:
        if fault.skip > 0:
            fault.skip -= 1
            return False
        if fault.count == 0:
            return False
        if fault.probability < 1.0 and self._random.random() >= fault.probability:
            return False
        if fault.count is not None:
            fault.count -= 1
        fault.struck += 1
        return True
