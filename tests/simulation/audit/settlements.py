"""A driver payment's settlement: what its journal decided, held against Stripe (M20, M21).

With A the payment, R what was given back, D what the vendor bears of disputes and F our fee that
stayed, the vendor has A - R - D - F of it in the end: transferred, or set off against its debts,
and what could not be taken back again is its debt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tests.simulation.audit import settlement_facts as facts
from tests.simulation.audit.journal_facts import Amount, Fact
from tests.simulation.audit.money_back import MoneyBack
from tests.simulation.audit.money_back_facts import GivenBack, Said

_BEARS_LOSS = "vendor"


@dataclass(slots=True)
class Share:
    """One transfer of the share, or of a part. ``key`` is None where nothing was sent, or a restore
    lost it: ``adopted_as`` is what its set-off goes by then. Amounts in our minor units."""

    number: int
    key: str | None
    at: datetime
    cents: int
    fee: int
    set_off: int
    destination: str | None
    restores: str | None
    status: str = "open"
    transfer: str | None = None
    failed_at: datetime | None = None
    not_owed: int = 0
    adopted_as: str | None = None


@dataclass(slots=True)
class TakeBack:
    """What was to come back for a refund or a dispute, ``cause``."""

    cause: str
    key: str
    at: datetime
    transfer: str
    cents: int
    status: str = "open"
    reversal: str | None = None


@dataclass(slots=True)
class Settlement:
    """``debts``: what could not be taken back, by the debt's id; ``undone``: what of these is owed
    no more. ``wrong``: what the journal alone gives away, as a rule and a sentence."""

    settles: bool = False
    shares: dict[int, Share] = field(default_factory=dict)
    take_backs: dict[tuple[str, int], TakeBack] = field(default_factory=dict)
    reversed: list[facts.TakenBack] = field(default_factory=list)
    debts: dict[str, int] = field(default_factory=dict)
    undone: int = 0
    deferred: str | None = None
    fee_agreed: int | None = None
    fee_returned: int = 0
    wrong: list[tuple[str, str]] = field(default_factory=list)

    def add(self, fact: Fact, back: MoneyBack, decided: Amount, payment_id: str) -> None:
        note = _NOTES.get(fact.type)
        if note is not None:
            note(_Reading(self, back, decided, payment_id), fact)

    @property
    def keys(self) -> Mapping[str, Share]:
        return {one.key: one for one in self.shares.values() if one.key is not None}

    @property
    def done(self) -> list[Share]:
        return [one for one in self.shares.values() if one.status == "completed"]

    @property
    def fee(self) -> int:
        """What of our fee stayed with us."""
        return sum(one.fee for one in self.done) - self.fee_returned

    @property
    def had(self) -> int:
        """What the vendor has of its share, by the journal."""
        got = sum(one.cents + one.set_off - one.not_owed for one in self.done)
        came_back = sum(one.amount.amount_cents for one in self.reversed)
        return got - came_back - sum(self.debts.values()) + self.undone

    @property
    def by_hand(self) -> int:
        """What somebody took back at Stripe: it does not go out again by itself."""
        return sum(one.amount.amount_cents for one in self.reversed if one.cause_id is None)

    def rest(self) -> Iterator[tuple[str, str]]:
        """What of it has no end yet."""
        for share in self.shares.values():
            if share.status == "open":
                yield "M33", f"its share {share.number} still waits for Stripe"
        for back in self.take_backs.values():
            if back.status == "open":
                yield "M33", f"what is to come back for {back.cause} still waits for Stripe"

    def share_is_right(self, back: MoneyBack, decided: Amount) -> Iterator[tuple[str, str]]:
        """Once all is at rest: the vendor has its share, no more and no less."""
        share = decided.amount_cents - back.given - back.lost_by(_BEARS_LOSS) - self.fee
        if self.had > share:
            yield "M21", f"its vendor has {self.had} of it, and is owed {share}"
        least = decided.amount_cents - back.live - back.held(_BEARS_LOSS) - self.fee
        stopped = self.deferred is not None or self._refused or (back.waits and not self.shares)
        if self.settles and not stopped and self.had + self.by_hand < least:
            yield (
                "M20",
                f"its vendor has {self.had} of it, {self.by_hand} came back: {least} is due",
            )

    @property
    def _refused(self) -> bool:
        last = list(self.shares.values())[-1:]
        return bool(last) and last[0].status == "failed"


@dataclass(frozen=True, slots=True)
class _Reading:
    settlement: Settlement
    back: MoneyBack
    decided: Amount
    payment_id: str

    def wrong(self, rule: str, sentence: str) -> None:
        self.settlement.wrong.append((rule, sentence))


Note = Callable[[_Reading, Fact], None]


def _processing(reading: _Reading, fact: Fact) -> None:
    reading.settlement.settles = fact.read(facts.Settles).settles


def _started(reading: _Reading, fact: Fact) -> None:
    settlement, started = reading.settlement, fact.read(facts.ShareStarted)
    _one_at_a_time(reading, started.number)
    key = started.request.idempotency_key if started.request else None
    share = Share(
        started.number,
        key,
        started.started_at or fact.at,
        started.amount.amount_cents if started.amount else 0,
        started.fee.amount_cents,
        started.set_off.amount_cents,
        started.destination,
        started.restores,
    )
    _same_fee(reading, started.terms.fee.amount_cents, share)
    if fact.type != "SettlementAdopted":
        _within_the_payment(reading, share)
    if key is not None:
        _own_key(reading, key, share)
    settlement.shares[share.number] = share
    settlement.deferred = None
    if fact.type == "SettlementWithheld":
        share.status = "completed"
    elif fact.type == "SettlementAdopted":
        share.transfer, share.key, share.adopted_as = started.transfer_id, None, key


def _one_at_a_time(reading: _Reading, number: int) -> None:
    for other in reading.settlement.shares.values():
        if other.status == "open":
            reading.wrong("M20", f"share {number} began while {other.number} was not known")


def _within_the_payment(reading: _Reading, share: Share) -> None:
    """Less what is asked for and what a bank disputes (M20)."""
    settlement, back = reading.settlement, reading.back
    after = settlement.had + settlement.fee + share.cents + share.set_off + share.fee
    most = reading.decided.amount_cents - back.live - back.held(_BEARS_LOSS)
    if after > most:
        reading.wrong("M20", f"share {share.number} makes {after} of {most} that may go")


def _same_fee(reading: _Reading, agreed: int, share: Share) -> None:
    """One fee for the payment, however many shares it takes; what was given back of it may be
    taken again."""
    settlement = reading.settlement
    if settlement.fee_agreed is None:
        settlement.fee_agreed = agreed
    if settlement.fee_agreed != agreed:
        reading.wrong("M20", f"the fee was {settlement.fee_agreed}, and is {agreed}")
    if settlement.fee + share.fee > agreed:
        reading.wrong("M20", f"{settlement.fee + share.fee} of a fee of {agreed} is kept")


def _own_key(reading: _Reading, key: str, share: Share) -> None:
    if key in reading.settlement.keys:
        reading.wrong("M4", f"two shares have the key {key}")
    scope = f"restore_{share.restores}" if share.restores else f"settlement_{reading.payment_id}"
    if not re.fullmatch(rf"{re.escape(scope)}(_\d+)?", key):
        reading.wrong("M20", f"share {share.number} goes by {key}")


def _completed(reading: _Reading, fact: Fact) -> None:
    done = fact.read(facts.ShareSettled)
    share = reading.settlement.shares[done.number]
    told = (done.amount.amount_cents, done.fee.amount_cents, done.set_off.amount_cents)
    if told != (share.cents, share.fee, share.set_off):
        reading.wrong("M20", f"share {share.number} was decided otherwise than it was booked")
    if share.status == "completed":
        reading.wrong("M17", f"share {share.number} was booked twice")
    share.status, share.transfer = "completed", done.transfer_id


def _reduced(reading: _Reading, fact: Fact) -> None:
    """A back-office transfer is no share: what it set off too much goes out like one."""
    reduced, shares = fact.read(facts.Reduced), reading.settlement.shares
    whole = reduced.set_off.amount_cents
    if reduced.number == 0:
        sent = reading.decided.amount_cents - whole
        shares[0] = Share(0, None, fact.at, sent, 0, whole, None, None, status="completed")
    share = shares[reduced.number]
    share.not_owed += reduced.amount.amount_cents
    if share.status != "completed" or whole != share.set_off or share.not_owed > whole:
        reading.wrong("M22", f"{share.not_owed} of a set-off of {share.set_off} was not owed")


def _failed(reading: _Reading, fact: Fact) -> None:
    share = reading.settlement.shares[fact.read(facts.ShareEnded).number]
    share.status, share.failed_at = "failed", fact.at


def _deferred(reading: _Reading, fact: Fact) -> None:
    reading.settlement.deferred = fact.read(facts.Deferred).reason


def _take_back_started(reading: _Reading, fact: Fact) -> None:
    settlement, started = reading.settlement, fact.read(facts.TakeBackStarted)
    key = started.request.idempotency_key
    if not reading.back.has_happened(started.cause_id):
        reading.wrong("M21", f"{key} was decided before {started.cause_id} had happened")
    if not re.fullmatch(rf"reversal_{re.escape(started.cause_id)}(_\d+)?", key):
        reading.wrong("M21", f"what comes back for {started.cause_id} goes by {key}")
    if key in {one.key for one in settlement.take_backs.values()}:
        reading.wrong("M4", f"two reversals have the key {key}")
    settlement.take_backs[started.cause_id, started.number] = TakeBack(
        started.cause_id, key, fact.at, started.transfer_id, started.amount.amount_cents
    )


def _not_taken_back(reading: _Reading, fact: Fact) -> None:
    failed, settlement = fact.read(facts.NotTakenBack), reading.settlement
    own = settlement.take_backs.get((failed.cause_id, failed.number))
    if own is not None:
        own.status = "failed"
    if failed.debt.amount_cents:
        part = failed.cause_id if failed.number == 1 else f"{failed.cause_id}_{failed.number}"
        settlement.debts[part] = failed.debt.amount_cents


def _debt_undone(reading: _Reading, fact: Fact) -> None:
    reading.settlement.undone += fact.read(facts.DebtUndone).amount.amount_cents


def _taken_back(reading: _Reading, fact: Fact) -> None:
    back, settlement = fact.read(facts.TakenBack), reading.settlement
    settlement.reversed.append(back)
    own = settlement.take_backs.get((back.cause_id or "", back.number))
    if own is not None:
        own.status, own.reversal = "completed", back.reversal_id


def _given_back(reading: _Reading, fact: Fact) -> None:
    given = fact.read(GivenBack)
    returned = given.fee_returned.amount_cents if given.fee_returned else 0
    if fact.type == "RefundSucceeded":
        reading.settlement.fee_returned += returned
    elif given.returned:
        reading.settlement.fee_returned -= returned


def _refund_approved(reading: _Reading, fact: Fact) -> None:
    refund = fact.read(Said).refund_id
    for share in reading.settlement.shares.values():
        if share.status == "open":
            reading.wrong("M20", f"{refund} was approved while share {share.number} was not known")


_NOTES: Mapping[str, Note] = {
    "ProcessingStarted": _processing,
    "AttemptAdopted": _processing,
    "SettlementStarted": _started,
    "SettlementAdopted": _started,
    "SettlementWithheld": _started,
    "SettlementCompleted": _completed,
    "SettlementFailed": _failed,
    "SetOffReduced": _reduced,
    "SettlementDeferred": _deferred,
    "SettlementReversalStarted": _take_back_started,
    "SettlementReversalFailed": _not_taken_back,
    "SettlementReversed": _taken_back,
    "SettlementDebtUndone": _debt_undone,
    "RefundSucceeded": _given_back,
    "RefundFailed": _given_back,
    "RefundApproved": _refund_approved,
}
