"""Our ledger against Stripe's own books: every cent explained.

The platform's ``stripe_balance`` must equal the sum of those of Stripe's balance transactions
that we booked; what Stripe has and we never booked is listed. In a vendor's books, ``earnings``
must equal what Stripe credited there for our transfers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from roadcall_payments.commit import stream_of, stripe_ref
from roadcall_payments.domain.payout import Payout
from roadcall_payments.domain.stripe_objects import BalanceTransaction, StripeIdentity
from roadcall_payments.ledger.posting_rules import Posting
from roadcall_payments.ports import Gateway, Store

# Lines of a connected account that our transfers made, and their reversals.
_VENDOR_LINES = frozenset({"payment", "payment_refund", "payment_reversal", "transfer_refund"})

_PAYOUT_LINES = frozenset({"payout", "payout_failure", "payout_cancel"})


@dataclass(frozen=True, slots=True)
class BookDifference:
    """``ours`` and ``stripes`` in minor units of ``currency``; ``account`` is our ledger's."""

    book: str
    account: str
    currency: str
    ours: int
    stripes: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """``foreign``: lines at Stripe that no payment of ours explains (top-ups, fees, payouts)."""

    lines_booked: int
    books: tuple[str, ...]
    differences: tuple[BookDifference, ...]
    foreign: tuple[BalanceTransaction, ...]
    balances: tuple[Posting, ...]

    @property
    def agrees(self) -> bool:
        return not self.differences


class Reconciliation:
    def __init__(self, store: Store, gateway: Gateway) -> None:
        self._store = store
        self._gateway = gateway

    async def compare(self) -> Comparison:
        """Read both sides now. Payments still being booked show as a difference of
        ``stripe_clearing``. Raises StripeUnavailable."""
        identity = await self._gateway.identity()
        balances = tuple(await self._store.balances())
        platform = await self._gateway.balance_transactions()
        booked: list[BalanceTransaction] = []
        foreign: list[BalanceTransaction] = []
        for line in platform:
            known = await self._is_booked(identity, line)
            (booked if known else foreign).append(line)
        differences = _differences(
            identity.account, "stripe_balance", _sums(balances, identity.account), booked
        )
        differences += [
            BookDifference(line.book, line.account, line.currency, line.amount_cents, 0)
            for line in balances
            if line.account == "stripe_clearing"
        ]
        vendors = sorted({line.book for line in balances} - {identity.account})
        for book in vendors:
            differences += await self._vendor_differences(book, balances)
        return Comparison(
            len(booked), (identity.account, *vendors), tuple(differences), tuple(foreign), balances
        )

    async def _is_booked(self, identity: StripeIdentity, line: BalanceTransaction) -> bool:
        """A line of a payment's is known by its id, the platform's own payout by the payout's, once
        it was paid: a payout on its way, or one that never arrived, is not booked."""
        ref = stripe_ref(identity.account, identity.livemode, line.id)
        if await self._store.resolve(ref) is not None:
            return True
        if line.type not in _PAYOUT_LINES or line.source is None:
            return False
        loaded = await self._store.load(stream_of("payout", line.source))
        payout = loaded.state if loaded else None
        return isinstance(payout, Payout) and payout.paid_at is not None

    async def _vendor_differences(
        self, book: str, balances: Sequence[Posting]
    ) -> list[BookDifference]:
        lines = await self._gateway.balance_transactions(account=book)
        ours = {
            currency: -amount
            for currency, amount in _sums(balances, book, account="earnings").items()
        }
        credited = [line for line in lines if line.type in _VENDOR_LINES]
        return _differences(book, "earnings", ours, credited)


def _sums(
    balances: Iterable[Posting], book: str, account: str = "stripe_balance"
) -> dict[str, int]:
    return {
        line.currency: line.amount_cents
        for line in balances
        if line.book == book and line.account == account
    }


def _differences(
    book: str, account: str, ours: dict[str, int], lines: Iterable[BalanceTransaction]
) -> list[BookDifference]:
    stripes: defaultdict[str, int] = defaultdict(int)
    for line in lines:
        stripes[line.net.currency] += line.net.amount_cents
    return [
        BookDifference(book, account, currency, ours.get(currency, 0), stripes.get(currency, 0))
        for currency in sorted({*ours, *stripes})
        if ours.get(currency, 0) != stripes.get(currency, 0)
    ]
