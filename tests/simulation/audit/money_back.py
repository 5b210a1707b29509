"""A payment's refunds and disputes: as its journal tells them, held against Stripe's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.simulation.audit import money_back_facts as facts
from tests.simulation.audit.journal_facts import Amount, Fact
from tests.simulation.audit.lost import LostSpan
from tests.simulation.audit.stripe_books import Charge, Dispute, Line, Refund, StripeBooks
from tests.simulation.audit.stripes_units import stripes_units

Found = Iterator[tuple[str, str]]
"""A rule, and what is wrong with it."""

_LIVE = frozenset({"requested", "approved", "submitted", "succeeded"})
_UNDER_WAY = frozenset({"pending", "requires_action"})
_CAME_BACK = frozenset({"failed", "canceled"})
_DECIDED = frozenset({"won", "lost", "warning_closed"})
_TAKES_MONEY = frozenset({"needs_response", "under_review", "lost"})


@dataclass(slots=True)
class RefundStory:
    """``asked_by`` is None for one that Stripe alone made; ``key`` for one that was never sent.
    ``net``: how often it was booked as given, less how often as come back."""

    id: str
    amount: Amount
    asked_by: str | None
    status: str
    key: str | None = None
    at_stripe: str | None = None
    from_suspense: bool = False
    net: int = 0


@dataclass(slots=True)
class DisputeStory:
    status: str
    amount_cents: int
    lines: list[str] = field(default_factory=list)
    lost_cents: int = 0
    bearers: set[str] = field(default_factory=set)


@dataclass(slots=True)
class MoneyBack:
    """``wrong``: what the journal alone gives away."""

    refunds: dict[str, RefundStory] = field(default_factory=dict)
    disputes: dict[str, DisputeStory] = field(default_factory=dict)
    wrong: list[tuple[str, str]] = field(default_factory=list)

    def add(self, fact: Fact, decided: Amount) -> None:
        note = _NOTES.get(fact.type)
        if note is not None:
            note(self, fact)
        if fact.type == "RefundRequested" and self.live > decided.amount_cents:
            self.wrong.append(("refunds", f"{self.live} of {decided} were to be given back"))

    @property
    def live(self) -> int:
        """What was given back of the payment, or may still be; in minor units, as all of these."""
        return sum(
            one.amount.amount_cents
            for one in self.refunds.values()
            if one.status in _LIVE and not one.from_suspense
        )

    @property
    def given(self) -> int:
        return sum(
            one.amount.amount_cents
            for one in self.refunds.values()
            if one.net and not one.from_suspense
        )

    @property
    def waits(self) -> bool:
        """Whether a refund that was asked for, or a dispute, is not decided yet."""
        asked = any(one.status in _LIVE - {"succeeded"} for one in self.refunds.values())
        return asked or any(one.status not in _DECIDED for one in self.disputes.values())

    def lost_by(self, bearer: str) -> int:
        """What ``bearer`` lost to disputes."""
        return sum(one.lost_cents for one in self.disputes.values() if bearer in one.bearers)

    def held(self, bearer: str) -> int:
        """What ``bearer`` lost, or may yet lose, to disputes."""
        disputes = self.disputes.values()
        return sum(
            max(one.amount_cents, one.lost_cents)
            if one.status not in _DECIDED
            else one.lost_cents * (bearer in one.bearers)
            for one in disputes
        )

    def has_happened(self, cause_id: str) -> bool:
        """Whether that refund has been given, or that dispute been lost."""
        refund, dispute = self.refunds.get(cause_id), self.disputes.get(cause_id)
        if refund is not None:
            return refund.net == 1
        return dispute is not None and dispute.lost_cents > 0

    def audit(self, stripe: StripeBooks, charges: Sequence[Charge], lost: LostSpan | None) -> Found:
        """Everything that is wrong; ``charges``: the payment's own; ``lost``: what a restore
        took of the journal."""
        yield from self.wrong
        made = [one for charge in charges for one in stripe.refunds_of.get(charge.id, ())]
        yield from _refunds(self.refunds, made, stripe, lost)
        seen = [one for charge in charges for one in stripe.disputes_of.get(charge.id, ())]
        yield from _disputes(self.disputes, seen, stripe)


def _refunds(
    stories: Mapping[str, RefundStory],
    made: Sequence[Refund],
    stripe: StripeBooks,
    lost: LostSpan | None,
) -> Found:
    by_stripes_id = {one.at_stripe or one.id: one for one in stories.values()}
    keys = {one.key for one in stories.values() if one.key is not None}
    twice = Counter(one.key for one in made if one.key in keys)
    for key, times in twice.items():
        if times > 1:
            yield "M9", f"{times} refunds were made under {key}"
    for one in made:
        told = one.key in keys or (lost is not None and lost.holds(one.created))
        if one.key is not None and one.key.startswith("refund_") and not told:
            yield "M4", f"{one.id} ({one.key}): no intent explains it"
        story = by_stripes_id.pop(one.id, None)
        yield from _refund(story, one, stripe.lines_from.get(one.id, ()))
    for left in by_stripes_id.values():
        if left.at_stripe is not None:
            yield "M13", f"it took {left.at_stripe} for its own, which is no refund of its charge"
        elif left.status == "submitted":
            yield "M33", f"refund {left.id} still waits for Stripe"


def _refund(story: RefundStory | None, made: Refund, lines: Sequence[Line]) -> Found:
    if story is None:
        if lines or made.status not in _CAME_BACK:
            yield "M16", f"{made.id} is {made.status} at Stripe, and not in the books"
        return
    if made.amount != stripes_units(story.amount):
        yield "M17", f"{made.id} is {made.amount}, decided was {story.amount}"
    if made.key is not None and story.key not in (None, made.key):
        yield "M9", f"{made.id} was made under {made.key}, committed was {story.key}"
    given = 1 if made.status == "succeeded" else 0
    if story.net != given:
        yield "M16", f"{made.id} is {made.status}, and booked as given {story.net} times"
    wanted = "submitted" if made.status in _UNDER_WAY else "succeeded" if given else "failed"
    if story.status != wanted:
        yield "M15", f"{made.id} is {made.status}, and in the books {story.status}"


def _disputes(
    stories: Mapping[str, DisputeStory], seen: Sequence[Dispute], stripe: StripeBooks
) -> Found:
    left = dict(stories)
    for one in seen:
        story = left.pop(one.id, None)
        if story is None:
            yield "M16", f"{one.id} is {one.status} at Stripe, and not in the books"
            continue
        lines = stripe.lines_from.get(one.id, ())
        if sorted(story.lines) != sorted(line.id for line in lines):
            yield "M17", f"{one.id} has the lines {[line.id for line in lines]}, not {story.lines}"
        if story.status != one.status:
            yield "M15", f"{one.id} is {one.status} at Stripe, {story.status} in the books"
        lost = -sum(line.amount for line in lines) if one.status == "lost" else 0
        if story.lost_cents != lost:
            yield "M17", f"{one.id} lost {lost}, booked was {story.lost_cents}"
        if len(story.bearers) > 1:
            yield "M16", f"{one.id} was borne by {sorted(story.bearers)}"
    for name in left:
        yield "M13", f"it took {name} for its own, which is no dispute of its charge"


Note = Callable[[MoneyBack, Fact], None]


def _asked(back: MoneyBack, fact: Fact) -> None:
    asked = fact.read(facts.Asked)
    back.refunds[asked.refund_id] = RefundStory(
        asked.refund_id, asked.amount, asked.by, "requested"
    )


def _approved(back: MoneyBack, fact: Fact) -> None:
    said = fact.read(facts.Said)
    refund = back.refunds[said.refund_id]
    refund.status = "approved"
    if said.by == refund.asked_by:
        back.wrong.append(("refunds", f"{said.by} approved the refund they had asked for"))
    if any(one.status in _TAKES_MONEY for one in back.disputes.values()):
        back.wrong.append(("refunds", f"{refund.id} was approved for a disputed charge"))


def _rejected(back: MoneyBack, fact: Fact) -> None:
    back.refunds[fact.read(facts.Said).refund_id].status = "rejected"


def _submitted(back: MoneyBack, fact: Fact) -> None:
    sent = fact.read(facts.Submitted)
    refund = back.refunds[sent.refund_id]
    if refund.status != "approved":
        back.wrong.append(("M4", f"refund {refund.id} was sent while it was {refund.status}"))
    if refund.key is not None:
        back.wrong.append(("M9", f"refund {refund.id} was sent twice"))
    if sent.request.idempotency_key != f"refund_{refund.id}":
        back.wrong.append(("M9", f"refund {refund.id} goes by {sent.request.idempotency_key}"))
    refund.key, refund.status = sent.request.idempotency_key, "submitted"


def _observed(back: MoneyBack, fact: Fact) -> None:
    seen = fact.read(facts.Observed)
    back.refunds[seen.refund_id] = RefundStory(
        seen.refund_id, seen.amount, None, "submitted", at_stripe=seen.refund_id
    )


def _adopted(back: MoneyBack, fact: Fact) -> None:
    """A restore lost that it was approved and sent (M18)."""
    _pending(back, fact)


def _pending(back: MoneyBack, fact: Fact) -> None:
    seen = fact.read(facts.Seen)
    refund = back.refunds[seen.refund_id]
    refund.at_stripe, refund.status = seen.stripe_refund, "submitted"


def _succeeded(back: MoneyBack, fact: Fact) -> None:
    given = fact.read(facts.GivenBack)
    refund = back.refunds[given.refund_id]
    refund.at_stripe, refund.status = given.stripe_refund, "succeeded"
    refund.from_suspense = given.from_suspense
    refund.net += 1


def _failed(back: MoneyBack, fact: Fact) -> None:
    failed = fact.read(facts.GivenBack)
    refund = back.refunds[failed.refund_id]
    refund.at_stripe, refund.status = failed.stripe_refund or refund.at_stripe, "failed"
    refund.net -= failed.returned


def _opened(back: MoneyBack, fact: Fact) -> None:
    opened = fact.read(facts.DisputeTold)
    back.disputes[opened.dispute_id] = DisputeStory(opened.status, opened.amount.amount_cents)


def _changed(back: MoneyBack, fact: Fact) -> None:
    changed = fact.read(facts.DisputeTold)
    dispute = back.disputes[changed.dispute_id]
    dispute.status, dispute.amount_cents = changed.status, changed.amount.amount_cents


def _moved(back: MoneyBack, fact: Fact) -> None:
    moved = fact.read(facts.DisputeMoved)
    back.disputes[moved.dispute_id].lines.append(moved.balance_transaction)


def _closed(back: MoneyBack, fact: Fact) -> None:
    closed = fact.read(facts.DisputeDecided)
    dispute = back.disputes[closed.dispute_id]
    dispute.status = closed.status
    dispute.lost_cents += stripes_units(closed.loss)
    if closed.loss.amount_cents:
        dispute.bearers.add(closed.borne_by)


_NOTES: Mapping[str, Note] = {
    "RefundRequested": _asked,
    "RefundApproved": _approved,
    "RefundRejected": _rejected,
    "RefundSubmitted": _submitted,
    "RefundObserved": _observed,
    "RefundAdopted": _adopted,
    "RefundPending": _pending,
    "RefundSucceeded": _succeeded,
    "RefundFailed": _failed,
    "DisputeOpened": _opened,
    "DisputeChanged": _changed,
    "DisputeFundsWithdrawn": _moved,
    "DisputeFundsReinstated": _moved,
    "DisputeClosed": _closed,
}
