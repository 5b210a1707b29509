"""Which jobs a payout carried to the bank, and what became of each on the way. Pure.

Of an automatic payout Stripe says which lines it took. Of a manual one nobody does, so a rule must:
first in, first out. What became available first leaves first; what a payout that came back had
carried is first in line again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.domain.payout import Payout, PayoutStatus
from roadcall_payments.domain.settlement import Step


@dataclass(frozen=True, slots=True)
class Inflow:
    """What reached the account's balance at ``at``, or left it again (negative), for a payment;
    None for money that no payment of ours explains. ``available_on``: until when Stripe holds it
    back; None where it was available at once."""

    payment_id: str | None
    cents: int
    at: datetime
    available_on: datetime | None = None

    @property
    def usable_at(self) -> datetime:
        """From when on a payout takes it."""
        return max(self.at, self.available_on or self.at)


@dataclass(frozen=True, slots=True)
class Part:
    """What of a payment's money a payout carried; negative for what was taken back before it."""

    payment_id: str | None
    cents: int


@dataclass(frozen=True, slots=True)
class RemittedJob:
    """A job in a payout. ``earned`` is the job's whole amount; ``fee``, ``set_off`` and
    ``reversed`` what of it the vendor did not get, or gave back; ``carried`` what this payout
    brought of the rest."""

    payment_id: str
    incident_id: str
    earned: Money
    fee: Money
    set_off: Money
    reversed: Money
    carried: Money

    @property
    def partly(self) -> bool:
        """Another payout carries, or carried, the rest. Not where it was all carried, and some
        taken back since."""
        rest = self.earned - self.fee - self.set_off - self.reversed - self.carried
        return self.carried.amount_cents >= 0 and rest.amount_cents > 0


@dataclass(frozen=True, slots=True)
class Remittance:
    """``other``: money in the payout that no job of ours explains. ``complete`` False where the
    account's history is too long to tell its jobs (M28)."""

    payout: Payout
    jobs: tuple[RemittedJob, ...]
    other: Money
    complete: bool = True


def first_in_first_out(
    payout: Payout, inflows: Sequence[Inflow], payouts: Sequence[Payout]
) -> tuple[Part, ...]:
    """What ``payout`` carried, of all that reached the balance before it; ``payouts`` are the
    account's in that currency, itself among them. Parts of no payment say so.

    A payout takes what is available; only for more than that, as an instant one may, what is
    still to become so. Told from what had happened when it was made, so later events never change
    it.
    """
    queue: deque[Part] = deque()
    waiting = deque(sorted(inflows, key=lambda one: one.usable_at))
    carried: dict[str, list[Part]] = {}
    for at, kind, one in sorted(_steps(payouts), key=lambda step: step[:2]):
        while waiting and waiting[0].usable_at <= at:
            _line_up(queue, _part(waiting.popleft()))
        if kind is not _Kind.TAKEN:
            again = (*carried.get(one.id, ()), *queue)
            queue.clear()
            for part in again:
                _line_up(queue, part)
        else:
            _hasten(queue, waiting, at, one.amount.amount_cents)
            carried[one.id] = _taken(queue, one.amount.amount_cents)
            if one.id == payout.id:
                break
    return tuple(carried.get(payout.id, ()))


class _Kind(IntEnum):
    """Of what happens at one instant, after what becomes available then, in this order."""

    RETURNED = 1
    TAKEN = 2
    # What was over the moment it was made, by a clock that may also have gone backwards.
    RETURNED_AT_ONCE = 3


def _steps(payouts: Sequence[Payout]) -> Iterator[tuple[datetime, _Kind, Payout]]:
    for payout in payouts:
        made, ended = made_at(payout), payout.updated_at
        yield made, _Kind.TAKEN, payout
        if payout.status in (PayoutStatus.FAILED, PayoutStatus.CANCELLED):
            yield max(made, ended), _returned(made, ended), payout


def _returned(made: datetime, ended: datetime) -> _Kind:
    return _Kind.RETURNED if ended > made else _Kind.RETURNED_AT_ONCE


def _part(inflow: Inflow) -> Part:
    return Part(inflow.payment_id, inflow.cents)


def _hasten(queue: deque[Part], waiting: deque[Inflow], at: datetime, cents: int) -> None:
    """Line up what is there but not available yet, until ``cents`` are covered."""
    missing = cents - sum(part.cents for part in queue)
    for inflow in [one for one in waiting if one.at <= at]:
        if missing <= 0:
            return
        waiting.remove(inflow)
        _line_up(queue, _part(inflow))
        missing -= inflow.cents


def made_at(payout: Payout) -> datetime:
    return payout.created_at or payout.updated_at


def _line_up(queue: deque[Part], part: Part) -> None:
    """What is taken back of a job that still waits never leaves; only the rest of it lowers what
    leaves next."""
    owed = max(-part.cents, 0)
    newer: list[Part] = []
    while queue and owed:
        last = queue.pop()
        own = last.payment_id == part.payment_id
        back = min(owed, max(last.cents, 0)) if own else 0
        owed -= back
        if last.cents != back:
            newer.append(Part(last.payment_id, last.cents - back))
    queue.extend(reversed(newer))
    left = part.cents if part.cents > 0 else -owed
    if left:
        queue.append(Part(part.payment_id, left))


def _taken(queue: deque[Part], cents: int) -> list[Part]:
    parts: list[Part] = []
    while cents > 0:
        if not queue:
            # Money that the books know nothing of: a balance of before, say.
            return [*parts, Part(None, cents)]
        first = queue.popleft()
        if first.cents > cents:
            parts.append(Part(first.payment_id, cents))
            queue.appendleft(Part(first.payment_id, first.cents - cents))
            return parts
        parts.append(first)
        cents -= first.cents
    return parts


def summed(parts: Sequence[Part]) -> dict[str | None, int]:
    """Cents by payment, in the order of their first part; None for what is no payment's."""
    sums: dict[str | None, int] = {}
    for part in parts:
        sums[part.payment_id] = sums.get(part.payment_id, 0) + part.cents
    return sums


def is_paid(payment: Payment) -> bool:
    """Whether some of it has reached the vendor, also where it was taken back since."""
    if payment.payer_type is PayerType.BACK_OFFICE:
        return payment.status is Status.COMPLETED
    made = payment.settlement.transfers if payment.settlement else ()
    return any(one.status is Step.COMPLETED for one in made)


def remitted_job(payment: Payment, cents: int) -> RemittedJob:
    """The payment as it stood when a payout was made that carried ``cents`` of it."""
    currency = payment.amount.currency
    fee, set_off, taken_back = _kept(payment)
    return RemittedJob(
        payment.id,
        payment.incident_id,
        payment.amount,
        Money(fee, currency),
        Money(set_off, currency),
        Money(taken_back, currency),
        Money(cents, currency),
    )


def _kept(payment: Payment) -> tuple[int, int, int]:
    if payment.payer_type is PayerType.BACK_OFFICE:
        return 0, payment.set_off(payment.attempts).amount_cents, payment.amount_reversed_cents
    settlement = payment.settlement
    if settlement is None:
        return 0, 0, 0
    made = [one for one in settlement.transfers if one.status is Step.COMPLETED]
    set_off = sum(one.set_off_cents for one in made)
    return settlement.fee_cents, set_off, sum(one.reversed_cents for one in made)
