"""The approval table as a setting: bands by currency, judged whole, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from roadcall_payments.domain.approval import ApprovalPolicy, Band
from roadcall_payments.domain.people import Role

T = TypeVar("T")


class ApprovalBand(BaseModel):
    """One line of an approval table, as JSON writes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    upToCents: Annotated[int, Field(ge=1)] | None = None  # noqa: N815  # JSON's own spelling
    approvals: int = Field(ge=1, le=5)
    roles: tuple[Literal["dispatcher", "admin"], ...] = Field(min_length=1)


def serves_every_currency(table: dict[str, T]) -> dict[str, T]:
    """The table. Raises ValueError without an entry for the currencies it does not name."""
    if "*" not in table:
        raise ValueError('needs an entry "*" for the currencies that are not named')
    return table


def _rising(table: dict[str, tuple[ApprovalBand, ...]]) -> dict[str, tuple[ApprovalBand, ...]]:
    for currency, bands in table.items():
        limits = [band.upToCents for band in bands]
        bounded = [limit for limit in limits if limit is not None]
        if not limits or limits[-1] is not None or len(bounded) != len(limits) - 1:
            raise ValueError(f"{currency}: the last band, and it alone, has no upToCents")
        if bounded != sorted(set(bounded)):
            raise ValueError(f"{currency}: upToCents must rise from band to band")
    return table


ApprovalBands = Annotated[
    dict[str, tuple[ApprovalBand, ...]],
    AfterValidator(serves_every_currency),
    AfterValidator(_rising),
]

DEFAULT_BANDS: Final[dict[str, tuple[ApprovalBand, ...]]] = {
    "*": (
        ApprovalBand(upToCents=500_000, approvals=1, roles=("dispatcher", "admin")),
        ApprovalBand(approvals=2, roles=("admin",)),
    )
}


def policy_of(table: Mapping[str, tuple[ApprovalBand, ...]]) -> ApprovalPolicy:
    """The table in the domain's words."""
    return ApprovalPolicy(
        {
            currency: tuple(
                Band(band.upToCents, band.approvals, frozenset(map(Role, band.roles)))
                for band in bands
            )
            for currency, bands in table.items()
        }
    )
