"""When a vendor's balance is paid out by itself: once a day, at a set hour. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from roadcall_payments.domain.vendor import Vendor

BELOW_MINIMUM = "below_minimum"
PAYOUTS_DISABLED = "payouts_disabled"
DISCONNECTED = "account_disconnected"


def due_at(vendor: Vendor, hour_utc: int) -> datetime | None:
    """The hour of the day after the last one that was seen to; None where payouts are manual."""
    if not vendor.pays_daily or vendor.payout_day is None or vendor.stripe_account is None:
        return None
    following = date.fromisoformat(vendor.payout_day) + timedelta(days=1)
    return datetime.combine(following, time(hour_utc), UTC)
