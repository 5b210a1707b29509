"""The settings of settlement and of transfers; part of ``config.Settings``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from roadcall_payments.approval_bands import serves_every_currency
from roadcall_payments.domain.funding import TransferTerms
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

    debt_cap_bps: int = Field(
        5_000,
        ge=0,
        le=BASIS_POINTS,
        description="How much of one transfer may pay the vendor's debts, in basis points; "
        "something is always left to transfer. A vendor's record may say otherwise.",
    )
    funds_reserve_cents: dict[str, Annotated[int, Field(ge=0)]] = Field(
        {"*": 0},
        description="JSON: per currency (`*`: every other) what of the platform's available "
        "balance is never transferred, in minor units; transfers wait rather than touch it.",
    )

    @field_validator("funds_reserve_cents")
    @classmethod
    def _must_serve_every_currency(cls, value: dict[str, int]) -> dict[str, int]:
        return serves_every_currency(value)

    @property
    def transfer_terms(self) -> TransferTerms:
        return TransferTerms(self.funds_reserve_cents, self.debt_cap_bps)

    @property
    def platform_fee(self) -> FeePolicy:
        return FeePolicy(self.platform_fee_bps, self.platform_fee_fixed_cents)
