"""The remittance advice: which jobs a payout carried, and when the money arrives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from roadcall_payments.commit import payouts_prefix, stream_kind, stream_of, stripe_ref
from roadcall_payments.domain import remittance
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.payout import Payout
from roadcall_payments.domain.remittance import Inflow, Part, Remittance, RemittedJob
from roadcall_payments.ports import BookLine, Clock, Gateway, LineQuery, Page, Store
from roadcall_payments.workflows.folding import apply_fact

LINES_PAGE = 500
# Beyond these an account's history is not walked for one advice (M28).
LINES_MAX = 20_000
PAYOUTS_PAGE = 100
PAYOUTS_MAX = 2_000
JOBS_MAX = 500
# A share is available when its charge is: Stripe's word on ``source_transaction``.
_WAITS_FOR_CHARGE = frozenset({"SettlementCompleted", "SettlementReversed"})
# Stripe holds a charge's money back for a month at most, by country and risk.
HELD_BACK_MAX = timedelta(days=35)
REMEMBERED_MAX = 50_000
# Of Stripe's lines: the payout's own, which says nothing of what it carried.
_OWN_LINE = "payout"


class Remittances:
    def __init__(self, store: Store, gateway: Gateway, clock: Clock) -> None:
        self._store = store
        self._gateway = gateway
        self._clock = clock
        # By payment. Once known it never changes, and each advice asks for all of a history.
        self._available_on: dict[str, datetime] = {}

    async def advice(self, payout: Payout) -> Remittance:
        """Raises StripeUnavailable and CredentialsRejected for an automatic payout."""
        parts = await self._parts(payout)
        sums = remittance.summed(parts or ())
        jobs: list[RemittedJob] = []
        currency = payout.amount.currency
        for payment_id, cents in sums.items():
            payment = await self._as_of(payment_id, payout) if len(jobs) < JOBS_MAX else None
            if payment is not None and payment.amount.currency == currency:
                jobs.append(remittance.remitted_job(payment, cents))
        known = sum(one.carried.amount_cents for one in jobs)
        other = Money(payout.amount.amount_cents - known, currency)
        return Remittance(payout, tuple(jobs), other, parts is not None and len(jobs) < JOBS_MAX)

    async def payouts(self, account: str, cursor: str | None, limit: int) -> Page[Payout]:
        """An account's payouts, the newest first. Raises InvalidInput("cursor")."""
        page = await self._store.listed(payouts_prefix(account), cursor, limit)
        found = [await self._payout(stream) for stream in page.items]
        return Page(tuple(one for one in found if one is not None), page.next_cursor)

    async def available_by(self, account: str, currency: str) -> datetime | None:
        """When Stripe makes the last of it available that the account has of that currency; None
        where the books know of nothing that waits, or of too much."""
        now = self._clock.now()
        query = LineQuery(
            account,
            account="stripe_balance",
            currency=currency,
            since=now - HELD_BACK_MAX,
            limit=LINES_PAGE,
        )
        last, seen = None, 0
        async for line in self._lines(query):
            usable_at = (await self._inflow(line)).usable_at
            last = max(filter(None, (last, usable_at if usable_at > now else None)), default=None)
            seen += 1
            if seen > LINES_MAX:
                return None
        return last

    async def _parts(self, payout: Payout) -> Sequence[Part] | None:
        """None where the account's history is too long to walk."""
        if payout.automatic and payout.stripe_payout is not None:
            return await self._told_by_stripe(payout.account, payout.stripe_payout)
        inflows = await self._inflows(payout)
        payouts = await self._earlier(payout)
        if inflows is None or payouts is None:
            return None
        return remittance.first_in_first_out(payout, inflows, payouts)

    async def _told_by_stripe(self, account: str, stripe_payout: str) -> Sequence[Part]:
        identity = await self._gateway.identity()
        lines = await self._gateway.carried_lines(account, stripe_payout)
        parts: list[Part] = []
        for one in sorted(lines, key=lambda carried: carried.line.created):
            if one.line.type == _OWN_LINE:
                continue
            stream = None
            if one.transfer is not None:
                ref = stripe_ref(identity.account, identity.livemode, one.transfer)
                stream = await self._store.resolve(ref)
            parts.append(Part(_payment_id(stream), one.line.net.amount_cents))
        return parts

    async def _inflows(self, payout: Payout) -> Sequence[Inflow] | None:
        found: list[Inflow] = []
        query = LineQuery(
            payout.account,
            account="stripe_balance",
            currency=payout.amount.currency,
            until=remittance.made_at(payout),
            limit=LINES_PAGE,
        )
        async for line in self._lines(query):
            # A payout's own lines are told by the payouts themselves, from their making.
            if stream_kind(line.stream) != "payout":
                found.append(await self._inflow(line))
            if len(found) > LINES_MAX:
                return None
        return found

    async def _inflow(self, line: BookLine) -> Inflow:
        payment_id, available_on = _payment_id(line.stream), None
        if payment_id is not None and line.type in _WAITS_FOR_CHARGE:
            available_on = await self._charge_available_on(payment_id)
        return Inflow(payment_id, line.posting.amount_cents, line.at, available_on)

    async def _charge_available_on(self, payment_id: str) -> datetime | None:
        known = self._available_on.get(payment_id)
        if known is None:
            payment = await self._payment(payment_id)
            known = payment.charge_available_on if payment else None
            if known is not None:
                if len(self._available_on) >= REMEMBERED_MAX:
                    self._available_on.clear()
                self._available_on[payment_id] = known
        return known

    async def _lines(self, query: LineQuery) -> AsyncIterator[BookLine]:
        while True:
            page = await self._store.lines(query)
            for line in page.items:
                yield line
            if page.next_cursor is None:
                return
            query = replace(query, cursor=page.next_cursor)

    async def _earlier(self, payout: Payout) -> Sequence[Payout] | None:
        """The account's payouts of that currency up to this one, itself included."""
        found: list[Payout] = []
        cursor: str | None = None
        until = remittance.made_at(payout)
        while True:
            page = await self.payouts(payout.account, cursor, PAYOUTS_PAGE)
            found += [
                one
                for one in page.items
                if one.amount.currency == payout.amount.currency
                and remittance.made_at(one) <= until
                and (one.stripe_payout is not None or one.id == payout.id)
            ]
            if len(found) > PAYOUTS_MAX:
                return None
            cursor = page.next_cursor
            if cursor is None:
                return found

    async def _payout(self, stream: str) -> Payout | None:
        loaded = await self._store.load(stream)
        return loaded.state if loaded and isinstance(loaded.state, Payout) else None

    async def _as_of(self, payment_id: str | None, payout: Payout) -> Payment | None:
        """The payment as it was when the payout was made, so that an advice stays as it was sent;
        at the least with its share, which may have come into the books later than it moved."""
        state: Payment | None = None
        if payment_id is None:
            return None
        stream, seq, until = stream_of("payment", payment_id), 0, remittance.made_at(payout)
        while entries := await self._store.journal(stream, seq):
            for entry in entries:
                if state is not None and entry.at > until and remittance.is_paid(state):
                    return state
                state = apply_fact(state, entry.fact, entry.at)
            seq = entries[-1].seq
        return state

    async def _payment(self, payment_id: str | None) -> Payment | None:
        if payment_id is None:
            return None
        loaded = await self._store.load(stream_of("payment", payment_id))
        return loaded.state if loaded and isinstance(loaded.state, Payment) else None


def _payment_id(stream: str | None) -> str | None:
    kind, _, own_id = (stream or "").partition("/")
    return own_id if kind == "payment" else None
