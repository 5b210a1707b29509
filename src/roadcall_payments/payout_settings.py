"""The settings of payouts; part of ``config.Settings``."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings

from roadcall_payments.approval_bands import serves_every_currency
from roadcall_payments.domain.paying_out import PayoutMinimum

PositiveAmounts = Annotated[
    dict[str, Annotated[int, Field(ge=1)]], AfterValidator(serves_every_currency)
]


class PayoutSettings(BaseSettings):
    payout_minimum_cents: PositiveAmounts = Field(
        {"*": 1_000},
        description="JSON: per currency (`*`: every other) the least that is paid out, in minor "
        "units.",
    )

    payout_hour_utc: int = Field(
        6, ge=0, le=23, description="Hour of the day, UTC, at which daily payouts are made."
    )

    @property
    def payout_minimum(self) -> PayoutMinimum:
        return PayoutMinimum(self.payout_minimum_cents)
