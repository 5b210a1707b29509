"""From a payout's events to facts: recorded and published; a failure after payment books back."""

from __future__ import annotations

from roadcall_payments.domain.events import PayoutFact, PayoutFailed, PayoutPaid
from roadcall_payments.domain.payout import Payout, PayoutStatus
from roadcall_payments.domain.stripe_objects import Payout as StripePayout


def payout_seen(
    payout: Payout | None, seen: StripePayout, account: str, event_type: str, event_id: str
) -> tuple[PayoutFact, ...]:
    """Once paid, once failed; a failed payout is never paid afterwards, whatever the order."""
    if event_type == "payout.paid" and payout is None:
        return (PayoutPaid(seen.id, account, seen.amount, event_id),)
    if event_type == "payout.failed" and (payout is None or payout.status is PayoutStatus.PAID):
        return (
            PayoutFailed(
                payout_id=seen.id,
                account=account,
                amount=seen.amount,
                code=seen.failure_code or "unknown",
                message=seen.failure_message or "The bank refused the payout.",
                event_id=event_id,
                was_paid=payout is not None,
            ),
        )
    return ()
