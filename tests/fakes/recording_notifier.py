"""A channel that keeps what it was given, and fails when told to."""

from __future__ import annotations

from roadcall_payments.ports import Message


class RecordingNotifier:
    """A ``Notifier``: ``failures`` are raised first, one a message."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.failures: list[Exception] = []

    async def send(self, message: Message) -> str:
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(message)
        return f"provider-{len(self.sent)}"
