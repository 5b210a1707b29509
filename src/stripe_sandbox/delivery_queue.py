"""The queue of webhook deliveries by due time."""

from heapq import heappop, heappush

from stripe_sandbox.own_records import Delivery


class DeliveryQueue:
    """Deliveries by due time (milliseconds); a reported failure comes back later."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, str]] = []
        self.early: list[str] = []
        """Those to be carried out before the current request is answered."""

    def push(self, delivery: Delivery) -> None:
        heappush(self._heap, (delivery.due_ms, delivery.rank, delivery.id))

    def next_ms(self) -> int | None:
        return self._heap[0][0] if self._heap else None

    def pop(self, now_ms: int) -> str | None:
        if self._heap and self._heap[0][0] <= now_ms:
            return heappop(self._heap)[2]
        return None

    def take_early(self) -> tuple[str, ...]:
        early = tuple(self.early)
        self.early.clear()
        return early
