"""The settings of settlement; part of ``config.Settings``."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

from roadcall_payments.domain.platform_fee import BASIS_POINTS, FeePolicy


class SettlementSettings(BaseSettings):
    settlement: bool = Field(
        True,
        description="`on`: when a driver's payment completes, its vendor's share is transferred; "
        "`off`: you settle elsewhere. Decided when a payment is processed.",
    )
    platform_fee_bps: int = Field(
        0,
        ge=0,
        le=BASIS_POINTS,
        description="What the platform keeps of a driver's payment, in hundredths of a percent; a "
        "vendor's record may say otherwise.",
    )
    platform_fee_fixed_cents: int = Field(
        0,
        ge=0,
        le=99_999_999,
        description="And a fixed amount of it, in minor units of the payment's currency.",
    )
    returns_platform_fee: bool = Field(
        False, description="Whether a refund gives the platform's fee back in proportion."
    )

    @property
    def platform_fee(self) -> FeePolicy:
        return FeePolicy(self.platform_fee_bps, self.platform_fee_fixed_cents)
