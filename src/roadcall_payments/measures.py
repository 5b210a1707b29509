"""The gauges that tell what the database says: set here, and nowhere else.

Every process sets its own from the same database, so they agree; take the maximum of several.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from roadcall_payments import telemetry
from roadcall_payments.commit import Commit, InboxStatus
from roadcall_payments.domain.funding import Waiting, waiting
from roadcall_payments.domain.movements import Movements
from roadcall_payments.domain.payment import Payment
from roadcall_payments.ports import Clock, DeadLetter, QueueAge, Store
from roadcall_payments.workflows.movements_switch import MOVEMENTS

REVIEW_SHOWN_MAX = 100
QUEUED_SHOWN_MAX = 1_000
# Scrapers that come together, or an eager one, are answered from one look.
FRESH_S = 5.0
LEDGER_EVERY_S = 60.0
# Summing a large ledger may take seconds: it gets at most this share of a process's time.
LEDGER_SHARE = 100


def count(commit: Commit) -> None:
    """Count what a commit of ours says of payments: once, by the process that committed it."""
    for write in commit.streams:
        payment = write.state
        if not isinstance(payment, Payment):
            continue
        for entry in write.entries:
            telemetry.count_fact(entry.type)
            if entry.type == "PaymentCompleted" and payment.processing_since is not None:
                seconds = (entry.at - payment.processing_since).total_seconds()
                telemetry.PROCESSING_SECONDS.observe(max(seconds, 0.0))


def count_missed() -> None:
    """Count an event that Stripe lists and no webhook had brought."""
    telemetry.WEBHOOKS_MISSED.inc()


class Measures:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._looked_at: float | None = None
        self._looking = asyncio.Lock()

    async def refresh(self) -> None:
        """Set the gauges of queues, inbox and switch, for a scrape. Raises StoreUnavailable."""
        async with self._looking:
            now_s = self._clock.monotonic()
            if self._looked_at is not None and now_s - self._looked_at < FRESH_S:
                return
            for age in await self._store.queue_ages():
                parked = await self._store.dead_letters(age.queue) if age.parked else ()
                self._queue(age, parked)
            self._transfers(waiting(await self._store.transfer_queue(limit=QUEUED_SHOWN_MAX)))
            page = await self._store.inbox_events(InboxStatus.REVIEW, None, REVIEW_SHOWN_MAX)
            telemetry.INBOX_REVIEW.set(len(page.items))
            switch = await self._store.load(MOVEMENTS)
            state = switch.state if switch else None
            movements = state if isinstance(state, Movements) else None
            telemetry.MOVEMENTS_PAUSED.set(movements is not None and movements.paused)
            telemetry.MOVEMENTS_HELD.set(movements is not None and movements.hold is not None)
            self._looked_at = now_s

    async def balance(self) -> float:
        """A worker's duty: sum the ledger; in how many seconds to sum it again."""
        began_s = self._clock.monotonic()
        totals: Counter[str] = Counter()
        for line in await self._store.balances():
            totals[line.currency] += line.amount_cents
        for currency, cents in totals.items():
            telemetry.LEDGER_IMBALANCE_CENTS.labels(currency).set(cents)
        took_s = self._clock.monotonic() - began_s
        return max(LEDGER_EVERY_S, took_s * LEDGER_SHARE)

    async def at_end(self) -> None:
        """Nothing of it is owed to a process that stops."""

    def _transfers(self, queued: Sequence[Waiting]) -> None:
        now = self._clock.now()
        telemetry.TRANSFERS_QUEUED.clear()
        telemetry.TRANSFERS_QUEUED_OLDEST_SECONDS.clear()
        for currency, number in Counter(one.currency for one in queued).items():
            oldest = min(one.since for one in queued if one.currency == currency)
            telemetry.TRANSFERS_QUEUED.labels(currency).set(number)
            telemetry.TRANSFERS_QUEUED_OLDEST_SECONDS.labels(currency).set(
                max((now - oldest).total_seconds(), 0.0)
            )

    def _queue(self, age: QueueAge, parked: Sequence[DeadLetter]) -> None:
        now = self._clock.now()
        oldest = (now - age.oldest_due_at).total_seconds() if age.oldest_due_at else 0.0
        since = min((letter.parked_at for letter in parked), default=now)
        telemetry.QUEUE_WAITING.labels(age.queue).set(age.waiting)
        telemetry.QUEUE_PARKED.labels(age.queue).set(age.parked)
        telemetry.QUEUE_OLDEST_SECONDS.labels(age.queue).set(max(oldest, 0.0))
        telemetry.QUEUE_OLDEST_DEAD_LETTER_SECONDS.labels(age.queue).set(
            max((now - since).total_seconds(), 0.0)
        )
