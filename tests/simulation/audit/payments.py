"""One payment against Stripe's books: its money moved as decided, once, or not at all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from tests.simulation.audit.journal_facts import Amount, Booked
from tests.simulation.audit.lost import LostSpan
from tests.simulation.audit.payment_book import Call, PaymentBook
from tests.simulation.audit.settlement_audit import audit_settlement, transfers_of
from tests.simulation.audit.stripe_books import Charge, Intent, Line, Made, StripeBooks, Transfer
from tests.simulation.audit.stripes_units import stripes_units

# No POST leaves later than 23 h after its intent (M8); a minute or two for it to arrive.
# Of one payment, in worlds that a restore took some of.
ATTEMPTS_MAX = 10
ARRIVES_WITHIN = timedelta(hours=23, minutes=2)


class PaymentAudit:
    """Stripe's objects that this payment's own calls made, by their keys, and what is wrong."""

    def __init__(
        self, book: PaymentBook, stripe: StripeBooks, lost: LostSpan | None = None
    ) -> None:
        """``lost``: what a restore took of the journal."""
        self.book = book
        self.lost = lost
        self.stripe = stripe
        keys = book.attempts
        self.intents = [made for key in keys for made in stripe.intents_of.get(key, ())]
        self.transfers = [made for key in keys for made in stripe.transfers_of.get(key, ())]
        for name in book.adopted:
            self._add_adopted(name)
        if lost is not None:
            self._add_lost(lost)
        self.shares = transfers_of(book.settlement, stripe)
        self.charges = [
            charge
            for intent in self.intents
            for charge in stripe.charges_of.get(intent.id, ())
            if charge.took_money
        ]

    def _add_adopted(self, name: str) -> None:
        """What a restore lost the intent of: known by its id alone (M18)."""
        intent, transfer = self.stripe.intents.get(name), self.stripe.transfers.get(name)
        if intent is not None and intent not in self.intents:
            self.intents.append(intent)
        if transfer is not None and transfer not in self.transfers:
            self.transfers.append(transfer)

    def _add_lost(self, lost: LostSpan) -> None:
        """What a later attempt of its made, of which a restore left nothing: it was taken for the
        attempt that the books still have open (M6, M18)."""
        kind = "payment" if self.book.by_card else "transfer"
        first = f"{kind}_{self.book.id}"
        for key in (first, *(f"{first}_{number}" for number in range(2, ATTEMPTS_MAX))):
            made = [*self.stripe.intents_of.get(key, ()), *self.stripe.transfers_of.get(key, ())]
            for one in made:
                if key not in self.book.attempts and lost.holds(one.created):
                    at = datetime.fromtimestamp(one.created, UTC)
                    call = Call(key, at, one.account, livemode=False, destination=None, params="{}")
                    self.book.adopted.setdefault(one.id, call)
                    self._add_adopted(one.id)

    def _call_of(self, made: Intent | Transfer) -> Call:
        return self.book.adopted.get(made.id) or self.book.attempts[made.key or ""]

    @property
    def _made(self) -> Sequence[Intent | Transfer]:
        return [*self.intents, *self.transfers]

    @property
    def roots(self) -> list[str]:
        """The PaymentIntents and transfers, its settlement's too, that this payment explains."""
        return [made.id for made in (*self._made, *self.shares)]

    def run(self) -> None:
        """Everything found is added to the book's violations."""
        for made in self._made:
            self._as_decided(made, self._call_of(made))
        self._calls_in_time()
        self._once()
        self._known()
        if self.book.status == "completed":
            self._completed_with_its_money()
        else:
            self._nothing_moved()
            self._came_to_rest()
        self._reversals()
        self._lines()
        for rule, sentence in self.book.money_back.audit(self.stripe, self.charges, self.lost):
            self._violated(rule, sentence)
        for rule, sentence in audit_settlement(self.book.settlement, self.stripe, self.lost):
            self._violated(rule, sentence)
        if self.book.status == "completed" and self.book.by_card:
            decided, back = self.book.created.amount, self.book.money_back
            for rule, sentence in self.book.settlement.share_is_right(back, decided):
                self._violated(rule, sentence)

    def _as_decided(self, made: Intent | Transfer, call: Call) -> None:
        decided = self.book.created.amount
        sent_off = Amount(decided.amount_cents - call.set_off, decided.currency)
        asked = (stripes_units(sent_off), decided.currency)
        if (made.amount, made.currency) != asked:
            self._violated("M4", f"{made.id} is {made.amount} {made.currency}, decided was {asked}")
        if not call.account == made.account == self.stripe.platform:
            self._violated(
                "M18", f"{made.id} is in {made.account}, its attempt was for {call.account}"
            )
        sent = json.loads(call.params).get("metadata", {})
        if made.metadata != sent and made.id not in self.book.adopted:
            self._violated("M4", f"{made.id} carries {made.metadata}, stored was {sent}")
        ended = self.book.given_up.get(call.key)
        if ended is not None:
            self._violated("M5", f"{ended} ended the attempt {call.key}, which made {made.id}")
        destination = self.book.destination or call.destination
        if isinstance(made, Transfer) and made.destination != destination:
            self._violated("M10", f"{made.id} went to {made.destination}, not to {destination}")
        self._in_time(made, call)

    def _calls_in_time(self) -> None:
        for charge in self.charges:
            call = self.book.confirmations.get(charge.key or "")
            if call is not None:
                self._in_time(charge, call)

    def _in_time(self, made: Made, call: Call) -> None:
        late = timedelta(seconds=made.created - call.at.timestamp())
        if late > ARRIVES_WITHIN:
            self._violated("M8", f"{made.id} was made {late} after its intent was committed")

    def _once(self) -> None:
        moved = self._moved
        if len(moved) > 1:
            self._violated("M1", f"its money moved {len(moved)} times: {_ids(moved)}")
        alive = [intent for intent in self.intents if intent.status != "canceled"]
        if len(alive) > 1:
            self._violated("M1", f"it has {len(alive)} PaymentIntents: {_ids(alive)}")
        if len(self.book.completed) > 1:
            self._violated("M16", "it was completed more than once")

    @property
    def _moved(self) -> Sequence[Charge | Transfer]:
        return [*self.charges, *self.transfers]

    def _known(self) -> None:
        """What the journal names is what its own calls made (M13)."""
        roots = set(self.roots)
        for name in (*self.book.intents, *(done.object_id for done in self.book.completed)):
            if name not in roots:
                self._violated("M13", f"it took {name} for its own, which no call of its made")
        for stray in self.book.strays:
            root = self.stripe.root(stray.object_id)
            if not self._is_root(root):
                self._violated("M16", f"its stray {stray.object_id} is nowhere at Stripe")
            elif root not in roots:
                self._violated("M13", f"it booked {stray.object_id}, which no call of its made")

    def _is_root(self, name: str) -> bool:
        return name in self.stripe.intents or name in self.stripe.transfers

    def _completed_with_its_money(self) -> None:
        done = self.book.completed[-1]
        moved = self._moved
        if not moved:
            self._violated("M5", f"it is completed by {done.object_id}, and no money moved")
            return
        for one in moved:
            named = done.charge_id or done.object_id
            own = {one.id, self.stripe.root(one.id)}
            if named not in own:
                self._violated("M16", f"{named} completed it, but {one.id} moved the money")
            cents = done.amount.amount_cents - (done.set_off.amount_cents if done.set_off else 0)
            booked = Amount(cents, done.amount.currency)
            if (one.amount, one.currency) != (stripes_units(booked), booked.currency):
                self._violated("M4", f"{one.id} moved {one.amount}, booked was {booked}")
        if done.amount != self.book.created.amount:
            self._violated("M4", f"{done.amount} completed it, not {self.book.created.amount}")

    def _nothing_moved(self) -> None:
        """Money of a payment that is not completed stands in suspense, for a person (M16)."""
        strays = {stray.object_id for stray in self.book.strays}
        for one in self._moved:
            if one.id not in strays and self.stripe.root(one.id) not in strays:
                self._violated("M16", f"it is {self.book.status}, yet {one.id} moved its money")

    def _came_to_rest(self) -> None:
        book = self.book
        if book.status == "processing" and book.awaiting != "payer":
            self._violated("M33", "it still waits for Stripe")
        if book.status == "pending_approval" and book.flagged is None:
            self._violated("M12", "it was never scored")
        for intent in self.intents:
            ended = intent.status == "canceled"
            if book.status == "cancelled" and not ended:
                self._violated("M2", f"it is cancelled, and {intent.id} is {intent.status}")
            elif book.status in ("processing", "failed") and ended and intent.id in book.intents:
                self._violated("M15", f"it is {book.status}, and {intent.id} was cancelled")
            elif not ended and intent.id not in book.intents:
                self._violated("M6", f"{intent.id} was made and never adopted")

    def _reversals(self) -> None:
        booked = Counter(back.reversal_id for back in self.book.reversed)
        found = {
            back.id: back
            for transfer in self.transfers
            for back in self.stripe.reversals_of.get(transfer.id, ())
        }
        for name in booked.keys() | found.keys():
            if name not in found:
                self._violated("M17", f"it booked the reversal {name}, which Stripe has not")
            elif booked[name] != 1:
                self._violated("M17", f"its reversal {name} was booked {booked[name]} times")
        for fact in self.book.reversed:
            made = found.get(fact.reversal_id)
            if made is not None and made.amount != stripes_units(fact.amount):
                self._violated("M17", f"{made.id} is {made.amount}, booked was {fact.amount}")

    def _lines(self) -> None:
        """Each of Stripe's lines for this payment stands in our books once, to the cent (M17)."""
        lines = {
            line.id: line
            for root in self.roots
            for line in self.stripe.lines_of.get(root, ())
            if line.account == self.stripe.platform
        }
        booked = Counter(fact.transaction.id for fact in self.book.booked)
        for name in lines.keys() | booked.keys():
            if name not in lines:
                self._violated("M17", f"it booked {name}, which is no line of its own")
            elif booked[name] != 1:
                self._violated("M17", f"Stripe's line {name} was booked {booked[name]} times")
        for fact in self.book.booked:
            line = lines.get(fact.transaction.id)
            if line is not None and _told(fact) != _shown(line):
                self._violated("M17", f"{line.id} is {_shown(line)}, booked was {_told(fact)}")

    def _violated(self, rule: str, sentence: str) -> None:
        self.book.violated(rule, sentence)


def _ids(made: Sequence[Made]) -> str:
    return ", ".join(one.id for one in made)


def _told(fact: Booked) -> tuple[int, int, int, str]:
    line = fact.transaction
    return (
        stripes_units(line.amount),
        stripes_units(line.fee),
        stripes_units(line.net),
        line.net.currency,
    )


def _shown(line: Line) -> tuple[int, int, int, str]:
    return line.amount, line.fee, line.net, line.currency
