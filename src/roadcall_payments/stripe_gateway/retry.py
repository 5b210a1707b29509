"""When a call is tried again, and how long that may take. The only retry layer there is.

Three retries, 1 s, doubling, at most 10 s, jitter of a quarter either way. Of 4xx only 409 and
429 are repeated; Stripe's own ``Stripe-Should-Retry`` header wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from roadcall_payments.ports import Clock


@dataclass(frozen=True, slots=True)
class RetrySettings:
    retries_max: int = 3
    first_wait_s: float = 1.0
    wait_max_s: float = 10.0
    jitter: float = 0.25

    def wait_s(self, retry: int, fraction: float) -> float:
        """Seconds before retry number ``retry`` (from 1); ``fraction`` is uniform in [0, 1)."""
        wait = min(self.wait_max_s, self.first_wait_s * 2.0 ** (retry - 1))
        return wait * (1 - self.jitter + 2 * self.jitter * fraction)


class Budget:
    """The seconds that one send may take in all.

    Measured on both clocks, and the larger counts: the monotonic one stands still while a
    machine sleeps, and a request must not be sent hours late (M8).
    """

    def __init__(self, clock: Clock, budget_s: float) -> None:
        self._clock = clock
        self._budget_s = budget_s
        self._monotonic_start: float = clock.monotonic()
        self._wall_start: datetime = clock.now()

    @property
    def left_s(self) -> float:
        """Not negative; 0.0 when it is used up."""
        passed = max(
            self._clock.monotonic() - self._monotonic_start,
            (self._clock.now() - self._wall_start).total_seconds(),
        )
        return max(0.0, self._budget_s - passed)
