"""What vendors owe us, and which transfers set it off: each debt once, and never by two (M22)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.simulation.audit import settlement_facts as facts
from tests.simulation.audit.journal_facts import Amount, Fact
from tests.simulation.audit.violations import Violation

_ENDS: Mapping[str, str] = {"completed": "set off", "failed": "released", "open": "reserved"}


@dataclass(frozen=True, slots=True)
class SetOffStart:
    """A transfer that was started less by ``cents``: ``status`` open, completed or failed;
    ``failed_at`` stays where one that was given up had gone out after all. ``adopted``: a restore
    lost its start, and what it reserved."""

    key: str
    payment_id: str
    vendor_id: str
    cents: int
    at: datetime
    status: str
    failed_at: datetime | None
    adopted: bool = False


@dataclass(slots=True)
class Debt:
    """Minor units."""

    payment_id: str
    incurred: int
    reserved: int = 0
    ended: int = 0


@dataclass(slots=True)
class Reservation:
    amount: int
    shares: Mapping[str, int]
    at: datetime
    end: str = "reserved"
    released_at: datetime | None = None
    paid: int = 0


@dataclass(slots=True)
class DebtBook:
    """One vendor's, from its stream. ``forgiven``: what we gave up; negative, where it was taken
    up again. ``unreserved``: what transfers set off, or were credited, without a reservation;
    ``credits``: what is left of that until a debt comes up again. Both by the transfer's key."""

    vendor_id: str
    debts: dict[str, Debt] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)
    forgiven: list[Amount] = field(default_factory=list)
    unreserved: Counter[str] = field(default_factory=Counter)
    credits: dict[str, Amount] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)

    def violated(self, sentence: str) -> None:
        self.violations.append(Violation("M22", self.vendor_id, sentence))

    def take(self, debt_id: str, *, reserved: int = 0, ended: int = 0) -> None:
        debt = self.debts.get(debt_id)
        if debt is None:
            self.violated(f"there is no debt {debt_id} to be paid")
            return
        debt.reserved += reserved
        debt.ended += ended
        # What somebody took back at Stripe may have been reserved: then its transfer finds less.
        reserved_twice = reserved > 0 and debt.reserved + debt.ended > debt.incurred
        if reserved_twice or debt.ended > debt.incurred or debt.reserved < 0:
            self.violated(f"of debt {debt_id}, {debt.incurred}, more than all is set off")


def debt_book(vendor_id: str, told: Iterable[Fact]) -> DebtBook:
    book = DebtBook(vendor_id)
    for fact in told:
        note = _NOTES.get(fact.type)
        if note is not None:
            note(book, fact)
    return book


def audit_debts(
    books: Mapping[str, DebtBook],
    starts: Sequence[SetOffStart],
    owed: Mapping[tuple[str, str, str], int],
) -> Iterator[Violation]:
    """``starts``: every transfer that was to set something off, as its payment's stream says;
    ``owed``: by vendor, payment and cause, what could not be taken back."""
    for book in books.values():
        yield from book.violations
    by_key = {start.key: start for start in starts if not start.adopted}
    yield from _adopted_faults(books, [start for start in starts if start.adopted])
    for start in by_key.values():
        owner = books.get(start.vendor_id)
        held = owner.reservations.get(start.key) if owner is not None else None
        if held is None:
            yield Violation("M22", start.payment_id, f"{start.key} set off what it did not reserve")
        elif (held.amount, held.at) != (start.cents, start.at):
            said = f"{start.key} is less by {start.cents}, and {held.amount} was reserved for it"
            yield Violation("M22", start.payment_id, f"{said}, at {held.at} and {start.at}")
        elif held.end != _ENDS[start.status]:
            said = f"{start.key} is {start.status}, and its set-off {held.end}"
            yield Violation("M22", start.payment_id, said)
        elif held.end == "set off" and held.paid != held.amount:
            said = f"{start.key} is less by {held.amount}, and {held.paid} was set off by it"
            yield Violation("M22", start.payment_id, said)
        elif held.released_at not in (None, start.failed_at):
            said = f"{start.key} gave its set-off free before it had failed"
            yield Violation("M22", start.payment_id, said)
    incurred = {
        (vendor, debt.payment_id, debt_id): debt.incurred
        for vendor, book in books.items()
        for debt_id, debt in book.debts.items()
    }
    for vendor, book in books.items():
        for key in sorted(book.reservations.keys() - by_key.keys()):
            yield Violation(
                "M22", vendor, f"{key} reserved a set-off, and no transfer is less by it"
            )
    for one in sorted(incurred.keys() | owed.keys()):
        if incurred.get(one, 0) != owed.get(one, 0):
            vendor, payment_id, cause = one
            said = (
                f"{cause} left a debt of {owed.get(one, 0)}, {vendor} owes {incurred.get(one, 0)}"
            )
            yield Violation("M22", payment_id, said)


def _adopted_faults(
    books: Mapping[str, DebtBook], adopted: Sequence[SetOffStart]
) -> Iterator[Violation]:
    """What a restore lost the start of sets off, or is credited, all that it went out less by."""
    explained = {(one.vendor_id, one.key): one for one in adopted if one.status == "completed"}
    told = {(name, key): cents for name, b in books.items() for key, cents in b.unreserved.items()}
    for owner in sorted(explained.keys() | told.keys()):
        vendor, key = owner
        start, cents = explained.get(owner), told.get(owner, 0)
        if start is None:
            yield Violation("M22", vendor, f"{key} set off what it had not reserved")
        elif start.cents != cents:
            said = f"{key} went out less by {start.cents}, and {cents} was set off or credited"
            yield Violation("M18", start.payment_id, said)


Note = Callable[[DebtBook, Fact], None]


def _incurred(book: DebtBook, fact: Fact) -> None:
    debt = fact.read(facts.Incurred)
    if debt.debt_id in book.debts:
        book.violated(f"the debt {debt.debt_id} was incurred twice")
    book.debts[debt.debt_id] = Debt(debt.payment_id, debt.amount.amount_cents)


def _reserved(book: DebtBook, fact: Fact) -> None:
    held = fact.read(facts.SetOffPart)
    shares = {one.debt_id: one.amount_cents for one in held.shares}
    if held.transfer_key in book.reservations:
        book.violated(f"{held.transfer_key} reserved twice")
    if any(one.currency == held.amount.currency for one in book.credits.values()):
        book.violated(f"{held.transfer_key} reserved what an earlier transfer had collected")
    if sum(shares.values()) != held.amount.amount_cents:
        book.violated(f"{held.transfer_key} reserved {held.amount}, in parts {shares}")
    for debt_id, cents in shares.items():
        book.take(debt_id, reserved=cents)
    book.reservations[held.transfer_key] = Reservation(held.amount.amount_cents, shares, fact.at)


def _set_off(book: DebtBook, fact: Fact) -> None:
    done = fact.read(facts.SetOffPart)
    held = book.reservations.get(done.transfer_key)
    shares = {one.debt_id: one.amount_cents for one in done.shares}
    if done.transfer_key in book.credits:
        _use_credit(book, done.transfer_key, done.amount.amount_cents)
    elif held is None:
        book.unreserved[done.transfer_key] += done.amount.amount_cents
    else:
        _paid_from(book, done.transfer_key, held, done.amount.amount_cents)
    for debt_id, cents in shares.items():
        book.take(debt_id, ended=cents)


def _use_credit(book: DebtBook, key: str, cents: int) -> None:
    credit = book.credits.pop(key)
    left = credit.amount_cents - cents
    if left < 0:
        book.violated(f"{key} was credited {credit.amount_cents}, and pays {cents}")
    elif left:
        book.credits[key] = Amount(left, credit.currency)


def _credited(book: DebtBook, fact: Fact) -> None:
    """A restore lost the debt that the transfer was less by."""
    credited = fact.read(facts.SetOffPart)
    if credited.transfer_key in book.credits:
        book.violated(f"{credited.transfer_key} was credited twice")
    book.credits[credited.transfer_key] = credited.amount
    book.unreserved[credited.transfer_key] += credited.amount.amount_cents


def _paid_from(book: DebtBook, key: str, held: Reservation, cents: int) -> None:
    if held.end == "set off":
        book.violated(f"{key} set off twice")
    _ended(book, held)
    held.paid += cents


def _ended(book: DebtBook, held: Reservation) -> None:
    for debt_id, cents in held.shares.items() if held.end == "reserved" else ():
        book.take(debt_id, reserved=-cents)
    held.end = "set off"


def _released(book: DebtBook, fact: Fact) -> None:
    freed = fact.read(facts.SetOffPart)
    held = book.reservations.get(freed.transfer_key)
    if held is None or held.end != "reserved":
        book.violated(f"{freed.transfer_key} released what it does not hold")
        return
    held.end, held.released_at = "released", fact.at
    for debt_id, cents in held.shares.items():
        book.take(debt_id, reserved=-cents)


def _exceeded(book: DebtBook, fact: Fact) -> None:
    """A transfer that was taken for lost went out after all, and its debts were paid (M16); or
    somebody took back at Stripe what it had reserved."""
    exceeded = fact.read(facts.SetOffPart)
    held = book.reservations.get(exceeded.transfer_key)
    if held is None:
        book.violated(f"{exceeded.transfer_key} gives back what it had not reserved")
        return
    _ended(book, held)
    held.paid += exceeded.amount.amount_cents


def _lessened(book: DebtBook, fact: Fact) -> None:
    debt = fact.read(facts.DebtLessened)
    book.take(debt.debt_id, ended=debt.amount.amount_cents)


def _forgiven(book: DebtBook, fact: Fact) -> None:
    _lessened(book, fact)
    book.forgiven.append(fact.read(facts.DebtLessened).amount)


def _taken_up(book: DebtBook, fact: Fact) -> None:
    """A forgiven debt whose cause was undone: it stays ended, but we have given up nothing."""
    amount = fact.read(facts.DebtLessened).amount
    book.forgiven.append(Amount(-amount.amount_cents, amount.currency))


_NOTES: Mapping[str, Note] = {
    "VendorDebtIncurred": _incurred,
    "DebtReserved": _reserved,
    "DebtSetOff": _set_off,
    "DebtReleased": _released,
    "SetOffExceededDebt": _exceeded,
    "SetOffCredited": _credited,
    "VendorDebtReduced": _lessened,
    "VendorDebtForgiven": _forgiven,
    "DebtForgivenessReversed": _taken_up,
}
