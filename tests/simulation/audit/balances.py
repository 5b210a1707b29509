"""All payments together: nothing at Stripe that no payment explains, and every balance equal."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from tests.simulation.audit.journal_facts import Amount
from tests.simulation.audit.lost import LostSpan
from tests.simulation.audit.stripe_books import Intent, StripeBooks, Transfer
from tests.simulation.audit.stripes_units import stripes_units
from tests.simulation.audit.violations import Violation

Sums = Mapping[tuple[str, str, str], int]
"""Minor units by book, account and currency."""

_OUR_KEY = re.compile(
    r"(payment|confirm|cancel|transfer|refund|payout|settlement|restore|reversal)_.+"
)
# What our ledger says of Stripe's own books; the other accounts follow from the postings.
_STRIPES_ACCOUNTS = frozenset({"stripe_balance", "stripe_fees", "stripe_clearing", "earnings"})


def audit_unexplained(
    stripe: StripeBooks,
    explained: Collection[str],
    payments: Collection[str],
    strangers: Collection[str],
    lost: LostSpan | None,
) -> Iterator[Violation]:
    """PaymentIntents and transfers that are ours by key or by name, and that no payment's
    journal holds an intent for. ``strangers``: what others made on purpose; ``lost``: when the
    journal was, and a PaymentIntent that came to nothing then needs no explanation."""
    made: list[Intent | Transfer] = [*stripe.intents.values(), *stripe.transfers.values()]
    for one in made:
        if one.id in explained or one.id in strangers:
            continue
        if lost is not None and lost.holds(one.created) and _came_to_nothing(one):
            continue
        named = one.metadata.get("paymentId", "")
        if named in payments or (one.key is not None and _OUR_KEY.fullmatch(one.key)):
            yield Violation("M4", named or one.id, f"{one.id} ({one.key}): no intent explains it")


def _came_to_nothing(made: Intent | Transfer) -> bool:
    return isinstance(made, Intent) and made.status == "canceled"


def stripes_sums(stripe: StripeBooks, explained: Collection[str]) -> Counter[tuple[str, str, str]]:
    """What our ledger must say: the lines of what we explain, in the books they stand in."""
    sums: Counter[tuple[str, str, str]] = Counter()
    for root in explained:
        for line in stripe.lines_of.get(root, ()):
            sums[line.account, "stripe_balance", line.currency] += line.net
            if line.account == stripe.platform:
                sums[line.account, "stripe_fees", line.currency] += line.fee
            else:
                sums[line.account, "earnings", line.currency] -= line.net
    return sums


def audit_balances(expected: Sums, posted: Sums, balances: Sums) -> Iterator[Violation]:
    """Our balances are their postings' sums, balance to zero, and are Stripe's to the cent."""
    for key in sorted(posted.keys() | balances.keys()):
        if posted.get(key, 0) != balances.get(key, 0):
            book, account, currency = key
            stored, summed = balances.get(key, 0), posted.get(key, 0)
            sentence = f"{account} is {stored} {currency}, its postings {summed}"
            yield Violation("books", book, sentence)
    zero: Counter[tuple[str, str]] = Counter()
    for (book, _, currency), cents in balances.items():
        zero[book, currency] += cents
    for (book, currency), off in sorted(zero.items()):
        if off:
            yield Violation("books", book, f"it is off balance by {off} {currency}")
    ours = {key: cents for key, cents in balances.items() if key[1] in _STRIPES_ACCOUNTS}
    for key in sorted(ours.keys() | expected.keys()):
        book, account, currency = key
        if _stripes(ours.get(key, 0), currency) != expected.get(key, 0):
            yield Violation(
                "M38",
                book,
                f"our {account} is {ours.get(key, 0)} {currency}, Stripe's {expected.get(key, 0)}",
            )


def _stripes(cents: int, currency: str) -> int:
    return stripes_units(Amount(cents, currency))
