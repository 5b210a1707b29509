"""Back-office transfers: less what pays debts (M22), and no sooner than the funds are there.

A transfer that the platform's available balance does not cover, above a reserve, waits. Workers
release what waits strictly in order, so whoever releases stands at the same head of the queue: two
that do so at once meet on that payment's stream, and the one that loses looks at everything anew.
What a look may miss of others' calls, Stripe refuses, and the transfer waits again. Above a reserve
Stripe would not: there each start takes the next turn in its own commit, so that of two that looked
at the same funds one looks anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from roadcall_payments.commit import funds_turn_ref, funds_turns_prefix, stream_of
from roadcall_payments.domain import commands, debt
from roadcall_payments.domain import events as e
from roadcall_payments.domain.errors import BrokenInvariant, NotFound
from roadcall_payments.domain.funding import TransferTerms, Waiting, queue_key, waiting
from roadcall_payments.domain.funding_events import QueueReason
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.domain.people import WORKER, Actor
from roadcall_payments.domain.stripe_objects import Operation, StripeIdentity
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.ports import Gateway, PaymentQuery, Store
from roadcall_payments.workflows.approvals import load_payment
from roadcall_payments.workflows.idempotency import IdempotencyKey
from roadcall_payments.workflows.movement import UNREACHABLE, Carried, Movement
from roadcall_payments.workflows.movements_switch import MovementsSwitch
from roadcall_payments.workflows.write_path import AlreadyTaken, WritePath, WrittenPair

# How often a worker looks whether funds have come; Stripe's ``balance.available`` is sooner.
LOOK_EVERY_S = 60.0
# One look releases at most so many: the next goes on (M28).
RELEASES_MAX = 100
QUEUE_SHOWN_MAX = 1_000
# Whose turn others took so often waits: a worker releases it, and a request ends in time (M32).
LOOKS_MAX = 4

Pair = tuple[Sequence[e.Fact], Sequence[e.Fact]]


@dataclass(frozen=True, slots=True)
class _Funds:
    """What can be transferred now; ``behind``: others were there before. ``turn``: the next one at
    the time of the look, None without a reserve."""

    free: Money
    behind: bool
    turn: int | None


class _TurnTaken(Exception):
    """Another transfer started since the look at the funds: look anew."""


class Transfers:
    def __init__(
        self,
        write_path: WritePath,
        store: Store,
        gateway: Gateway,
        movement: Movement,
        switch: MovementsSwitch,
        terms: TransferTerms,
    ) -> None:
        self._write_path = write_path
        self._store = store
        self._gateway = gateway
        self._movement = movement
        self._switch = switch
        self._terms = terms

    async def process(
        self,
        actor: Actor,
        payment: Payment,
        destination: str,
        identity: StripeIdentity,
        priority: e.Priority | None = None,
        idem: IdempotencyKey | None = None,
    ) -> Carried:
        """Transfer, or queue. A payment that waits already keeps its place, or takes the one of
        another ``priority``."""
        for look in range(LOOKS_MAX + 1):
            with contextlib.suppress(_TurnTaken):
                waits = look == LOOKS_MAX
                return await self._process(
                    actor, payment, destination, identity, priority, idem, waits=waits
                )
        raise BrokenInvariant(f"{payment.id} was to wait, and took a turn.")

    async def _process(
        self,
        actor: Actor,
        payment: Payment,
        destination: str,
        identity: StripeIdentity,
        priority: e.Priority | None,
        idem: IdempotencyKey | None,
        *,
        waits: bool,
    ) -> Carried:
        """One look at the funds, and what follows. ``waits``: also where they would do.

        Raises _TurnTaken.
        """
        chosen = priority or (payment.funding.priority if payment.funding else e.Priority.NORMAL)
        funds = await self._funds(payment, chosen)
        if waits:
            funds = replace(funds, behind=True)

        def decide(current: Payment | None, vendor: Vendor | None) -> Pair:
            if current is None:
                raise NotFound(f"There is no payment {payment.id}.")
            commands.must_be_processable(current)
            if current.queued:
                return self._prioritised(current, priority, actor), ()
            taken = self._set_off(current, vendor, identity)
            needed = current.amount - taken.amount
            reason = _wait_reason(funds, needed)
            if reason is not None:
                queued = e.TransferQueued(
                    reason, chosen, needed, funds.free, destination, str(actor)
                )
                return (queued,), ()
            return self._started(
                current, vendor, taken, destination, identity, actor, funds.turn, priority
            )

        written = (await self._write(payment, decide, actor, funds.turn, idem)).own
        if written.state.status is not Status.PROCESSING:
            if not payment.queued:
                return Carried(written.state)
            # Whoever asks again has often just added funds.
            await self.attend()
            return Carried(await load_payment(self._store, payment.id))
        return await self._movement.carry_attempt(
            written.state, first_try=True, idem=idem, loaded=written.loaded
        )

    async def release(self) -> int:
        """Start what waits and what the funds cover now; how many that were."""
        if await self._switch.held() or not await self._gateway.connect_enabled():
            return 0
        released = 0
        for currency in dict.fromkeys(one.currency for one in await self.queue()):
            while released < RELEASES_MAX and await self._release_next(currency):
                released += 1
        return released

    async def attend(self) -> float:
        """A worker's duty: release; in how many seconds to look again."""
        # Where Stripe cannot be asked now, what waits goes on waiting.
        with contextlib.suppress(*UNREACHABLE):
            await self.release()
        return LOOK_EVERY_S

    async def at_end(self) -> None:
        """Nothing of it is owed to a process that stops."""

    async def queue(self) -> Sequence[Waiting]:
        """What waits, in the order in which it goes out, currency by currency; the first 1,000."""
        return waiting(await self._store.transfer_queue(limit=QUEUE_SHOWN_MAX))

    async def places(self, payments: Sequence[Payment]) -> dict[str, int]:
        """Of those of ``payments`` that wait: which goes out how soon, 1 the next."""
        wanted = {one.id for one in payments if one.queued}
        if not wanted:
            return {}
        return {one.payment_id: one.place for one in await self.queue() if one.payment_id in wanted}

    async def _release_next(self, currency: str) -> bool:
        """Whether the first in the queue went out; whoever else released it, the next is first."""
        while True:
            # Each turn that another takes is a transfer that went out.
            with contextlib.suppress(_TurnTaken):
                started = await self._start_first(currency)
                if started is None:
                    return False
                if started.own.facts:
                    carried = await self._movement.carry_attempt(
                        started.own.state, first_try=True, loaded=started.own.loaded
                    )
                    return not carried.payment.queued

    async def _start_first(self, currency: str) -> WrittenPair[Payment, Vendor] | None:
        """Without facts where another worker was there first; None where it has to wait.

        Raises _TurnTaken.
        """
        head = waiting(await self._store.transfer_queue(currency))
        if not head:
            return None
        payment = await load_payment(self._store, head[0].payment_id)
        rests = payment.funding.not_before if payment.funding else None
        if not payment.queued or (rests and self._write_path.clock.now() < rests):
            return None
        turn = await self._turn(currency)
        # In this order: what ends between the two looks is taken off twice, never forgotten.
        under_way = await self._under_way(currency)
        free = await self._free(currency) - under_way
        identity = await self._gateway.identity()

        def decide(current: Payment | None, vendor: Vendor | None) -> Pair:
            if current != payment or payment.destination is None:
                return (), ()
            taken = self._set_off(payment, vendor, identity)
            if not _covers(free, payment.amount - taken.amount):
                return (), ()
            start, debts = self._started(
                payment, vendor, taken, payment.destination, identity, WORKER, turn
            )
            return (e.TransferReleased(free), *start), debts

        written = await self._write(payment, decide, WORKER, turn)
        waits = written.own.state == payment
        return None if waits else written

    def _set_off(
        self, payment: Payment, vendor: Vendor | None, identity: StripeIdentity
    ) -> debt.SetOff:
        step = self._gateway.multiple_of(payment.amount.currency)
        if vendor is None:
            return debt.SetOff(Money(0, payment.amount.currency))
        terms = debt.SetOffTerms(vendor.debt_cap(self._terms.debt_cap_bps), step)
        return debt.set_off(vendor.debts, payment.amount, identity, terms)

    def _started(
        self,
        payment: Payment,
        vendor: Vendor | None,
        taken: debt.SetOff,
        destination: str,
        identity: StripeIdentity,
        actor: Actor,
        turn: int | None,
        priority: e.Priority | None = None,
    ) -> Pair:
        """The attempt and, in the same commit, what it reserves of the vendor's debts (M22)."""
        number = payment.attempts + 1
        key = commands.attempt_key(Operation.CREATE_TRANSFER, payment, number)
        less = taken.amount if taken.shares else None
        request = self._gateway.transfer_request(
            payment,
            key=key,
            attempt=number,
            destination=destination,
            identity=identity,
            set_off=less,
        )
        start = e.ProcessingStarted(
            number, request, destination, str(actor), set_off=less, priority=priority, turn=turn
        )
        debts = vendor.debts if vendor else debt.NONE
        return (start,), debt.reserve(debts, taken, key, payment.id)

    @staticmethod
    def _prioritised(
        payment: Payment, priority: e.Priority | None, actor: Actor
    ) -> Sequence[e.Fact]:
        funding = payment.funding
        if funding is None or priority in (None, funding.priority):
            return ()
        again = e.TransferQueued(
            funding.reason,
            priority,
            funding.needed,
            funding.available,
            payment.destination,
            str(actor),
        )
        return (again,)

    async def _funds(self, payment: Payment, priority: e.Priority) -> _Funds:
        currency = payment.amount.currency
        since = payment.funding.since if payment.funding else self._write_path.clock.now()
        own = queue_key(payment.id, currency, priority, since)
        first = await self._store.transfer_queue(currency)
        behind = bool(first) and first[0] < own
        turn = await self._turn(currency)
        try:
            return _Funds(await self._unspoken(currency), behind, turn)
        except UNREACHABLE:
            if behind or self._has_reserve(currency):
                raise
            # The look would only have spared a refusal: what the transfer is told, counts.
            return _Funds(payment.amount, behind, turn)

    async def _turn(self, currency: str) -> int | None:
        """The next at the funds above a reserve; read before them, so that whoever took the one
        before it is among what is under way, or has ended. None without a reserve."""
        if not self._has_reserve(currency):
            return None
        last = await self._store.listed(funds_turns_prefix(currency), None, 1)
        if not last.items:
            return 1
        loaded = await self._store.load(last.items[0])
        if loaded is None or not isinstance(loaded.state, Payment):
            raise BrokenInvariant(f"{last.items[0]} took a turn, and is no payment.")
        return (loaded.state.funds_turn or 0) + 1

    async def _unspoken(self, currency: str) -> Money:
        """``_free``, less what is under way where there is a reserve: without one, Stripe itself
        refuses what goes beyond the balance."""
        if not self._has_reserve(currency):
            return await self._free(currency)
        under_way = await self._under_way(currency)
        left = await self._free(currency) - under_way
        return Money(max(left.amount_cents, 0), currency)

    def _has_reserve(self, currency: str) -> bool:
        return self._terms.reserve(currency).amount_cents > 0

    async def _free(self, currency: str) -> Money:
        """What Stripe holds for us and would transfer, above the reserve; never below zero."""
        held = (await self._gateway.balance()).available
        cents = sum(one.amount_cents for one in held if one.currency == currency)
        above = cents - self._terms.reserve(currency).amount_cents
        return Money(max(above, 0), currency)

    async def _under_way(self, currency: str) -> Money:
        """Transfers whose outcome is open: Stripe's balance may not show them yet."""
        cents, cursor = 0, None
        while True:
            page = await self._store.payments(
                PaymentQuery(
                    status=Status.PROCESSING,
                    payer_type=e.PayerType.BACK_OFFICE,
                    cursor=cursor,
                    limit=100,
                )
            )
            cents += sum(
                (one.amount - one.set_off(one.attempts)).amount_cents
                for one in page.items
                if one.amount.currency == currency
            )
            cursor = page.next_cursor
            if cursor is None:
                return Money(cents, currency)

    async def _write(
        self,
        payment: Payment,
        decide: Callable[[Payment | None, Vendor | None], Pair],
        actor: Actor,
        turn: int | None,
        idem: IdempotencyKey | None = None,
    ) -> WrittenPair[Payment, Vendor]:
        try:
            return await self._write_path.write_pair(
                stream_of("payment", payment.id),
                stream_of("vendor", payment.vendor_id),
                decide,
                actor=actor,
                opens=idem.opens() if idem else None,
            )
        except AlreadyTaken as taken:
            if turn is None or taken.key != funds_turn_ref(payment.amount.currency, turn):
                raise
            raise _TurnTaken from taken


def _covers(free: Money, needed: Money) -> bool:
    return needed.amount_cents <= free.amount_cents


def _wait_reason(funds: _Funds, needed: Money) -> QueueReason | None:
    if not _covers(funds.free, needed):
        return QueueReason.INSUFFICIENT_FUNDS
    return QueueReason.BEHIND_OTHERS if funds.behind else None
