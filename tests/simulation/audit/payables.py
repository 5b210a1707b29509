"""What our ledger must say beside Stripe's own accounts, worked out from Stripe's books: what is
owed to each vendor and by each fleet, what banks hold, and what we kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from tests.simulation.audit.balances import Sums
from tests.simulation.audit.payment_book import PaymentBook
from tests.simulation.audit.settlement_audit import transfers_of
from tests.simulation.audit.stripe_books import Charge, StripeBooks, Transfer
from tests.simulation.audit.violations import Violation

_EXPLAINED = ("vendor_payable:", "fleet_receivable:", "platform_fees", "disputes_", "dispute_")


class Payables:
    """Adds payment after payment. Amounts are Stripe's; of ours is what only we decide: fees,
    who bears a loss, and what was set off or forgiven."""

    def __init__(self, stripe: StripeBooks) -> None:
        self._stripe = stripe
        self._sums: Counter[tuple[str, str, str]] = Counter()

    def add(
        self, book: PaymentBook, charges: Iterable[Charge], transfers: Iterable[Transfer]
    ) -> None:
        if book.status != "completed":
            return
        currency = book.created.amount.currency
        vendor = f"vendor_payable:{book.created.vendor_id}"
        strays = {stray.object_id for stray in book.strays}
        if book.by_card:
            for charge in charges:
                if charge.id not in strays and self._stripe.root(charge.id) not in strays:
                    self._charge(book, charge, vendor, currency)
            self._settled(book, vendor, currency)
            return
        fleet = f"fleet_receivable:{book.created.company_id}"
        for transfer in transfers:
            self._add(fleet, currency, transfer.amount - self._reversed(transfer))
        set_off = sum(done.set_off.amount_cents for done in book.completed if done.set_off)
        self._add(fleet, currency, set_off)
        self._add(vendor, currency, -set_off)

    def forgiven(self, vendor_id: str, currency: str, cents: int) -> None:
        self._add(f"vendor_payable:{vendor_id}", currency, -cents)

    def audit(self, balances: Sums) -> Iterator[Violation]:
        ours = {
            key: cents
            for key, cents in balances.items()
            if key[0] == self._stripe.platform and key[1].startswith(_EXPLAINED)
        }
        for key in sorted(ours.keys() | self._sums.keys()):
            if ours.get(key, 0) != self._sums.get(key, 0):
                _, account, currency = key
                said = f"our {account} is {ours.get(key, 0)} {currency}"
                yield Violation("books", account, f"{said}, explained are {self._sums.get(key, 0)}")

    def _charge(self, book: PaymentBook, charge: Charge, vendor: str, currency: str) -> None:
        self._add(vendor, currency, -charge.amount)
        for refund in self._stripe.refunds_of.get(charge.id, ()):
            if refund.status == "succeeded":
                self._add(vendor, currency, refund.amount)
        # What went back of our fee is ours to bear, not the vendor's.
        returned = book.settlement.fee_returned
        self._add(vendor, currency, -returned)
        self._add("platform_fees", currency, returned)
        for dispute in self._stripe.disputes_of.get(charge.id, ()):
            moved = -sum(line.amount for line in self._stripe.lines_from.get(dispute.id, ()))
            story = book.money_back.disputes.get(dispute.id)
            if dispute.status != "lost" or story is None:
                self._add("disputes_withheld", currency, moved)
            elif "vendor" in story.bearers:
                self._add(vendor, currency, moved)
            else:
                self._add("dispute_losses", currency, moved)

    def _settled(self, book: PaymentBook, vendor: str, currency: str) -> None:
        for transfer in transfers_of(book.settlement, self._stripe):
            self._add(vendor, currency, transfer.amount - self._reversed(transfer))
        kept = sum(share.fee for share in book.settlement.done)
        self._add(vendor, currency, kept)
        self._add("platform_fees", currency, -kept)

    def _reversed(self, transfer: Transfer) -> int:
        return sum(one.amount for one in self._stripe.reversals_of.get(transfer.id, ()))

    def _add(self, account: str, currency: str, cents: int) -> None:
        self._sums[self._stripe.platform, account, currency] += cents
