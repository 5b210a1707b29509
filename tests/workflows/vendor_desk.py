"""Vendors at an office: what Stripe tells of their accounts, and what they are told."""

from __future__ import annotations

from roadcall_payments.commit import InboxStatus, stream_of
from roadcall_payments.domain.stripe_objects import AccountStatus
from roadcall_payments.domain.vendor import Vendor
from roadcall_payments.ports import Channel, Message, Queue
from roadcall_payments.workflows.vendors import Contacts, VendorRecord
from tests.fakes.gateway import GOOD_SIGNATURE
from tests.workflows.office import ACCOUNT, ADMIN, Office

OLD = Contacts("Tow & Go", "old@example.com", None, None)
THIEF = Contacts("Tow & Go", "thief@example.com", None, None)


class VendorDesk:
    def __init__(self, office: Office) -> None:
        self.office = office
        self._events = 0

    async def put(
        self,
        contacts: Contacts = OLD,
        account: str | None = ACCOUNT,
        locale: str = "en-US",
    ) -> Vendor:
        record = VendorRecord(account, locale, contacts)
        return await self.office.service.vendors.put(ADMIN, "ve_tow", record)

    async def vendor(self) -> Vendor:
        return await self.office.service.vendors.get("ve_tow")

    async def facts(self) -> list[str]:
        entries = await self.office.service.store.journal(stream_of("vendor", "ve_tow"))
        return [entry.type for entry in entries]

    async def told(
        self, account: str = ACCOUNT, kind: str = "account.updated", event: str | None = None
    ) -> InboxStatus:
        """Stripe sends a Connect event about the account; the fate of its row."""
        self._events += 1
        event_id = event or f"evt_{self._events}"
        seen = self.office.stripe.accounts_shown.get(account)
        about = seen or self.office.stripe.show(account, AccountStatus(None, False))
        body = self.office.stripe.event(event_id, kind, about, account)
        await self.office.service.webhook_inbox.take(body, GOOD_SIGNATURE)
        kept = await self.office.service.store.inbox_event(event_id)
        assert kept is not None
        return kept.status

    async def mail(self) -> list[Message]:
        """What was sent, once everything due has been."""
        for _ in range(2):
            await self.office.service.worker.work(Queue.OUTBOX)
            await self.office.service.worker.work(Queue.NOTICES)
        return self.office.mailboxes[Channel.EMAIL].sent
