"""A settlement's transfers and reversals against Stripe's: each as decided, once, and all known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from tests.simulation.audit.lost import LostSpan
from tests.simulation.audit.settlements import Settlement, Share
from tests.simulation.audit.stripe_books import Made, Reversal, StripeBooks, Transfer

Found = Iterator[tuple[str, str]]

# No POST leaves later than 23 h after its intent (M8); a minute or two for it to arrive.
ARRIVES_WITHIN = timedelta(hours=23, minutes=2)


def transfers_of(settlement: Settlement, stripe: StripeBooks) -> list[Transfer]:
    """What its own calls made; what a restore lost the call of goes by its id."""
    made = [one for key in settlement.keys for one in stripe.transfers_of.get(key, ())]
    for share in settlement.shares.values():
        adopted = stripe.transfers.get(share.transfer or "")
        if adopted is not None and adopted not in made and share.key is None:
            made.append(adopted)
    return made


def audit_settlement(settlement: Settlement, stripe: StripeBooks, lost: LostSpan | None) -> Found:
    """Everything that is wrong between the two; amounts of currencies whose units agree.
    ``lost``: what a restore took of the journal."""
    yield from settlement.wrong
    yield from settlement.rest()
    made = {one.id: one for one in transfers_of(settlement, stripe)}
    by_key = settlement.keys
    for one in made.values():
        share = by_key.get(one.key or "") or _adopted(settlement, one.id)
        if share is not None:
            yield from _transfer(share, one, stripe)
    for share in settlement.done:
        if share.transfer is not None and share.transfer not in made:
            yield "M13", f"it took {share.transfer} for its share, which no call of its made"
        elif share.transfer is None and share.cents:
            yield "M5", f"its share {share.number} is booked, and nothing was transferred"
    yield from _reversals(settlement, stripe, made, lost)


def _adopted(settlement: Settlement, transfer: str) -> Share | None:
    return next((one for one in settlement.shares.values() if one.transfer == transfer), None)


def _transfer(share: Share, made: Transfer, stripe: StripeBooks) -> Found:
    if made.account != stripe.platform:
        yield "M18", f"{made.id} is in {made.account}"
    if made.amount != share.cents:
        yield "M20", f"{made.id} is {made.amount}, decided was {share.cents}"
    if made.destination != share.destination:
        yield "M10", f"{made.id} went to {made.destination}, not to {share.destination}"
    if share.status == "failed":
        yield "M5", f"share {share.number} failed, and made {made.id}"
    if share.status == "completed" and share.transfer != made.id:
        yield "M16", f"{share.transfer} is booked as its share, but {made.id} moved it"
    yield from _in_time(made, share.at)


def _reversals(
    settlement: Settlement,
    stripe: StripeBooks,
    made: Mapping[str, Transfer],
    lost: LostSpan | None,
) -> Found:
    booked = Counter(one.reversal_id for one in settlement.reversed)
    found = {one.id: one for name in made for one in stripe.reversals_of.get(name, ())}
    for name in booked.keys() | found.keys():
        if name not in found:
            yield "M17", f"it booked the reversal {name}, which Stripe has not"
        elif booked[name] != 1:
            yield "M17", f"its reversal {name} was booked {booked[name]} times"
    for told in settlement.reversed:
        one = found.get(told.reversal_id)
        if one is not None and one.amount != told.amount.amount_cents:
            yield "M17", f"{one.id} is {one.amount}, booked was {told.amount.amount_cents}"
    by_key = {one.key: one for one in settlement.take_backs.values()}
    for one in found.values():
        own = by_key.get(one.key or "")
        if own is not None:
            if (own.transfer, own.cents) != (one.transfer, one.amount):
                yield (
                    "M21",
                    f"{one.id} took {one.amount} of {one.transfer}, decided was {own.cents}",
                )
            if own.status == "failed":
                yield "M5", f"what was to come back for {own.cause} failed, and made {one.id}"
            yield from _in_time(one, own.at)
        elif not _explained_otherwise(one, lost):
            yield "M4", f"{one.id} ({one.key}): no intent explains it"


def _explained_otherwise(made: Reversal, lost: LostSpan | None) -> bool:
    """Somebody made it at the dashboard, or its intent is lost."""
    ours = made.key is not None and made.key.startswith("reversal_")
    return not ours or (lost is not None and lost.holds(made.created))


def _in_time(made: Made, at: datetime) -> Found:
    late = timedelta(seconds=made.created - at.timestamp())
    if late > ARRIVES_WITHIN:
        yield "M8", f"{made.id} was made {late} after its intent was committed"
