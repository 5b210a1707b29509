"""Money of payments that the books do not have, in suspense (M16), until all of it has left.

Each movement has a stream of its own (``stray/...``), named after Stripe's object: it is found
once and booked once by Stripe's own line (M17), whoever comes upon it, a repair or an event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from roadcall_payments.commit import stream_of, stripe_ref
from roadcall_payments.domain import drift
from roadcall_payments.domain import events as e
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.people import Actor
from roadcall_payments.domain.stray import Stray
from roadcall_payments.domain.stripe_objects import (
    BalanceTransaction,
    Refund,
    RefundStatus,
    StripeIdentity,
    Transfer,
)
from roadcall_payments.ports import Gateway, Store
from roadcall_payments.workflows.write_path import WritePath, Written

_CAME_BACK = (RefundStatus.FAILED, RefundStatus.CANCELED)


@dataclass(frozen=True, slots=True)
class Suspended:
    """``new``: found just now. ``booked``: Stripe's lines for it, all of them, are booked."""

    fact: e.LostMovementFound
    new: bool
    booked: bool


async def owner_of(
    store: Store, identity: StripeIdentity, *object_ids: str | None
) -> Payment | Stray | None:
    """What has one of these objects of Stripe's in its books: by our refs (M14)."""
    for object_id in object_ids:
        if object_id is None:
            continue
        stream = await store.resolve(stripe_ref(identity.account, identity.livemode, object_id))
        loaded = await store.load(stream) if stream else None
        if loaded is not None and isinstance(loaded.state, Payment | Stray):
            return loaded.state
    return None


def stream_of_stray(stray: Stray | e.LostMovementFound) -> str:
    mode = "live" if stray.livemode else "test"
    return stream_of("stray", f"{stray.account}:{mode}:{stray.object_id}")


class Suspense:
    def __init__(self, write_path: WritePath, gateway: Gateway) -> None:
        self._write_path = write_path
        self._gateway = gateway

    async def take(self, actor: Actor, fact: e.LostMovementFound) -> Suspended:
        """Book one lost movement, with Stripe's line where it is there already."""
        lines = await self._gateway.balance_transactions(source=fact.object_id)
        return await self._book(actor, fact, _line_of(fact, lines))

    async def take_refunds(self, actor: Actor, stray: Stray, intent: str) -> Sequence[Suspended]:
        """What of a charge was given back since, and what of that came back again."""
        taken: list[Suspended] = []
        for refund in await self._gateway.refunds(intent):
            taken += await self._take_refund(actor, stray, refund)
        return taken

    async def take_reversals(
        self, actor: Actor, stray: Stray, transfer: Transfer
    ) -> Sequence[Suspended]:
        """What of a transfer was taken back since."""
        reversals = await self._gateway.reversals(transfer.id)
        return [await self.take(actor, drift.lost_reversal(r, transfer, stray)) for r in reversals]

    async def take_dispute(
        self, actor: Actor, stray: Stray, dispute_id: str
    ) -> Sequence[Suspended]:
        """What the payer's bank took of a charge since, and gave back."""
        seen = await self._gateway.dispute(dispute_id)
        return [
            await self._book(actor, drift.lost_dispute_line(line, seen, stray), line)
            for line in seen.lines
        ]

    async def _take_refund(self, actor: Actor, stray: Stray, refund: Refund) -> Sequence[Suspended]:
        lines = await self._gateway.balance_transactions(source=refund.id)
        out = drift.lost_refund(refund, stray)
        line = _line_of(out, lines)
        if line is None and not lines and refund.status is not RefundStatus.SUCCEEDED:
            # It moved nothing yet, or never did.
            return ()
        given = await self._book(actor, out, line)
        if refund.status not in _CAME_BACK:
            return (given,)
        back = next((one for one in lines if one.amount.amount_cents > 0), None)
        if back is None:
            return (Suspended(out, given.new, booked=False),)
        fact = drift.lost_refund_failure(refund, back, stray)
        return given, await self._book(actor, fact, back)

    async def _book(
        self, actor: Actor, fact: e.LostMovementFound, line: BalanceTransaction | None
    ) -> Suspended:
        def decide(current: Stray | None) -> Sequence[e.Fact]:
            found = () if current else (fact,)
            if line is None or (current is not None and current.booked is not None):
                return found
            booked = e.BalanceTransactionBooked(fact.object_id, fact.amount, fact.account, line)
            return (*found, booked)

        written: Written[Stray] = await self._write_path.write(
            stream_of_stray(fact), decide, actor=actor
        )
        new = any(isinstance(one, e.LostMovementFound) for one in written.facts)
        return Suspended(fact, new, written.state.booked is not None)


def _line_of(
    fact: e.LostMovementFound, lines: Sequence[BalanceTransaction]
) -> BalanceTransaction | None:
    """The line that moved what the fact says; Stripe may have converted it."""
    return next((one for one in lines if _fits(one.amount, fact.amount)), None)


def _fits(line: Money, moved: Money) -> bool:
    if line.currency == moved.currency:
        return line == moved
    return (line.amount_cents < 0) == (moved.amount_cents < 0)
