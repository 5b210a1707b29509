"""After a restore: vendors' connected accounts that were opened since the backup (M18).

Their requests carry the vendor's id. One that is not found again would be opened a second time, and
the vendor would have to onboard anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from roadcall_payments.commit import Unique, stream_of
from roadcall_payments.domain.connected_account import account_found, vendor_of
from roadcall_payments.domain.people import STRIPE
from roadcall_payments.domain.stripe_objects import Account, StripeIdentity
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.domain.vendor_events import VendorFact
from roadcall_payments.workflows.write_path import AlreadyTaken, WritePath, Written


@dataclass(frozen=True, slots=True)
class FoundAccount:
    """What the books made of an account; ``words`` None: they had it. Not ``adopted``, with words:
    a person has to see to it."""

    adopted: bool
    words: str | None


class LostAccounts:
    def __init__(self, write_path: WritePath) -> None:
        self._write_path = write_path

    async def take(self, account: Account, identity: StripeIdentity) -> FoundAccount | None:
        """Adopt the account, once, if its vendor has none; None where no service like ours opened
        it."""
        vendor_id = vendor_of(account)
        if vendor_id is None:
            return None
        stream = stream_of("vendor", vendor_id)
        opened = f"{account.id} was opened for vendor {vendor_id}"
        loaded = await self._write_path.store.load(stream)
        if loaded is None or not isinstance(loaded.state, Vendor):
            words = f"{opened}, which is not in the books: register the vendor with this account, "
            return FoundAccount(False, words + "or it is opened a second one.")
        on_file = loaded.state.stripe_account
        if on_file is not None:
            words = f"{opened}, and the books name {on_file}: see which of them is the vendor's."
            return FoundAccount(False, None if on_file == account.id else words)

        def decide(current: Vendor | None) -> Sequence[VendorFact]:
            return account_found(current, account, identity.livemode) if current else ()

        try:
            written: Written[Vendor] = await self._write_path.write(stream, decide, actor=STRIPE)
        except AlreadyTaken as taken:
            if taken.unique is not Unique.REF:
                raise
            return FoundAccount(False, f"{opened}, and is another vendor's in the books.")
        adopted = f"the account of vendor {vendor_id}, which was opened since"
        return FoundAccount(True, adopted) if written.facts else FoundAccount(False, None)
