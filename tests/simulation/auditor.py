"""The independent auditor: Stripe's books against ours, with its own arithmetic throughout.

It compares what the sandbox holds with what the journal says was decided. Of the service it uses
the Store's read interface alone: the fold, the posting rules, the hashes and the workflows are
worked out anew in this folder. It serves simulated worlds and real processes alike, once they are
quiet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.simulation.audit.balances import (
    audit_balances,
    audit_unexplained,
    stripes_sums,
)
from tests.simulation.audit.chains import audit_chain, audit_postings, canonical_of
from tests.simulation.audit.debts import DebtBook, SetOffStart, audit_debts, debt_book
from tests.simulation.audit.ends import audit_answers, audit_inbox, audit_work
from tests.simulation.audit.funding import Funding, audit_funding
from tests.simulation.audit.journal_facts import Fact
from tests.simulation.audit.lost import LostMovements
from tests.simulation.audit.our_books import OurBooks, Stream
from tests.simulation.audit.payables import Payables
from tests.simulation.audit.payment_book import PaymentBook, payment_book, set_offs_of
from tests.simulation.audit.payments import PaymentAudit
from tests.simulation.audit.payouts import PayoutBook, audit_payouts, payout_book
from tests.simulation.audit.stripe_books import StripeBooks
from tests.simulation.audit.violations import Violation


async def audit(stripe: StripeBooks, ours: OurBooks) -> list[Violation]:
    """Everything that is wrong, sorted by rule; empty for a world that kept its promises."""
    reading = _Reading(stripe, ours)
    async for stream in ours.streams():
        reading.read(stream)
    found = reading.found
    found += reading.together()
    found += [one async for one in audit_work(ours)]
    found += [one async for one in audit_inbox(ours, reading.types, reading.whose)]
    balances = {
        (line.book, line.account, line.currency): line.amount_cents
        for line in await ours.store.balances()
    }
    found += audit_balances(reading.expected, reading.posted, balances)
    found += reading.payables.audit(balances)
    if ours.published is not None:
        found += ours.published.violations
    if ours.asked is not None:
        found += audit_answers(ours.asked, reading.books)
    found += [Violation("verify", fault.partition(":")[0], fault) for fault in ours.verify_faults]
    return sorted(found)


@dataclass(slots=True)
class _Reading:
    """What has been read so far. ``explained``: PaymentIntents and transfers, and whose they are.
    Whole payments are kept only where somebody asks about them."""

    stripe: StripeBooks
    ours: OurBooks
    found: list[Violation] = field(default_factory=list)
    explained: dict[str, str] = field(default_factory=dict)
    payments: set[str] = field(default_factory=set)
    live_jobs: Counter[tuple[str, str]] = field(default_factory=Counter)
    payouts: list[PayoutBook] = field(default_factory=list)
    funding: Funding = field(default_factory=Funding)
    debts: dict[str, DebtBook] = field(default_factory=dict)
    set_offs: list[SetOffStart] = field(default_factory=list)
    owed: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    lost: LostMovements = field(default_factory=LostMovements)
    types: dict[str, frozenset[str]] = field(default_factory=dict)
    books: dict[str, PaymentBook] = field(default_factory=dict)
    posted: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    expected: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    payables: Payables = field(init=False)

    def __post_init__(self) -> None:
        self.payables = Payables(self.stripe)

    def read(self, stream: Stream) -> None:
        canonical = canonical_of(stream.head[1])
        self.found += audit_chain(stream.name, stream.entries, stream.head, canonical)
        facts: list[Fact] = []
        for entry in stream.entries:
            fact = Fact(entry.type, entry.at, entry.actor, entry.data)
            self.found += audit_postings(entry, fact)
            for line in entry.postings:
                self.posted[line.book, line.account, line.currency] += line.amount_cents
            facts.append(fact)
        self.types[stream.name] = frozenset(fact.type for fact in facts)
        if self.ours.published is not None:
            event_ids = [entry.event_id for entry in stream.entries]
            self.found += self.ours.published.missing(stream.name, event_ids)
        if stream.kind == "payment":
            self._payment(payment_book(stream.name, facts))
            self.funding.add(stream.name.partition("/")[2], facts)
        elif stream.kind == "payout":
            self.payouts.append(payout_book(stream.name, facts))
        elif stream.kind == "stray":
            self.lost.add(stream.name, facts)
        elif stream.kind == "vendor":
            self._vendor(stream.name.partition("/")[2], facts)

    def _payment(self, book: PaymentBook) -> None:
        audited = PaymentAudit(book, self.stripe, self.ours.lost)
        audited.run()
        self.found += book.violations
        self.explained |= dict.fromkeys(audited.roots, f"payment/{book.id}")
        self.payables.add(book, audited.charges, audited.transfers)
        self.set_offs += set_offs_of(book)
        for cause, cents in book.settlement.debts.items():
            self.owed[book.created.vendor_id, book.id, cause] += cents
        self.payments.add(book.id)
        if book.status not in ("cancelled", "rejected"):
            self.live_jobs[book.created.incident_id, book.created.vendor_id] += 1
        if self.ours.asked is not None:
            self.books[book.id] = book

    def _vendor(self, vendor_id: str, facts: Sequence[Fact]) -> None:
        book = debt_book(vendor_id, facts)
        self.debts[vendor_id] = book
        for amount in book.forgiven:
            self.payables.forgiven(vendor_id, amount.currency, amount.amount_cents)

    def whose(self, object_id: str) -> str | None:
        """The stream that an object of Stripe's belongs to. Payouts have no payment behind them:
        each one is of an account that we keep books of."""
        if object_id in self.stripe.payouts:
            own = (book.stream for book in self.payouts if book.at_stripe == object_id)
            return next(own, f"payout/{object_id}")
        return self.explained.get(self.stripe.root(object_id))

    def together(self) -> list[Violation]:
        """What shows only when every payment was read."""
        self.explained |= self.lost.roots(self.stripe)
        found = list(self.lost.audit(self.stripe))
        found += audit_unexplained(
            self.stripe, self.explained, self.payments, self.ours.strangers, self.ours.lost
        )
        self.expected = stripes_sums(self.stripe, self.explained)
        found += audit_payouts(self.stripe, self.payouts, self.expected)
        found += audit_funding(self.stripe, self.funding, self.ours.reserve_cents)
        found += audit_debts(self.debts, self.set_offs, +self.owed)
        found += [
            Violation("M11", incident, f"{vendor} has {count} live payments for it")
            for (incident, vendor), count in self.live_jobs.items()
            if count > 1
        ]
        return found
