"""When the worker looks at a stream again, by its kind: the same for the write and for verify."""

from __future__ import annotations

from datetime import datetime

from roadcall_payments.commit import State
from roadcall_payments.domain import connected_account, payment, payout, payout_schedule, settling
from roadcall_payments.domain.payment import Patience, Payment, earliest
from roadcall_payments.domain.payout import Payout
from roadcall_payments.domain.vendor import Vendor


def due_at(state: State, patience: Patience) -> datetime | None:
    """None while nobody waits for us."""
    match state:
        case Payment():
            own = payment.due_at(state, patience)
            if state.settlement is None:
                return own
            return earliest((own, settling.due_at(state, patience)))
        case Vendor():
            return earliest(
                (
                    connected_account.due_at(state, patience.stripe),
                    payout_schedule.due_at(state, patience.payout_hour_utc),
                )
            )
        case Payout():
            return payout.due_at(state, patience.stripe)
        case _:
            return None


def look_again_at(state: State, now: datetime) -> datetime | None:
    """After a look that found nothing new; None for what is looked at less and less often."""
    return payout.look_again_at(state, now) if isinstance(state, Payout) else None
