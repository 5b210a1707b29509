"""Reads: one payment, its timeline, lists, and where any id leads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence

from roadcall_payments.commit import payout_ref, refund_ref, stream_of, stripe_ref
from roadcall_payments.domain.errors import NotFound, TransientError
from roadcall_payments.domain.events import TextRef
from roadcall_payments.domain.payment import Payment
from roadcall_payments.journal import JournalEntry
from roadcall_payments.ports import Gateway, Page, PaymentQuery, Store

_KINDS = ("payment", "vendor", "payout", "control")
_JOURNAL_PAGE = 1000


class Queries:
    """Nothing here writes. Raises StoreUnavailable when the database cannot be reached."""

    def __init__(self, store: Store, gateway: Gateway) -> None:
        self._store = store
        self._gateway = gateway

    async def payment(self, payment_id: str) -> Payment:
        """Raises NotFound."""
        loaded = await self._store.load(stream_of("payment", payment_id))
        if loaded is None or not isinstance(loaded.state, Payment):
            raise NotFound(f"There is no payment {payment_id}.")
        return loaded.state

    async def timeline(self, payment_id: str) -> Sequence[JournalEntry]:
        """The payment's whole journal, oldest first. Raises NotFound."""
        entries = await self.journal(stream_of("payment", payment_id))
        if not entries:
            raise NotFound(f"There is no payment {payment_id}.")
        return entries

    async def journal(self, stream: str) -> Sequence[JournalEntry]:
        """All of a stream's entries, oldest first; none where there is no such stream."""
        return [entry async for entry in _journal(self._store, stream)]

    async def payments(self, query: PaymentQuery) -> Page[Payment]:
        """A page, newest first. Raises InvalidInput for a cursor or limit that cannot be."""
        return await self._store.payments(query)

    async def texts(self, payment: Payment) -> dict[str, str]:
        """The payment's erasable texts by id; erased ones are absent (M29)."""
        ids = [ref.id for ref in _text_refs(payment)]
        return await self._store.texts(ids) if ids else {}

    async def find(self, any_id: str) -> Sequence[str]:
        """The streams that an id leads to: our own, a refund's, Stripe's, a webhook event's or an
        incident's; empty when it leads nowhere."""
        candidates = [any_id] if "/" in any_id else [stream_of(kind, any_id) for kind in _KINDS]
        found = [name for name in candidates if await self._store.load(name) is not None]
        if not found:
            found = await self._by_ref(any_id)
        if not found:
            page = await self._store.payments(PaymentQuery(incident_id=any_id))
            found = [stream_of("payment", payment.id) for payment in page.items]
        return list(dict.fromkeys(found))

    async def _by_ref(self, any_id: str) -> list[str]:
        event = await self._store.inbox_event(any_id)
        if event is not None:
            return [event.stream] if event.stream else []
        keys = [refund_ref(any_id), payout_ref(any_id)]
        keys += [
            stripe_ref(account, livemode, any_id)
            for account in await self._accounts()
            for livemode in (True, False)
        ]
        resolved = [await self._store.resolve(key) for key in keys]
        return [stream for stream in resolved if stream is not None]

    async def _accounts(self) -> Sequence[str]:
        """The account our credentials speak for, or, while Stripe cannot be asked, the one that
        the newest payments were made on: an outage is when people search most."""
        try:
            return [(await self._gateway.identity()).account]
        except TransientError:
            page = await self._store.payments(PaymentQuery(limit=100))
            return sorted({payment.account for payment in page.items if payment.account})


def _text_refs(payment: Payment) -> Iterator[TextRef]:
    for ref in (payment.description, payment.rejection):
        if ref is not None:
            yield ref
    for item in payment.line_items:
        if item.description is not None:
            yield item.description
    for refund in payment.refunds:
        for ref in (refund.note, refund.rejection):
            if ref is not None:
                yield ref


async def _journal(store: Store, stream: str) -> AsyncIterator[JournalEntry]:
    after = 0
    while page := await store.journal(stream, after, _JOURNAL_PAGE):
        for entry in page:
            yield entry
        after = page[-1].seq
