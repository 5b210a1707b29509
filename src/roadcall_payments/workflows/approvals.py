"""Approve, reject, review: a person's word before money may move."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from roadcall_payments.commit import TextWrite, stream_of
from roadcall_payments.domain import approval, commands
from roadcall_payments.domain.errors import DestinationMismatch, NotFound
from roadcall_payments.domain.events import TextRef
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.people import Actor
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.ports import Ids, Store
from roadcall_payments.workflows.idempotency import Answer, IdempotencyKey, Repeats
from roadcall_payments.workflows.movements_switch import MovementsSwitch
from roadcall_payments.workflows.texts import erasable_text
from roadcall_payments.workflows.write_path import WritePath, Written


async def load_payment(store: Store, payment_id: str) -> Payment:
    """Raises NotFound."""
    loaded = await store.load(stream_of("payment", payment_id))
    if loaded is None or not isinstance(loaded.state, Payment):
        raise NotFound(f"There is no payment {payment_id}.")
    return loaded.state


async def account_on_file(store: Store, vendor_id: str) -> str | None:
    """The vendor's connected account, where its record names one."""
    loaded = await store.load(stream_of("vendor", vendor_id))
    if loaded is None or not isinstance(loaded.state, Vendor):
        return None
    return loaded.state.stripe_account


class Approvals:
    def __init__(
        self,
        write_path: WritePath,
        store: Store,
        ids: Ids,
        switch: MovementsSwitch,
        policy: approval.ApprovalPolicy,
    ) -> None:
        self._write_path = write_path
        self._store = store
        self._ids = ids
        self._switch = switch
        self._policy = policy
        self._repeats = Repeats(store)

    async def approve(
        self,
        actor: Actor,
        payment_id: str,
        destination: str | None = None,
        idem: IdempotencyKey | None = None,
    ) -> Answer:
        """Record an approval; the last one needed binds the vendor's account on file (M10), or
        ``destination`` where none is on file.

        Raises NotFound, StatusForbids, NotAllowed; DestinationMismatch for an account that is not
        the one on file.
        """
        payment = await load_payment(self._store, payment_id)
        on_file = await account_on_file(self._store, payment.vendor_id)
        if destination and on_file and destination != on_file:
            raise DestinationMismatch(
                "The vendor's record names another account: leave the account out to approve for "
                "that one, or change the vendor's record first."
            )
        bound = on_file or destination

        def decide(current: Payment) -> commands.Facts:
            return approval.approve(current, actor, bound, self._policy)

        return await self._decide(actor, payment_id, decide, (), idem)

    async def reject(
        self,
        actor: Actor,
        payment_id: str,
        reason: str | None,
        idem: IdempotencyKey | None = None,
    ) -> Answer:
        """Raises NotFound, StatusForbids; MovementsPaused after a restore."""
        await self._switch.must_be_whole()
        ref, texts = self._text(payment_id, reason)

        def decide(current: Payment) -> commands.Facts:
            return commands.reject(current, actor, ref)

        return await self._decide(actor, payment_id, decide, texts, idem)

    async def review(
        self,
        actor: Actor,
        payment_id: str,
        cleared: bool,
        note: str | None,
        idem: IdempotencyKey | None = None,
    ) -> Answer:
        """Clear a flagged payment for approval, or block it for good."""
        if not cleared:
            await self._switch.must_be_whole()
        ref, texts = self._text(payment_id, note)

        def decide(current: Payment) -> commands.Facts:
            return commands.review(current, actor, cleared, ref)

        return await self._decide(actor, payment_id, decide, texts, idem)

    def _text(self, payment_id: str, body: str | None) -> tuple[TextRef | None, list[TextWrite]]:
        if not body:
            return None, []
        ref, write = erasable_text(self._ids, stream_of("payment", payment_id), body)
        return ref, [write]

    async def _decide(
        self,
        actor: Actor,
        payment_id: str,
        decide: Callable[[Payment], commands.Facts],
        texts: Sequence[TextWrite],
        idem: IdempotencyKey | None,
    ) -> Answer:
        def on_current(current: Payment | None) -> commands.Facts:
            if current is None:
                raise NotFound(f"There is no payment {payment_id}.")
            return decide(current)

        async def act() -> Answer:
            written: Written[Payment] = await self._write_path.write(
                stream_of("payment", payment_id),
                on_current,
                actor=actor,
                opens=idem.opens(200) if idem else None,
                texts=texts,
            )
            return Answer(written.state, 200)

        return await self._repeats.once(idem, act)
