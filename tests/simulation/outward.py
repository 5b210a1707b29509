"""Where the service hands on: a bus and a mail server that fail now and then."""

from __future__ import annotations

from roadcall_payments.domain.errors import TransientError
from roadcall_payments.ports import Message, OutgoingEvent
from tests.simulation.faults import Faults, Kind


class NotHandedOn(TransientError):
    code = "simulated"


class Consumers:
    """Everybody who listens to the bus, in all processes: what was published, in that order."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.published: list[OutgoingEvent] = []

    async def take(self, event: OutgoingEvent) -> None:
        """A subscriber: fails before it has taken the event, or after."""
        if self._faults.strikes(Kind.BUS_FAILS):
            raise NotHandedOn("The simulated bus took nothing.")
        self.published.append(event)
        if self._faults.strikes(Kind.BUS_FAILS_AFTER):
            raise NotHandedOn("The simulated bus took it and did not say so.")


class Mailbox:
    """A ``Notifier``. ``sent``: notice ids, as often as they were sent."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.sent: list[str] = []

    async def send(self, message: Message) -> str:
        if self._faults.strikes(Kind.NOTIFIER_FAILS):
            raise NotHandedOn("The simulated mail server is away.")
        self.sent.append(message.notice_id)
        return f"mail_{len(self.sent)}"
