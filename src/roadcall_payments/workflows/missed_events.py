"""Webhooks that never came: now and then Stripe's own list of events is held against the inbox.

A refund given in Stripe's dashboard, or a dispute, is told of by an event alone. What the inbox
does not know is taken as if it were delivered now, once (``WebhookInbox.replay``). How far the
list was compared is kept in the journal, so that a stop, however long, leaves no gap.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from roadcall_payments.domain.errors import StripeUnavailable
from roadcall_payments.domain.events import EventsCompared
from roadcall_payments.ports import Clock, CreatedWindow, Gateway
from roadcall_payments.workflows.created_lists import EVENTS_KEPT, listed
from roadcall_payments.workflows.movements_switch import MovementsSwitch
from roadcall_payments.workflows.webhook_inbox import WebhookInbox

# Younger ones may still be on their way as webhooks.
GRACE = timedelta(minutes=10)
# An event may show in the list a little later than its time says.
OVERLAP = timedelta(hours=1)
FIRST_LOOK_BACK = timedelta(days=1)
# How far it was compared is written down so often where nothing was missed.
NOTED_EVERY = timedelta(hours=6)
OFF_LOOK_S = 3_600.0

_log = structlog.get_logger()


class MissedEvents:
    """``every_s``: seconds between two looks; 0 switches them off. ``on_missed`` hears of each
    event that no webhook had brought."""

    def __init__(
        self,
        gateway: Gateway,
        clock: Clock,
        inbox: WebhookInbox,
        switch: MovementsSwitch,
        every_s: int,
        on_missed: Callable[[], None],
    ) -> None:
        self._gateway = gateway
        self._clock = clock
        self._inbox = inbox
        self._switch = switch
        self._every_s = every_s
        self._on_missed = on_missed
        self._compared_until: datetime | None = None

    async def attend(self) -> float:
        """A worker's duty: compare what is new; in how many seconds to look again.

        While Stripe does not answer nothing is compared, and the next look takes in what this one
        would have. Raises CredentialsRejected and StoreUnavailable.
        """
        if self._every_s == 0:
            return OFF_LOOK_S
        try:
            self._gateway.ensure_available()
            await self._compare()
        except StripeUnavailable as away:
            _log.warning("events_not_compared", code=away.code)
        return float(self._every_s)

    async def at_end(self) -> None:
        """Nothing of it is owed to a process that stops."""

    async def _compare(self) -> None:
        switch = await self._switch.state()
        noted = switch.events_compared_until if switch else None
        until = self._clock.now() - GRACE
        known_until = max(filter(None, (noted, self._compared_until)), default=None)
        since = known_until - OVERLAP if known_until else until - FIRST_LOOK_BACK
        since = max(since, until - EVENTS_KEPT)
        missed = 0
        for event in sorted(
            await listed(self._gateway.events, CreatedWindow(since, until)),
            key=lambda one: one.created,
        ):
            changes_nothing = event.payload is None and event.untranslatable is None
            if changes_nothing or not await self._inbox.replay(event):
                continue
            missed += 1
            self._on_missed()
            _log.warning("webhook_missed", event_id=event.id, type=event.type)
        self._compared_until = until
        if missed or noted is None or until - noted >= NOTED_EVERY:
            await self._switch.compared(EventsCompared(until, missed))
