"""A person puts aside a webhook that can never be applied (M18, M19).

It is tried once more first, so that nothing is put aside that could have been booked. What it told
of is then not in the books: that is what the person vouches for, by name, in the journal.
"""

from __future__ import annotations

from roadcall_payments.commit import InboxEvent, InboxStatus, InboxUpdate, Unique
from roadcall_payments.domain.errors import NotFound, StripeUnavailable
from roadcall_payments.domain.events import InboxEventDismissed
from roadcall_payments.domain.people import Actor
from roadcall_payments.ports import Store
from roadcall_payments.workflows.movements_switch import MovementsSwitch, said
from roadcall_payments.workflows.webhook_inbox import WebhookInbox
from roadcall_payments.workflows.write_path import AlreadyTaken

UNAPPLIED = (InboxStatus.WAITING, InboxStatus.REVIEW)
RETRY_AFTER_S = 60


class InboxDismissal:
    def __init__(self, store: Store, inbox: WebhookInbox, switch: MovementsSwitch) -> None:
        self._store = store
        self._inbox = inbox
        self._switch = switch

    async def dismiss(
        self, actor: Actor, event_id: str, reason: str, *, untried: bool = False
    ) -> InboxEvent:
        """The event as it stands afterwards: dismissed, or applied or kept where the last try
        went well after all. One that waits for nothing is left as it is.

        ``untried``: also where the last try could not be made, so that nobody knows whether it can
        be applied.

        Raises InvalidInput without a reason, and NotFound; StripeUnavailable where the last try
        met a failure that may pass by itself.
        """
        reason = said(reason, "Say why the event is put aside")
        kept_by = await self._inbox.try_now(event_id)
        kept = await self._event(event_id)
        if kept.status not in UNAPPLIED:
            return kept
        if kept_by is not None and not untried:
            raise StripeUnavailable(
                f"The event could not be tried, and may well be applied later: {kept_by.message} "
                "It goes on by itself: wait, or put it aside as untried.",
                retry_after_s=kept_by.retry_after_s or RETRY_AFTER_S,
            ) from kept_by
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
