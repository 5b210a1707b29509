"""Our ``replace`` gives what the standard's gives, and what it gives is as frozen."""

from __future__ import annotations

import dataclasses
from dataclasses import FrozenInstanceError, dataclass

import pytest

from roadcall_payments.domain import records
from roadcall_payments.domain.errors import InvalidInput
from roadcall_payments.domain.money import Money


@dataclass(frozen=True, slots=True)
class Tow:
    vendor: str
    miles: int = 0
    price: Money | None = None


@dataclass(frozen=True, slots=True)
class LongTow(Tow):
    states: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    text: str


@pytest.mark.parametrize(
    ("record", "changes"),
    [
        (Tow("v_1", 20), {"miles": 30, "price": Money(1, "usd")}),
        (Tow("v_1", 20), {}),
        (LongTow("v_1", 900), {"states": ("NE", "IA")}),
        (Note("at the gate"), {"text": "inside"}),
        (Money(5, "usd"), {"amount_cents": 6}),
    ],
)
def test_gives_what_the_standards_gives(
    record: Tow | LongTow | Note | Money, changes: dict[str, object]
) -> None:
    expected = dataclasses.replace(record, **changes)  # type: ignore[arg-type]  # of any kind
    found = records.replace(record, **changes)  # type: ignore[arg-type]  # of any kind
    assert type(found) is type(record)
    assert found == expected
    assert hash(found) == hash(expected)
    assert repr(found) == repr(expected)


def test_is_frozen() -> None:
    found = records.replace(Tow("v_1"), miles=3)
    with pytest.raises(FrozenInstanceError):
        found.miles = 4  # type: ignore[misc]  # that is the point


def test_checks_what_the_class_checks() -> None:
    with pytest.raises(InvalidInput):
        records.replace(Money(5, "usd"), currency="US dollars")


def test_knows_no_other_name() -> None:
    with pytest.raises(KeyError):
        records.replace(Tow("v_1"), kilometres=3)  # type: ignore[call-arg]  # that is the point
