"""Payouts, ours and Stripe's own: each made once, as decided, and booked as far as it went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.simulation.audit import settlement_facts as facts
from tests.simulation.audit.journal_facts import Fact, PaidOut
from tests.simulation.audit.stripe_books import Payout, StripeBooks
from tests.simulation.audit.stripes_units import stripes_units
from tests.simulation.audit.violations import Violation

# No POST leaves later than 23 h after its intent (M8); a minute or two for it to arrive.
ARRIVES_WITHIN = timedelta(hours=23, minutes=2)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OPEN = frozenset({"pending", "in_transit"})


@dataclass(slots=True)
class PayoutBook:
    """One stream's. ``asked`` is None for a payout that Stripe or its dashboard made; ``paid`` and
    ``returned``: how often it was booked to the bank, and back."""

    stream: str
    asked: facts.PayoutAsked | None = None
    asked_at: datetime = EPOCH
    at_stripe: str | None = None
    status: str = "open"
    paid: int = 0
    returned: int = 0
    told: list[PaidOut] = field(default_factory=list)

    @property
    def net(self) -> int:
        return self.paid - self.returned


def payout_book(stream: str, told: Sequence[Fact]) -> PayoutBook:
    book = PayoutBook(stream)
    for fact in told:
        note = _NOTES.get(fact.type)
        if note is not None:
            note(book, fact)
    return book


def audit_payouts(
    stripe: StripeBooks,
    books: Sequence[PayoutBook],
    sums: Counter[tuple[str, str, str]],
) -> Iterator[Violation]:
    """Each payout we know is one of Stripe's, of that amount and fate; ``sums`` is reduced by
    what the bank has."""
    keys = {book.asked.request.idempotency_key for book in books if book.asked is not None}
    for one in stripe.payouts.values():
        if one.key is not None and one.key.startswith("payout_") and one.key not in keys:
            yield Violation("M4", one.id, f"it ({one.key}) is a payout that no intent explains")
    yield from _daily(books)
    for book in books:
        if book.asked is not None:
            yield from _asked(book, book.asked, stripe)
        made = stripe.payouts.get(book.at_stripe or "")
        if made is not None:
            yield from _known(book, made)
            key = made.account, "stripe_balance", made.currency
            sums[key] -= made.amount * book.net
        elif book.at_stripe is not None:
            yield Violation("M14", book.stream, "Stripe has no such payout")


def _daily(books: Sequence[PayoutBook]) -> Iterator[Violation]:
    days = Counter(
        (book.asked.vendor_id, book.asked.amount.currency, book.asked.day)
        for book in books
        if book.asked is not None and book.asked.day is not None
    )
    for (vendor, currency, day), times in days.items():
        if times > 1:
            said = f"{times} payouts in {currency} are the one of {day}"
            yield Violation("payouts", vendor, said)


def _asked(book: PayoutBook, asked: facts.PayoutAsked, stripe: StripeBooks) -> Iterator[Violation]:
    key = asked.request.idempotency_key
    if key != f"payout_{asked.payout_id}":
        yield Violation("M9", book.stream, f"it goes by {key}")
    made = [one for one in stripe.payouts.values() if one.key == key]
    for one in made:
        if (one.amount, one.currency) != (stripes_units(asked.amount), asked.amount.currency):
            yield Violation("M4", book.stream, f"{one.id} is {one.amount}, not {asked.amount}")
        if one.account != asked.account:
            yield Violation("M14", book.stream, f"{one.id} left {one.account}, not {asked.account}")
        if book.status == "not made":
            yield Violation("M5", book.stream, f"it was given up, and made {one.id}")
        elif book.at_stripe != one.id:
            yield Violation(
                "M16", book.stream, f"it is {book.at_stripe} in the books, not {one.id}"
            )
        late = timedelta(seconds=one.created - book.asked_at.timestamp())
        if late > ARRIVES_WITHIN:
            yield Violation("M8", book.stream, f"{one.id} was made {late} after its intent")
    if not made and book.status == "open":
        yield Violation("M33", book.stream, "it still waits for Stripe")


def _known(book: PayoutBook, made: Payout) -> Iterator[Violation]:
    for told in book.told:
        if (made.amount, made.currency) != (stripes_units(told.amount), told.amount.currency):
            yield Violation("M17", book.stream, f"{made.amount} was paid out, not {told.amount}")
        if made.account != told.account:
            yield Violation("M14", book.stream, f"it left {made.account}, not {told.account}")
    if book.paid > 1 or book.returned > 1:
        yield Violation("M17", book.stream, "it was booked more than once")
    given = 1 if made.status == "paid" else 0
    if book.net != given and not (made.status in _OPEN and book.asked is None):
        said = f"it is {made.status} at Stripe, and the bank was given it {book.net} times"
        yield Violation("M15", book.stream, said)
    wanted = {"paid": "paid", "failed": "failed", "canceled": "cancelled"}.get(made.status, "open")
    if book.status != wanted:
        yield Violation("M15", book.stream, f"it is {made.status} at Stripe, {book.status} here")


Note = Callable[[PayoutBook, Fact], None]


def _requested(book: PayoutBook, fact: Fact) -> None:
    book.asked, book.asked_at = fact.read(facts.PayoutAsked), fact.at


def _not_made(book: PayoutBook, _: Fact) -> None:
    book.status = "not made"


def _seen(book: PayoutBook, fact: Fact) -> None:
    book.at_stripe, book.status = fact.read(facts.PayoutSeen).stripe_payout, "open"


def _paid(book: PayoutBook, fact: Fact) -> None:
    told = fact.read(PaidOut)
    book.at_stripe, book.status = told.payout_id, "paid"
    book.paid += 1
    book.told.append(told)


def _failed(book: PayoutBook, fact: Fact) -> None:
    told = fact.read(PaidOut)
    book.at_stripe, book.status = told.payout_id, "failed"
    book.returned += told.was_paid
    book.told.append(told)


def _cancelled(book: PayoutBook, _: Fact) -> None:
    book.status = "cancelled"


_NOTES: Mapping[str, Note] = {
    "PayoutRequested": _requested,
    "PayoutNotMade": _not_made,
    "PayoutOpened": _seen,
    "PayoutObserved": _seen,
    "PayoutPaid": _paid,
    "PayoutFailed": _failed,
    "PayoutCancelled": _cancelled,
}
