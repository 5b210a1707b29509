"""What vendors owe us, and an admin's giving up of some of it."""

from __future__ import annotations

from dataclasses import dataclass

from roadcall_payments.commit import stream_of
from roadcall_payments.domain import debt, debt_relief
from roadcall_payments.domain.errors import NotFound
from roadcall_payments.domain.people import Actor
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.ports import Ids, Store
from roadcall_payments.workflows.idempotency import IdempotencyKey, Repeats
from roadcall_payments.workflows.texts import erasable_text
from roadcall_payments.workflows.write_path import WritePath, Written


@dataclass(frozen=True, slots=True)
class ForgivenessAnswer:
    """The vendor's debts as they then were."""

    debts: debt.Debts
    repeated: bool = False


class DebtForgiveness:
    def __init__(self, write_path: WritePath, store: Store, ids: Ids) -> None:
        self._write_path = write_path
        self._store = store
        self._ids = ids
        self._repeats = Repeats(store)

    async def debts(self, vendor_id: str) -> debt.Debts:
        """Those that are owed, and the last that were paid. Raises NotFound."""
        loaded = await self._store.load(stream_of("vendor", vendor_id))
        if loaded is None or not isinstance(loaded.state, Vendor):
            raise NotFound(f"There is no vendor {vendor_id}.")
        return loaded.state.debts

    async def forgive(
        self,
        actor: Actor,
        vendor_id: str,
        debt_id: str,
        amount_cents: int | None,
        reason: str,
        idem: IdempotencyKey | None = None,
    ) -> ForgivenessAnswer:
        """``amount_cents`` in minor units of the debt's currency; None: all that no transfer has
        reserved. From here on it is our loss, in the books too.

        Raises NotFound, StatusForbids, InvalidInput, IdempotencyKeyReused.
        """
        stream = stream_of("vendor", vendor_id)
        ref, text = erasable_text(self._ids, stream, reason)

        def decide(vendor: Vendor | None) -> debt.Facts:
            if vendor is None:
                raise NotFound(f"There is no vendor {vendor_id}.")
            return debt_relief.forgive(vendor.debts, vendor_id, debt_id, amount_cents, ref, actor)

        async def act() -> ForgivenessAnswer:
            opens = idem.opens(200) if idem else None
            written: Written[Vendor] = await self._write_path.write(
                stream, decide, actor=actor, opens=opens, texts=(text,)
            )
            return ForgivenessAnswer(written.state.debts)

        def again(vendor: Vendor, _: int | None) -> ForgivenessAnswer:
            return ForgivenessAnswer(vendor.debts, repeated=True)

        return await self._repeats.once_of(Vendor, idem, act, again)
