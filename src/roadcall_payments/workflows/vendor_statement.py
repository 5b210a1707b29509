"""A vendor's monthly statement, from the books' lines and the vendor's own stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from roadcall_payments.commit import stream_of, stripe_ref
from roadcall_payments.domain import events as e
from roadcall_payments.domain import statement as st
from roadcall_payments.domain.debt import NONE, Debts
from roadcall_payments.domain.debt_events import DebtCause
from roadcall_payments.domain.errors import NotFound, StatusForbids, StoreUnavailable
from roadcall_payments.domain.money import Money
from roadcall_payments.domain.payment import Payment
from roadcall_payments.domain.vendor import Vendor, apply
from roadcall_payments.ports import (
    BookLine,
    Channel,
    Clock,
    LineQuery,
    NoticeDetails,
    NoticeTemplates,
    Store,
)

LINES_PAGE = 500
JOURNAL_PAGE = 1_000
# Beyond these there is no statement over HTTP: one that left something out would be wrong (M28).
LINES_MAX = 2_000
LATER_LINES_MAX = 50_000
FACTS_MAX = 50_000
# How often the balance may change while it is read.
READS_MAX = 5


@dataclass(frozen=True, slots=True)
class StatementTold:
    """``words``: for the vendor to read, in its language."""

    statement: st.Statement
    words: str


@dataclass(slots=True)
class _History:
    """The vendor's stream up to the statement's end."""

    vendor: Vendor | None = None
    debts_before: Debts = NONE
    moved: tuple[st.DebtLine, ...] = ()


@dataclass(frozen=True, slots=True)
class _Book:
    """One account's part of the month: its lines, and its balances at the end by currency."""

    account: str
    lines: Sequence[BookLine]
    closing: Sequence[Money]


class VendorStatements:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        templates: NoticeTemplates,
        set_off_cap_bps: int,
        lines_max: int = LINES_MAX,
    ) -> None:
        self._store = store
        self._clock = clock
        self._templates = templates
        self._set_off_cap_bps = set_off_cap_bps
        self._lines_max = lines_max

    async def statement(self, vendor_id: str, month: str | None) -> StatementTold:
        """``month`` as in 2026-11, in UTC; None: the present one, up to now.

        Raises NotFound, InvalidInput("month"), StatusForbids for more than a statement holds.
        """
        now = self._clock.now()
        since, until = st.month_of(month, now)
        history = await self._history(vendor_id, since, until)
        vendor = history.vendor
        if vendor is None:
            raise NotFound(f"There is no vendor {vendor_id}.")
        books = await self._books(vendor, since, until)
        found = sorted((line for book in books for line in book.lines), key=lambda one: one.at)
        lines = [await self._line(vendor_id, one) for one in found]
        closing = [money for book in books for money in book.closing]
        moved = [await self._with_job(one) for one in history.moved]
        told = st.Statement(
            vendor_id=vendor_id,
            stripe_account=vendor.stripe_account,
            stripe_accounts=tuple(book.account for book in books),
            since=since,
            until=until,
            as_of=min(now, until),
            set_off_cap_bps=vendor.debt_cap(self._set_off_cap_bps),
            accounts=st.accounts_of(lines, closing, history.debts_before, vendor.debts, moved),
        )
        words = self._templates.render(
            "vendor_statement", Channel.EMAIL, vendor.locale, NoticeDetails(statement=told)
        )
        return StatementTold(told, words.text)

    async def _history(self, vendor_id: str, since: datetime, until: datetime) -> _History:
        history = _History()
        stream, seq = stream_of("vendor", vendor_id), 0
        while True:
            page = await self._store.journal(stream, seq, JOURNAL_PAGE)
            for entry in page:
                fact, known = entry.fact, history.vendor
                if entry.at >= until or not isinstance(fact, e.VendorFact | e.DebtFact):
                    continue
                if entry.at >= since and known and isinstance(fact, e.DebtFact):
                    history.moved += st.debt_lines(known.debts, fact, entry.at)
                history.vendor = after = apply(known, fact, entry.at)
                if entry.at < since:
                    history.debts_before = after.debts
            if len(page) < JOURNAL_PAGE:
                # A vendor registered later has a statement too: an empty one.
                return history if history.vendor else await self._registered_later(stream)
            seq = page[-1].seq
            if seq >= FACTS_MAX:
                raise _too_long()

    async def _registered_later(self, stream: str) -> _History:
        loaded = await self._store.load(stream)
        if loaded is None or not isinstance(loaded.state, Vendor):
            return _History()
        empty = replace(loaded.state, debts=NONE, stripe_account=None, former_accounts=())
        return _History(empty)

    async def _books(self, vendor: Vendor, since: datetime, until: datetime) -> Sequence[_Book]:
        """Of each account that the vendor had, the present one first; of former ones those that
        held money or moved it in the month."""
        books: list[_Book] = []
        if vendor.stripe_account is not None:
            books.append(await self._book(vendor.stripe_account, since, until))
        for former in reversed(vendor.former_accounts):
            # What another vendor does with it since it took it over is none of this one's.
            anothers = await self._is_of_another(former.id, vendor.id)
            if anothers and former.until <= since:
                continue
            end = min(until, former.until) if anothers else until
            book = await self._book(former.id, since, end)
            if book.lines or any(one.amount_cents for one in book.closing):
                books.append(book)
        if sum(len(book.lines) for book in books) > self._lines_max:
            raise _too_long()
        return books

    async def _is_of_another(self, account: str, vendor_id: str) -> bool:
        refs = (stripe_ref(account, livemode, account) for livemode in (True, False))
        holders = [await self._store.resolve(ref) for ref in refs]
        return any(one not in (None, stream_of("vendor", vendor_id)) for one in holders)

    async def _book(self, account: str, since: datetime, until: datetime) -> _Book:
        """The month's lines, and the balance at its end: the present one without later lines."""
        for _ in range(READS_MAX):
            before = await self._held(account)
            found: list[BookLine] = []
            later: Counter[str] = Counter()
            seen = 0
            async for line in self._lines(account, since):
                if line.at >= until:
                    later[line.posting.currency] += line.posting.amount_cents
                else:
                    found.append(line)
                seen += 1
                if len(found) > self._lines_max or seen > LATER_LINES_MAX:
                    raise _too_long()
            if before == await self._held(account):
                closing = [Money(cents - later[one], one) for one, cents in before.items()]
                missing = [Money(-cents, one) for one, cents in later.items() if one not in before]
                return _Book(account, found, (*closing, *missing))
        raise StoreUnavailable("The balance moves while it is read: ask again.", retry_after_s=1)

    async def _held(self, account: str) -> dict[str, int]:
        sums = await self._store.balances(account)
        return {one.currency: one.amount_cents for one in sums if one.account == "stripe_balance"}

    async def _lines(self, account: str, since: datetime) -> AsyncIterator[BookLine]:
        query = LineQuery(account, account="stripe_balance", since=since, limit=LINES_PAGE)
        while True:
            page = await self._store.lines(query)
            for line in page.items:
                yield line
            if page.next_cursor is None:
                return
            query = replace(query, cursor=page.next_cursor)

    async def _line(self, vendor_id: str, line: BookLine) -> st.StatementLine:
        [entry] = await self._store.journal(line.stream, line.seq - 1, 1)
        net = Money(line.posting.amount_cents, line.posting.currency)
        stream_id = line.stream.partition("/")[2]
        told = st.line_of(vendor_id, entry.fact, stream_id, net, line.at)
        told = replace(told, stripe_account=line.posting.book)
        payment = await self._payment(told.payment_id)
        if payment is None:
            return told
        told = replace(told, incident_id=payment.incident_id)
        if told.cause_id is None:
            return told
        of_dispute = payment.dispute(told.cause_id) is not None
        return replace(told, cause=DebtCause.DISPUTE if of_dispute else DebtCause.REFUND)

    async def _with_job(self, line: st.DebtLine) -> st.DebtLine:
        payment = await self._payment(line.from_payment_id)
        return replace(line, from_incident_id=payment.incident_id) if payment else line

    async def _payment(self, payment_id: str | None) -> Payment | None:
        if payment_id is None:
            return None
        loaded = await self._store.load(stream_of("payment", payment_id))
        return loaded.state if loaded and isinstance(loaded.state, Payment) else None


def _too_long() -> StatusForbids:
    return StatusForbids(
        "More happened than one statement holds: read the payouts and their remittance advices.",
        code="statement_too_long",
    )
