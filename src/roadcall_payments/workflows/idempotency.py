"""A repeated request gets the first answer again, without secrets (M31)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from roadcall_payments.commit import IdempotencyRecord, State, Unique
from roadcall_payments.domain.errors import BrokenInvariant, IdempotencyKeyReused
from roadcall_payments.domain.events import Awaiting
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.ports import Store
from roadcall_payments.workflows.folding import apply_fact
from roadcall_payments.workflows.write_path import AlreadyTaken, Answers, Opens

S = TypeVar("S", bound=State)
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """``scope`` is caller and route, ``digest`` the SHA-256 of the canonical body."""

    scope: str
    key: str
    digest: str

    def opens(self, status: int | None = None) -> Opens:
        return Opens(self.scope, self.key, self.digest, status)

    def answers(self, status: int) -> Answers:
        return Answers(self.scope, self.key, status)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a payment's POST answers: the payment and the HTTP status.

    200 or 201 done; 202 outcome unknown, or waiting for funds; 400 refused by Stripe
    (``payment.failure`` says why);
    503 Stripe rejects our credentials, the payment stays ``processing``.
    """

    payment: Payment
    status: int
    client_secret: str | None = field(default=None, repr=False)
    repeated: bool = False


def status_of(payment: Payment) -> int:
    """The HTTP status that tells how the movement stands."""
    if payment.status is Status.FAILED:
        return 400
    if payment.status is Status.PROCESSING and payment.awaiting is Awaiting.STRIPE:
        return 202
    if payment.queued:
        return 202
    return 200


class Repeats:
    """Finds earlier answers. A record still open is answered from the present state."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def once(
        self,
        idem: IdempotencyKey | None,
        act: Callable[[], Awaitable[Answer]],
        while_open: Callable[[Payment], int] = status_of,
        *,
        is_first: bool = False,
    ) -> Answer:
        """``act``, unless this key was used before. Raises IdempotencyKeyReused.

        ``while_open``: the status of a repeat before the first answer is known. ``is_first``: see
        ``once_of``.
        """

        def again(payment: Payment, status: int | None) -> Answer:
            return Answer(payment, status or while_open(payment), repeated=True)

        return await self.once_of(Payment, idem, act, again, is_first=is_first)

    async def once_of(
        self,
        kind: type[S],
        idem: IdempotencyKey | None,
        act: Callable[[], Awaitable[A]],
        again: Callable[[S, int | None], A],
        *,
        is_first: bool = False,
    ) -> A:
        """``once`` for any kind of stream: ``again`` makes the repeat's answer of its state and of
        the first answer's status, None while that is open.

        ``is_first``: as the stream was read, no such request was ever answered, so that the key
        need not be looked for. One that came since takes the key at the commit.
        """
        if idem is None:
            return await act()
        earlier = None if is_first else await self._earlier(kind, idem)
        if earlier is not None:
            return again(*earlier)
        try:
            return await act()
        except AlreadyTaken as taken:
            if taken.unique is not Unique.IDEMPOTENCY:
                raise
        earlier = await self._earlier(kind, idem)
        if earlier is None:
            raise BrokenInvariant(f"The idempotency record {idem.key} was there and is gone.")
        return again(*earlier)

    async def _earlier(self, kind: type[S], idem: IdempotencyKey) -> tuple[S, int | None] | None:
        record = await self._store.idempotency(idem.scope, idem.key)
        if record is None:
            return None
        if record.digest != idem.digest:
            raise IdempotencyKeyReused(
                "This Idempotency-Key came with another body before: use a new key for a new "
                "request, or send the same body again."
            )
        return await self._as_answered(kind, record), record.status

    async def _as_answered(self, kind: type[S], record: IdempotencyRecord) -> S:
        """The stream as it stood when the answer was given: folded up to its ``seq``."""
        state: State | None = None
        if record.seq is None:
            loaded = await self._store.load(record.stream)
            state = loaded.state if loaded else None
        else:
            for entry in await self._store.journal(record.stream, 0, record.seq):
                state = apply_fact(state, entry.fact, entry.at)
        if not isinstance(state, kind):
            raise BrokenInvariant(f"{record.stream} has an answer, but is no {kind.__name__}.")
        return state
