"""What Stripe created within a window, however much that was."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from roadcall_payments.domain.errors import BrokenInvariant
from roadcall_payments.ports import CreatedWindow

T = TypeVar("T")

# Stripe lists events of the last thirty days.
EVENTS_KEPT = timedelta(days=30)


async def listed(
    listing: Callable[[CreatedWindow], Awaitable[Sequence[T]]], window: CreatedWindow
) -> Sequence[T]:
    """The whole list; a window that holds more than one list may is halved."""
    try:
        return await listing(window)
    except BrokenInvariant as too_long:
        middle = window.start + (window.end - window.start) / 2
        if too_long.code != "list_too_long" or window.end - window.start < timedelta(seconds=4):
            raise
    older = await listed(listing, CreatedWindow(window.start, middle))
    newer = await listed(listing, CreatedWindow(middle, window.end))
    return [*older, *newer]
