"""What is due and when: a queue of (time, what, which), in order, with no clock of its own."""

import heapq
from dataclasses import dataclass
from enum import Enum


class Duty(Enum):
    """What happens by itself as time passes."""

    RELEASE_FUNDS = "release_funds"
    MOVE_PAYOUT = "move_payout"
    SETTLE_REFUND = "settle_refund"
    PAY_AUTOMATICALLY = "pay_automatically"
    EXPIRE_AUTHORIZATION = "expire_authorization"
    EXPIRE_REQUIREMENTS = "expire_requirements"
    CLOSE_DISPUTE = "close_dispute"


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """`at` is in seconds; `order` keeps duties of one second in the order they were made."""

    at: int
    order: int
    duty: str
    object_id: str


class Schedule:
    def __init__(self) -> None:
        self._heap: list[Due] = []
        self._count = 0

    def add(self, at: int, duty: Duty, object_id: str) -> None:
        self._count += 1
        heapq.heappush(self._heap, Due(at, self._count, duty.value, object_id))

    def next_at(self) -> int | None:
        return self._heap[0].at if self._heap else None

    def pop(self, now: int) -> Due | None:
        """The earliest duty that is due at `now`, taken out; None where nothing is due."""
        if self._heap and self._heap[0].at <= now:
            return heapq.heappop(self._heap)
        return None
