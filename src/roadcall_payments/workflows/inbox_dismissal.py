"""A person puts aside a webhook that can never be applied (M18, M19).

It is tried once more first, so that nothing is put aside that could have been booked. What it told
of is then not in the books: that is what the person vouches for, by name, in the journal.
"""

from __future__ import annotations

from roadcall_payments.commit import InboxEvent, InboxStatus, InboxUpdate, Unique
from roadcall_payments.domain.errors import NotFound
from roadcall_payments.domain.events import InboxEventDismissed
from roadcall_payments.domain.people import Actor
from roadcall_payments.ports import Store
from roadcall_payments.workflows.movements_switch import MovementsSwitch, said
from roadcall_payments.workflows.webhook_inbox import WebhookInbox
from roadcall_payments.workflows.write_path import AlreadyTaken

UNAPPLIED = (InboxStatus.WAITING, InboxStatus.REVIEW)


class InboxDismissal:
    def __init__(self, store: Store, inbox: WebhookInbox, switch: MovementsSwitch) -> None:
        self._store = store
        self._inbox = inbox
        self._switch = switch

    async def dismiss(self, actor: Actor, event_id: str, reason: str) -> InboxEvent:
        """The event as it stands afterwards: dismissed, or applied or kept where the last try
        went well after all. One that waits for nothing is left as it is.

        Raises InvalidInput without a reason, and NotFound.
        """
        reason = said(reason, "Say why the event is put aside")
        await self._inbox.retry_now(event_id)
        kept = await self._event(event_id)
        if kept.status not in UNAPPLIED:
            return kept
        failure = kept.reason or ""
        fact = InboxEventDismissed(str(actor), event_id, kept.type, reason, failure)
        row = InboxUpdate(event_id, InboxStatus.DISMISSED, reason, kept.attempts, kept.stream)
        try:
            await self._switch.dismissed(actor, fact, row)
        except AlreadyTaken as taken:
            # A worker's retry went well in that very moment.
            if taken.unique is not Unique.INBOX:
                raise
        return await self._event(event_id)

    async def _event(self, event_id: str) -> InboxEvent:
        kept = await self._store.inbox_event(event_id)
        if kept is None:
            raise NotFound(f"There is no event {event_id} in the inbox.")
        return kept
