"""Do the vendors' debts agree with the books? For ``verify``, across streams (M22).

What we owe a vendor is, in the books, what its payments still have to bring it, less what it owes.
So where nothing is still to go out or to come back, the two are the same sum, told twice: by the
payments' postings, and by the debts of the vendor's own stream.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from roadcall_payments.commit import State
from roadcall_payments.domain.debt import Debts
from roadcall_payments.domain.events import PayerType
from roadcall_payments.domain.payment import Payment, Status
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.domain.vendor_share import overpaid_cents
from roadcall_payments.ledger.posting_rules import Posting

_PAYABLE = "vendor_payable:"


class DebtSums:
    """Gathers streams as they are verified."""

    def __init__(self) -> None:
        self._payable: Counter[tuple[str, str]] = Counter()
        self._debts: dict[str, Debts] = {}
        self._undecided: set[str] = set()
        self._streams: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, stream: str, state: State | None, lines: Sequence[Posting]) -> None:
        for line in lines:
            if line.account.startswith(_PAYABLE):
                vendor_id = line.account.removeprefix(_PAYABLE)
                self._payable[vendor_id, line.currency] -= line.amount_cents
        match state:
            case Vendor():
                self._debts[state.id] = state.debts
                self._streams[state.id].append(stream)
            case Payment():
                self._streams[state.vendor_id].append(stream)
                if not _is_at_rest(state):
                    self._undecided.add(state.vendor_id)

    def disagreeing(self) -> Iterator[tuple[str, str]]:
        """Vendors whose books say something else, each with the fault in words."""
        for vendor_id, debts in sorted(self._debts.items()):
            if vendor_id in self._undecided:
                continue
            expected = _owed_to(debts)
            currencies = {currency for owner, currency in self._payable if owner == vendor_id}
            for currency in sorted(currencies | expected.keys()):
                booked = self._payable[vendor_id, currency]
                if booked != expected.get(currency, 0):
                    yield (
                        vendor_id,
                        f"vendor/{vendor_id}: its debts are {-expected.get(currency, 0)} "
                        f"{currency}, but the books say that it owes {-booked}",
                    )

    def streams(self, vendor_id: str) -> Sequence[str]:
        """All that its sums were made of."""
        return self._streams[vendor_id]


def _is_at_rest(payment: Payment) -> bool:
    """Whether its vendor has of it all that it is to have, and nothing more."""
    if payment.status is not Status.COMPLETED:
        return True
    settlement = payment.settlement
    if settlement is None:
        # Who settles elsewhere pays its vendors elsewhere: the books only ever owe them more. A
        # back-office payment owes its vendor nothing but a set-off that was too much.
        return payment.payer_type is PayerType.BACK_OFFICE
    return settlement.at_rest and overpaid_cents(payment, settlement) == 0


def _owed_to(debts: Debts) -> Mapping[str, int]:
    """What the debts alone make of the payable: what is owed to us, less what was set off of debts
    that are still to come up again."""
    sums: Counter[str] = Counter()
    for one in debts.owed:
        sums[one.amount.currency] -= one.outstanding_cents
    for credit in debts.credits:
        sums[credit.amount.currency] += credit.amount.amount_cents
    return sums
