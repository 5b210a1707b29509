"""Defects of the queue for funds: how much of it goes out at once, and in which order."""

from __future__ import annotations

from roadcall_payments.domain import funding
from roadcall_payments.domain.funding_events import Priority
from roadcall_payments.domain.money import Money
from roadcall_payments.workflows.transfers import Transfers
from tests.simulation.defects.planted import Planted, wrong_function
from tests.simulation.faults import Kind
from tests.simulation.history import FUNDED
from tests.simulation.stories.short_of_funds import SHORT_OF_FUNDS

# Whoever slept since it looked at the queue may release what was first then.
_FAULTS = "all,-webhook_drop,-suspend,-jump"
_STRIPE_FAILS = {Kind.DROP_BEFORE: 0.1, Kind.ERROR_BEFORE: 0.1}


async def _nothing_under_way(self: Transfers, currency: str) -> Money:
    return Money(0, currency)


FUNDING = (
    Planted(
        wrong_function(
            "over-release of queued transfers", (Transfers, "_under_way", _nothing_under_way)
        ),
        "funding",
        "funds that an unanswered transfer will take are released to the next one",
        faults=_FAULTS,
        boosts=_STRIPE_FAILS,
        stories=FUNDED,
        settings=SHORT_OF_FUNDS,
        outsiders=False,
    ),
    Planted(
        wrong_function(
            "queued transfers by age alone", (funding, "_RANKS", dict.fromkeys(Priority, 0))
        ),
        "funding",
        "what is urgent waits behind everything that is older",
        faults=_FAULTS,
        stories=FUNDED,
        settings=SHORT_OF_FUNDS,
        outsiders=False,
    ),
)
