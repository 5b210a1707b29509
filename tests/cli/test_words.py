"""Every fact has words of its own: none is told by the name of its type, or looks like code."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Union, get_args, get_origin, get_type_hints

import pytest

from roadcall_payments.cli.words import in_words
from roadcall_payments.domain import events as e
from roadcall_payments.domain.money import Money
from tests.builders import NOON

FACTS = sorted(get_args(e.Fact), key=lambda kind: str(kind.__name__))


def sample(hint: object, *, full: bool) -> object:
    """A value of that type; ``full``: whatever may be left out is there."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        chosen = [one for one in parts if (one is not NoneType) == full] or parts
        return sample(chosen[0], full=full)
    if origin is tuple:
        return (sample(parts[0], full=full),) if full else ()
    if hint is NoneType:
        return None
    if hint is Money:
        return Money(1_250, "usd")
    if hint is datetime:
        return NOON
    assert isinstance(hint, type)
    if issubclass(hint, Enum):
        return next(iter(hint))
    if is_dataclass(hint):
        hints = get_type_hints(hint)
        return hint(**{one.name: sample(hints[one.name], full=full) for one in fields(hint)})
    simple: dict[type, object] = {str: "said", int: 7, bool: full, float: 0.5}
    return simple[hint]


@pytest.mark.parametrize("full", [True, False], ids=["full", "bare"])
@pytest.mark.parametrize("kind", FACTS, ids=lambda kind: str(kind.__name__))
def test_every_fact_has_words(kind: type[e.Fact], full: bool) -> None:
    fact = sample(kind, full=full)
    assert isinstance(fact, kind)
    said = in_words(fact, {})
    assert kind.__name__ not in said
    for code in ("None", "(amount", "datetime.", "<", "=", "True", "False"):
        assert code not in said, said
