"""Our records are what the standard's are, and as frozen, however quickly they are made."""

from __future__ import annotations

import dataclasses
from dataclasses import FrozenInstanceError, dataclass, field

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


@records.quickly_made
@dataclass(frozen=True, slots=True)
class Dispatch:
    driver: str
    miles: int = 3
    note: str = field(default="", repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.miles < 0:
            raise InvalidInput("miles", "Nobody drives backwards.")


@dataclass(frozen=True, slots=True)
class Plain:
    driver: str
    miles: int = 3
    note: str = field(default="", repr=False, compare=False)


def test_one_that_is_quickly_made_is_as_any_other() -> None:
    given = Dispatch("dr_1", note="late")
    assert given == Dispatch("dr_1", 3)
    assert given != Dispatch("dr_1", miles=4)
    assert hash(given) == hash(Plain("dr_1"))
    assert repr(given) == repr(Plain("dr_1")).replace("Plain", "Dispatch")
    assert dataclasses.asdict(given) == {"driver": "dr_1", "miles": 3, "note": "late"}
    assert dataclasses.replace(given, miles=5) == Dispatch("dr_1", 5)
    assert records.replace(given, miles=5) == Dispatch("dr_1", 5)
    assert type(records.replace(given, miles=5)) is Dispatch


def test_one_that_is_quickly_made_is_frozen_and_checked() -> None:
    given = Dispatch("dr_1")
    with pytest.raises(FrozenInstanceError):
        given.miles = 4  # type: ignore[misc]  # that is the point
    with pytest.raises(InvalidInput):
        Dispatch("dr_1", -1)
    with pytest.raises(TypeError):
        Dispatch()  # type: ignore[call-arg]  # that is the point


def test_is_frozen() -> None:
    found = records.replace(Tow("v_1"), miles=3)
    with pytest.raises(FrozenInstanceError):
        found.miles = 4  # type: ignore[misc]  # that is the point


def test_checks_what_the_class_checks() -> None:
    with pytest.raises(InvalidInput):
        records.replace(Money(5, "usd"), currency="US dollars")


def test_knows_no_other_name() -> None:
    with pytest.raises(AttributeError):
        records.replace(Tow("v_1"), kilometres=3)  # type: ignore[call-arg]  # that is the point
